//! What `strace -c -f` counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// System calls by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calls(BTreeMap<String, u64>);

/// What is done to files and directories, as opposed to threads, memory and sockets.
const ON_FILES: &[&str] = &[
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "copy_file_range",
    "faccessat",
    "faccessat2",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fsetxattr",
    "fstat",
    "fsync",
    "ftruncate",
    "futimesat",
    "getdents64",
    "getxattr",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pwrite64",
    "pwritev",
    "readlink",
    "readlinkat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "setxattr",
    "stat",
    "statx",
    "symlink",
    "symlinkat",
    "syncfs",
    "truncate",
    "unlink",
    "unlinkat",
    "utimensat",
    "write",
    "writev",
];

impl Calls {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those that work on files; `write` to a pipe or an eventfd is among them.
    pub fn on_files(&self) -> u64 {
        let on_files = |(name, _): &(&String, &u64)| ON_FILES.contains(&name.as_str());
        self.0.iter().filter(on_files).map(|(_, count)| count).sum()
    }

    /// The most frequent first.
    pub fn by_count(&self) -> Vec<(&str, u64)> {
        let mut calls: Vec<_> = self
            .0
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        calls.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        calls
    }
}

/// Reads the table: `% time, seconds, usecs/call, calls, [errors,] syscall`, and a total.
pub fn parse(table: &str) -> Calls {
    let rows = table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (name, count) = (words.last()?, words.get(3)?.parse().ok()?);
        (*name != "total").then(|| ((*name).to_owned(), count))
    });
    let calls = Calls(rows.collect());
    assert!(calls.total() > 0, "strace has printed no table:\n{table}");
    calls
}
