//! Private directories that go away, whatever is still mounted below them.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

/// A directory of its own under `$UCR_TEST_TMP` or `/var/tmp` (a disk; `/tmp` may be a tmpfs that
/// has no user xattrs). Removed on drop, mounts below it first.
#[derive(Debug)]
pub struct Scratch {
    directory: Option<TempDir>,
    path: PathBuf,
}

impl Scratch {
    /// Makes the directory, mode 0755: containers with another user must get through it.
    pub fn new() -> Self {
        let parent = std::env::var_os("UCR_TEST_TMP").unwrap_or_else(|| "/var/tmp".into());
        let directory = tempfile::Builder::new()
            .prefix("ucr-test-")
            .tempdir_in(&parent)
            .unwrap_or_else(|error| panic!("a directory in {}: {error}", parent.display()));
        let path = directory.path().to_owned();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).expect("chmod of the scratch directory");
        Self {
            directory: Some(directory),
            path,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path below it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a directory below it.
    pub fn dir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("mkdir {}: {e}", path.display()));
        path
    }

    /// Writes a file below it.
    pub fn file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for mount in mounts_below(&self.path).iter().rev() {
            // It may be gone already: the mount above took it along.
            let _ = unmount(mount, UnmountFlags::DETACH);
        }
        if let Some(Err(error)) = self.directory.take().map(TempDir::close) {
            eprintln!("{} stays: {error}", self.path.display());
        }
    }
}

/// The mount points below a directory, in the order in which they were mounted.
pub fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo");
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter(|path| path.starts_with(directory))
        .collect()
}

/// mountinfo writes blank, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    std::ffi::OsString::from_vec(bytes).into()
}
