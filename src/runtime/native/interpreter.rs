//! What a file needs to be executed: the interpreter of a script, the loader of a dynamic program.
//!
//! The kernel opens these while `/proc/self/exe` still is ucr's own program on the host, so they
//! are looked at first. Pure but for reading the heads of files.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

/// Longest chain of scripts that the kernel follows (BINPRM_MAX_RECURSION).
const MAX_DEPTH: usize = 5;
/// Bytes of a script that the kernel looks at (BINPRM_BUF_SIZE).
const SCRIPT_HEAD: usize = 256;
/// Longest loader path that is believed, in bytes.
const MAX_PATH: usize = 4096;

/// A file on a disk: device and inode.
pub(super) type Identity = (u64, u64);

/// Whether executing a path would execute, or load, the file with this identity.
pub(super) fn leads_to(path: &str, forbidden: Identity) -> bool {
    let mut next = Some(path.to_owned());
    for _ in 0..=MAX_DEPTH {
        let Some(path) = next else { return false };
        if std::fs::metadata(&path).is_ok_and(|found| (found.dev(), found.ino()) == forbidden) {
            return true;
        }
        next = of(&path);
    }
    false
}

/// The interpreter or loader that a file names, if it names one.
pub(super) fn of(path: &str) -> Option<String> {
    // A FIFO must not hold us up.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    (&file)
        .take(SCRIPT_HEAD as u64)
        .read_to_end(&mut head)
        .ok()?;
    match head.as_slice() {
        [b'#', b'!', line @ ..] => script(line),
        [0x7f, b'E', b'L', b'F', ..] => loader(&file, &head),
        _ => None,
    }
}

fn script(line: &[u8]) -> Option<String> {
    let line = line.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split([' ', '\t', '\0'])
        .find(|word| !word.is_empty())
        .map(str::to_owned)
}

/// Where the fields of a program header table are, for one word size (ELF specification, 1.2).
struct Fields {
    table: (usize, usize),
    entry_size: usize,
    entries: usize,
    offset: (usize, usize),
    size: (usize, usize),
}

const ELF32: Fields = Fields {
    table: (28, 4),
    entry_size: 42,
    entries: 44,
    offset: (4, 4),
    size: (16, 4),
};
const ELF64: Fields = Fields {
    table: (32, 8),
    entry_size: 54,
    entries: 56,
    offset: (8, 8),
    size: (32, 8),
};
/// The program header that names the loader.
const PT_INTERP: u64 = 3;

fn loader(file: &File, head: &[u8]) -> Option<String> {
    let fields = if *head.get(4)? == 2 { &ELF64 } else { &ELF32 };
    let table = number(head, fields.table)?;
    let entry_size = number(head, (fields.entry_size, 2))?;
    for entry in 0..number(head, (fields.entries, 2))? {
        let mut header = [0_u8; 56];
        let at = table.checked_add(entry.checked_mul(entry_size)?)?;
        let read = file.read_at(&mut header, at).ok()?;
        if number(&header[..read], (0, 4))? == PT_INTERP {
            let offset = number(&header, fields.offset)?;
            let size = usize::try_from(number(&header, fields.size)?).ok()?;
            let mut path = vec![0_u8; size.min(MAX_PATH)];
            file.read_exact_at(&mut path, offset).ok()?;
            let path = path.split(|b| *b == 0).next()?;
            return Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    None
}

/// A little-endian number; every architecture that ucr is built for is so.
fn number(bytes: &[u8], (at, size): (usize, usize)) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn scripts_and_programs() {
        let scratch = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = scratch.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let rows: [(&[u8], Option<&str>); 6] = [
            (b"#! /bin/sh -e\nx", Some("/bin/sh")),
            (b"#!/bin/sh", Some("/bin/sh")),
            (b"#!\n", None),
            (b"text", None),
            (b"", None),
            (b"\x7fELF\x02", None),
        ];
        for (content, expected) in rows {
            assert_eq!(of(&file("f", content)).as_deref(), expected, "{content:?}");
        }
        assert!(
            of("/bin/ls").unwrap().starts_with("/lib"),
            "a dynamic program has a loader"
        );
    }

    #[test]
    fn a_chain_is_followed_and_a_loop_ends() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("target"), "x").unwrap();
        fs::write(path("a"), format!("#!{}\n", path("b"))).unwrap();
        fs::write(path("b"), format!("#!{} arg\n", path("target"))).unwrap();
        fs::write(path("loop"), format!("#!{}\n", path("loop"))).unwrap();
        let target = fs::metadata(path("target")).unwrap();
        let target = (target.dev(), target.ino());
        assert!(leads_to(&path("a"), target));
        assert!(leads_to(&path("target"), target));
        assert!(!leads_to(&path("loop"), target));
        assert!(!leads_to(&path("none"), target));
    }
}
