//! An OCI image layout in a plain tar file, read by offset without unpacking it.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Result;

use super::{Files, missing, read_document};
use crate::error::{Fault, Kind};
use crate::image::Digest;

/// Most members that an archive may have; an image has a few per layer.
const MAX_MEMBERS: usize = 100_000;
/// Largest header of a member with its long names and PAX records, in bytes: the tar crate reads
/// those into memory, however long they say they are.
const MAX_HEADER: u64 = 1 << 20;
/// Longest name that is remembered; a blob's is shorter.
const MAX_NAME: usize = 256;

/// An opened archive.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    members: HashMap<Vec<u8>, Member>,
}

/// Where a regular file's bytes are.
#[derive(Clone, Copy, Debug)]
struct Member {
    offset: u64,
    size: u64,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // A FIFO would hold us up, and has no offsets to read from.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(Fault::new(Kind::Unsupported, "it is not a regular file").into());
        }
        refuse_compressed(&file)?;
        let members = list(&file)?;
        Ok(Self { file, members })
    }

    fn member(&self, name: &str, skip: u64) -> Result<Option<MemberReader>> {
        let Some(member) = self.members.get(name.as_bytes()) else {
            return Ok(None);
        };
        let skip = skip.min(member.size);
        let at = Member {
            offset: member.offset + skip,
            size: member.size - skip,
        };
        Ok(Some(MemberReader {
            file: self.file.try_clone()?,
            at,
        }))
    }
}

impl Files for Archive {
    fn index(&self) -> Result<Vec<u8>> {
        match self.member("index.json", 0)? {
            Some(reader) => read_document(reader, "index.json"),
            None => Err(Fault::new(Kind::NotFound, "there is no index.json in it")
                .hint("a 'docker save' file is no OCI archive; convert it with skopeo copy")
                .into()),
        }
    }

    fn blob(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send>> {
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        let reader = self.member(&name, offset)?.ok_or_else(|| missing(digest))?;
        Ok(Box::new(reader))
    }
}

fn refuse_compressed(file: &File) -> Result<()> {
    let mut magic = [0_u8; 4];
    let read = file.read_at(&mut magic, 0)?;
    let compressed = match &magic[..read] {
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "zstd",
        _ => return Ok(()),
    };
    Err(Fault::new(
        Kind::Unsupported,
        format!("the archive is compressed with {compressed}"),
    )
    .hint(format!("decompress it first, with '{compressed} -d'"))
    .into())
}

fn list(file: &File) -> Result<HashMap<Vec<u8>, Member>> {
    let left = Cell::new(MAX_HEADER);
    let mut archive = tar::Archive::new(Headers { file, left: &left });
    let mut members = HashMap::new();
    for (number, entry) in archive.entries_with_seek()?.enumerate() {
        let entry = entry.map_err(|_| unreadable(left.get()))?;
        if number == MAX_MEMBERS {
            let message = format!("it has more than {MAX_MEMBERS} members");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        left.set(MAX_HEADER);
        let kind = entry.header().entry_type();
        let name = entry.path_bytes();
        let name = name.strip_prefix(b"./".as_slice()).unwrap_or(&name);
        if (kind.is_file() || kind.is_contiguous()) && name.len() <= MAX_NAME {
            let (offset, size) = (entry.raw_file_position(), entry.size());
            members.insert(name.to_vec(), Member { offset, size });
        }
    }
    Ok(members)
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
struct MemberReader {
    file: File,
    at: Member,
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
