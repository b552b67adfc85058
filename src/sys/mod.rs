//! The kernel: the only `unsafe` and the only raw system calls.
//!
//! rustix and nix where they have a safe form; `libc::syscall` for what neither wraps (clone3,
//! mount_setattr, close_range, execveat). Nothing in here knows about images or containers.

pub mod bpf;
pub mod cgroup;
pub mod credential;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod proc;
pub mod process;
pub mod root;
pub mod seccomp;
pub mod signal;
pub mod tty;
pub mod users;
pub mod xattr;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

/// Twelve random hex digits: a name that nobody can guess and nobody else will choose.
pub fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; 6];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Any number.
pub fn random_number() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u64::from_le_bytes(bytes))
}

/// Seconds since 1970; 0 on a machine whose clock is before that.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// The permission bits that new files of this process do not get: all of them if the kernel does
/// not tell (before Linux 4.7). Asked once; the call `umask` could only tell by changing it.
pub fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        let umask = line.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
        umask.unwrap_or(0o777)
    })
}

/// Names the present boot; mounts and processes recorded under another one are gone.
pub fn boot_id() -> io::Result<String> {
    let id = proc::Proc::open()?.read("sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

/// Whether we are root, of the machine or of a user namespace, which ucr needs for mounts.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes a directory that only its owner may enter, below parents that are as open as the umask
/// leaves them. One that is there stays as it is.
pub fn make_private(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Makes a directory that everybody may enter and list, whatever the umask.
pub fn make_open(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Makes all that was written to the filesystem of a directory durable.
pub fn sync_filesystem(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes a file or a whole tree; a missing one is fine.
pub fn remove_path(path: &Path) -> io::Result<()> {
    use std::os::fd::AsFd;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    match root::Root::open(parent).and_then(|parent| root::remove_tree(parent.as_fd(), name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
