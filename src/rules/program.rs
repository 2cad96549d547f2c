//! The programs that a rule set names: a syslog tag, compared exactly, or a prefix of tags, as in `postfix/*`.

use super::model::RuleSet;

/// The prefix, if the name ends in a star.
pub(super) fn beginning(named: &str) -> Option<&str> {
    named.strip_suffix('*')
}

/// Whether a name in a rule set covers a program.
fn is_meant(named: &str, program: &[u8]) -> bool {
    match beginning(named) {
        Some(beginning) => program.starts_with(beginning.as_bytes()),
        None => named.as_bytes() == program,
    }
}

/// Whether two names cover a common program.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    match (beginning(one), beginning(other)) {
        (Some(first), Some(second)) => first.starts_with(second) || second.starts_with(first),
        (Some(_), None) => is_meant(one, other.as_bytes()),
        (None, _) => is_meant(other, one.as_bytes()),
    }
}

/// An example of a program that a name covers.
fn example(named: &str) -> String {
    beginning(named).map_or_else(|| named.to_owned(), |beginning| format!("{beginning}x"))
}

impl RuleSet {
    /// Whether the set looks at the lines of a program.
    pub fn names_program(&self, program: &[u8]) -> bool {
        self.programs.iter().any(|named| is_meant(named, program))
    }

    /// Whether the set looks at lines of programs other than the kernel, whose lines always name it.
    pub fn names_a_process(&self) -> bool {
        self.programs.iter().any(|named| named != "kernel")
    }

    /// Whether two sets look at lines of a common program.
    pub fn shares_program(&self, other: &Self) -> bool {
        self.programs.iter().any(|one| other.programs.iter().any(|two| overlap(one, two)))
    }

    /// A program whose lines the set looks at; `None` if its lines name no program.
    pub fn example_program(&self) -> Option<String> {
        self.programs.first().map(|named| example(named))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(programs: &[&str]) -> RuleSet {
        RuleSet { programs: programs.iter().map(|&name| name.to_owned()).collect(), ..RuleSet::default() }
    }

    #[test]
    fn a_star_means_every_name_that_begins_so() {
        let postfix = set(&["postfix/*", "postscreen"]);
        for (program, is_named) in [
            ("postfix/smtpd", true),
            ("postfix/", true),
            ("postfix", false),
            ("postscreen", true),
            ("postscreen2", false),
            ("xpostfix/smtpd", false),
        ] {
            assert_eq!(postfix.names_program(program.as_bytes()), is_named, "{program}");
        }
        assert_eq!(postfix.example_program().as_deref(), Some("postfix/x"));
        assert!(postfix.shares_program(&set(&["postfix/smtpd"])) && set(&["post*"]).shares_program(&postfix));
        assert!(!postfix.shares_program(&set(&["postfix", "sshd*"])));
    }

    proptest! {
        #[test]
        fn sets_share_a_program_when_some_name_is_meant_by_both(
            one in "[ab]{0,2}[ab*]", other in "[ab]{0,2}[ab*]", names in prop::collection::vec("[ab]{1,4}", 20),
        ) {
            let one = set(&[&one]);
            let other = set(&[&other]);
            let is_both = |name: &String| one.names_program(name.as_bytes()) && other.names_program(name.as_bytes());
            prop_assert_eq!(one.shares_program(&other), other.shares_program(&one));
            prop_assert!(one.shares_program(&other) || !names.iter().any(is_both));
        }
    }
}
