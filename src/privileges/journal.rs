//! From where on the journal is read, as numbers: a text would become an argument of journalctl, which root runs.

use serde::{Deserialize, Serialize};

use crate::follow::JournalStart;

/// A place in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JournalPlace {
    Beginning,
    Since(i64),
    Cursor(JournalCursor),
}

/// A cursor of the journal, `s=…;i=…;b=…;m=…;t=…;x=…`: hexadecimal numbers, as `sd_journal_get_cursor` in systemd's
/// sd-journal.c prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalCursor {
    sequence: u128,
    number: u64,
    boot: u128,
    monotonic: u64,
    realtime: u64,
    hash: u64,
}

impl JournalPlace {
    /// `None` for what is no place that this program has stored.
    pub(crate) fn of(start: &JournalStart) -> Option<Self> {
        match start {
            JournalStart::Beginning => Some(Self::Beginning),
            JournalStart::Since(seconds) => Some(Self::Since(*seconds)),
            JournalStart::Cursor(text) => JournalCursor::parse(text).map(Self::Cursor),
            JournalStart::Said(_) => None,
        }
    }

    pub(crate) fn start(self) -> JournalStart {
        match self {
            Self::Beginning => JournalStart::Beginning,
            Self::Since(seconds) => JournalStart::Since(seconds),
            Self::Cursor(cursor) => JournalStart::Cursor(cursor.text()),
        }
    }
}

impl JournalCursor {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let mut next = |key: &str| {
            let digits = parts.next()?.strip_prefix(key)?.strip_prefix('=')?;
            u128::from_str_radix(digits, 16).ok()
        };
        let cursor = Self {
            sequence: next("s")?,
            number: next("i")?.try_into().ok()?,
            boot: next("b")?,
            monotonic: next("m")?.try_into().ok()?,
            realtime: next("t")?.try_into().ok()?,
            hash: next("x")?.try_into().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    }

    fn text(self) -> String {
        let Self { sequence, number, boot, monotonic, realtime, hash } = self;
        format!("s={sequence:032x};i={number:x};b={boot:032x};m={monotonic:x};t={realtime:x};x={hash:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_numbers_and_comes_out_as_it_went_in() {
        let text = "s=0639d1ed26b7477ba1d0e0ccb3a3f7d7;i=1e8d;b=00c1f0fb8e6c4b0f8a0d3b7b6a7ef1c2;m=b9d1a5e41;\
                    t=62f1d5d0f7f9a;x=9a3a4a5b6c7d8e9f";
        let place = JournalPlace::of(&JournalStart::Cursor(text.to_owned())).unwrap();
        assert_eq!(place.start(), JournalStart::Cursor(text.to_owned()));
        for other in
            ["", "s=1;i=2", "s=1;i=2;b=3;m=4;t=5;x=6;y=7", "s=x;i=2;b=3;m=4;t=5;x=6", "--file=/etc/shadow"]
        {
            assert_eq!(JournalPlace::of(&JournalStart::Cursor(other.to_owned())), None, "{other}");
        }
        for start in [JournalStart::Beginning, JournalStart::Since(-7)] {
            assert_eq!(JournalPlace::of(&start).unwrap().start(), start);
        }
        assert_eq!(JournalPlace::of(&JournalStart::Said("yesterday".to_owned())), None);
    }
}
