//! A tar stream as entries: the iterator over 512-byte blocks. Pure: bytes in, entries out.
//!
//! Takes what Go's `archive/tar`, which all other container tools use, takes, and reads it in the
//! same way; where two readers could see two archives (contradicting sizes, two long names), the
//! entry is refused instead (CVE-2025-62518 class). Memory is bounded by [`Limits`].

use std::io::{self, BufRead};

use anyhow::{Context, Result};
use tar::Header;

use super::header;
use super::limits::{self, Limits};
use super::pax::{self, Pax, Timestamp};
use super::sparse::{self, MapReader, Region, Sparse};
use crate::error::{Fault, Kind};

const BLOCK: u64 = 512;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// A regular file.
    File,
    /// A regular file with holes; the content is only what is between them.
    SparseFile(Sparse),
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an earlier entry.
    HardLink,
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Owner, permissions and the rest of what is kept of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits with setuid, setgid and sticky; never file type bits.
    pub mode: u32,
    /// Never `u32::MAX`, which `chown` takes for "leave it".
    pub uid: u32,
    /// As `uid`.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Names with their namespace, and values, as they stand in the archive.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Bytes of all names and values of extended attributes.
    pub(super) fn xattr_bytes(&self) -> u64 {
        let each = self.xattrs.iter();
        each.map(|(name, value)| (name.len() + value.len()) as u64)
            .sum()
    }
}

/// One entry, as the archive has it: names are not cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Never empty, never with a NUL byte.
    pub path: Vec<u8>,
    /// The target of a link; empty for everything else.
    pub link: Vec<u8>,
    /// Its type.
    pub kind: Type,
    /// Its attributes.
    pub attributes: Attributes,
    /// Bytes of content that are stored, without padding.
    pub size: u64,
}

/// Extended headers that wait for their entry.
#[derive(Default)]
struct Pending {
    count: u64,
    bytes: u64,
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

fn bad(why: impl Into<String>) -> Fault {
    Fault::new(Kind::Layer, why.into())
}

/// Reads entries one after the other, and the content of the current one.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    limits: Limits,
    /// Content bytes of the current entry that are still to come.
    left: u64,
    padding: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads from the first block on.
    pub fn new(source: R, limits: &Limits) -> Self {
        Self {
            source,
            limits: limits.clone(),
            left: 0,
            padding: 0,
        }
    }

