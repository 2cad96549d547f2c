//! A log that somebody else may write holds up no other one, whatever is made of it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use nix::sys::signal::Signal::SIGTERM;

use super::stand::{Stand, append, failure, stamped};

const ATTACKER: &str = "203.0.113.7";
const LIVE: &str = "203.0.113.8";

/// What root of a jail can do to the host that follows the jail's logs, without much room on the disk.
fn sabotage(stand: &Stand) {
    let file = |name: &str| stand.file(&format!("jail/{name}"));
    let open = |name: &str| OpenOptions::new().create(true).append(true).open(file(name)).unwrap();
    open("hole.log").set_len(400 << 30).unwrap();
    open("another-hole.log").set_len(4 << 40).unwrap();
    open("endless.log").write_all(&vec![b'x'; 4 << 20]).unwrap();
    open("no-stamps.log").write_all(&b"nobody knows when\n".repeat(200_000)).unwrap();
    open("1970.log").write_all(&b"1970-01-01T00:00:00Z jail cron[1]: tick\n".repeat(100_000)).unwrap();
    open("2100.log").write_all(&b"2100-01-01T00:00:00Z jail cron[1]: tick\n".repeat(100_000)).unwrap();
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    packer.write_all(&b"Jan  1 00:00:00 jail cron[1]: tick\n".repeat(25_000)).unwrap();
    let bomb = packer.finish().unwrap().repeat(1000);
    fs::remove_file(file("packed.log")).unwrap();
    (0..8).for_each(|n| fs::write(file(&format!("packed.log.{n}.bz2")), &bomb).unwrap());
    append(&file("packed.log"), [stamped("cron[1]", "tick")]);
    (0..3000).for_each(|n| drop(fs::File::create(file(&format!("small{n}.log"))).unwrap()));
}

#[test]
fn attackers_are_banned_while_another_source_lags() {
    let mut stand = Stand::pf();
    stand.sources = "jail: 'DIR/jail/*.log', auth: DIR/auth.log";
    fs::create_dir(stand.file("jail")).unwrap();
    let logs = ["hole", "endless", "no-stamps", "1970", "2100", "packed"];
    let paths = logs.map(|name| stand.file(&format!("jail/{name}.log")));
    paths.iter().for_each(|path| append(path, []));
    stand.start();
    paths.iter().for_each(|path| append(path, [stamped("cron[1]", "tick")]));
    stand.until("all are read", |stand| stand.status()["counters"]["lines"] == paths.len());
    stand.stop(SIGTERM);
    sabotage(&stand);
    stand.log((0..5).map(|_| failure(ATTACKER)));
    stand.start();
    stand.log((0..5).map(|_| failure(LIVE)));
    stand.until("what came meanwhile and what came now is judged", |stand| {
        stand.has(ATTACKER) && stand.has(LIVE)
    });
    stand.until("what is no log is called so", |stand| stand.says("endless.log is not a log") == 1);
}
