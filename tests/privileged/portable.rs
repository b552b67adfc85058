//! One file that can be copied to another machine: static, small, and able to find a registry by
//! its name where there is nothing but itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::process::{self, Finished};
use crate::support::registry::Registry;
use crate::support::scratch::Scratch;
use crate::support::{need, samples};

const MAX_BYTES: u64 = 15 << 20;

/// The binary that users get: `./tests/all` has built it; else it is built now.
fn release() -> PathBuf {
    if let Some(path) = std::env::var_os("UCR_TEST_BINARY") {
        return path.into();
    }
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/build");
    let limit = Duration::from_secs(900);
    let built = process::run(&mut Command::new(build), b"", limit).ok();
    built.stdout.lines().last().unwrap().into()
}

#[test]
fn the_release_binary_is_static_and_small() {
    let path = release();
    let bytes = fs::read(&path).unwrap();
    assert!(
        bytes.len() as u64 <= MAX_BYTES,
        "{}: {} bytes, allowed {MAX_BYTES}",
        path.display(),
        bytes.len()
    );
    assert_eq!(
        &bytes[..5],
        b"\x7fELF\x02",
        "{} is a 64-bit ELF file",
        path.display()
    );
    // A program header of type PT_INTERP names the dynamic linker; a static file has none.
    let number = |at: usize, size: usize| {
        let field = bytes[at..at + size].iter().rev();
        field.fold(0, |value, byte| value << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    assert!(count > 0);
    let interpreter = (0..count).any(|index| number(table + index * size, 4) == 3);
    assert!(!interpreter, "{} is dynamically linked", path.display());
}

/// A root directory with the binary, /etc/hosts and /etc/resolv.conf.
fn bare_machine(scratch: &Scratch, hosts: &str) -> PathBuf {
    let root = scratch.dir("machine");
    scratch.dir("machine/etc");
    fs::copy(release(), root.join("ucr")).unwrap();
    scratch.file("machine/etc/hosts", hosts);
    // Nobody answers there, and nobody outside is asked.
    scratch.file(
        "machine/etc/resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    root
}

/// Runs it with that root, which need not be a mount point as the root of a machine is.
fn there(root: &Path, words: &[&str]) -> Finished {
    let mut command = Command::new(need::program("chroot", "coreutils"));
    command.env_clear().arg(root).arg("/ucr").args(words);
    process::run(&mut command, b"", Duration::from_secs(120))
}

#[test]
fn it_works_where_there_is_nothing_else() {
    need::root();
    let registry = Registry::open();
    let layout = samples::busybox();
    registry.push(&layout, samples::TAG, "demo/busybox:1");
    let port = registry.address().rsplit_once(':').unwrap().1;
    let scratch = Scratch::new();
    let root = bare_machine(
        &scratch,
        "127.0.0.1 localhost\n127.0.0.1 registry.example\n",
    );
    let image = format!("registry.example:{port}/demo/busybox:1");
    let pulled = there(&root, &["pull", "--plain-http", &image]).ok();
    assert_eq!(pulled.text(), layout.resolve(samples::TAG));
    let done = there(&root, &["run", &image, "sh", "-c", "echo hello; exit 6"]);
    assert_eq!(done.expect_code(6).stdout, "hello\n");
}

/// A name that nobody knows is a fault that names it, soon.
#[test]
fn an_unknown_host() {
    need::root();
    let scratch = Scratch::new();
    let root = bare_machine(&scratch, "127.0.0.1 localhost\n");
    there(&root, &["pull", "nosuch.example/a:1"]).refused(&["nosuch.example"]);
}
