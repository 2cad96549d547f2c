//! The sample files: what they promise, as far as it can be seen without FreeBSD.

use tempfile::TempDir;

use super::*;

/// Every script that root will run.
const SCRIPTS: &[&str] = &[
    "contrib/install.sh",
    "contrib/freebsd/portcullis.in",
    "contrib/freebsd/ipfw.rules.sample",
    "contrib/freebsd/periodic/security/530.portcullis.in",
];

/// Without comments.
fn code(path: &str) -> String {
    read(project(path))
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_script_is_one_that_sh_can_read() {
    for path in SCRIPTS {
        let ran = run(Command::new("sh").arg("-n").arg(project(path)));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{path}");
        assert!(read(project(path)).starts_with("#!/bin/sh"), "{path}");
    }
}

#[test]
fn nothing_ever_loads_a_firewall_module() {
    // ipfw denies everything by default: loading it over the network is a lock-out.
    for path in SCRIPTS.iter().chain(&["contrib/linux/portcullis.service.in"]) {
        for word in ["kldload", "required_modules", "load_kld", "modprobe", "sysctl"] {
            assert!(!code(path).contains(word), "{path} names {word}");
        }
    }
}

#[test]
fn pf_blocks_before_it_passes_and_the_table_brings_the_bans_and_no_other_addresses() {
    let text = code("contrib/freebsd/pf.conf.sample");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("`{what}` is missing"));
    let first_pass = text.lines().scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len() + 1;
        Some((start, line))
    });
    let first_pass = first_pass.filter(|(_, line)| line.starts_with("pass")).map(|(start, _)| start).min();
    let first_pass = first_pass.expect("the example passes something");
    assert!(at("block drop in quick from <portcullis>") < first_pass);
    assert!(at("block drop out quick to <portcullis>") < first_pass);
    // pf.conf wants options before filter rules.
    assert!(at("set limit table-entries") < at("block drop in"));
    // `pfctl -f` puts what the file holds in place of what the table holds: nothing but the bans may be there.
    let table = "table <portcullis> persist counters file \"/var/db/portcullis/pf.table\"\n";
    assert!(text.contains(table), "{text}");
}

/// ipfw(8) as far as the sample uses it: one table, numbered rules, one line of state each.
const IPFW: &str = r#"#!/bin/sh
rules=$HOME/rules table=$HOME/table
touch "$rules"
case "$*" in
"-q table portcullis create type addr")
	[ ! -e "$table" ] || { echo "ipfw: Table creation failed: File exists" >&2; exit 71; }
	: >"$table" ;;
"table portcullis info") [ -e "$table" ] || exit 71 ;;
list) cat "$rules" ;;
"-q /dev/stdin") sed -n 's|^table portcullis add \(.*\) 0$|\1|p' >>"$table" ;;
"-q add "*) shift 2; echo "$*" >>"$rules" ;;
*) echo "ipfw: bad command: $*" >&2; exit 64 ;;
esac
"#;

#[test]
fn the_ipfw_sample_may_be_run_again_and_again() {
    let home = TempDir::new().unwrap();
    script(&home.path().join("ipfw"), IPFW);
    let ipfw = || {
        run(Command::new("sh")
            .arg(project("contrib/freebsd/ipfw.rules.sample"))
            .env("portcullis_ipfw", home.path().join("ipfw"))
            .env("HOME", home.path()))
    };
    let expected =
        "00050 deny ip from table(portcullis) to any\n00051 deny ip from any to table(portcullis)\n";
    for time in 1..=3 {
        let ran = ipfw();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "run {time}");
        assert_eq!(read(home.path().join("rules")), expected, "run {time}");
    }
    // `service ipfw restart` removes rules and keeps tables.
    fs::write(home.path().join("rules"), "").unwrap();
    assert_eq!(ipfw().code, 0);
    assert_eq!(read(home.path().join("rules")), expected);
}

#[test]
fn the_ipfw_sample_fills_the_table_with_the_bans_and_with_nothing_else() {
    let home = TempDir::new().unwrap();
    script(&home.path().join("ipfw"), IPFW);
    let bans = "# a comment with 192.0.2.9\n192.0.2.7\n198.51.100.0/24\n2001:db8::/64\n$(id) 192.0.2.8\n";
    fs::write(home.path().join("pf.table"), bans).unwrap();
    let ran = run(Command::new("sh")
        .arg(project("contrib/freebsd/ipfw.rules.sample"))
        .env("portcullis_ipfw", home.path().join("ipfw"))
        .env("portcullis_bans", home.path().join("pf.table"))
        .env("HOME", home.path()));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(read(home.path().join("table")), "192.0.2.7\n198.51.100.0/24\n2001:db8::/64\n");
}

