//! What Linux says of a running process: `proc_pid_stat(5)` and `proc_pid_status(5)`.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// The process and its children: the daemon of root is two.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    [pid].into_iter().chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
}

/// CPU time of all threads of both processes, user and system, without that of the tools they start.
pub(crate) fn cpu(pid: u32) -> Duration {
    family(pid).into_iter().map(cpu_of_one).sum()
}

fn cpu_of_one(pid: u32) -> Duration {
    // A tool that has ended meanwhile.
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Duration::ZERO };
    // The name before the closing bracket may hold spaces; user and system time are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_millis(ticks * 1000 / per_second.unsigned_abs())
}

/// Resident memory of both processes in KiB, what they share counted twice: now, and at its highest.
pub(crate) fn resident(pid: u32) -> (u64, u64) {
    let texts =
        family(pid).into_iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
    let sizes = texts.map(|status| (field(&status, "VmRSS:"), field(&status, "VmHWM:")));
    sizes.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Each thread's name and how often it went to sleep of its own will.
pub(crate) fn sleeps(pid: u32) -> Vec<(String, u64)> {
    let one = |entry: fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let name = status.lines().next()?.trim_start_matches("Name:").trim().to_owned();
        Some((name, field(&status, "voluntary_ctxt_switches:")))
    };
    let tasks = family(pid).into_iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
    tasks.flat_map(|threads| threads.flatten().filter_map(one)).collect()
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
