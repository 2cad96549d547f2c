//! The rule sets that come with the program, compiled into it.

use super::rule_file::Shipped;

/// The files in `rules/`.
pub const SHIPPED: [Shipped; 2] = [
    Shipped {
        path: "rules/freebsd-tcp.yaml",
        text: include_str!("../../../rules/freebsd-tcp.yaml"),
        by_default: true,
    },
    Shipped { path: "rules/sshd.yaml", text: include_str!("../../../rules/sshd.yaml"), by_default: true },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn every_shipped_rule_file_passes_every_check_without_a_warning() {
        for shipped in SHIPPED {
            let (rules, diagnostics) = shipped.read();
            let file = rules.expect("it can be read").file;
            assert!(
                shipped.path.ends_with(&format!("/{}.yaml", file.set.name)),
                "the file has the set's name"
            );
            let found = rules::check(&file.set, &[]).into_iter().map(|fault| file.diagnose(&fault));
            let all: Vec<String> = diagnostics.into_iter().chain(found).map(|d| d.to_string()).collect();
            assert!(all.is_empty(), "{}", all.join("\n"));
        }
    }
}
