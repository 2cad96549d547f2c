//! The Journal Export Format, in which journalctl(1) prints the entries of the systemd journal with `-o export`.
//!
//! An entry is a row of fields and an empty line. A field is `NAME=value` and a newline, or, where the value is no plain
//! text, `NAME` and a newline, 64 bits of length (the lowest byte first), the value, and a newline. See
//! <https://systemd.io/JOURNAL_EXPORT_FORMATS>. Fields whose names begin with `_` were added by journald and cannot be sent by
//! programs; all others are what a program sent, in any number.

use std::borrow::Cow;
use std::mem;

use thiserror::Error;

use super::MAX_LINE;

/// The fields that are read; of all others not even the value is kept.
pub const FIELDS: [&str; 10] = [
    "__CURSOR",
    "__REALTIME_TIMESTAMP",
    "_TRANSPORT",
    "_HOSTNAME",
    "_PID",
    "_UID",
    "_EXE",
    "_SYSTEMD_UNIT",
    "SYSLOG_IDENTIFIER",
    "MESSAGE",
];

/// The longest name that journald accepts.
const MAX_NAME: usize = 64;

/// One entry, as far as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalEntry {
    values: [Option<Vec<u8>>; FIELDS.len()],
    /// A field that is read was there twice, or longer than a line may be: nobody knows what the entry says.
    is_doubtful: bool,
}

impl JournalEntry {
    /// The value of one of [`FIELDS`]; `None` if it was not there.
    pub fn get(&self, field: &str) -> Option<&[u8]> {
        let at = FIELDS.iter().position(|name| *name == field)?;
        self.values[at].as_deref()
    }

    /// A field that is a number.
    pub fn number(&self, field: &str) -> Option<u64> {
        std::str::from_utf8(self.get(field)?).ok()?.parse().ok()
    }

    /// The same as text; what is not UTF-8 is replaced.
    pub fn text(&self, field: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(field).unwrap_or_default())
    }

    /// Whether a field that is read was there twice, or too long to be a line.
    pub fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    fn keep(&mut self, field: usize, value: Vec<u8>, is_whole: bool) {
        self.is_doubtful |= self.values[field].is_some() || !is_whole;
        self.values[field] = Some(value);
    }
}

/// What is no export of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is not the output of `journalctl -o export`")]
pub struct NoExport;

/// Where the reader stands in the bytes.
#[derive(Debug, Default)]
enum ExportState {
    /// In a name, or at the beginning of one.
    #[default]
    Name,
    /// Behind `=`: the value of this field, or of one that is not read, up to a newline.
    Text(Option<usize>),
    /// In the eight bytes of a length.
    Length(Option<usize>, u32, u64),
    /// In a value of which so many bytes are to come.
    Value(Option<usize>, u64),
    /// At the newline behind such a value.
    End(Option<usize>),
}

/// Reads entries from bytes that come in any portions, in bounded memory.
#[derive(Debug, Default)]
pub struct ExportReader {
    state: ExportState,
    /// The name, then the value that is being read.
    held: Vec<u8>,
    is_too_long: bool,
    entry: JournalEntry,
    has_fields: bool,
}

