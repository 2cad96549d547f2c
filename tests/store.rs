//! The state database among processes and file systems: what no single process can show.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis::engine::{Ban, Origin, Owner, Row};
use portcullis::store::{
    FilePosition, Lock, Notice, NoticeAction, PositionChange, Retention, Store, StoreError, WriteBatch,
};
use portcullis::time::Time;

const NOW: Time = Time::from_secs(1_763_820_000);

/// Names the database to a child of this test binary, which runs the one test again as another process.
const CHILD: &str = "PORTCULLIS_TEST_STORE";

fn ban(n: u32) -> Row {
    let until = Some(NOW.plus(Duration::from_secs(3600)));
    Row::from(Ban {
        offender: std::net::IpAddr::from(n.to_be_bytes()).into(),
        owners: vec![Owner { set: "sshd".into(), until }].into(),
        since: NOW,
        until,
        nth: 1,
        reason: "sshd/failed-password".into(),
        origin: Origin::Rule,
        forced: false,
        spoofable: false,
    })
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(Lock::acquire(path)?, Retention::default(), NOW)
}

fn bans(store: &mut Store) -> u32 {
    let mut bans = 0;
    store.load(NOW, |row| bans += u32::from(matches!(row, Row::Ban(_)))).unwrap();
    bans
}

/// Another process that writes one ban a batch, with its number as the position, and says so after each.
fn writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::bans_that_were_reported_survive_a_killed_writer", "--nocapture"])
        .env(CHILD, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn write_until_killed(path: &Path) {
    let mut store = open(path).unwrap();
    let first = bans(&mut store);
    let mut out = std::io::stdout().lock();
    for n in first.. {
        let at =
            FilePosition { source: "auth".to_owned(), file: "1".to_owned(), position: (n + 1).to_string() };
        let positions = vec![PositionChange::At(at)];
        store
            .commit(WriteBatch { now: NOW, rows: vec![ban(n)], positions, ..WriteBatch::default() })
            .unwrap();
        writeln!(out, "\nreported {}", n + 1).unwrap();
    }
}

#[test]
fn bans_that_were_reported_survive_a_killed_writer() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(&PathBuf::from(path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let mut before = 0;
    for round in 1..=8 {
        let mut child = writer(&path);
        let reported = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .filter_map(|line| line.unwrap().strip_prefix("reported ")?.parse::<u32>().ok())
            .nth(round * 7)
            .unwrap();
        let held = Lock::acquire(&path).unwrap_err();
        assert!(matches!(held, StoreError::Held { pid: Some(pid), .. } if pid == child.id()), "{held}");
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = open(&path).unwrap();
        let stored = bans(&mut store);
        assert!(stored >= reported && reported > before, "{reported} were reported, {stored} are stored");
        assert_eq!(store.positions(NOW).unwrap()[0].position, stored.to_string(), "stored together");
        assert!(store.notices().is_empty());
        before = stored;
    }
}

/// A small file system of its own, where this test may mount one.
struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mount = Self(path.to_owned());
        mount.run("mount", &["-t", "tmpfs", "-o", "size=600k,mode=700", "none"]).then_some(mount)
    }

    fn remount(&self, how: &str) {
        assert!(self.run("mount", &["-o", &format!("remount,{how}")]));
    }

    fn run(&self, program: &str, options: &[&str]) -> bool {
        let status = Command::new(program).args(options).arg(&self.0).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

fn commit(store: &mut Store, rows: Vec<Row>) -> Result<(), StoreError> {
    store.commit(WriteBatch { now: NOW, rows, ..WriteBatch::default() })
}

/// As the daemon does: a process that another test is just starting may hold the removed file a moment longer.
fn commit_at_last(store: &mut Store, rows: Vec<Row>) {
    let mut result = commit(store, rows);
    for _ in 0..100 {
        if result.is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
        result = commit(store, vec![]);
    }
    result.unwrap();
}

/// Whatever is still left.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("log");
    let mut log = fs::File::create(&path).unwrap();
    while log.write_all(&[b'x'; 512]).is_ok() {}
    path
}

#[test]
fn a_really_full_disk_keeps_bans_waiting_and_starts_are_possible() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&dir.path().join("small")) else {
        assert!(!nix::unistd::geteuid().is_root() || cfg!(not(target_os = "linux")), "root mounts a tmpfs");
        return;
    };
    let path = mount.0.join("state.db");
    let mut store = open(&path).unwrap();
    commit(&mut store, vec![ban(1)]).unwrap();
    let log = fill(&mount.0);
    let many = (2..500).map(ban).collect();
    assert!(matches!(commit(&mut store, many), Err(StoreError::Full { .. })));
    drop(store);

    let mut store = open(&path).unwrap();
    assert_eq!(bans(&mut store), 1, "a start on the full disk knows what is stored");
    assert!(commit(&mut store, (2..500).map(ban).collect()).is_err());
    fs::remove_file(log).unwrap();
    commit_at_last(&mut store, vec![]);
    drop(store);
    assert_eq!(bans(&mut open(&path).unwrap()), 499);
}

