//! Whether servers can report: one server at the socket, and an sshd that was told to.

use std::io;

use super::finding::Finding;
use crate::blocklist::is_answered;
use crate::control::reply::{DaemonStatus, ReportSourceStatus};
use crate::settings::BlocklistSettings;

const ABOUT: &str = "reports";

/// The daemon of FreeBSD's base system, by its names in 15 and before.
const ORIGINALS: [&str; 2] = ["blocklistd", "blacklistd"];

/// The option of FreeBSD's sshd, as `sshd -T` and `sshd_config` write it.
const OPTIONS: [&str; 2] = ["useblocklist", "useblacklist"];

/// Judges one source. `status` is the daemon's, if it answers; `processes` are the commands that run, if they are known.
pub(super) fn findings(
    source: &BlocklistSettings,
    status: Option<&DaemonStatus>,
    processes: Option<&str>,
) -> Vec<Finding> {
    let known = |status: &&DaemonStatus| {
        status.report_sources.iter().find(|known| known.socket == source.socket.to_string_lossy()).cloned()
    };
    let taken = status.as_ref().and_then(known);
    let mut findings = vec![match (&taken, status) {
        (Some(taken), _) => at_work(taken),
        (None, running) => not_at_work(source, running.is_some(), &is_answered(&source.socket)),
    }];
    if let Some(name) = processes.and_then(original) {
        findings.push(beside(name, taken.is_some()));
    }
    findings
}

fn at_work(taken: &ReportSourceStatus) -> Finding {
    let ReportSourceStatus { name, socket, reports, refused, .. } = taken;
    if *reports > 0 {
        let refused = if *refused > 0 { format!(", {refused} refused") } else { String::new() };
        return Finding::ok(ABOUT, format!("{reports} reports came at {socket} (source {name}){refused}"));
    }
    Finding::note(
        ABOUT,
        format!("no report has come at {socket} (source {name}) since the daemon started"),
        "log in with a wrong password and look again; an sshd that was built without support for it knows the option \
         UseBlocklist and reports nothing",
    )
}

fn not_at_work(source: &BlocklistSettings, daemon_runs: bool, answered: &io::Result<()>) -> Finding {
    let BlocklistSettings { name, socket, .. } = source;
    let socket = socket.display();
    match answered {
        Ok(()) => Finding::problem(
            ABOUT,
            format!("another server answers at {socket} (source {name}): reports go there"),
            "`service blocklistd stop` and `sysrc blocklistd_enable=NO`, then start Portcullis again",
        ),
        Err(_) if daemon_runs => Finding::problem(
            ABOUT,
            format!("the daemon takes no reports at {socket} (source {name})"),
            "`portcullis reload`, and look into its log for the reason",
        ),
        Err(_) => Finding::note(
            ABOUT,
            format!("nobody takes reports at {socket} (source {name})"),
            "start the daemon",
        ),
    }
}

/// The original daemon among these commands.
fn original(processes: &str) -> Option<&'static str> {
    let programs = processes.lines().filter_map(|line| line.split_whitespace().next()?.rsplit('/').next());
    programs.filter_map(|program| ORIGINALS.into_iter().find(|name| *name == program)).next()
}

/// The original daemon runs: with a socket of its own where ours is at work, and then in vain.
fn beside(name: &str, is_ours_at_work: bool) -> Finding {
    let advice = format!("`service {name} stop` and `sysrc {name}_enable=NO`");
    if is_ours_at_work {
        let text = format!(
            "{name} runs beside us: servers reach one of the two only, and at the next boot it may be that one"
        );
        return Finding::note(ABOUT, text, advice);
    }
    Finding::problem(ABOUT, format!("{name} runs, and there can be one server only"), advice)
}