impl ExportReader {
    /// Reads on; each entry that is complete goes to the sink.
    ///
    /// # Errors
    /// Where the bytes are no export; nothing that follows can be believed then.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(&JournalEntry)) -> Result<(), NoExport> {
        while !bytes.is_empty() {
            bytes = self.step(bytes, sink)?;
        }
        Ok(())
    }

    fn step<'b>(
        &mut self,
        bytes: &'b [u8],
        sink: &mut dyn FnMut(&JournalEntry),
    ) -> Result<&'b [u8], NoExport> {
        match self.state {
            ExportState::Name => self.name(bytes, sink),
            ExportState::Text(field) => Ok(self.up_to_newline(field, bytes)),
            ExportState::Length(field, count, length) => {
                let length = length | u64::from(bytes[0]) << (8 * count);
                self.state = match count {
                    7 => ExportState::Value(field, length),
                    _ => ExportState::Length(field, count + 1, length),
                };
                Ok(&bytes[1..])
            }
            ExportState::Value(field, 0) => {
                self.state = ExportState::End(field);
                Ok(bytes)
            }
            ExportState::Value(field, left) => {
                let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.hold(field, &bytes[..here]);
                self.state = ExportState::Value(field, left - here as u64);
                Ok(&bytes[here..])
            }
            ExportState::End(field) => {
                self.field_is_over(field);
                bytes.strip_prefix(b"\n").ok_or(NoExport)
            }
        }
    }

    /// Reads a name, or the empty line behind an entry.
    fn name<'b>(
        &mut self,
        bytes: &'b [u8],
        sink: &mut dyn FnMut(&JournalEntry),
    ) -> Result<&'b [u8], NoExport> {
        let length = bytes.iter().take_while(|byte| is_of_name(**byte)).count();
        let (name, rest) = bytes.split_at(length);
        self.held.extend_from_slice(name);
        if self.held.len() > MAX_NAME {
            return Err(NoExport);
        }
        let Some((byte, rest)) = rest.split_first() else { return Ok(rest) };
        if self.held.is_empty() && *byte == b'\n' {
            let entry = mem::take(&mut self.entry);
            if mem::take(&mut self.has_fields) {
                sink(&entry);
            }
            return Ok(rest);
        }
        let name = mem::take(&mut self.held);
        let field = FIELDS.iter().position(|field| field.as_bytes() == name);
        self.state = match byte {
            _ if name.is_empty() => return Err(NoExport),
            b'=' => ExportState::Text(field),
            b'\n' => ExportState::Length(field, 0, 0),
            _ => return Err(NoExport),
        };
        Ok(rest)
    }

    fn up_to_newline<'b>(&mut self, field: Option<usize>, bytes: &'b [u8]) -> &'b [u8] {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                self.hold(field, &bytes[..end]);
                self.field_is_over(field);
                &bytes[end + 1..]
            }
            None => {
                self.hold(field, bytes);
                &[]
            }
        }
    }

    fn hold(&mut self, field: Option<usize>, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.held.len());
        self.is_too_long |= field.is_some() && bytes.len() > room;
        if field.is_some() {
            self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn field_is_over(&mut self, field: Option<usize>) {
        let value = mem::take(&mut self.held);
        let is_whole = !mem::take(&mut self.is_too_long);
        if let Some(field) = field {
            self.entry.keep(field, value, is_whole);
        }
        self.has_fields = true;
        self.state = ExportState::Name;
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], portion: usize) -> Result<Vec<JournalEntry>, NoExport> {
        let mut entries = Vec::new();
        let mut reader = ExportReader::default();
        for part in bytes.chunks(portion.max(1)) {
            reader.push(part, &mut |entry| entries.push(entry.clone()))?;
        }
        Ok(entries)
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = u64::try_from(value.len()).unwrap().to_le_bytes();
        [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
    }

    #[test]
    fn entries_are_read_as_journalctl_252_prints_them() {
        let text = b"__CURSOR=s=5264;i=1;b=c2ff;m=3e8;t=660dd97cd6600;x=2fe3\n__REALTIME_TIMESTAMP=1795354711123456\n\
            __MONOTONIC_TIMESTAMP=1000\n_BOOT_ID=c2ff\n_TRANSPORT=syslog\n_UID=0\n_PID=29842\nMESSAGE=a=b c\n\n\
            __CURSOR=s=5264;i=2\nMESSAGE=next\n\n";
        let entries = read(text, 1000).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].get("__CURSOR"), Some(&b"s=5264;i=1;b=c2ff;m=3e8;t=660dd97cd6600;x=2fe3"[..]));
        assert_eq!(entries[0].number("__REALTIME_TIMESTAMP"), Some(1_795_354_711_123_456));
        assert_eq!(
            (entries[0].text("MESSAGE").as_ref(), entries[1].text("MESSAGE").as_ref()),
            ("a=b c", "next")
        );
        assert_eq!((entries[1].get("_UID"), entries[1].number("_PID")), (None, None));
    }

    #[test]
    fn a_value_with_newlines_is_one_value_whatever_it_holds() {
        let value = b"one\n\n_UID=0\nMESSAGE=two\n\n";
        let bytes = [&b"_UID=1000\n"[..], &binary("MESSAGE", value), b"\n"].concat();
        let entries = read(&bytes, 3).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].get("MESSAGE"), Some(&value[..]));
        assert_eq!((entries[0].number("_UID"), entries[0].is_doubtful()), (Some(1000), false));
    }

    #[test]
    fn a_field_that_a_program_sent_twice_or_that_is_too_long_is_doubtful() {
        let doubtful = |bytes: &[u8]| {
            read(bytes, 4096).unwrap().iter().map(JournalEntry::is_doubtful).collect::<Vec<_>>()
        };
        assert_eq!(doubtful(b"MESSAGE=a\nMESSAGE=b\n\nMESSAGE=a\n\n"), [true, false]);
        assert_eq!(
            doubtful(b"CODE_LINE=1\nCODE_LINE=2\nMESSAGE=a\n\n"),
            [false],
            "of others nothing is kept"
        );
        for length in [MAX_LINE, MAX_LINE + 1] {
            let long = vec![b'x'; length];
            let text = [b"MESSAGE=", &long[..], b"\n\n"].concat();
            assert_eq!(doubtful(&text), [length > MAX_LINE]);
            assert_eq!(doubtful(&[&binary("MESSAGE", &long)[..], b"\n"].concat()), [length > MAX_LINE]);
            assert_eq!(doubtful(&[&binary("COREDUMP", &long)[..], b"MESSAGE=a\n\n"].concat()), [false]);
        }
    }

    #[test]
    fn memory_is_bounded_whatever_the_length_says() {
        let mut reader = ExportReader::default();
        let begin = [&b"MESSAGE\n"[..], &u64::MAX.to_le_bytes()].concat();
        reader.push(&begin, &mut |_| panic!("no entry has ended")).unwrap();
        for _ in 0..100 {
            reader.push(&vec![b'x'; MAX_LINE], &mut |_| panic!("no entry has ended")).unwrap();
        }
        assert!(reader.held.capacity() <= 2 * MAX_LINE);
    }

    #[test]
    fn what_is_no_export_is_refused() {
        for bytes in [&b"Nov 22 14:38:31 gw sshd[1]: x\n"[..], b"=x\n", b"message=x\n", &[b'A'; 100]] {
            assert_eq!(read(bytes, 7), Err(NoExport), "{bytes:?}");
        }
        let unended = [&binary("MESSAGE", b"x")[..8 + 8 + 1], b"y\n"].concat();
        assert_eq!(read(&unended, 7), Err(NoExport), "no newline behind a value");
        assert_eq!(read(b"\n\n\n", 1), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn the_portions_do_not_matter(
            values in prop::collection::vec((0..FIELDS.len(), prop::collection::vec(any::<u8>(), 0..40)), 1..20),
            portion in 1usize..60,
        ) {
            let mut bytes = Vec::new();
            for (field, value) in &values {
                bytes.extend(binary(FIELDS[*field], value));
                bytes.push(b'\n');
            }
            let entries = read(&bytes, portion).unwrap();
            prop_assert_eq!(&entries, &read(&bytes, bytes.len()).unwrap());
            let read: Vec<&[u8]> = entries.iter().zip(&values)
                .map(|(entry, (field, _))| entry.get(FIELDS[*field]).unwrap()).collect();
            prop_assert_eq!(read, values.iter().map(|(_, value)| value.as_slice()).collect::<Vec<_>>());
        }
    }
}
