//! The file that a container's ID is written to: made before anything else, so that two containers
//! never share one, and removed again if nothing was started.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};

/// A new file, empty until there is a container.
#[derive(Debug)]
pub(super) struct CidFile {
    path: PathBuf,
}

impl CidFile {
    /// Makes it. One that is there is a fault, as for docker: it may be another container's. The
    /// path is absolute: who watches a container in the background is in another directory.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let made = OpenOptions::new().write(true).create_new(true).open(&path);
        match made {
            Ok(_) => Ok(Self { path }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let message = format!("--cidfile {}: the file is there already", path.display());
                Err(Fault::new(Kind::Usage, message)
                    .hint("remove it, or name another one")
                    .into())
            }
            Err(error) => Err(error).with_context(|| format!("--cidfile {}", path.display())),
        }
    }

    /// Removes it: there never was a container.
    pub(super) fn discard(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Writes the ID, before the command runs, which may look for it.
    pub(super) fn write(&self, id: &str) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|mut file| file.write_all(id.as_bytes()))
            .with_context(|| format!("--cidfile {}", self.path.display()))
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|found| found.len() == 0) {
            // It is ours, and says nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}
