//! Gives up what the daemon's process without rights gives up, tries what that must not be able to do, and prints what came of
//! each. Run by `tests/e2e/separate.rs` as an account without rights.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Uid, getppid, setuid};

fn tell<T, E: Display + Into<io::Error>>(what: &str, tried: Result<T, E>) {
    let text = tried.map_err(Into::into).map_or_else(|error| error.to_string(), |_| "done".to_owned());
    let text = text.split(" (os error").next().unwrap_or_default();
    writeln!(io::stdout(), "{what}: {text}").expect("somebody reads it");
}

fn main() {
    tell("before, a program runs", Command::new("/bin/sh").args(["-c", "exit 0"]).status());
    portcullis::privileges::confine().expect("it can be confined");
    tell("read /etc/shadow", fs::read("/etc/shadow"));
    tell("read /etc/master.passwd", fs::read("/etc/master.passwd"));
    tell("run a program", Command::new("/bin/sh").args(["-c", "exit 0"]).status());
    tell("make a socket of TCP", TcpStream::connect("127.0.0.1:9"));
    tell("make a socket of Unix", UnixStream::connect("/run/nobody.sock"));
    tell("become root", setuid(Uid::from_raw(0)));
    tell("signal others", kill(getppid(), Signal::SIGCONT));
    tell("start a thread", thread::Builder::new().spawn(|| {}).map(thread::JoinHandle::join));
}
