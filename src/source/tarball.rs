//! A plain tar file by the names of its members, read by offset without unpacking it.
//!
//! Nothing of it is in memory but the names and places of its regular files, and its links. A name
//! leads to bytes of the archive or to nothing: links are followed by their text, inside the
//! archive only. What two readers might read in two ways (a name that stands there twice, two
//! sizes, sparse files) is refused when it is asked for.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Result;

use crate::error::{Fault, Kind};

/// Most members that an archive may have; an image has a few per layer.
const MAX_MEMBERS: usize = 100_000;
/// Largest header of a member with its long names and PAX records, in bytes: the tar crate reads
/// those into memory, however long they say they are.
const MAX_HEADER: u64 = 1 << 20;
/// Longest name and link that is remembered, in bytes; a blob's is shorter.
const MAX_NAME: usize = 256;
/// Most links that are followed to a file. Docker writes one after the other, never a chain.
const MAX_LINKS: usize = 8;

/// An opened archive.
#[derive(Debug)]
pub(super) struct Tarball {
    file: File,
    members: HashMap<Vec<u8>, Member>,
}

/// What has a name in the archive.
#[derive(Clone, Debug)]
enum Member {
    File(Extent),
    /// The file of that name; `None` leads out of the archive.
    Link(Option<Vec<u8>>),
    /// Nothing that can be read, and why.
    Unusable(&'static str),
}

/// Where a regular file's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Extent {
    offset: u64,
    size: u64,
}

impl Extent {
    /// In bytes.
    pub(super) fn size(self) -> u64 {
        self.size
    }
}

impl Tarball {
    /// Opens an archive of this machine's. Fails with [`Kind::Unsupported`] if it is compressed.
    pub(super) fn open(path: &Path) -> Result<Self> {
        // A FIFO would hold us up, and has no offsets to read from.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        Self::of(file)
    }

    /// Reads an opened file, wherever it stands.
    pub(super) fn of(mut file: File) -> Result<Self> {
        if !file.metadata()?.is_file() {
            return Err(Fault::new(Kind::Unsupported, "it is not a regular file").into());
        }
        refuse_compressed(&file)?;
        file.rewind()?;
        let members = list(&file)?;
        Ok(Self { file, members })
    }

    /// Where a file is; `None` if there is none of that name.
    pub(super) fn find(&self, name: &str) -> Result<Option<Extent>> {
        let refuse = |why: &str| Fault::new(Kind::Registry, format!("'{name}' in it {why}"));
        let out = || refuse("leads out of the archive");
        let mut path = inside(b"", name.as_bytes()).ok_or_else(out)?;
        for _ in 0..=MAX_LINKS {
            path = match self.members.get(&path) {
                None => return Ok(None),
                Some(Member::File(extent)) => return Ok(Some(*extent)),
                Some(Member::Unusable(why)) => return Err(refuse(why).into()),
                Some(Member::Link(target)) => target.clone().ok_or_else(out)?,
            };
        }
        Err(refuse("is a link that leads nowhere").into())
    }

    /// A file's bytes from an offset on.
    pub(super) fn read(&self, extent: Extent, skip: u64) -> Result<MemberReader> {
        let skip = skip.min(extent.size);
        Ok(MemberReader {
            file: self.file.try_clone()?,
            at: Extent {
                offset: extent.offset + skip,
                size: extent.size - skip,
            },
        })
    }
}

fn refuse_compressed(file: &File) -> Result<()> {
    let mut magic = [0_u8; 6];
    let read = file.read_at(&mut magic, 0)?;
    match packer(&magic[..read]) {
        None => Ok(()),
        Some(packer) => Err(Fault::new(
            Kind::Unsupported,
            format!("the archive is compressed with {packer}"),
        )
        .hint(format!("decompress it first, with '{packer} -d'"))
        .into()),
    }
}

/// The program that made such bytes, which never begin a tar file.
pub(super) fn packer(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz"),
        _ => None,
    }
}

