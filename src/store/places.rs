//! Empty places for what is mounted in every container: a layer below all others, so that for an
//! image without them nothing is made, and removed again, at each start. Docker has its init layer
//! for that.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::symlinkat;
use rustix::io::Errno;

use super::Store;
use super::layer::rename_to_new;

const DIRECTORIES: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 3] = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

impl Store {
    /// Where they are; made if they are not there.
    pub fn places(&self) -> Result<PathBuf> {
        let path = self.path("places");
        if !path.exists() {
            self.make_places(&path)
                .with_context(|| format!("make {}", path.display()))?;
        }
        Ok(path)
    }

    fn make_places(&self, path: &Path) -> Result<()> {
        let staging = self.stage()?;
        for name in DIRECTORIES {
            staging.root().create_dir_all(Path::new(name), 0o755)?;
        }
        for name in FILES {
            staging.root().create_file(Path::new(name), 0o644)?;
        }
        let etc = staging.root().create_dir_all(Path::new("etc"), 0o755)?;
        symlinkat("/proc/mounts", etc, "mtab")?;
        match rename_to_new(&staging.tree(), path) {
            // Another ucr was quicker.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_made_once() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        let path = store.places().unwrap();
        assert!(path.join("etc/hosts").is_file() && path.join("proc").is_dir());
        let made = path.metadata().unwrap();
        assert_eq!(store.places().unwrap(), path);
        use std::os::unix::fs::MetadataExt;
        assert_eq!(path.metadata().unwrap().ino(), made.ino());
        // What was staged is gone.
        assert_eq!(
            std::fs::read_dir(store.root().join("tmp")).unwrap().count(),
            0
        );
        store.make_places(&path).unwrap();
        assert_eq!(
            std::fs::read_dir(store.root().join("tmp")).unwrap().count(),
            0
        );
    }
}
