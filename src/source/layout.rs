//! An OCI image layout in a directory (image-spec, image-layout.md).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, fstat};

use super::{Blobs, Files, missing, read_document};
use crate::error::{Fault, Kind};
use crate::image::Digest;
use crate::sys::root::Root;

/// An opened layout.
#[derive(Debug)]
pub(super) struct Layout {
    directory: Root,
}

impl Layout {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // The layout itself may be reached through a link; what is inside may not lead out. Only
        // as a directory: opening a FIFO waits for a writer.
        let directory = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path)?;
        Ok(Self {
            directory: Root::from_fd(directory.into()),
        })
    }
}

impl Files for Layout {
    fn index(&self) -> Result<Vec<u8>> {
        match open_regular(&self.directory, Path::new("index.json"))? {
            Some(file) => read_document(file, "index.json"),
            None => Err(Fault::new(Kind::NotFound, "there is no index.json in it")
                .hint("name the directory that holds index.json, oci-layout and blobs/")
                .into()),
        }
    }
}

impl Blobs for Layout {
    fn blob(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send>> {
        let path: PathBuf = ["blobs", digest.algorithm().name(), digest.hex()]
            .iter()
            .collect();
        let file =
            open_regular(&self.directory, &path).with_context(|| format!("blob {digest}"))?;
        let mut file = file.ok_or_else(|| missing(digest))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// Opens a regular file inside the layout; a FIFO would block, a device would not end. `None` if
/// there is nothing of that name.
fn open_regular(directory: &Root, path: &Path) -> Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match directory.resolve(path, flags, Mode::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        let message = format!("{} is not a regular file", path.display());
        return Err(Fault::new(Kind::Registry, message).into());
    }
    Ok(Some(File::from(file)))
}
