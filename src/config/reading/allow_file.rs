//! Files of networks that are never banned: one a line, `#` begins a comment.

use std::path::Path;

use super::policy;
use crate::address::{self, Prefix};
use crate::config::text::diagnostic::Diagnostic;
use crate::rules::Severity;

/// The longest such file, in bytes: half a million networks.
pub(crate) const MAX_ALLOW_FILE: usize = 16 << 20;

/// At most this many faults of a file are reported.
const MAX_FAULTS: usize = 200;

/// The networks of a file, and what is wrong with its lines.
///
/// A line that cannot be read is an error: leaving it out could ban somebody who was to be allowed.
pub fn read_allow_file(path: &Path, bytes: &[u8]) -> (Vec<Prefix>, Vec<Diagnostic>) {
    let mut networks = Vec::new();
    let mut diagnostics = Vec::new();
    let mut start = bytes.strip_prefix(b"\xef\xbb\xbf").map_or(0, |_| 3);
    for line in bytes.get(start..).unwrap_or_default().split_inclusive(|&b| b == b'\n') {
        let entry = line.split(|&b| b == b'#').next().unwrap_or_default();
        let indent = entry.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let text = String::from_utf8_lossy(entry.trim_ascii());
        let at = |severity, text: String| (start + indent, severity, text);
        let complaint = match address::parse_prefix(&text) {
            _ if text.is_empty() => None,
            Ok(network) => {
                networks.push(network);
                policy::too_wide(&network).map(|text| at(Severity::Warning, text))
            }
            Err(error) => Some(at(Severity::Error, error.to_string())),
        };
        diagnostics.extend(complaint);
        start += line.len();
    }
    (networks, told(path, bytes, diagnostics))
}

fn told(path: &Path, bytes: &[u8], complaints: Vec<(usize, Severity, String)>) -> Vec<Diagnostic> {
    let more = complaints.len().saturating_sub(MAX_FAULTS);
    let rest = format!("{more} more lines are wrong: fix these first");
    let rest = (more > 0).then(|| Diagnostic::whole(path, Severity::Error, rest));
    let told = complaints.into_iter().take(MAX_FAULTS);
    told.map(|(offset, severity, text)| Diagnostic::at(path, bytes, offset, severity, text))
        .chain(rest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<String>, String) {
        let (networks, diagnostics) = read_allow_file(Path::new("allow.txt"), bytes);
        let told: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
        (networks.iter().map(Prefix::to_string).collect(), told.join("\n"))
    }

    #[test]
    fn comments_and_empty_lines_are_nothing() {
        let (networks, told) = read(b"# ours\n\n 192.0.2.0/24 # office\r\n2001:db8::1\n#");
        assert_eq!((networks.join(" "), told.as_str()), ("192.0.2.0/24 2001:db8::1/128".to_owned(), ""));
    }

    #[test]
    fn every_bad_line_is_shown() {
        let (networks, told) =
            read(b"192.0.2.7\n  14.160.0.0 /11\ngw.example.org\n192.0.2.7/24\n\xff\n0.0.0.0/0\n");
        assert_eq!(networks, ["192.0.2.7/32", "0.0.0.0/0"]);
        assert!(told.starts_with("allow.txt:2:3: error: `14.160.0.0 /11` is not an address"), "{told}");
        for place in
            ["allow.txt:3:1: error", "allow.txt:4:1: error", "allow.txt:5:1: error", "allow.txt:6:1: warning"]
        {
            assert!(told.contains(place), "{place}: {told}");
        }
    }

    #[test]
    fn a_binary_file_is_not_a_thousand_complaints() {
        let (_, told) = read(&b"x\n".repeat(1000));
        assert!(told.ends_with("800 more lines are wrong: fix these first") && told.lines().count() < 700);
    }
}
