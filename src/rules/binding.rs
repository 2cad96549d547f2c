//! Which rule sets apply to the lines of a source: a set belongs to certain logs, and lines of any other log are plain
//! text to it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::model::RuleSet;
use super::prefilter::LinePrefilter;
use super::program;
use crate::record::{self, Layouts, Record, TimeSpec};

/// The rule sets that apply to the lines of a source, looked up by program before any pattern runs. Sets are identified
/// by their index among all sets in force.
#[derive(Debug, Default)]
pub struct Binding {
    layouts: Layouts,
    by_program: HashMap<Box<[u8]>, Vec<usize>, RandomState>,
    /// Prefixes of program names, and the sets that look at all programs with such a name.
    by_beginning: Vec<(Box<[u8]>, usize)>,
    /// Sets that look at whole lines, and so at every line.
    whole: Vec<usize>,
    /// Sets for lines whose layout has no program name.
    headed: Vec<usize>,
    /// Sets whose rules know every line of their programs that names an address.
    complete: Vec<usize>,
    names: Option<LinePrefilter>,
    /// The timestamp format of the first of these sets that states one.
    time: Option<TimeSpec>,
}

impl Binding {
    /// Binds a source to those of the `sets` in force that it names; if it names none, to those that apply to any syslog.
    pub fn new<'s>(
        sets: impl IntoIterator<Item = &'s RuleSet>,
        named: Option<&[String]>,
        layouts: Layouts,
    ) -> Self {
        let is_asked = |set: &RuleSet| match named {
            Some(names) => names.contains(&set.name),
            None => !set.format.needs_source(),
        };
        let asked = sets.into_iter().enumerate().filter(|(_, set)| is_asked(set));
        Self::of(asked, layouts)
    }

    /// Binds a log to all sets in force, whatever their format.
    pub fn to_all<'s>(sets: impl IntoIterator<Item = &'s RuleSet>, layouts: Layouts) -> Self {
        Self::of(sets.into_iter().enumerate(), layouts)
    }

    fn of<'s>(asked: impl Iterator<Item = (usize, &'s RuleSet)>, layouts: Layouts) -> Self {
        let mut binding = Self { layouts, ..Self::default() };
        for (index, set) in asked {
            // Whoever switches a rule off does not want to hear of its lines.
            if set.complete && set.rules.iter().all(|rule| rule.enabled) {
                binding.complete.push(index);
            }
            if set.format.needs_source() {
                binding.whole.push(index);
                binding.time = binding.time.or_else(|| set.time.clone());
            } else if set.names_a_process() {
                binding.headed.push(index);
            }
            for named in &set.programs {
                match program::beginning(named) {
                    Some(beginning) => binding.by_beginning.push((beginning.as_bytes().into(), index)),
                    None => binding.by_program.entry(named.as_bytes().into()).or_default().push(index),
                }
            }
        }
        binding.names = binding.find_names();
        binding
    }

    fn find_names(&self) -> Option<LinePrefilter> {
        let beginnings = self.by_beginning.iter().map(|(beginning, _)| &**beginning);
        let programs = self.by_program.keys().map(|name| &**name).chain(beginnings);
        self.whole.is_empty().then(|| LinePrefilter::new(programs)).flatten()
    }

    /// The prefilter for lines of interest; `None` if a set looks at lines of any kind.
    pub fn names(&self) -> Option<&LinePrefilter> {
        self.names.as_ref()
    }

    /// The timestamp format of lines that no rule matches, if a set states one.
    pub fn time(&self) -> Option<&TimeSpec> {
        self.time.as_ref()
    }

    /// The layouts that lines of the source may have.
    pub fn layouts(&self) -> Layouts {
        self.layouts
    }

    /// Whether a set is asked that should know a line like this one if it names an address.
    pub fn should_know(&self, record: &Record<'_>) -> bool {
        record.program.is_some() && self.candidates(record).any(|index| self.complete.contains(&index))
    }

    /// Whether any set looks at messages behind a syslog header.
    pub fn reads_headers(&self) -> bool {
        !self.by_program.is_empty() || !self.by_beginning.is_empty()
    }

    /// The layout in which a set would look at this line, if the source does not state that layout.
    pub fn other_layout(&self, line: &[u8]) -> Option<Layouts> {
        let (layouts, record) = record::parse_as_any(line);
        let is_asked = layouts != self.layouts && self.candidates(&record).next().is_some();
        (self.whole.is_empty() && is_asked).then_some(layouts)
    }

    /// The sets that look at lines like this one. A line signed by a program that a syslog set looks at is not for sets
    /// that look at whole lines: the two kinds were not proven against each other.
    pub(super) fn candidates<'b>(&'b self, record: &Record<'b>) -> impl Iterator<Item = usize> + use<'b> {
        let by_program = match record.program {
            Some(program) => self.by_program.get(program).map_or(&[][..], Vec::as_slice),
            None if record.any_program() => &self.headed,
            None => &[],
        };
        let begun = record.program.into_iter().flat_map(|program| self.begun(by_program, program));
        let mut signed = by_program.iter().copied().chain(begun).peekable();
        let whole = if signed.peek().is_some() { &[][..] } else { &self.whole };
        signed.chain(whole.iter().copied())
    }

    /// The sets that look at a program by a prefix of its name, each once, except those in `known`, which name it
    /// exactly.
    fn begun<'b>(&'b self, known: &'b [usize], program: &'b [u8]) -> impl Iterator<Item = usize> {
        let is_begun = move |(beginning, _): &&(Box<[u8]>, usize)| program.starts_with(beginning);
        let sets = self.by_beginning.iter().filter(is_begun).map(|(_, set)| *set);
        // Prefixes of one set are adjacent.
        let mut last = None;
        sets.filter(move |set| last.replace(*set) != Some(*set) && !known.contains(set))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::parse;
    use crate::rules::Format;

    fn set(name: &str, format: Format, program: &str) -> RuleSet {
        let programs = if program.is_empty() { Vec::new() } else { vec![program.to_owned()] };
        RuleSet { name: name.to_owned(), format, programs, ..RuleSet::default() }
    }

    fn sets() -> Vec<RuleSet> {
        vec![
            set("sshd", Format::Syslog, "sshd"),
            set("nginx", Format::Raw, ""),
            set("ftpd", Format::Syslog, "ftpd"),
            set("app", Format::Json, ""),
        ]
    }

    fn asked(binding: &Binding, line: &str) -> Vec<usize> {
        binding.candidates(&parse(line.as_bytes())).collect()
    }

    const SSHD: &str = "Nov 22 14:38:31 gw sshd[7]: x";

    #[test]
    fn a_source_that_names_no_set_is_asked_by_sets_for_syslog_only() {
        let binding = Binding::new(&sets(), None, Layouts::Syslog);
        assert_eq!(asked(&binding, SSHD), [0]);
        assert_eq!(asked(&binding, "Nov 22 14:38:31 gw ftpd: x"), [2]);
        assert!(asked(&binding, "x").is_empty());
        assert!(binding.names().is_some(), "foreign lines are passed over");
    }

    #[test]
    fn programs_are_known_by_the_beginning_of_their_names_and_each_set_is_asked_once() {
        let several = RuleSet {
            programs: ["postfix/*", "post*", "postfix/smtpd"].map(str::to_owned).to_vec(),
            ..set("several", Format::Syslog, "")
        };
        let sets =
            [set("sshd", Format::Syslog, "sshd"), several, set("smtp", Format::Syslog, "postfix/smtp*")];
        let binding = Binding::new(&sets, None, Layouts::Syslog);
        for (program, expected) in [
            ("postfix/smtpd", &[1, 2][..]),
            ("postfix/qmgr", &[1]),
            ("postgres", &[1]),
            ("sshd", &[0]),
            ("pos", &[]),
        ] {
            assert_eq!(
                asked(&binding, &format!("Nov 22 14:38:31 gw {program}[7]: x")),
                expected,
                "{program}"
            );
        }
        assert!(binding.names().is_some(), "foreign lines are passed over");
    }

    proptest! {
        /// What is passed over before any header is read is never a line of a program that is named by its beginning.
        #[test]
        fn no_line_of_interest_is_passed_over(
            lines in prop::collection::vec("(postfix/|post|cron|sshd|)(smtpd|fix|x|/|){0,2}", 0..20),
            programs in prop::collection::vec("(postfix/|post|s)(smtpd|fix|)[*]?", 1..4),
        ) {
            let sets = [RuleSet { programs, ..set("a", Format::Syslog, "") }];
            let binding = Binding::new(&sets, None, Layouts::Syslog);
            let names = binding.names().unwrap();
            for program in lines {
                let line = format!("Nov 22 14:38:31 gw {program}[7]: x");
                let is_named = names.before(line.as_bytes()) < line.len();
                prop_assert!(is_named || asked(&binding, &line).is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn lines_of_a_layout_that_the_source_is_not_said_to_have_are_noticed() {
        let syslog = Binding::new(&sets(), None, Layouts::Syslog);
        for (line, layout) in [
            ("Nov 22 14:38:31 [sshd] x", Some(Layouts::Metalog)),
            ("Nov 22 14:38:31 [cron] x", None),
            ("2018-06-26 13:22:02.108781500 x", Some(Layouts::Supervised)),
            (SSHD, None),
            ("x", None),
        ] {
            assert_eq!(syslog.other_layout(line.as_bytes()), layout, "{line}");
        }
        let metalog = Binding::new(&sets(), None, Layouts::Metalog);
        assert_eq!(metalog.other_layout(b"Nov 22 14:38:31 [sshd] x"), None);
        assert_eq!(metalog.other_layout(SSHD.as_bytes()), Some(Layouts::Syslog));
        let web = Binding::new(&sets(), Some(&["nginx".to_owned()]), Layouts::Syslog);
        assert_eq!(web.other_layout(b"Nov 22 14:38:31 [sshd] x"), None, "an application's own log");
    }

    #[test]
    fn a_source_is_asked_by_exactly_the_sets_that_it_names() {
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Binding::new(&sets(), Some(&names), Layouts::Syslog)
        };
        assert_eq!(asked(&named(&["nginx"]), SSHD), [1], "a web log may hold a line like sshd's");
        assert!(asked(&named(&["ftpd"]), SSHD).is_empty());
        assert_eq!(asked(&named(&["sshd", "nginx"]), SSHD), [0], "it is signed");
        assert_eq!(asked(&named(&["sshd", "nginx"]), "Nov 22 14:38:31 gw ftpd: x"), [1]);
        assert_eq!(asked(&named(&["app"]), SSHD), [3], "whether it is an object is to be seen");
        assert!(named(&["nginx"]).names().is_none(), "every line is looked at");
        assert!(named(&["app", "sshd"]).names().is_none(), "a key may be written with escapes");
        assert!(asked(&named(&[]), SSHD).is_empty());
        assert_eq!(asked(&Binding::to_all(&sets(), Layouts::Syslog), "x"), [1, 3]);
    }
}
