//! Who may do what, with processes of other users. Needs root, and says so where it is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::*;

/// A user and two groups that nobody else in these tests is in; they need no entry in the user database.
const STRANGER: u32 = 59_123;
const READERS: u32 = 59_200;
const OTHERS: u32 = 59_300;

/// In the environment of the process that asks as another user: the socket.
const SOCKET: &str = "PORTCULLIS_TEST_CONTROL_SOCKET";

/// What the process of another user prints: one line a request.
fn ask_as_told(socket: &Path) {
    let requests = [
        ("status", Request::Status),
        ("bans", Request::Bans),
        ("unban", Request::Unban(Unban::All)),
        ("reload", Request::Reload),
        ("unban", Request::Unban(Unban::Prefixes(many(5_000)))),
    ];
    for (name, request) in requests {
        let result = Client::connect(socket).and_then(|client| client.patience(NEVER).ask(&request));
        let outcome =
            result.map_or_else(|failure| format!("{:?}: {failure}", failure.kind()), |_| "ok".to_owned());
        eprintln!("TOLD {name} {outcome}");
    }
}

/// Runs this very test as another user, who finds the socket in the environment.
fn ask_as(uid: u32, gid: u32, program: &Path, socket: &Path) -> Vec<String> {
    let test = "control::users::root_and_owner_change_the_group_asks_and_others_stay_outside";
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(SOCKET, socket).current_dir("/").uid(uid).gid(gid);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text.lines().filter_map(|line| line.strip_prefix("TOLD ").map(str::to_owned)).collect()
}

#[track_caller]
fn assert_told(told: &[String], wanted: &[&str]) {
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told} instead of {wanted}");
    }
}

#[test]
fn root_and_owner_change_the_group_asks_and_others_stay_outside() {
    if let Some(socket) = std::env::var_os(SOCKET) {
        return ask_as_told(Path::new(&socket));
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED 3 of 3 checks of other users' rights on the control socket: they need root");
        return;
    }
    // Others must be able to run this program and to reach the socket; where it was built they may not be.
    let place = tempfile::tempdir().unwrap();
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    open(place.path());
    let program = place.path().join("integration");
    // By cp(1), since a file that this process writes may still be open in another test's child (ETXTBSY).
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap();
    assert!(copied.success());
    open(&program);

    let stand = stand(Access { owner: 0, group: Some(READERS) });
    let reader = ask_as(STRANGER, READERS, &program, &stand.path);
    let refused = "NoPermission: user 59123 may not do this";
    assert_told(
        &reader,
        &[
            "status ok",
            "bans ok",
            &format!("unban {refused}"),
            &format!("reload {refused}"),
            "unban Protocol: the request is longer than the limit of 65536 bytes",
        ],
    );
    let outsider = ask_as(STRANGER, OTHERS, &program, &stand.path);
    assert!(outsider.iter().all(|told| told.contains("NoPermission: you may not use /")), "{outsider:#?}");
    assert_eq!(outsider.len(), 5);

    // A daemon that runs as somebody else than root: its own user changes. Here the file mode would keep them out,
    // since the socket was made by root.
    let stand = self::stand(Access { owner: STRANGER, group: None });
    fs::set_permissions(&stand.path, Permissions::from_mode(0o666)).unwrap();
    let owner = ask_as(STRANGER, OTHERS, &program, &stand.path);
    assert_told(&owner, &["status ok", "bans ok", "unban ok", "reload ok", "unban ok"]);
    // Without a group the mode is not all that keeps others out.
    let outsider = ask_as(STRANGER + 1, OTHERS, &program, &stand.path);
    let refused = "NoPermission: user 59124 may not do this";
    assert!(outsider.iter().all(|told| told.contains(refused)), "{outsider:#?}");
    assert_eq!(outsider.len(), 5);
    assert_eq!(stand.ask(&Request::Reload).unwrap(), Answer::Reloaded(Default::default()), "root may");
}

/// A daemon that answers, in a directory that others may enter.
fn stand(access: Access) -> Stand {
    let (queue, calls) = channel();
    thread::spawn(move || main_loop(&calls));
    let stand = Stand::new(access, patient(), move |call| queue.send(call).unwrap());
    fs::set_permissions(stand._dir.path(), Permissions::from_mode(0o755)).unwrap();
    stand
}
