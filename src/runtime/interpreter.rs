//! What a file needs to be executed: the interpreter of a script, the loader of a dynamic program.
//!
//! The kernel opens these while `/proc/self/exe` still is ucr's own program on the host, so they
//! are looked at first. Pure but for reading the heads of files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest chain of scripts that the kernel follows (BINPRM_MAX_RECURSION).
const MAX_DEPTH: usize = 5;
/// Bytes of a script that the kernel looks at (BINPRM_BUF_SIZE).
const SCRIPT_HEAD: usize = 256;
/// Longest loader path that is believed, in bytes.
const MAX_PATH: usize = 4096;
/// Longest table of program headers that the kernel reads, in bytes.
const MAX_TABLE: usize = 1 << 16;

/// A file on a disk: device and inode.
pub(super) type Identity = (u64, u64);

/// Whether executing a path would execute, or load, the file with this identity.
pub(super) fn leads_to(path: &Path, forbidden: Identity) -> bool {
    let mut next = vec![path.to_owned()];
    for _ in 0..=MAX_DEPTH {
        if next.iter().any(|path| is(path, forbidden)) {
            return true;
        }
        next = next.iter().flat_map(|path| named_by(path)).collect();
    }
    false
}

fn is(path: &Path, identity: Identity) -> bool {
    std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == identity)
}

/// The interpreter or loader that a file names, if it names one; where it is not clear how the
/// kernel reads the file, all that it may name.
pub(super) fn named_by(path: &Path) -> Vec<PathBuf> {
    head_of(path).map_or_else(Vec::new, |(file, head)| {
        named(&head, &|bytes, at| file.read_exact_at(bytes, at).ok())
    })
}

/// The same, of a file's content.
pub(super) fn named_in(content: &[u8]) -> Vec<PathBuf> {
    let head = &content[..content.len().min(SCRIPT_HEAD)];
    named(head, &|bytes, at| {
        let at = usize::try_from(at).ok()?;
        bytes.copy_from_slice(content.get(at..at.checked_add(bytes.len())?)?);
        Some(())
    })
}

/// Whether a file's content begins like a program for this machine.
pub(super) fn is_program(content: &[u8]) -> bool {
    /// `e_machine`, of programs that this kernel executes.
    const MACHINES: [u64; 2] = if cfg!(target_arch = "aarch64") {
        [183, 40]
    } else {
        [62, 3]
    };
    let machine = number(content, (18, 2));
    content.starts_with(b"\x7fELF") && machine.is_some_and(|it| MACHINES.contains(&it))
}

/// Reads bytes at an offset.
type ReadAt<'a> = &'a dyn Fn(&mut [u8], u64) -> Option<()>;

fn named(head: &[u8], read_at: ReadAt) -> Vec<PathBuf> {
    match head {
        [b'#', b'!', line @ ..] => script(line).into_iter().collect(),
        // The class is no help: the kernel's loader for 64 bits does not look at it.
        [0x7f, b'E', b'L', b'F', ..] => [&ELF64, &ELF32]
            .into_iter()
            .filter_map(|fields| loader(head, fields, read_at))
            .collect(),
        _ => Vec::new(),
    }
}

fn head_of(path: &Path) -> Option<(File, Vec<u8>)> {
    // A FIFO must not hold us up.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
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
    Some((file, head))
}

/// Names are bytes: another file must not be looked at than the kernel opens.
fn name(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn script(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|b| *b == b'\n').next()?;
    line.split(|b| b" \t\0".contains(b))
        .find(|word| !word.is_empty())
        .map(name)
}

/// Where the fields of a program header table are, for one word size (ELF specification, 1.2).
struct Fields {
    table: (usize, usize),
    entry_size: usize,
    entries: usize,
    /// The only size of an entry that the kernel takes.
    size_of_entry: usize,
    offset: (usize, usize),
    size: (usize, usize),
}

const ELF32: Fields = Fields {
    table: (28, 4),
    entry_size: 42,
    entries: 44,
    size_of_entry: 32,
    offset: (4, 4),
    size: (16, 4),
};
const ELF64: Fields = Fields {
    table: (32, 8),
    entry_size: 54,
    entries: 56,
    size_of_entry: 56,
    offset: (8, 8),
    size: (32, 8),
};
/// The program header that names the loader.
const PT_INTERP: u64 = 3;

fn loader(head: &[u8], fields: &Fields, read_at: ReadAt) -> Option<PathBuf> {
    let (at, entries) = (number(head, fields.table)?, length(head, fields.entries)?);
    let size = fields.size_of_entry;
    if length(head, fields.entry_size)? != size || entries * size > MAX_TABLE {
        return None;
    }
    let mut table = vec![0; entries * size];
    read_at(&mut table, at)?;
    let header = table
        .chunks_exact(size)
        .find(|header| number(header, (0, 4)) == Some(PT_INTERP))?;
    let length = usize::try_from(number(header, fields.size)?).ok()?;
    let mut path = vec![0_u8; length.min(MAX_PATH)];
    read_at(&mut path, number(header, fields.offset)?)?;
    path.split(|b| *b == 0).next().map(name)
}

fn length(bytes: &[u8], at: usize) -> Option<usize> {
    number(bytes, (at, 2)).and_then(|length| usize::try_from(length).ok())
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
            path
        };
        let rows: [(&[u8], Option<&[u8]>); 8] = [
            (b"#! /bin/sh -e\nx", Some(b"/bin/sh")),
            (b"#!/bin/sh", Some(b"/bin/sh")),
            (b"#!\t /odd\xff\xfe\n", Some(b"/odd\xff\xfe")),
            (b"#!/nul\0x\n", Some(b"/nul")),
            (b"#!\n", None),
            (b"text", None),
            (b"", None),
            (b"\x7fELF\x02", None),
        ];
        for (content, expected) in rows {
            let expected: Vec<_> = expected.into_iter().map(name).collect();
            assert_eq!(named_by(&file("f", content)), expected, "{content:?}");
        }
        let loaders = named_by(Path::new("/bin/ls"));
        assert!(
            matches!(loaders.as_slice(), [loader] if loader.starts_with("/lib") || loader.starts_with("/lib64")),
            "a dynamic program has a loader: {loaders:?}"
        );
        // One that lies about its class has the same.
        let mut liar = fs::read("/bin/ls").unwrap();
        liar[4] = 1;
        assert_eq!(named_by(&file("liar", &liar)), loaders);
    }

    #[test]
    fn a_chain_is_followed_and_a_loop_ends() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        let script = |name: &str, line: &str| {
            let (place, line) = (path(name), path(line));
            fs::write(place, format!("#!{}\n", line.display())).unwrap();
        };
        fs::write(path("target"), "x").unwrap();
        script("a", "b");
        script("b", "target arg");
        script("loop", "loop");
        let target = fs::metadata(path("target")).unwrap();
        let target = (target.dev(), target.ino());
        assert!(leads_to(&path("a"), target));
        assert!(leads_to(&path("target"), target));
        assert!(!leads_to(&path("loop"), target));
        assert!(!leads_to(&path("none"), target));
    }
}
