//! Any bytes are a record, and all of its parts lie inside the line.
#![no_main]

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::{LineSplitter, SplitLine, WholeLines};
use portcullis::record::{self, Clock, MAX_LINE, MAX_REPEATS, Outline, TimePlace, TimeSpec};
use portcullis::time::Time;

fn inside(line: &[u8], part: &[u8]) {
    let (line, part) = (line.as_ptr_range(), part.as_ptr_range());
    assert!(line.start <= part.start && part.end <= line.end);
}

fuzz_target!(|bytes: &[u8]| {
    let mut clock = Clock::new(TimeZone::UTC, Time::from_secs(1_795_000_000));
    // The first byte says how the rest comes in.
    let (piece, rest) =
        bytes.split_first().map_or((1, bytes), |(first, rest)| (usize::from(*first).max(1), rest));
    let mut whole = WholeLines::default();
    for chunk in rest.chunks(piece) {
        whole.room(chunk.len()).copy_from_slice(chunk);
        whole.add(chunk.len());
        if !whole.advance() {
            continue;
        }
        for SplitLine { text: line, .. } in LineSplitter::new(whole.found(), None) {
            assert!(line.len() <= MAX_LINE && !line.contains(&b'\n'));
            let (_, record) = record::parse_as_any(line);
            inside(line, record.message);
            inside(line, record.host);
            if let Some(program) = record.program {
                inside(line, program);
            }
            assert_eq!(Outline::of(&record, line).on(line), record);
            if let Some(repeat) = record::repeat(&record) {
                assert!(repeat.count() <= MAX_REPEATS);
            }
            record::may_be_cut(line, &record);
            clock.written(line, &record, None);
            let stated = TimeSpec { formats: vec![], place: TimePlace::Brackets };
            clock.written_near(Time::from_secs(0), line, &record, Some(&stated));
        }
    }
});
