//! The rule sets that come with the program, compiled into it.

use super::rule_file::Shipped;

/// The files in `rules/` in the order of their names. `build.rs` finds them, and says which are in force by default.
pub const SHIPPED: &[Shipped] = &include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn every_shipped_rule_file_passes_every_check_without_a_warning() {
        for shipped in SHIPPED {
            let (rules, diagnostics) = shipped.read();
            let file = rules.expect("it can be read").file;
            assert_eq!(shipped.name(), file.set.name, "the file has the set's name");
            let found = rules::check(&file.set, &[]).into_iter().map(|fault| file.diagnose(&fault));
            let all: Vec<String> = diagnostics.into_iter().chain(found).map(|d| d.to_string()).collect();
            assert!(all.is_empty(), "{}", all.join("\n"));
        }
    }
}
