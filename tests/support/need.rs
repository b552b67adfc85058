//! What a test needs from the machine. A lack is a failure that names the remedy, never a skip.

use std::path::PathBuf;

/// Panics unless the tests run as root.
pub fn root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: run ./tests/all as root"
    );
}

/// The path of a program, or a panic that names the Debian package which has it.
pub fn program(name: &str, package: &str) -> PathBuf {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .map(|directory| PathBuf::from(directory).join(name))
    .find(|path| path.exists())
    .unwrap_or_else(|| {
        panic!("this test needs {name}: apt-get install {package}, or run ./tests/all")
    })
}
