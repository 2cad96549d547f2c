//! Whether anybody is kept out: what is known of logs, table and firewall, and what follows from it.
//!
//! `run`, `status`, `check` and `doctor` gather what they can know and have it judged here, so that they say the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::spoken;

/// Logs that are silent for longer than this, all of them, while sshd runs are perhaps not the ones: cron alone writes
/// every day.
pub const MAX_SILENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most paths that are named in a sentence.
const MAX_NAMED: usize = 4;

/// A reason why nobody is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The kind of reason, for programs.
    pub reason: GapKind,
    /// What is the case, as a sentence without a full stop.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

/// The kinds of reasons why nobody is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// The daemon does not run.
    NotRunning,
    /// None of the sources exists or can be read.
    NoLog,
    /// None of the sources exists, since this machine logs to the systemd journal.
    JournalOnly,
    /// Decisions are only reported.
    DryRun,
    /// No rule of the firewall blocks the table, or the firewall is off.
    NotBlocking,
    /// The table could not be brought in step with the bans.
    OutOfStep,
    /// Nothing was read for long while sshd runs.
    Silent,
    /// A kind that this program is too old to know.
    #[serde(other)]
    Unknown,
}

impl Gap {
    fn new(reason: GapKind, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, text: text.into(), remedy: remedy.into() }
    }

    /// The daemon does not run, so nobody is being banned.
    pub fn not_running() -> Self {
        let remedy = "`service portcullis start`, or `systemctl start portcullis`";
        Self::new(GapKind::NotRunning, "the daemon does not run: nobody is being banned", remedy)
    }

    /// The table blocks nobody, as the firewall's own remark says.
    pub fn not_blocking(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(GapKind::NotBlocking, text, remedy)
    }
}

/// The sources, as far as they can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logs {
    /// At least one is there.
    Some,
    /// None is there; these are their paths.
    None(Vec<String>),
}

/// What is known about a machine; what cannot be known is left at its default, which is no reason to worry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether there is anything to read.
    pub logs: Logs,
    /// Whether systemd's journal is there.
    pub has_journal: bool,
    /// Whether decisions are only reported.
    pub is_dry_run: bool,
    /// Why the table blocks nobody: what the firewall's tools say.
    pub not_blocking: Vec<Gap>,
    /// Why the table is not in step with the bans; `None` also while changes are on their way.
    pub out_of_step: Option<String>,
    /// How long ago something was read from any source.
    pub silence: Duration,
    /// Whether sshd runs and its rule set is in force, so that there should be something to read.
    pub expects_sshd: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            logs: Logs::Some,
            has_journal: false,
            is_dry_run: false,
            not_blocking: Vec::new(),
            out_of_step: None,
            silence: Duration::ZERO,
            expects_sshd: false,
        }
    }
}

/// Judges what is known: every reason why nobody is kept out, the most important first; none where attackers are.
pub fn gaps(facts: &Facts) -> Vec<Gap> {
    let logs = match &facts.logs {
        Logs::None(paths) => Some(no_log(paths, facts.has_journal)),
        Logs::Some => silent(facts),
    };
    let firewall = if facts.is_dry_run {
        vec![dry_run()]
    } else {
        facts.not_blocking.iter().cloned().chain(facts.out_of_step.as_deref().map(out_of_step)).collect()
    };
    logs.into_iter().chain(firewall).collect()
}

fn no_log(paths: &[String], has_journal: bool) -> Gap {
    if has_journal {
        return Gap::new(
            GapKind::JournalOnly,
            "no log to read (this machine logs to the systemd journal only)",
            "`sources: {journal: {journal: all}}` in the configuration reads it",
        );
    }
    let mut named = paths.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > MAX_NAMED {
        named.push_str(", …");
    }
    let remedy = "name the logs of this machine under `sources`, or have the syslog daemon write these";
    Gap::new(GapKind::NoLog, format!("no log to read: nothing readable is at {named}"), remedy)
}

