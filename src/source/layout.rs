//! An OCI image layout in a directory (image-spec, image-layout.md).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, fstat};

use super::{missing, read_document, select, verified};
use crate::error::{Fault, Kind};
use crate::image::{Descriptor, Digest, Raw};
use crate::sys::root::Root;

/// An opened layout, reduced to one of its images.
#[derive(Debug)]
pub struct Layout {
    directory: Root,
    top: Digest,
}

impl Layout {
    /// Opens the layout and chooses an image. Fails with [`Kind::NotFound`] if there is none.
    pub fn open(path: &Path, tag: Option<&str>) -> Result<Self> {
        Self::open_tagged(path, tag).with_context(|| format!("OCI layout {}", path.display()))
    }

    fn open_tagged(path: &Path, tag: Option<&str>) -> Result<Self> {
        // The layout itself may be reached through a link; what is inside may not lead out.
        let directory = Root::from_fd(File::open(path)?.into());
        let index = read_document(
            open_regular(&directory, Path::new("index.json"))?,
            "index.json",
        )
        .map_err(
            |error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::NotFound) => no_layout(),
                _ => error,
            },
        )?;
        let top = select(&index, tag)?;
        Ok(Self { directory, top })
    }

    /// The manifest or index of the chosen image.
    pub fn top(&self) -> Result<Raw> {
        self.document(&self.top)
    }

    /// A manifest or index by digest.
    pub fn document(&self, digest: &Digest) -> Result<Raw> {
        let bytes = read_document(self.open_blob(digest)?, "manifest")?;
        Raw::verified(bytes, None, digest).with_context(|| format!("manifest {digest}"))
    }

    /// A verified small blob.
    pub fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        verified(self.open_blob(&descriptor.digest)?, descriptor)
    }

    /// A layer's bytes from an offset on, not yet verified.
    pub fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<impl Read + use<>> {
        let mut file = self.open_blob(&descriptor.digest)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }

    fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path: PathBuf = ["blobs", digest.algorithm().name(), digest.hex()]
            .iter()
            .collect();
        open_regular(&self.directory, &path).map_err(|error| {
            match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::NotFound) => missing(digest).into(),
                _ => error.context(format!("blob {digest}")),
            }
        })
    }
}

fn no_layout() -> anyhow::Error {
    Fault::new(Kind::NotFound, "there is no index.json in it")
        .hint("name the directory that holds index.json, oci-layout and blobs/")
        .into()
}

/// Opens a regular file inside the layout; a FIFO would block, a device would not end.
fn open_regular(directory: &Root, path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = directory.resolve(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        let message = format!("{} is not a regular file", path.display());
        return Err(Fault::new(Kind::Registry, message).into());
    }
    Ok(File::from(file))
}
