//! What journalctl prints, as the text of a log: `scan --journal` reads it like a file.

use std::io::{self, Read};
use std::path::PathBuf;

use super::exit::complain;
use super::text::count;
use crate::follow::journalctl::{JournalQuery, JournalStart, Journalctl};
use crate::record::{ExportReader, ProgramNames, Sent, write_line};

/// How much is read of journalctl at once, in bytes.
const PORTION: usize = 256 * 1024;

/// The lines of the journal, read to its end.
pub(super) struct JournalText {
    tool: PathBuf,
    /// `None` once it has ended.
    journalctl: Option<Journalctl>,
    programs: ProgramNames,
    export: ExportReader,
    portion: Vec<u8>,
    /// Lines that were not read yet, from this place on.
    text: Vec<u8>,
    at: usize,
    pretended: u64,
}

impl JournalText {
    pub(super) fn start(query: &JournalQuery, start: &JournalStart) -> io::Result<Self> {
        Ok(Self {
            tool: query.tool.clone(),
            journalctl: Some(query.start(start, false)?),
            programs: query.programs.clone(),
            export: ExportReader::default(),
            portion: vec![0; PORTION],
            text: Vec::new(),
            at: 0,
            pretended: 0,
        })
    }

    /// Reads the next lines; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(journalctl) = &mut self.journalctl else { return Ok(false) };
        let length = journalctl.output.read(&mut self.portion)?;
        if length == 0 {
            return self.finish().map(|()| false);
        }
        self.at = 0;
        self.text.clear();
        let Self { export, text, programs, pretended, portion, .. } = self;
        let read = portion.get(..length).unwrap_or_default();
        let pushed = export.push(read, &mut |entry| {
            *pretended += u64::from(write_line(entry, programs, text) == Sent::Pretended);
        });
        pushed.map_err(io::Error::other)?;
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.pretended > 0 {
            let lines = count(self.pretended, "line");
            complain(&format!("{lines} under the name of a program were logged by others, and not read"));
        }
        match self.journalctl.take().and_then(|journalctl| journalctl.finish(&self.tool)) {
            Some(why) => Err(io::Error::other(why)),
            None => Ok(()),
        }
    }
}

impl Read for JournalText {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let length = self.text.get(self.at..).unwrap_or_default().read(buf)?;
        self.at += length;
        Ok(length)
    }
}