    /// The next entry, after skipping what is left of the current one; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.skip(self.left.saturating_add(self.padding))?;
        (self.left, self.padding) = (0, 0);
        let mut pending = Pending::default();
        loop {
            let Some(block) = self.header()? else {
                return match pending.count {
                    0 => Ok(None),
                    _ => Err(bad("the archive ends after an extended header").into()),
                };
            };
            let header = Header::from_byte_slice(&block);
            let extended = || format!("extended header '{}'", label(header, &Pending::default()));
            if !self.extended(header, &mut pending).with_context(extended)? {
                let at = || format!("entry '{}'", label(header, &pending));
                let entry = self.assemble(header, &pending).with_context(at)?;
                return Ok(Some(entry));
            }
        }
    }

    /// The next bytes of the content; empty at its end.
    pub fn content(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let bytes = self.source.fill_buf()?;
        if bytes.is_empty() {
            return Err(cut_short());
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(&bytes[..bytes.len().min(most)])
    }

    /// Marks bytes returned by [`Reader::content`] as used.
    pub fn consume(&mut self, used: usize) {
        self.source.consume(used);
        self.left -= used as u64;
    }

    /// Reads whatever follows the archive, so that it is hashed: anything may (umoci #358).
    pub fn drain(mut self) -> io::Result<()> {
        loop {
            match self.source.fill_buf()?.len() {
                0 => return Ok(()),
                length => self.source.consume(length),
            }
        }
    }

    fn skip(&mut self, mut bytes: u64) -> Result<()> {
        while bytes > 0 {
            let there = self.source.fill_buf()?.len();
            if there == 0 {
                return Err(cut_short());
            }
            let step = there.min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.source.consume(step);
            bytes -= step as u64;
        }
        Ok(())
    }

    fn block(&mut self) -> Result<Option<[u8; 512]>> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut block = [0; 512];
        self.read_exact(&mut block)?;
        Ok(Some(block))
    }

    fn read_exact(&mut self, into: &mut [u8]) -> Result<()> {
        self.source
            .read_exact(into)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => cut_short(),
                _ => error.into(),
            })
    }

    /// A header block with the right checksum; `None` at the end of the archive, which is two zero
    /// blocks or, as some writers are careless, the end of the stream.
    fn header(&mut self) -> Result<Option<[u8; 512]>> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == [0; 512] {
            return match self.block()? {
                Some(second) if second != [0; 512] => {
                    Err(bad("something follows a single zero block").into())
                }
                _ => Ok(None),
            };
        }
        if !header::checksum_is_right(&block) {
            return Err(bad("not a tar header: wrong checksum").into());
        }
        Ok(Some(block))
    }

    /// Reads the body of an extended header; `false` if this is a real entry.
    fn extended(&mut self, header: &Header, pending: &mut Pending) -> Result<bool> {
        let kind = header.as_old().linkflag[0];
        if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
            return Ok(false);
        }
        pending.count += 1;
        self.limits.check(limits::Name::Headers, pending.count)?;
        let body = self.body(header, pending)?;
        let twice = match kind {
            // Global headers carry comments; what else they say is ignored by everybody.
            b'g' => false,
            b'x' => pending
                .pax
                .replace(pax::parse(&body, &self.limits)?)
                .is_some(),
            b'L' => pending.name.replace(header::text(&body).to_vec()).is_some(),
            _ => pending.link.replace(header::text(&body).to_vec()).is_some(),
        };
        if twice {
            return Err(bad("two extended headers of one sort before one entry").into());
        }
        Ok(true)
    }

    fn body(&mut self, header: &Header, pending: &mut Pending) -> Result<Vec<u8>> {
        let size = header::unsigned(&header.as_old().size, "size")?;
        pending.bytes = pending.bytes.saturating_add(size);
        self.limits
            .check(limits::Name::HeaderBytes, pending.bytes)?;
        let mut body = vec![0; usize::try_from(size)?];
        self.read_exact(&mut body)?;
        self.skip(padding_of(size))?;
        Ok(body)
    }

    fn assemble(&mut self, header: &Header, pending: &Pending) -> Result<Entry> {
        let fallback = Pax::default();
        let pax = pending.pax.as_ref().unwrap_or(&fallback);
        let path = self.path(header, pending, pax)?;
        let link = one_of(&pending.link, &pax.link, "link targets")?;
        let link = link.unwrap_or_else(|| header::text(&header.as_old().linkname).to_vec());
        let attributes = self.attributes(header, pax)?;
        let kind = kind(header, &path)?;
        if matches!(kind, Type::File | Type::SparseFile(_)) {
            self.left = stored_size(header, pax)?;
            self.padding = padding_of(self.left);
        }
        let kind = self.with_map(header, pax, kind)?;
        let is_link = matches!(kind, Type::Symlink | Type::HardLink);
        Ok(Entry {
            path,
            link: if is_link { link } else { Vec::new() },
            kind,
            attributes,
            size: self.left,
        })
    }

    fn path(&self, header: &Header, pending: &Pending, pax: &Pax) -> Result<Vec<u8>> {
        let long = one_of(&pending.name, &pax.path, "names")?;
        let path = pax.sparse.name.clone().or(long);
        let path = path.unwrap_or_else(|| header::name(header));
        if path.is_empty() {
            return Err(bad("an empty name").into());
        }
        // The slashes of "/x/" and the like are not part of what a file system sees.
        let length = (path.len() as u64).saturating_sub(2);
        self.limits.check(limits::Name::Path, length)?;
        Ok(path)
    }

    fn attributes(&self, header: &Header, pax: &Pax) -> Result<Attributes> {
        let old = header.as_old();
        let mtime = match pax.mtime {
            Some(mtime) => mtime,
            None => Timestamp {
                seconds: header::time(&old.mtime)?,
                nanoseconds: 0,
            },
        };
        let mode = header::unsigned(&old.mode, "mode")? & 0o7777;
        Ok(Attributes {
            mode: u32::try_from(mode)?,
            uid: id(pax.uid, &old.uid, "owner")?,
            gid: id(pax.gid, &old.gid, "group")?,
            mtime,
            xattrs: pax.xattrs.clone(),
        })
    }

    /// Reads the map of a sparse file, wherever its format has it.
    fn with_map(&mut self, header: &Header, pax: &Pax, kind: Type) -> Result<Type> {
        let (regions, real_size) = match (kind, header.as_gnu()) {
            (Type::SparseFile(_), Some(gnu)) => {
                let (mut regions, real_size, mut more) = sparse::old_gnu(gnu)?;
                while more {
                    let block = self.block()?.ok_or_else(cut_short)?;
                    let (next, again) = sparse::old_gnu_more(&block)?;
                    regions.extend(next);
                    more = again;
                    let count = regions.len() as u64;
                    self.limits.check(limits::Name::SparseRegions, count)?;
                }
                (regions, real_size)
            }
            (Type::SparseFile(_), None) => {
                return Err(bad("a sparse file that is not in GNU format").into());
            }
            (Type::File, _) if pax.sparse.is_used() => match sparse::of_pax(&pax.sparse)? {
                (sparse::Format::Listed(regions), real_size) => (regions, real_size),
                (sparse::Format::InContent, real_size) => (self.map_in_content()?, real_size),
            },
            (kind, _) => return Ok(kind),
        };
        let sparse = Sparse::new(regions, real_size, self.left, &self.limits)?;
        Ok(Type::SparseFile(sparse))
    }

    fn map_in_content(&mut self) -> Result<Vec<Region>> {
        let mut map = MapReader::default();
        loop {
            self.left = self
                .left
                .checked_sub(BLOCK)
                .ok_or_else(|| bad("a sparse map longer than its file"))?;
            let block = self.block()?.ok_or_else(cut_short)?;
            if let Some(regions) = map.take(&block, &self.limits)? {
                return Ok(regions);
            }
        }
    }
}

