//! Reading logs as newsyslog and logrotate leave them: plain, gzip, bzip2, xz or zstd, told apart by their first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// An xz or zstd file that asks for more memory is refused. `xz -9` needs 64 MiB and some; the defaults and newsyslog's
/// settings need 8 MiB.
const MAX_DICTIONARY: u64 = 72 << 20;

/// How many times its size a followed log may unpack to; those of real hosts grow ten to sixty times.
const MAX_RATIO: u64 = 250;

/// The number of bytes to which even the smallest file may unpack.
const MIN_UNPACKED: u64 = 16 << 20;

/// The number of bytes to which no file may unpack more.
const MAX_UNPACKED: u64 = 4 << 30;

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not compressed.
    Plain,
    /// gzip, RFC 1952.
    Gzip,
    /// bzip2, of any block size.
    Bzip2,
    /// The .xz container.
    Xz,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Packing {
    /// Decided by the magic bytes at the beginning of the file; its read position is not moved.
    ///
    /// # Errors
    /// An error of reading the first bytes.
    pub fn of(file: &File) -> io::Result<Self> {
        let mut head = [0; 6];
        let length = read_full_at(file, &mut head, 0)?;
        Ok(Self::of_bytes(head.get(..length).unwrap_or_default()))
    }

    /// Decided by bytes that were read already; six are enough.
    pub fn of_bytes(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Opens a log for reading from its beginning, unpacked if it is packed.
///
/// # Errors
/// An error of opening the file or reading its first bytes.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    unpack(File::open(path)?)
}

/// Unpacks an open file that can seek; it is read from its beginning.
///
/// # Errors
/// An error of reading the first bytes.
pub fn unpack(mut file: File) -> io::Result<Box<dyn Read + Send>> {
    let packing = Packing::of(&file)?;
    file.rewind()?;
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::new(file))),
        Packing::Xz => {
            let limit = u32::try_from(MAX_DICTIONARY / 1024).unwrap_or(u32::MAX);
            Box::new(Lzma(lzma_rust2::XzReader::new_mem_limit(BufReader::new(file), true, limit)))
        }
        Packing::Zstd => Box::new(ZstdFrames::new(BufReader::new(file))),
    })
}

/// Unpacks a file that somebody else may have put there: it unpacks to a bounded number of bytes, and is an error
/// beyond. 41 KB of bzip2 may be 900 MB.
///
/// # Errors
/// An error of asking for its size or reading its first bytes.
pub(super) fn unpack_bounded(file: File) -> io::Result<Box<dyn Read + Send>> {
    let left = file.metadata()?.len().saturating_mul(MAX_RATIO).clamp(MIN_UNPACKED, MAX_UNPACKED);
    Ok(Box::new(Bounded { reader: unpack(file)?, left }))
}

struct Bounded {
    reader: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.reader.read(&mut [0])? > 0 {
            let why = format!("it unpacks to more than {MAX_RATIO} times its size, which no log does");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let reach = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.reader.read(buf.get_mut(..reach).unwrap_or_default())?;
        self.left -= length as u64;
        Ok(length)
    }
}

/// Reads at `offset` until the buffer is full or the file ends; how many bytes there were.
pub(super) fn read_full_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The library says `dist overflow` and the like of damaged data as an error of no kind; an error of the disk has one.
struct Lzma<R>(R);

impl<R: Read> Read for Lzma<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
            _ => error,
        })
    }
}

/// A zstd file may be several frames one after the other (`pzstd`, `cat a.zst b.zst`); the library's reader stops
/// after the first.
struct ZstdFrames<R: BufRead> {
    source: R,
    decoder: FrameDecoder,
    inside: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_DICTIONARY);
        Self { source, decoder, inside: false }
    }

    /// Steps into the next frame that holds data; false at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }

    fn read_frame(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            self.decoder
                .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        self.decoder.read(buf)
    }

    /// The library reads the frame's checksum and leaves it to its callers to compare.
    fn end_frame(&mut self) -> io::Result<()> {
        self.inside = false;
        let stored = self.decoder.get_checksum_from_data();
        match stored.is_none() || stored == self.decoder.get_calculated_checksum() {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum is another")),
        }
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside && !self.next_frame()? {
                return Ok(0);
            }
            self.inside = true;
            match self.read_frame(buf)? {
                0 if !buf.is_empty() => self.end_frame()?,
                length => return Ok(length),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text() -> Vec<u8> {
        (0..5_000).flat_map(|i| format!("Nov 22 14:38:31 gw sshd[{i}]: line\n").into_bytes()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut out = Vec::new();
        open(file.path())?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn every_packing_is_known_by_its_first_bytes_and_gives_the_text_back() {
        for (packed, packing) in [
            (text(), Packing::Plain),
            (gzip(&text()), Packing::Gzip),
            (bzip2(&text()), Packing::Bzip2),
            (zstd(&text()), Packing::Zstd),
        ] {
            assert_eq!(Packing::of_bytes(&packed), packing);
            assert!(read(&packed).unwrap() == text(), "{packing:?}");
        }
    }

    /// `printf 'one\ntwo\n' | xz -c`: the library's writer is not compiled in.
    const XZ: &[u8] = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x07\x6f\x6e\x65\x0a\x74\
            \x77\x6f\x0a\x00\x51\xab\x9e\xaf\x57\x75\x70\x49\x00\x01\x20\x08\xbb\x19\xd9\xbb\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";

    #[test]
    fn xz_is_read() {
        assert_eq!(Packing::of_bytes(XZ), Packing::Xz);
        assert_eq!(read(XZ).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn files_of_several_streams_are_read_to_their_end() {
        for pack in [gzip, bzip2, zstd] {
            let twice = [pack(b"one\n"), pack(b"two\n")].concat();
            assert_eq!(read(&twice).unwrap(), b"one\ntwo\n");
        }
        let skippable = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd(b"one\n")].concat();
        assert_eq!(read(&skippable).unwrap(), b"one\n");
    }

    /// A byte that flipped changes lines without breaking the packing; what was read may be wrong.
    #[test]
    fn a_flipped_byte_is_an_error_of_damaged_data() {
        for packed in [gzip(&text()), bzip2(&text()), zstd(&text()), XZ.to_vec()] {
            // Behind the magic bytes; a flag or a name in a header may change without harm.
            for at in (20..packed.len()).step_by((packed.len() / 60).max(1)) {
                let mut damaged = packed.clone();
                damaged[at] ^= 0x10;
                match read(&damaged) {
                    Ok(read) => assert!(read == text() || read == b"one\ntwo\n", "byte {at}"),
                    Err(error) => assert_ne!(error.kind(), io::ErrorKind::Other, "byte {at}: {error}"),
                }
            }
        }
    }

    #[test]
    fn a_file_cut_short_is_an_error_and_an_empty_one_is_not() {
        for packed in [gzip(&text()), bzip2(&text()), zstd(&text())] {
            assert!(read(&packed[..packed.len() - 20]).is_err());
        }
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(b"B").unwrap(), b"B");
    }
}
