//! Where reading stands: enough to find the place again after a stop, whatever happened to the files meanwhile.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::fnv;

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileKey {
    /// The device (`st_dev`).
    pub dev: u64,
    /// The inode (`st_ino`); numbers are used again once a file is gone.
    pub ino: u64,
}

impl FileKey {
    /// No file: what a path has before there ever was one.
    pub const NONE: Self = Self { dev: 0, ino: 0 };

    /// The key of the file with this metadata.
    pub fn of(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino() }
    }
}

/// Remembers the up to 256 bytes before a place in a file: tells a file from another one that got its inode number,
/// finds it again after it was packed, and shows that it was truncated and has grown back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes it covers, at most [`Fingerprint::REACH`].
    pub length: u16,
    /// FNV-1a over them: short, and the same in every version of this program.
    pub hash: u64,
}

impl Fingerprint {
    /// The most bytes it looks back.
    pub const REACH: usize = 256;

    /// The fingerprint of the last [`Fingerprint::REACH`] of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = last(bytes, Self::REACH);
        Self { length: u16::try_from(bytes.len()).unwrap_or(u16::MAX), hash: fnv::hash(bytes) }
    }
}

impl Default for Fingerprint {
    /// The fingerprint of no bytes: the beginning of a file.
    fn default() -> Self {
        Self::of(b"")
    }
}

/// The birth time of a file in nanoseconds since the epoch, where the file system knows it.
pub(super) fn born(meta: &Metadata) -> Option<i64> {
    let since = meta.created().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// The last `count` of the bytes, or all of them.
pub(super) fn last(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(count)..).unwrap_or_default()
}

/// How far one file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The identity of the file.
    pub file: FileKey,
    /// Bytes from its beginning, unpacked; always the start of a line.
    pub offset: u64,
    /// The fingerprint of the bytes before the offset.
    pub print: Fingerprint,
    /// The fingerprint of the beginning of the file: that holds a time, and what stands before the offset may be nothing
    /// but text that a stranger chose.
    pub head: Fingerprint,
    /// The birth time of the file, in nanoseconds since the epoch, where the file system knows it: inode numbers are
    /// reused.
    pub born: Option<i64>,
    /// The time of the last write, in seconds since the epoch: rotated files that are older hold nothing new.
    pub modified: i64,
    /// It was rotated away, read to its end and closed.
    pub closed: bool,
    /// Beyond the offset it may hold lines that were read before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reread: Option<Reread>,
}

/// A range of a file that may hold lines which were read before: the file was written anew, or lost its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reread {
    /// The timestamp of the newest of those lines, in milliseconds since the epoch.
    pub newest: Option<i64>,
    /// The end of the range, in bytes from the file's beginning.
    pub until: u64,
}

/// How far one followed path was read, in all the files that carry its lines; this is what a store keeps per source
/// and path, and gives back at the next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The targets of the path where it was a symlink: rotated files lie beside them.
    pub homes: Vec<String>,
    /// Oldest first; the last one is the file at the path, those before were rotated away.
    pub files: Vec<Mark>,
    /// The timestamp of the newest line that was read, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// The cursor of the last entry that was read, of the systemd journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A position as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The name of the source.
    pub source: String,
    /// The followed path, as [`Chunk::path`](super::Chunk::path) gave it.
    pub path: String,
    /// How far it was read.
    pub position: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_covers_the_last_bytes_only() {
        let (mut long, mut other) = (vec![b'a'; 1000], vec![b'b'; 1000]);
        long.extend([b'c'; Fingerprint::REACH]);
        other.extend([b'c'; Fingerprint::REACH]);
        assert_eq!(Fingerprint::of(&long), Fingerprint::of(&other));
        assert_ne!(Fingerprint::of(b"one\n"), Fingerprint::of(b"two\n"));
        assert_eq!(Fingerprint::of(b"").length, 0);
    }

    #[test]
    fn the_hash_is_the_published_one_so_that_stored_positions_stay_valid() {
        assert_eq!(Fingerprint::of(b"foobar").hash, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_position_survives_being_stored() {
        let file = FileKey { dev: u64::MAX, ino: 7 };
        let print = Fingerprint::of(b"abcd\n");
        let reread = Some(Reread { newest: Some(7), until: 9 });
        let mark =
            Mark { file, offset: 5, print, head: print, born: None, modified: -1, closed: false, reread };
        let homes = vec!["/data/auth.log".to_owned()];
        let cursor = Some("s=52;i=1".to_owned());
        let position = Position { homes, files: vec![mark], newest: Some(7), cursor };
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        let earlier =
            Position { newest: None, cursor: None, files: vec![Mark { reread: None, ..mark }], ..position };
        let text = serde_json::to_string(&earlier).unwrap();
        assert!(
            !["reread", "newest", "cursor"].iter().any(|key| text.contains(key)),
            "as earlier versions wrote it: {text}"
        );
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), earlier);
    }
}
