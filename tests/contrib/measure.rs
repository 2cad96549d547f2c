//! The script that measures against fail2ban's annotated lines, on lines of our own.

use std::process::{Command, Stdio};

use super::{Ran, project, run};

const ANNOTATED: &str = r#"# filterOptions: [{}]
# failJSON: { "time": "2005-11-22T14:38:31", "match": true , "host": "192.0.2.7" }
Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 4711 ssh2
# failJSON: { "match": true , "host": "2001:DB8::7", "desc": "written in another way" }
Nov 22 14:38:32 gw sshd[2]: Failed password for root from 2001:db8:0::7 port 4711 ssh2
# failJSON: { "match": true , "host": "peer.example.net" }
Nov 22 14:38:33 gw sshd[3]: error: PAM: Authentication failure for root from peer.example.net

# failJSON: { "match": true , "host": "192.0.2.7" }
Nov 22 14:38:34 gw sshd[4]: Connection closed by 192.0.2.7 port 4711
# failJSON: { "match": true , "host": "192.0.2.7" }
Nov 22 14:38:35 gw sshd[5]: a line that nobody knows
# failJSON: { "match": false }
Nov 22 14:38:36 gw sshd[6]: Server listening on 0.0.0.0 port 22.
Nov 22 14:38:37 gw sshd[7]: Failed password for root from 192.0.2.8 port 4711 ssh2, without a note
"#;

fn has_python() -> bool {
    let asked = Command::new("python3").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn measure(log: &str) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sshd"), log).unwrap();
    let mut command = Command::new("python3");
    command
        .arg(project("contrib/measure/fail2ban-lines.py"))
        .args(["sshd", env!("CARGO_BIN_EXE_portcullis")]);
    run(command.args(["--rules"]).arg(project("rules/sshd.yaml")).current_dir(dir.path()))
}

#[test]
fn each_annotated_line_is_judged_and_what_is_not_found_is_listed() {
    if !has_python() {
        println!("skipped: there is no python3");
        return;
    }
    let ran = measure(ANNOTATED);
    let expected = "sshd:7: counts for whom its connection names (sshd/pam-failure)\n\
                    sshd:10: known, and does not count (sshd/left)\n\
                    sshd:12: unknown (None)\n    \
                    2 found\n    \
                    1 counts for whom its connection names\n    \
                    1 known, and does not count\n    \
                    1 unknown\n    \
                    1 left alone, as by fail2ban\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected, ""));
}

#[test]
fn another_address_than_the_annotated_one_ends_the_script_with_an_error() {
    if !has_python() {
        println!("skipped: there is no python3");
        return;
    }
    let ran = measure(&ANNOTATED.replace("\"host\": \"192.0.2.7\"", "\"host\": \"192.0.2.9\""));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("sshd:3: ANOTHER ADDRESS (sshd/failed-password)\n"), "{}", ran.stdout);
}