/// Judges whether sshd reports, by what `sshd -T` prints, or else by its configuration file.
pub(super) fn sshd(settings: Option<&str>, file: Option<&str>) -> Finding {
    let told = settings.and_then(option).or_else(|| file.and_then(option));
    match (told, settings.or(file)) {
        (Some(true), _) => Finding::ok(ABOUT, "sshd reports its connections (UseBlocklist yes)"),
        (_, Some(_)) => Finding::problem(
            ABOUT,
            "sshd reports nothing: UseBlocklist is not `yes`",
            "`UseBlocklist yes` in /etc/ssh/sshd_config, before any `Match` (`UseBlacklist` up to FreeBSD 14), then \
             `service sshd reload`",
        ),
        (_, None) => Finding::note(
            ABOUT,
            "whether sshd reports cannot be read (`sshd -T`)",
            "run it as root, or see that UseBlocklist is yes",
        ),
    }
}

/// The value of the option: the first that is there counts, as sshd has it.
fn option(text: &str) -> Option<bool> {
    let words = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
        Some((words.next()?.to_ascii_lowercase(), words.next()?.trim_matches('"').to_ascii_lowercase()))
    };
    let (_, value) = text.lines().filter_map(words).find(|(key, _)| OPTIONS.contains(&key.as_str()))?;
    Some(value == "yes")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::super::finding::Grade;
    use super::*;

    fn source(socket: &std::path::Path) -> BlocklistSettings {
        BlocklistSettings {
            name: "ssh".to_owned(),
            socket: socket.to_owned(),
            services: vec![(22, "sshd".to_owned())],
            group: None,
            senders: Vec::new(),
            udp_senders: Vec::new(),
        }
    }

    fn running(source: &BlocklistSettings, reports: u64) -> DaemonStatus {
        let socket = source.socket.display().to_string();
        let taken = ReportSourceStatus { socket, reports, ..ReportSourceStatus::default() };
        DaemonStatus { report_sources: vec![taken], ..DaemonStatus::default() }
    }

    fn grades(source: &BlocklistSettings, status: Option<&DaemonStatus>, processes: &str) -> Vec<Grade> {
        findings(source, status, Some(processes)).into_iter().map(|finding| finding.grade).collect()
    }

    #[test]
    fn there_is_one_server_and_it_gets_reports() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(&dir.path().join("blocklistd.sock"));
        assert_eq!(grades(&source, None, ""), [Grade::Note], "nobody runs");
        assert_eq!(grades(&source, Some(&DaemonStatus::default()), ""), [Grade::Problem], "ours has none");
        assert_eq!(grades(&source, Some(&running(&source, 0)), ""), [Grade::Note], "none came yet");
        assert_eq!(grades(&source, Some(&running(&source, 7)), ""), [Grade::Ok]);
        let _other = UnixDatagram::bind(&source.socket).unwrap();
        assert_eq!(grades(&source, None, ""), [Grade::Problem], "another has it");
    }

    #[test]
    fn the_original_daemon_is_found_among_the_processes() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(&dir.path().join("blocklistd.sock"));
        let beside = "/usr/sbin/cron -s\n/usr/sbin/blocklistd -r\n";
        assert_eq!(grades(&source, Some(&running(&source, 7)), beside), [Grade::Ok, Grade::Note]);
        assert_eq!(grades(&source, None, "/usr/sbin/blacklistd\n"), [Grade::Note, Grade::Problem]);
        assert_eq!(original("/usr/sbin/blocklistctl dump\nvi blocklistd\n"), None);
    }

    #[test]
    fn sshds_own_word_counts_before_that_of_its_file() {
        for (settings, file, grade) in [
            (Some("port 22\nuseblocklist yes\n"), None, Grade::Ok),
            (Some("useblacklist yes\n"), None, Grade::Ok),
            (Some("port 22\nuseblocklist no\n"), Some("UseBlocklist yes"), Grade::Problem),
            (
                Some("port 22\n"),
                Some("# UseBlocklist no\nUseBlocklist = \"yes\"\nUseBlocklist no\n"),
                Grade::Ok,
            ),
            (Some("port 22\n"), Some("#UseBlocklist no\n"), Grade::Problem),
            (None, Some("UseBlacklist yes\n"), Grade::Ok),
            (None, None, Grade::Note),
        ] {
            assert_eq!(sshd(settings, file).grade, grade, "{settings:?} {file:?}");
        }
    }
}