fn silent(facts: &Facts) -> Option<Gap> {
    let is_silent = facts.expects_sshd && facts.silence > MAX_SILENCE;
    let days = spoken(Duration::from_secs(facts.silence.as_secs() / 86_400 * 86_400));
    let text = format!("nothing was written to any followed log for {days}, and sshd runs");
    let remedy = "see that the syslog daemon runs and writes to the files under `sources`; `portcullis doctor` looks at each";
    is_silent.then(|| Gap::new(GapKind::Silent, text, remedy))
}

fn dry_run() -> Gap {
    let backend = if cfg!(target_os = "freebsd") { "pf}` (or ipfw)" } else { "nftables}`" };
    Gap::new(
        GapKind::DryRun,
        "no firewall is configured (dry-run): bans are told, and nobody is blocked",
        format!("`firewall: {{backend: {backend} in the configuration"),
    )
}

fn out_of_step(problem: &str) -> Gap {
    let text = format!("the table is not in step with the bans: {problem}");
    Gap::new(GapKind::OutOfStep, text, "it is tried again by itself; `portcullis doctor` looks for the cause")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(facts: &Facts) -> Vec<GapKind> {
        gaps(facts).into_iter().map(|gap| gap.reason).collect()
    }

    #[test]
    fn a_machine_of_which_nothing_bad_is_known_protects() {
        assert_eq!(gaps(&Facts::default()), []);
    }

    #[test]
    fn a_missing_log_is_told_with_its_path_or_with_the_journal_that_has_its_lines() {
        let missing = Facts { logs: Logs::None(vec!["/var/log/auth.log".into()]), ..Facts::default() };
        let told = gaps(&missing);
        assert!(
            told[0].reason == GapKind::NoLog && told[0].text.ends_with("at /var/log/auth.log"),
            "{told:?}"
        );
        assert_eq!(kinds(&Facts { has_journal: true, ..missing }), [GapKind::JournalOnly]);
        assert_eq!(kinds(&Facts { has_journal: true, ..Facts::default() }), [], "files are read beside it");
        let many = (0..9).map(|at| format!("/{at}")).collect();
        let told = gaps(&Facts { logs: Logs::None(many), ..Facts::default() });
        assert!(told[0].text.ends_with("at /0, /1, /2, /3, …"), "{told:?}");
    }

    #[test]
    fn silence_is_a_gap_only_where_sshd_runs_and_for_long() {
        let silent = Facts { silence: MAX_SILENCE * 2, expects_sshd: true, ..Facts::default() };
        let told = gaps(&silent);
        assert!(told[0].reason == GapKind::Silent && told[0].text.contains("for 2w, "), "{told:?}");
        assert_eq!(kinds(&Facts { expects_sshd: false, ..silent.clone() }), []);
        assert_eq!(kinds(&Facts { silence: MAX_SILENCE, ..silent }), []);
    }

    #[test]
    fn whatever_keeps_the_table_from_blocking_is_told_beside_the_logs() {
        let not_blocking = vec![Gap::not_blocking("pf is off", "start it")];
        let logs = Logs::None(Vec::new());
        let all = Facts { logs, not_blocking, out_of_step: Some("it hangs".into()), ..Facts::default() };
        assert_eq!(kinds(&all), [GapKind::NoLog, GapKind::NotBlocking, GapKind::OutOfStep]);
        let dry_run = Facts { is_dry_run: true, ..all };
        assert_eq!(kinds(&dry_run), [GapKind::NoLog, GapKind::DryRun], "nothing is expected of that table");
    }

    #[test]
    fn a_reason_of_a_later_version_can_be_read() {
        let text = r#"{"reason":"eclipse","text":"it is dark","remedy":"wait"}"#;
        let gap: Gap = serde_json::from_str(text).unwrap();
        assert_eq!((gap.reason, gap.text.as_str()), (GapKind::Unknown, "it is dark"));
        assert!(serde_json::to_string(&dry_run()).unwrap().starts_with(r#"{"reason":"dry-run","#));
    }
}
