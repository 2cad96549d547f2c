//! Addresses and networks as operators give them: on the command line, or a block list on standard input.

use std::io::{self, BufRead};

use super::exit::{Exit, Failure};
use crate::address::{self, Prefix};

/// Parses one address or network.
pub(super) fn one(text: &str) -> Result<Prefix, Failure> {
    address::parse_prefix(text).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// Parses addresses and networks, sorted and without duplicates; `-` stands for standard input. If some are invalid, the
/// failure lists all of these and none is returned.
pub(super) fn all(named: &[String]) -> Result<Vec<Prefix>, Failure> {
    let mut prefixes = Vec::new();
    let mut wrong = Vec::new();
    for name in named {
        if name == "-" {
            list(io::stdin().lock(), &mut prefixes, &mut wrong)?;
            continue;
        }
        match address::parse_prefix(name) {
            Ok(prefix) => prefixes.push(prefix),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::new(Exit::Usage, list_mistakes(&wrong)));
    }
    if prefixes.is_empty() {
        return Err(Failure::new(Exit::Usage, "no address was given: there is none on standard input"));
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    Ok(prefixes)
}

/// The most mistakes that are listed; a list in another format has as many as lines.
const MAX_LISTED: usize = 10;

fn list_mistakes(wrong: &[String]) -> String {
    let mut text = wrong.iter().take(MAX_LISTED).map(String::as_str).collect::<Vec<_>>().join("\n");
    if wrong.len() > MAX_LISTED {
        text.push_str(&format!("\n… and {} more", wrong.len() - MAX_LISTED));
    }
    text + "\nnothing was done"
}

fn list(input: impl BufRead, prefixes: &mut Vec<Prefix>, wrong: &mut Vec<String>) -> Result<(), Failure> {
    for (line, number) in input.split(b'\n').zip(1..) {
        let line = line.map_err(|error| Failure::new(Exit::Io, format!("standard input: {error}")))?;
        let line = str::from_utf8(&line).map_err(|_| not_utf8(number))?;
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        match address::parse_prefix(text) {
            Ok(prefix) => prefixes.push(prefix),
            Err(error) => wrong.push(format!("line {number}: {error}")),
        }
    }
    Ok(())
}

fn not_utf8(line: u64) -> Failure {
    let text = format!("standard input, line {line}: this is not UTF-8; nothing was done");
    Failure::new(Exit::Data, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_list_has_comments_and_blank_lines() {
        let mut prefixes = Vec::new();
        let mut wrong = Vec::new();
        let text = "# list\n192.0.2.7 # bad\n\n  2001:db8::/48\n14.160.0.0 /11\n";
        list(text.as_bytes(), &mut prefixes, &mut wrong).unwrap();
        assert_eq!(prefixes.len(), 2);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("line 5: `14.160.0.0 /11`"), "{wrong:?}");
    }

    #[test]
    fn a_list_in_another_encoding_is_damaged_input_with_its_line() {
        let input = &b"192.0.2.7\n192.0.2.8 # caf\xe9\n"[..];
        let failure = list(input, &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert!(failure.exit == Exit::Data && failure.text.contains("line 2: "), "{failure}");
    }

    #[test]
    fn one_mistake_refuses_all_and_all_are_told() {
        let named = ["192.0.2.7", "nobody", "192.0.2.7/24"].map(str::to_owned);
        let failure = all(&named).unwrap_err();
        assert!(
            failure.text.contains("`nobody`")
                && failure.text.contains("192.0.2.0/24")
                && failure.exit == Exit::Usage
        );
    }
}