#[test]
fn the_ipfw_sample_may_be_sourced_by_rc_firewall_and_never_ends_it() {
    let home = TempDir::new().unwrap();
    script(&home.path().join("ipfw"), IPFW);
    let sample = project("contrib/freebsd/ipfw.rules.sample").display().to_string();
    for (ipfw, rules) in [(home.path().join("ipfw").display().to_string(), 2), ("/bin/false".to_owned(), 0)] {
        let _ = fs::write(home.path().join("rules"), "");
        // As rc.firewall sets it, where firewall_quiet is YES.
        let caller =
            format!("fwcmd='/sbin/ipfw -q' portcullis_ipfw={ipfw}\n. {sample}\necho \"$fwcmd, goes on\"\n");
        let ran = run(Command::new("sh").arg("-c").arg(caller).env("HOME", home.path()));
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "/sbin/ipfw -q, goes on\n"), "{ran:?}");
        assert_eq!(read(home.path().join("rules")).lines().count(), rules, "{ipfw}");
    }
}

#[test]
fn the_ipfw_sample_says_when_ipfw_is_not_there() {
    let ran = run(Command::new("sh")
        .arg(project("contrib/freebsd/ipfw.rules.sample"))
        .env("portcullis_ipfw", "/bin/false"));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("is ipfw on"), "{ran:?}");
}

#[test]
fn rotation_knows_every_file_that_syslogd_is_told_to_write() {
    let syslog = code("contrib/freebsd/syslog.d/portcullis.conf");
    let newsyslog = code("contrib/freebsd/newsyslog.conf.d/portcullis.conf");
    let written: Vec<_> = syslog.split_whitespace().filter(|word| word.starts_with("/var/log/")).collect();
    assert_eq!(written, ["/var/log/portcullis.log", "/var/log/kern-net.log"]);
    for file in written {
        let line = newsyslog.lines().find(|line| line.starts_with(file)).unwrap_or_else(|| panic!("{file}"));
        let fields: Vec<_> = line.split_whitespace().collect();
        assert_eq!(fields.len(), 7, "{line}");
        assert!(fields[6].contains('C'), "syslogd writes only to files that exist: {line}");
    }
    // A program filter that is not ended swallows what other files of the folder say.
    let filter = syslog.find("!portcullis").unwrap();
    assert!(syslog[filter..].find("!*").unwrap() < syslog[filter..].find("kern.debug").unwrap());
}

/// Runs the periodic script with a program that answers `bans --json` with `json` and exits with `code`.
fn periodic(json: &str, code: u8, settings: &str) -> Ran {
    let home = TempDir::new().unwrap();
    let at = |path: &str| home.path().join(path).display().to_string();
    let text = read(project("contrib/freebsd/periodic/security/530.portcullis.in"))
        .replace("@PREFIX@", &at("local"))
        .replace("@ETCDIR@", &at("etc"))
        .replace("/etc/defaults/periodic.conf", &at("periodic.conf"));
    script(&home.path().join("530.portcullis"), &text);
    let bans = format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'bans -c' ] || exit 99\n[ \"$4\" != --json ] || json='{json}'\n\
         echo \"${{json-192.0.2.7 sshd}}\"\nexit {code}\n"
    );
    script(&home.path().join("local/sbin/portcullis"), &bans);
    script(&home.path().join("etc/portcullis/portcullis.yaml"), "");
    let defaults = "source_periodic_confs() { :; }\ncheck_yesno_period() { eval \"[ \\$$1 = YES ]\"; }\n\
                    service() { [ \"$*\" = 'portcullis enabled' ]; }\n";
    fs::write(home.path().join("periodic.conf"), format!("{defaults}{settings}\n")).unwrap();
    run(Command::new("sh").arg(home.path().join("530.portcullis")))
}

#[test]
fn the_security_mail_lists_bans_and_its_exit_code_says_how_interesting_it_is() {
    let ran = periodic(r#"[{"offender":"192.0.2.7"}]"#, 0, "");
    assert_eq!(ran.code, 1, "information: {ran:?}");
    assert!(ran.stdout.contains("portcullis bans:\n192.0.2.7 sshd\n"), "{ran:?}");
    let ran = periodic("[]", 0, "");
    assert_eq!(ran.code, 0, "nothing to tell: {ran:?}");
    assert!(ran.stdout.contains("none"), "{ran:?}");
    assert_eq!(periodic("", 69, "").code, 3, "the daemon is down");
    assert_eq!(periodic("[]", 0, "security_status_portcullis_config=/nonexistent").code, 2);
    let off = periodic("[]", 0, "security_status_portcullis_enable=NO");
    assert_eq!((off.code, off.stdout.as_str()), (0, ""));
    let unused = periodic("", 69, "service() { false; }");
    assert_eq!((unused.code, unused.stdout.as_str()), (0, ""), "installed, and not in use");
}

/// The sample with every key that stands behind a `#` switched on: `#allow:` is a key, `# Your` is prose.
fn every_key() -> String {
    let sample = read(project("contrib/freebsd/portcullis.yaml.sample"));
    let switched = |line: &str| {
        let bare = line.trim_start();
        let key = bare.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        key.map_or_else(|| line.to_owned(), |key| line[..line.len() - bare.len()].to_owned() + key)
    };
    sample.lines().map(switched).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_sample_configuration_is_valid_as_it_is_and_with_every_key() {
    let home = TempDir::new().unwrap();
    let sample = read(project("contrib/freebsd/portcullis.yaml.sample"));
    assert_ne!(sample, every_key());
    for (name, text) in [("sample.yaml", sample), ("every-key.yaml", every_key())] {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let ran = run(Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("check").arg("-c").arg(&path));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}
