//! From the bytes of a blob to the bytes of its tar stream. The only importer of flate2 and zstd.
//!
//! The compression is told by the first bytes, not by the media type, as every other tool does.
//! gzip may come in several members and zstd in several frames (eStargz, zstd:chunked); zero bytes
//! after the last gzip member are padding, anything else there is an error.

use std::io::{self, BufRead, Read};

pub use flate2::Crc;
use flate2::bufread::{DeflateDecoder, GzDecoder};

use crate::error::{Fault, Kind};

/// The most memory that a zstd frame may ask for, as a power of two: 128 MiB, what `zstd -d`
/// itself accepts.
const WINDOW_LOG_MAX: u32 = 27;

/// What libzstd says of a frame that asks for more; it gives no number to know it by.
const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";

/// A reader of the tar stream.
pub(super) enum Decoder<R: BufRead> {
    Plain(R),
    Gzip(Box<Gzip<R>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes, which must be in the reader's first buffer.
    pub(super) fn new(mut source: R) -> anyhow::Result<Self> {
        let start = source.fill_buf()?;
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip(Box::new(Gzip::new(source)))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Ok(Self::Zstd(Box::new(decoder)))
            }
            [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(unsupported("xz")),
            _ => Ok(Self::Plain(source)),
        }
    }

    /// The format's name, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        }
    }

    /// Fills as much of a buffer as there is.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            let read = match self {
                Self::Plain(source) => source.read(&mut buffer[length..]),
                Self::Gzip(source) => source.read(&mut buffer[length..]),
                Self::Zstd(source) => source.read(&mut buffer[length..]),
            };
            match read {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.to_string() == WINDOW_TOO_LARGE => {
                    let most = (1 << WINDOW_LOG_MAX) >> 20;
                    let message = format!("a frame needs a window of more than {most} MiB");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }
}

fn unsupported(name: &str) -> anyhow::Error {
    let message = format!("a layer compressed with {name}, which OCI does not know");
    Fault::new(Kind::Unsupported, message).into()
}

/// What a gzip file holds. Fails if it does not begin as one.
pub fn gunzip(mut source: impl BufRead) -> anyhow::Result<impl Read> {
    match source.fill_buf()? {
        [0x1f, 0x8b, ..] => Ok(Gzip::new(source)),
        _ => Err(Fault::new(Kind::Layer, "it is not compressed with gzip").into()),
    }
}

/// What a bare deflate stream holds.
pub fn inflate(source: impl BufRead) -> impl Read {
    DeflateDecoder::new(source)
}

/// gzip members one after the other.
pub(super) struct Gzip<R: BufRead> {
    /// `None` only while one member is exchanged for the next.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    fn new(source: R) -> Self {
        Self {
            member: Some(GzDecoder::new(source)),
        }
    }

    /// Whether another member follows.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(member) = self.member.take() else {
            return Ok(false);
        };
        let mut source = member.into_inner();
        match source.fill_buf()?.first() {
            None => Ok(false),
            Some(0) => check_padding(source).map(|()| false),
            Some(_) => {
                self.member = Some(GzDecoder::new(source));
                Ok(true)
            }
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            if !self.advance()? {
                break;
            }
        }
        Ok(0)
    }
}

fn check_padding(mut source: impl BufRead) -> io::Result<()> {
    loop {
        let rest = source.fill_buf()?;
        if rest.is_empty() {
            return Ok(());
        }
        if rest.iter().any(|byte| *byte != 0) {
            let message = "something that is not gzip follows the gzip data";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let length = rest.len();
        source.consume(length);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn decode(bytes: &[u8]) -> anyhow::Result<(&'static str, Vec<u8>)> {
        let mut decoder = Decoder::new(bytes)?;
        let mut out = vec![0; 1 << 16];
        let length = decoder.fill(&mut out)?;
        out.truncate(length);
        assert_eq!(decoder.fill(&mut [0; 10])?, 0);
        Ok((decoder.name(), out))
    }

    #[test]
    fn members_frames_and_padding() {
        let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let tail = [0; 5000];
        for (bytes, compression) in [
            (b"onetwo".to_vec(), "plain"),
            (gzip(b"onetwo"), "gzip"),
            ([gzip(b"one"), gzip(b"two")].concat(), "gzip"),
            ([gzip(b"one"), gzip(b""), gzip(b"two")].concat(), "gzip"),
            ([&gzip(b"onetwo")[..], &tail].concat(), "gzip"),
            ([zstd(b"one"), zstd(b"two")].concat(), "zstd"),
            (
                [&skippable[..], &zstd(b"onetwo"), &skippable].concat(),
                "zstd",
            ),
        ] {
            let expected = (compression, b"onetwo".to_vec());
            assert_eq!(decode(&bytes).unwrap(), expected);
        }
        assert_eq!(decode(b"").unwrap(), ("plain", Vec::new()));
    }

    #[test]
    fn damage_is_an_error() {
        let long: Vec<u8> = (0..40_000u32)
            .flat_map(|n| n.to_le_bytes())
            .take(60_000)
            .collect();
        for whole in [gzip(&long), zstd(&long)] {
            let middle = whole.len() / 2;
            assert!(decode(&whole[..middle]).is_err());
            assert!(decode(&whole[..whole.len() - 1]).is_err());
            let mut flipped = whole.clone();
            flipped[middle] ^= 1;
            let same = decode(&flipped).is_ok_and(|(_, out)| out == long);
            assert!(!same);
        }
        let mut wrong_sum = gzip(b"one");
        let at = wrong_sum.len() - 8;
        wrong_sum[at] ^= 1;
        assert!(decode(&wrong_sum).is_err());
        assert!(decode(&[&gzip(b"one")[..], b"\0\0x"].concat()).is_err());
        assert!(decode(&[&gzip(b"one")[..], b"junk"].concat()).is_err());
        assert!(decode(b"BZh91AY").is_err());
        let window_of_2_gib = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0];
        let error = decode(&window_of_2_gib).unwrap_err().to_string();
        assert!(error.contains("more than 128 MiB"), "{error}");
    }
}
