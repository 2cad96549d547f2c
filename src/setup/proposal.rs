//! A complete configuration for a machine as it was found: the commented sample, with what is known of the machine filled in.

use std::net::IpAddr;
use std::path::Path;

use super::survey::Survey;
use crate::address;
use crate::config::SHIPPED;
use crate::files::directory_of;
use crate::settings::BackendKind;

/// The commented configuration that install.sh puts beside the operator's.
const SAMPLE: &str = include_str!("../../contrib/freebsd/portcullis.yaml.sample");

/// Where the sample says that the configuration lies.
const USUAL: &str = "/usr/local/etc/portcullis";

/// Services by the processes that show them, and the shipped rule sets for them.
const SERVICES: [(&str, &[&str]); 17] = [
    ("access", &["nginx", "apache2", "httpd"]),
    ("apache", &["apache2", "httpd"]),
    ("courier", &["couriertcpd"]),
    ("dovecot", &["dovecot"]),
    ("dropbear", &["dropbear"]),
    ("exim", &["exim", "exim4"]),
    ("ftpd", &["ftpd"]),
    ("named", &["named"]),
    ("nginx", &["nginx"]),
    ("opensmtpd", &["smtpd"]),
    ("postfix", &["qmgr"]),
    ("proftpd", &["proftpd"]),
    ("proxmox", &["pvedaemon", "pmgdaemon"]),
    ("pure-ftpd", &["pure-ftpd"]),
    ("sendmail", &["sendmail"]),
    ("vaultwarden", &["vaultwarden"]),
    ("vsftpd", &["vsftpd"]),
];

/// A configuration for this machine, and what is left to do once it is in place.
pub(crate) struct Proposal {
    /// The text of the file.
    pub(crate) text: String,
    /// The steps, in their order.
    pub(crate) steps: Vec<String>,
}

impl Proposal {
    /// Looks at this machine; `session` is `SSH_CONNECTION` or `SSH_CLIENT`, if set, and `file` where the text is to lie.
    pub(crate) fn for_this_machine(session: Option<&str>, file: &Path) -> Self {
        let survey = Survey::of_this_machine(session);
        let sets = rule_sets(&survey, &|set| has_log(set, &survey));
        Self { text: configuration(&survey, &sets, directory_of(file)), steps: steps(&survey, file) }
    }
}

/// Whether a log of a shipped set is there, or its lines are in the journal that is read.
fn has_log(set: &str, survey: &Survey) -> bool {
    let shipped = SHIPPED.iter().find(|shipped| shipped.name() == set);
    let Some(set) = shipped.and_then(|shipped| shipped.read().0).map(|rules| rules.file.set) else {
        return false;
    };
    let is_read = survey.logs.is_empty() && survey.has_journal && !set.format.needs_source();
    is_read || set.logs.iter().any(|log| Path::new(log).exists())
}

/// Rule sets by name for which there is a log, whether or not somebody writes to it.
pub(crate) type HasLog<'l> = &'l dyn Fn(&str) -> bool;

