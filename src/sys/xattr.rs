//! Extended attributes of objects below a directory handle.
//!
//! Regular files and directories are reached by their own descriptor. Symbolic links and special
//! files cannot be opened, and a handle opened with `O_PATH` is refused by the xattr calls, so they
//! are named through `/proc/self/fd/N/name`: the directory is still the handle, only the last
//! component is looked up, and it is never followed.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::XattrFlags;

/// The kernel's own limits (`XATTR_NAME_MAX`, `XATTR_SIZE_MAX`), in bytes.
pub const NAME_MAX: usize = 255;
/// The largest value that the kernel takes, in bytes.
pub const VALUE_MAX: usize = 65536;

/// One attribute: its name with the namespace, and its value.
pub type Xattr = (OsString, Vec<u8>);

/// Sets an attribute of an open file or directory.
pub fn set(file: impl AsFd, name: &OsStr, value: &[u8]) -> io::Result<()> {
    rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()).map_err(io::Error::from)
}

/// Sets an attribute of the object `entry` in `dir`, which may be a symbolic link.
pub fn set_at(dir: BorrowedFd, entry: &OsStr, name: &OsStr, value: &[u8]) -> io::Result<()> {
    let path = proc_path(dir, entry);
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).map_err(io::Error::from)
}

/// Removes an attribute of an open file or directory; one that is not there is fine.
pub fn remove(file: impl AsFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::fremovexattr(file, name) {
        Ok(()) | Err(rustix::io::Errno::NODATA) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes the default ACL of a directory away, which everything made in it would inherit.
pub fn stop_inheritance(directory: impl AsFd) -> io::Result<()> {
    match remove(directory, OsStr::new("system.posix_acl_default")) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Takes away what a directory that was just made has inherited itself. Its mode is to be set after.
pub fn disinherit(directory: impl AsFd) -> io::Result<()> {
    let directory = directory.as_fd();
    stop_inheritance(directory)?;
    match remove(directory, OsStr::new("system.posix_acl_access")) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// The value of one attribute of an open file or directory; `None` if it has none.
pub fn get(file: impl AsFd, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let file = file.as_fd();
    read_value(|buffer| rustix::fs::fgetxattr(file, name, buffer))
}

/// All attributes of an open file or directory.
pub fn list(file: impl AsFd) -> io::Result<Vec<Xattr>> {
    let file = file.as_fd();
    collect(
        |buffer| rustix::fs::flistxattr(file, buffer),
        |name, buffer| rustix::fs::fgetxattr(file, name, buffer),
    )
}

/// All attributes of the object `entry` in `dir`, which may be a symbolic link.
pub fn list_at(dir: BorrowedFd, entry: &OsStr) -> io::Result<Vec<Xattr>> {
    let path = proc_path(dir, entry);
    collect(
        |buffer| rustix::fs::llistxattr(&path, buffer),
        |name, buffer| rustix::fs::lgetxattr(&path, name, buffer),
    )
}

fn proc_path(dir: BorrowedFd, entry: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(entry)
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&CStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<Xattr>> {
    let Some(names) = read_value(list)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let key = CString::new(name)?;
        // Another process may have removed it since it was listed.
        if let Some(value) = read_value(|buffer| get(&key, buffer))? {
            found.push((OsString::from_vec(name.to_vec()), value));
        }
    }
    found.sort();
    Ok(found)
}

/// Small answers fit on the first try; the kernel never has more than [`VALUE_MAX`] bytes.
fn read_value(
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Option<Vec<u8>>> {
    for size in [512, VALUE_MAX] {
        let mut buffer = vec![0; size];
        match read(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(Some(buffer));
            }
            Err(rustix::io::Errno::RANGE) => {}
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(rustix::io::Errno::RANGE.into())
}

/// Whether the attribute is one of the overlay file system's own.
pub fn is_overlay(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_files_and_links_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let handle = std::fs::File::open(dir.path()).unwrap();
        let file = std::fs::File::create(dir.path().join("f")).unwrap();
        let big = vec![7; 2000];
        set(&file, OsStr::new("trusted.big"), &big).unwrap();
        set(&file, OsStr::new("user.empty"), b"").unwrap();
        let all = list(&file).unwrap();
        let expected: Vec<Xattr> = vec![
            ("trusted.big".into(), big.clone()),
            ("user.empty".into(), Vec::new()),
        ];
        assert_eq!(all, expected);
        assert_eq!(list_at(handle.as_fd(), OsStr::new("f")).unwrap(), expected);

        // The link's own attribute, never that of its target.
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        let link = OsStr::new("l");
        set_at(handle.as_fd(), link, OsStr::new("trusted.x"), b"1").unwrap();
        let of_link = list_at(handle.as_fd(), link).unwrap();
        assert_eq!(of_link, vec![("trusted.x".into(), b"1".to_vec())]);
        assert_eq!(get(&file, OsStr::new("trusted.x")).unwrap(), None);

        remove(&file, OsStr::new("trusted.big")).unwrap();
        remove(&file, OsStr::new("trusted.big")).unwrap();
        assert_eq!(get(&file, OsStr::new("trusted.big")).unwrap(), None);
    }
}
