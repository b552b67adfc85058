//! The file that a container's ID is written to: made before anything else, so that two containers
//! never share one, and removed again if nothing was started.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};

/// A new file, empty until there is a container.
#[derive(Debug)]
pub(super) struct CidFile {
    path: PathBuf,
    file: fs::File,
    is_written: bool,
}

impl CidFile {
    /// Makes it. One that is there is a fault, as for docker: it may be another container's.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let what = || format!("--cidfile {}", path.display());
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Fault::new(Kind::Usage, "the file is there already")
                    .hint("remove it, or name another one"))
                .with_context(what);
            }
            other => other.with_context(what)?,
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            is_written: false,
        })
    }

    /// Writes the ID; from then on the file stays.
    pub(super) fn write(&mut self, id: &str) -> Result<()> {
        let what = || format!("--cidfile {}", self.path.display());
        self.file.write_all(id.as_bytes()).with_context(what)?;
        self.is_written = true;
        Ok(())
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if !self.is_written {
            // It is ours, and says nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}