fn cut_short() -> anyhow::Error {
    bad("the archive is cut short").into()
}

fn padding_of(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

fn label(header: &Header, pending: &Pending) -> String {
    let pax = pending.pax.as_ref().and_then(|pax| pax.path.as_ref());
    let name = pending.name.as_ref().or(pax).cloned();
    let name = name.unwrap_or_else(|| header::name(header));
    let shown = name.len().min(4096);
    String::from_utf8_lossy(&name[..shown]).into_owned()
}

fn one_of(
    gnu: &Option<Vec<u8>>,
    pax: &Option<Vec<u8>>,
    what: &str,
) -> Result<Option<Vec<u8>>, Fault> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => {
            Err(bad(format!("two {what}, one of GNU and one of POSIX tar")))
        }
        (gnu, pax) => Ok(gnu.as_ref().or(pax.as_ref()).cloned()),
    }
}

/// 2^32 - 1 means "leave it" to `chown`, 2^32 wraps to root (CVE-2024-40635 class).
fn id(pax: Option<u64>, field: &[u8], what: &str) -> Result<u32, Fault> {
    let id = match pax {
        Some(id) => id,
        None => header::unsigned(field, what)?,
    };
    match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(bad(format!("the {what} {id} is out of range"))),
    }
}

/// The POSIX header wins over a field that could not hold the size; two sizes that differ are how
/// one archive shows two contents (CVE-2025-62518, CVE-2026-33055).
fn stored_size(header: &Header, pax: &Pax) -> Result<u64, Fault> {
    let field = &header.as_old().size;
    let size = match pax.size {
        None => header::unsigned(field, "size")?,
        Some(size) => {
            let old = header::unsigned(field, "size")?;
            if old != 0 && old != size {
                return Err(bad(format!("contradicting sizes {old} and {size}")));
            }
            size
        }
    };
    match i64::try_from(size) {
        Ok(_) => Ok(size),
        Err(_) => Err(bad(format!("the size {size} is out of range"))),
    }
}

/// Only files have content: a size that another type states is ignored, as Go does.
fn kind(header: &Header, path: &[u8]) -> Result<Type, Fault> {
    Ok(match header.as_old().linkflag[0] {
        // Before POSIX, a directory was a file with a slash.
        0 if path.ends_with(b"/") => Type::Directory,
        0 | b'0' | b'7' => Type::File,
        b'1' => Type::HardLink,
        b'2' => Type::Symlink,
        b'3' => device(header).map(|(major, minor)| Type::CharDevice(major, minor))?,
        b'4' => device(header).map(|(major, minor)| Type::BlockDevice(major, minor))?,
        b'5' => Type::Directory,
        b'6' => Type::Fifo,
        b'S' => Type::SparseFile(Sparse {
            regions: Vec::new(),
            real_size: 0,
        }),
        other => {
            let flag = other.escape_ascii();
            return Err(bad(format!("unknown type '{flag}'")));
        }
    })
}

/// Linux has 12 bits of major and 20 bits of minor number; more would be another device.
fn device(header: &Header) -> Result<(u32, u32), Fault> {
    let bytes = header.as_bytes();
    let number = |field: &[u8], most: u64, what: &str| {
        let number = header::unsigned(field, what)?;
        match u32::try_from(number) {
            Ok(fits) if number <= most => Ok(fits),
            _ => Err(bad(format!("the {what} {number} is out of range"))),
        }
    };
    Ok((
        number(&bytes[329..337], 0xfff, "major device number")?,
        number(&bytes[337..345], 0xf_ffff, "minor device number")?,
    ))
}
