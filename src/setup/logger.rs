//! Our own messages: to syslog(3) or standard error, and never more of them than an attacker should be able to cause.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::syslog::{self, Facility, LogFlags, Priority, Severity};

use crate::config::{Diagnostics, LogTo};
use crate::printable::printable;
use crate::rules;

/// The most messages in a burst: enough for a reload or a wave of bans.
const BURST: u32 = 200;

/// After that, one message each this often: 36,000 an hour fill no disk.
const REFILL: Duration = Duration::from_millis(100);

struct Logger {
    bucket: Mutex<Bucket>,
    to: AtomicU8,
}

/// Where messages go, as a number that threads share.
const TO_STDERR: u8 = 0;
const TO_SYSLOG: u8 = 1;
/// To the arm, which passes them on: each begins with the digit of its level.
const TO_ARM: u8 = 2;

static LOGGER: Logger = Logger {
    bucket: Mutex::new(Bucket { tokens: BURST, filled: None, dropped: 0 }),
    to: AtomicU8::new(TO_STDERR),
};

/// Starts logging; may be called again with other settings.
pub(crate) fn start(to: LogTo, level: LevelFilter) {
    let to = if to == LogTo::Syslog && open_syslog().is_ok() { TO_SYSLOG } else { TO_STDERR };
    set(to, level);
}

/// Starts logging in a process whose messages another one passes on.
pub(crate) fn start_relayed(level: LevelFilter) {
    set(TO_ARM, level);
}

fn set(to: u8, level: LevelFilter) {
    LOGGER.to.store(to, Ordering::Relaxed);
    // A second start finds the logger set, which is what it wants.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

/// Logs a line that the other process wrote on standard error: a message with its level, or whatever else a program says
/// there.
pub(crate) fn relayed(line: &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (level, text) = match line {
        [digit @ b'1'..=b'5', b' ', text @ ..] => (LEVELS[usize::from(digit - b'1')], text),
        _ => {
            let text = line.strip_prefix(b"portcullis: ").unwrap_or(line);
            // Why it does not start, for whoever has started us at a terminal.
            if LOGGER.to.load(Ordering::Relaxed) == TO_SYSLOG {
                write_to_stderr(&format!("portcullis: {}\n", printable(text)));
            }
            (Level::Error, text)
        }
    };
    log::log!(level, "{}", printable(text));
}

const LEVELS: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

/// The most diagnostics that are logged: the logger drops what comes too fast, and must not drop the summary behind them.
const MAX_DIAGNOSTICS: usize = 100;

/// Logs what is wrong with a configuration, a message each: syslog cuts what is long.
pub(crate) fn diagnostics(all: &Diagnostics) {
    for diagnostic in all.iter().take(MAX_DIAGNOSTICS) {
        let level = match diagnostic.severity {
            rules::Severity::Error => Level::Error,
            rules::Severity::Warning => Level::Warn,
        };
        log::log!(level, "{}", diagnostic.headline());
    }
}

/// Without an ident: BSD's libc keeps the pointer it is given, and without one takes the program's name.
fn open_syslog() -> nix::Result<()> {
    let flags = LogFlags::LOG_PID | LogFlags::LOG_NDELAY;
    #[cfg(target_os = "linux")]
    return syslog::openlog(None, flags, Facility::LOG_DAEMON);
    #[cfg(not(target_os = "linux"))]
    return syslog::openlog(None::<&str>, flags, Facility::LOG_DAEMON);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("portcullis")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let taken = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        match taken {
            None => {}
            Some(0) => self.write(record.level(), &record.args().to_string()),
            Some(dropped) => {
                self.write(
                    Level::Warn,
                    &format!("{dropped} messages were left out; `portcullis status` counts all"),
                );
                self.write(record.level(), &record.args().to_string());
            }
        }
    }

    fn flush(&self) {}
}

impl Logger {
    fn write(&self, level: Level, text: &str) {
        let text = printable(text.as_bytes());
        let line = match self.to.load(Ordering::Relaxed) {
            TO_SYSLOG => return write_to_syslog(level, &text),
            TO_ARM => format!("{} {text}\n", level as u8),
            _ => format!("portcullis: {text}\n"),
        };
        write_to_stderr(&line);
    }
}

/// Whoever read it may be gone (`2>&1 | head`, a closed terminal), and that is no reason to end.
fn write_to_stderr(line: &str) {
    let _ = io::stderr().write_all(line.as_bytes());
}

fn write_to_syslog(level: Level, text: &str) {
    let severity = match level {
        Level::Error => Severity::LOG_ERR,
        Level::Warn => Severity::LOG_WARNING,
        Level::Info => Severity::LOG_INFO,
        Level::Debug | Level::Trace => Severity::LOG_DEBUG,
    };
    // There is nowhere to complain when the log itself cannot be written.
    let _ = syslog::syslog(Priority::new(severity, Facility::LOG_DAEMON), text);
}

/// A token bucket.
struct Bucket {
    tokens: u32,
    filled: Option<Instant>,
    dropped: u64,
}

impl Bucket {
    /// `None` if the message is to be dropped; otherwise the number of messages that were dropped before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let filled = *self.filled.get_or_insert(now);
        let earned = now.saturating_duration_since(filled).as_millis() / REFILL.as_millis();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(BURST);
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.filled = Some(now);
        }
        if self.tokens == 0 {
            self.dropped += 1;
            return None;
        }
        self.tokens -= 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut bucket = Bucket { tokens: BURST, filled: None, dropped: 0 };
        let start = Instant::now();
        let written = (0..10_000).filter(|_| bucket.take(start).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(bucket.take(start + REFILL), Some(10_000 - u64::from(BURST)));
        assert_eq!(bucket.take(start + REFILL), None);
    }
}
