//! Knowing a file by its bytes: those at its beginning, and those before a place in it.

use std::fs::File;
use std::io::{self, Read};

use super::compressed::read_full_at;
use super::position::{Fingerprint, Mark, last};

/// Whether a mark was made in this file, going by its bytes; a mark at the very beginning fits every file.
pub(super) fn plain_holds(file: &File, mark: &Mark) -> bool {
    ends_of_plain(file, mark.offset).is_ok_and(|ends| fits(mark, &ends))
}

/// Whether a mark was made in a stream, which is read from its beginning and no further than it takes to tell.
pub(super) fn stream_holds(stream: &mut dyn Read, mark: &Mark) -> bool {
    let mut head = Vec::new();
    let reach = mark.offset.min(Fingerprint::REACH as u64);
    if stream.take(reach).read_to_end(&mut head).is_err() || !head_fits(mark, &head) {
        return false;
    }
    ends_of_stream(&mut head.as_slice().chain(stream), mark.offset).is_ok_and(|ends| fits(mark, &ends))
}

/// The bytes at the beginning of a file, and those before an offset.
pub(super) type Ends = (Vec<u8>, Vec<u8>);

fn fits(mark: &Mark, (head, before): &Ends) -> bool {
    head_fits(mark, head) && Fingerprint::of(before) == mark.print
}

/// The head of a mark may reach beyond its offset, when it was made inside an over-long line: then less is compared.
fn head_fits(mark: &Mark, head: &[u8]) -> bool {
    u64::from(mark.head.length) > mark.offset || Fingerprint::of(head) == mark.head
}

pub(super) fn ends_of_plain(file: &File, offset: u64) -> io::Result<Ends> {
    let reach = offset.min(Fingerprint::REACH as u64);
    let head = read_up_to(file, 0, reach)?;
    let before = read_up_to(file, offset - reach, reach)?;
    complete((head, before), reach)
}

/// Reads the stream up to the offset.
pub(super) fn ends_of_stream(stream: &mut dyn Read, offset: u64) -> io::Result<Ends> {
    let reach = offset.min(Fingerprint::REACH as u64);
    let mut head = Vec::new();
    stream.take(reach).read_to_end(&mut head)?;
    let between = offset.saturating_sub(2 * reach);
    io::copy(&mut stream.take(between), &mut io::sink())?;
    // Where the two overlap, what stands before the offset begins in the head.
    let overlap = usize::try_from((2 * reach).saturating_sub(offset)).unwrap_or(0);
    let mut before = last(&head, overlap).to_vec();
    stream.take(reach - overlap as u64).read_to_end(&mut before)?;
    complete((head, before), reach)
}

fn complete(ends: Ends, reach: u64) -> io::Result<Ends> {
    let is_complete = ends.0.len() as u64 == reach && ends.1.len() as u64 == reach;
    if is_complete { Ok(ends) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Up to `length` bytes, fewer at the end of the file.
pub(super) fn read_up_to(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let length = read_full_at(file, &mut bytes, offset)?;
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stream_and_a_file_with_the_same_bytes_have_the_same_ends(length in 0..900usize, offset in 0..1000u64) {
            let bytes: Vec<u8> = (0..length).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let plain = ends_of_plain(&file, offset);
            let stream = ends_of_stream(&mut bytes.as_slice(), offset);
            prop_assert_eq!(plain.is_ok(), offset <= length as u64);
            prop_assert_eq!(plain.ok(), stream.ok());
        }
    }

    #[test]
    fn text_that_a_stranger_chose_before_the_place_does_not_make_another_file_the_same() {
        let file = |day: &str| {
            let mut file = tempfile::tempfile().unwrap();
            write!(file, "Nov {day} 00:00:00 gw newsyslog[1]: logfile turned over\n{}\n", "x".repeat(400))
                .unwrap();
            file
        };
        let offset = file("21").metadata().unwrap().len();
        let (head, before) = ends_of_plain(&file("21"), offset).unwrap();
        let mark = Mark {
            file: crate::follow::FileKey::NONE,
            offset,
            print: Fingerprint::of(&before),
            head: Fingerprint::of(&head),
            born: None,
            modified: 0,
            closed: false,
            reread: None,
        };
        assert!(plain_holds(&file("21"), &mark));
        assert!(!plain_holds(&file("22"), &mark));
    }
}
