//! The name that was probably meant.

/// The candidate that differs from the word by a typing slip or two, if there is one.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let word = plain(word);
    // One slip in a short word, one more for each further four letters: `on` is not meant as `ipfw`.
    let slips = 1 + word.chars().count().saturating_sub(3) / 4;
    let distance = |name: &&str| strsim::osa_distance(&word, &plain(name));
    let near = candidates.into_iter().filter(|name| distance(name) <= slips && distance(name) < name.len());
    near.min_by_key(distance)
}

/// `, did you mean …?` or what else there is to choose from.
pub fn or_near(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if candidates.is_empty() => String::new(),
        None if candidates.len() == 1 => format!("; the only one known is {}", listed(candidates)),
        None => format!("; known are {}", listed(candidates)),
    }
}

/// `` `a`, `b` and `c` ``
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = ["threshold", "ban", "rule_sets", "for", "ipfw"];
        for (word, meant) in [
            ("treshold", Some("threshold")),
            ("threshlod", Some("threshold")),
            ("Ban", Some("ban")),
            ("rule-sets", Some("rule_sets")),
            ("bann", Some("ban")),
            ("fro", Some("for")),
            ("findtime", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }

    #[test]
    fn without_a_near_name_all_are_listed() {
        assert_eq!(or_near("x", &["pf", "ipfw", "dry-run"]), "; known are `pf`, `ipfw` and `dry-run`");
        assert_eq!(or_near("pff", &["pf", "ipfw"]), ", did you mean `pf`?");
        assert_eq!(or_near("x", &[]), "");
    }
}