fn list(file: &File) -> Result<HashMap<Vec<u8>, Member>> {
    let length = file.metadata()?.len();
    let left = Cell::new(MAX_HEADER);
    let mut archive = tar::Archive::new(Headers { file, left: &left });
    let mut members = HashMap::new();
    for (number, entry) in archive.entries_with_seek()?.enumerate() {
        let mut entry = entry.map_err(|_| unreadable(left.get()))?;
        if number == MAX_MEMBERS {
            let message = format!("it has more than {MAX_MEMBERS} members");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        left.set(MAX_HEADER);
        if let Some((name, member)) = member(&mut entry, length)? {
            match members.entry(name) {
                Entry::Vacant(place) => drop(place.insert(member)),
                Entry::Occupied(mut place) => {
                    place.insert(Member::Unusable("stands there twice"));
                }
            }
        }
    }
    Ok(members)
}

/// A member by its name, if it is one that somebody may ask for; `length` is the archive's.
fn member<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    length: u64,
) -> Result<Option<(Vec<u8>, Member)>> {
    let kind = entry.header().entry_type();
    let sparse_name = sparse_name(entry);
    let is_sparse = sparse_name.is_some() || kind.is_gnu_sparse();
    let name = sparse_name.unwrap_or_else(|| entry.path_bytes().into_owned());
    let Some(name) = inside(b"", &name).filter(|name| name.len() <= MAX_NAME) else {
        return Ok(None);
    };
    let member = if is_sparse {
        Member::Unusable("is a sparse file")
    } else if kind.is_file() || kind.is_contiguous() {
        file_member(entry, length)?
    } else if kind.is_symlink() || kind.is_hard_link() {
        let from: &[u8] = if kind.is_symlink() { &name } else { b"" };
        Member::Link(link(entry, from))
    } else {
        return Ok(None);
    };
    Ok(Some((name, member)))
}

fn file_member<R: Read>(entry: &tar::Entry<'_, R>, length: u64) -> Result<Member> {
    let (offset, size) = (entry.raw_file_position(), entry.size());
    // A POSIX header wins over a field that could not hold the size; two sizes that differ are how
    // one archive shows two contents (CVE-2025-62518).
    match entry.header().entry_size() {
        Ok(field) if field == 0 || field == size => (),
        _ => return Ok(Member::Unusable("has two sizes")),
    }
    if offset.checked_add(size).is_none_or(|end| end > length) {
        return Err(Fault::new(Kind::Registry, "the archive is cut short").into());
    }
    Ok(Member::File(Extent { offset, size }))
}

/// Where a link leads: a symbolic one from its directory, a hard one from the top.
fn link<R: Read>(entry: &tar::Entry<'_, R>, from: &[u8]) -> Option<Vec<u8>> {
    let target = entry.link_name_bytes()?;
    let directory = from.rsplitn(2, |byte| *byte == b'/').nth(1).unwrap_or(b"");
    let is_out = target.starts_with(b"/") || target.len() > MAX_NAME;
    inside(directory, &target).filter(|_| !is_out)
}

/// The name of a sparse file in POSIX form, which stands in the place of its header's.
fn sparse_name<R: Read>(entry: &mut tar::Entry<'_, R>) -> Option<Vec<u8>> {
    let own = entry.path_bytes().into_owned();
    let records = entry.pax_extensions().ok()??;
    let sparse: Vec<_> = records
        .flatten()
        .filter(|record| record.key_bytes().starts_with(b"GNU.sparse."))
        .collect();
    let name = sparse
        .iter()
        .find(|record| record.key_bytes() == b"GNU.sparse.name");
    let name = name.map(|record| record.value_bytes().to_vec());
    (!sparse.is_empty()).then(|| name.unwrap_or(own))
}

/// A name below a directory as one path from the top of the archive, without `.`, `..` and a slash
/// in front; `None` if it leads out.
fn inside(directory: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    let both = directory
        .split(|byte| *byte == b'/')
        .chain(name.split(|byte| *byte == b'/'));
    for part in both {
        match part {
            b"" | b"." => (),
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// The reason of the tar crate would quote the file, which may be anything.
fn unreadable(left: u64) -> Fault {
    if left == 0 {
        let kib = MAX_HEADER >> 10;
        return Fault::new(Kind::Limit, format!("a header in it is over {kib} KiB"));
    }
    Fault::new(Kind::Registry, "it is not a tar file")
}

/// What is read of the archive to list it: headers and what belongs to them, for contents are
/// skipped by seeking.
struct Headers<'a> {
    file: &'a File,
    /// How many bytes the present member's header may still have.
    left: &'a Cell<u64>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let want = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..want])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(position)
    }
}

/// Reads one member; several threads read several members of one file at once.
#[derive(Debug)]
pub(super) struct MemberReader {
    file: File,
    at: Extent,
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let want = buffer
            .len()
            .min(usize::try_from(self.at.size).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..want], self.at.offset)?;
        self.at.offset += read as u64;
        self.at.size -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        let rows: [(&str, &str, Option<&str>); 9] = [
            ("", "manifest.json", Some("manifest.json")),
            ("", "./a//b/", Some("a/b")),
            ("", "/a", Some("a")),
            ("", "a/../b", Some("b")),
            ("", "../b", None),
            ("a", "../b/layer.tar", Some("b/layer.tar")),
            ("a/b", "../../c", Some("c")),
            ("a/b", "../../../c", None),
            ("", "", Some("")),
        ];
        for (directory, name, expected) in rows {
            let found = inside(directory.as_bytes(), name.as_bytes());
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(found, expected, "{directory} {name}");
        }
    }
}