/// The rule sets for what runs on a machine. `has_log` says of a set that a log of its is there; without one, and without a
/// journal, there is nothing to read.
pub(crate) fn rule_sets(survey: &Survey, has_log: HasLog<'_>) -> Vec<&'static str> {
    let runs = |process: &&str| survey.processes.iter().any(|name| name == process);
    let is_postfix = runs(&"qmgr");
    let found = SERVICES.iter().filter(|(set, processes)| {
        // Postfix has a process of this name, too.
        let is_other = *set == "opensmtpd" && is_postfix;
        processes.iter().any(&runs) && !is_other && has_log(set)
    });
    let mut sets = vec!["sshd"];
    sets.extend(survey.is_freebsd.then_some("freebsd-tcp"));
    sets.extend(found.map(|(set, _)| *set));
    sets
}

/// The configuration as the text of a file in this directory, with these rule sets.
pub(crate) fn configuration(survey: &Survey, sets: &[&str], directory: &Path) -> String {
    let mut text = String::new();
    let mut is_source = false;
    for line in SAMPLE.lines() {
        is_source &= line.starts_with(' ');
        match line {
            "sources:" => {
                is_source = true;
                text.push_str(&sources(survey));
            }
            _ if is_source => {}
            _ if line.starts_with("#allow: ") => text.push_str(&allow(survey)),
            "  backend: pf" => text.push_str(&format!("  backend: {}\n", survey.firewall.as_str())),
            _ if line.starts_with("#rule_sets: ") => {
                text.push_str(&format!("rule_sets: [{}]\n", sets.join(", ")));
            }
            _ if line.starts_with("state: ") && !survey.is_freebsd => {
                text.push_str("state: /var/lib/portcullis/state.db\n");
            }
            line => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text.replace(USUAL, &directory.display().to_string())
}

fn sources(survey: &Survey) -> String {
    if survey.logs.is_empty() && survey.has_journal {
        return "sources:\n  journal: {journal: all}\n".to_owned();
    }
    if survey.logs.is_empty() {
        let usual = "sources:\n  # It is not there yet; it is followed as soon as it is.\n  auth: /var/log/auth.log\n";
        return usual.to_owned();
    }
    let lines: String = survey.logs.iter().map(|(name, path)| format!("  {name}: {path}\n")).collect();
    format!("sources:\n{lines}")
}

fn allow(survey: &Survey) -> String {
    let session = survey.session.filter(|address| !is_always_spared(*address));
    let mut text = match session {
        Some(address) => format!("allow:\n  - {address}  # your ssh session comes from there\n"),
        None => "allow: []\n".to_owned(),
    };
    if !survey.networks.is_empty() {
        text.push_str("# Networks of this machine; name those under `allow` in which you trust everybody:\n");
    }
    for network in &survey.networks {
        text.push_str(&format!("#  - {}\n", address::display(network)));
    }
    text
}

fn is_always_spared(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// What is left to do, one step each, after the configuration was written to this file.
pub(crate) fn steps(survey: &Survey, file: &Path) -> Vec<String> {
    let mut steps = firewall_steps(survey);
    steps.push(format!("portcullis check -c {}", file.display()));
    steps.push(match survey.is_freebsd {
        true => "sysrc portcullis_enable=YES && service portcullis start".to_owned(),
        false => "systemctl enable --now portcullis".to_owned(),
    });
    steps.push("portcullis status: its first line says whether this machine is protected".to_owned());
    steps
}

fn firewall_steps(survey: &Survey) -> Vec<String> {
    match survey.firewall {
        BackendKind::Pf => {
            let on = if survey.is_on {
                "pfctl -nf /etc/pf.conf && pfctl -f /etc/pf.conf"
            } else {
                "with a console at hand: kldload -n pf && pfctl -nf /etc/pf.conf && sysrc pf_enable=YES && service pf start"
            };
            vec![
                "in /etc/pf.conf, beside your other tables:\n  \
                 table <portcullis> persist counters file \"/var/db/portcullis/pf.table\"\n\
                 and before your first `pass` rule:\n  \
                 block drop in quick from <portcullis>\n  block drop out quick to <portcullis>"
                    .to_owned(),
                on.to_owned(),
            ]
        }
        BackendKind::Ipfw => vec![
            "call /usr/local/share/examples/portcullis/ipfw.rules.sample at the end of your firewall_script, and once now:\n  \
             sh /usr/local/share/examples/portcullis/ipfw.rules.sample"
                .to_owned(),
        ],
        // The backend makes its table before all others'.
        BackendKind::Nftables => Vec::new(),
        BackendKind::Command | BackendKind::DryRun => {
            vec!["install nftables and run this again with --overwrite: until then nobody is blocked".to_owned()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Survey {
        Survey {
            is_freebsd: false,
            firewall: BackendKind::Nftables,
            is_on: true,
            logs: vec![("auth", "/var/log/auth.log")],
            has_journal: false,
            processes: ["sshd", "qmgr", "smtpd", "nginx"].map(str::to_owned).to_vec(),
            networks: vec!["192.168.7.0/24".parse().unwrap()],
            session: Some("192.0.2.5".parse().unwrap()),
        }
    }

    fn told(survey: &Survey) -> String {
        configuration(survey, &["sshd", "postfix"], Path::new("/etc/portcullis"))
    }

    #[test]
    fn what_was_found_stands_in_the_configuration() {
        let text = told(&machine());
        for line in [
            "sources:\n  auth: /var/log/auth.log\n\n",
            "\nallow:\n  - 192.0.2.5  # your ssh session comes from there\n# Networks of this machine;",
            "\n#  - 192.168.7.0/24\n",
            "\n  backend: nftables\n",
            "\nrule_sets: [sshd, postfix]\n",
            "\n#rules_dir: /etc/portcullis/rules.d\n",
            "\nstate: /var/lib/portcullis/state.db\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains(USUAL) && !text.contains("messages: "), "{text}");
    }

    #[test]
    fn a_machine_with_a_journal_only_reads_it_and_one_with_nothing_says_so() {
        let journal = Survey { logs: Vec::new(), has_journal: true, session: None, ..machine() };
        assert!(told(&journal).contains("\nsources:\n  journal: {journal: all}\n\n"));
        assert!(told(&journal).contains("\nallow: []\n"));
        let nothing = Survey { has_journal: false, firewall: BackendKind::DryRun, ..journal };
        assert!(
            told(&nothing).contains("# It is not there yet") && told(&nothing).contains("backend: dry-run\n")
        );
        let local = Survey { session: Some("127.0.0.1".parse().unwrap()), ..machine() };
        assert!(told(&local).contains("\nallow: []\n"), "it is spared anyway");
    }

    #[test]
    fn services_are_known_by_their_processes_where_they_have_a_log() {
        assert_eq!(rule_sets(&machine(), &|_| true), ["sshd", "access", "nginx", "postfix"]);
        assert_eq!(rule_sets(&machine(), &|set| set != "access"), ["sshd", "nginx", "postfix"]);
        let opensmtpd = Survey { processes: vec!["smtpd".to_owned()], is_freebsd: true, ..machine() };
        assert_eq!(rule_sets(&opensmtpd, &|_| true), ["sshd", "freebsd-tcp", "opensmtpd"]);
        for (set, _) in SERVICES {
            assert!(SHIPPED.iter().any(|shipped| shipped.name() == set), "{set}");
        }
    }

    #[test]
    fn the_steps_are_those_of_the_firewall_that_is_there() {
        let told = |firewall, is_on| {
            let survey =
                Survey { firewall, is_on, is_freebsd: firewall != BackendKind::Nftables, ..machine() };
            steps(&survey, Path::new("/etc/p.yaml")).join("\n")
        };
        assert!(told(BackendKind::Pf, true).contains("block drop in quick from <portcullis>"));
        assert!(told(BackendKind::Pf, false).contains("kldload -n pf"));
        assert!(told(BackendKind::Ipfw, true).contains("ipfw.rules.sample"));
        assert!(
            told(BackendKind::Nftables, true)
                .starts_with("portcullis check -c /etc/p.yaml\nsystemctl enable")
        );
    }
}