#[test]
fn a_first_start_on_a_full_disk_makes_the_database_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&dir.path().join("small")) else {
        assert!(!nix::unistd::geteuid().is_root() || cfg!(not(target_os = "linux")), "root mounts a tmpfs");
        return;
    };
    let path = mount.0.join("state.db");
    let log = fill(&mount.0);
    let mut store = open(&path).unwrap();
    assert!(store.notices()[0].to_string().contains("no space is left for"));
    for _ in 0..3 {
        assert!(matches!(commit(&mut store, vec![ban(1)]), Err(StoreError::Full { .. })));
    }
    fs::remove_file(log).unwrap();
    commit_at_last(&mut store, vec![ban(2)]);
    assert!(store.notices().is_empty(), "there was nothing to find");
    drop(store);
    assert_eq!(bans(&mut open(&path).unwrap()), 2);
    let damaged = fs::read_dir(&mount.0)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
    assert_eq!(damaged.count(), 0);
}

#[test]
fn a_read_only_file_system_is_read_and_written_as_soon_as_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&dir.path().join("small")) else {
        assert!(!nix::unistd::geteuid().is_root() || cfg!(not(target_os = "linux")), "root mounts a tmpfs");
        return;
    };
    let path = mount.0.join("state.db");
    commit(&mut open(&path).unwrap(), vec![ban(1)]).unwrap();
    for lock in ["kept", "gone"] {
        if lock == "gone" {
            fs::remove_file(mount.0.join("state.db.lock")).unwrap();
        }
        mount.remount("ro");
        let mut store = open(&path).unwrap();
        let notices = store.notices();
        assert!(
            notices[0].to_string().contains("is read-only: mount its file system for writing"),
            "{}",
            notices[0]
        );
        let known = bans(&mut store);
        assert!(known >= 1, "what is stored is known");
        let new = if lock == "kept" { 2 } else { 3 };
        assert!(matches!(commit(&mut store, vec![ban(new)]), Err(StoreError::ReadOnly { .. })));
        mount.remount("rw");
        commit(&mut store, vec![]).unwrap();
        assert!(store.notices().is_empty(), "nothing is told twice");
        drop(store);
        assert_eq!(bans(&mut open(&path).unwrap()), known + 1);
    }
}

#[test]
fn a_crash_and_a_read_only_start_find_the_stored_bans_later() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&dir.path().join("small")) else {
        assert!(!nix::unistd::geteuid().is_root() || cfg!(not(target_os = "linux")), "root mounts a tmpfs");
        return;
    };
    let path = mount.0.join("state.db");
    let mut store = open(&path).unwrap();
    commit(&mut store, vec![ban(1)]).unwrap();
    let crashed = ["state.db", "state.db-wal"].map(|name| (name, fs::read(mount.0.join(name)).unwrap()));
    drop(store);
    for (name, bytes) in crashed {
        fs::write(mount.0.join(name), bytes).unwrap();
    }
    mount.remount("ro");
    let mut store = open(&path).unwrap();
    assert_eq!((store.notices().len(), bans(&mut store)), (1, 0), "its log cannot be taken into account");
    mount.remount("rw");
    commit(&mut store, vec![ban(2)]).unwrap();
    let answers: Vec<_> = store.notices().iter().map(Notice::action).collect();
    assert_eq!(answers, [NoticeAction::Load]);
    assert_eq!(bans(&mut store), 2);
}
