//! The rule sets that come with the program, compiled into it.

use std::path::Path;

use super::rule_file::RuleFile;

/// Name and text of each shipped rule file, as in `rules/`.
pub const SHIPPED: [(&str, &str); 2] = [
    ("freebsd-tcp", include_str!("../../rules/freebsd-tcp.yaml")),
    ("sshd", include_str!("../../rules/sshd.yaml")),
];

/// The shipped rule files, read. That they are sound is tested, so an unusable one cannot be among them.
pub fn shipped() -> Vec<RuleFile> {
    let read = |(name, text): &(&str, &str)| {
        RuleFile::read(Path::new(&format!("built-in:{name}.yaml")), text.as_bytes()).0
    };
    SHIPPED.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn every_shipped_rule_file_passes_every_check_without_a_warning() {
        for (name, text) in SHIPPED {
            let (file, diagnostics) = RuleFile::read(Path::new(name), text.as_bytes());
            let file = file.expect("it can be read");
            assert_eq!(file.set.name, name);
            let found = rules::check(&file.set).into_iter().map(|fault| file.diagnose(&fault));
            let all: Vec<String> = diagnostics.into_iter().chain(found).map(|d| d.to_string()).collect();
            assert!(all.is_empty(), "{}", all.join("\n"));
        }
        assert_eq!(shipped().len(), SHIPPED.len());
    }
}
