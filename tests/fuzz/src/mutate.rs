//! Mutators. Bytes changed at random never get past a checksum or a length, so most mutants have
//! theirs put right; some are left wrong. Inputs stay what the parser reads: a file of the corpus
//! can be given to `tar`.

use crate::tar::{self, record};

/// Names that meet each other, the lower layer of the target `settle`, and every special case.
const NAMES: [&str; 36] = [
    "a",
    "a/",
    "a/b",
    "a/b/c",
    "b",
    "./a",
    "/a",
    "a//b/.",
    ".",
    "/",
    "./",
    "..",
    "../canary",
    "../canary/file",
    "a/../b",
    ".wh.a",
    "a/.wh.b",
    ".wh..wh..opq",
    "a/.wh..wh..opq",
    ".wh.",
    ".wh..wh.plnk",
    "dir",
    "dir/file",
    "dir/sub",
    "dir/sub/deep",
    "dir/.wh.file",
    "dir/.wh..wh..opq",
    ".wh.dir",
    "dir/sub/.wh.deep",
    "link",
    "link/file",
    "hard",
    "file",
    "file/x",
    "abs/file",
    "/proc/self/root/a",
];

const TYPES: &[u8] = b"\x000123456 7xgLKS0125";

/// Keys of PAX records, with values that mean something.
const RECORDS: [&str; 22] = [
    "path=a/b",
    "linkpath=a",
    "size=0",
    "size=3",
    "size=",
    "uid=4294967295",
    "gid=1",
    "mtime=-1.5",
    "mtime=1e3",
    "SCHILY.xattr.user.x=y",
    "SCHILY.xattr.security.capability=x",
    "SCHILY.xattr.trusted.overlay.opaque=y",
    "SCHILY.xattr.=x",
    "GNU.sparse.major=1",
    "GNU.sparse.minor=0",
    "GNU.sparse.name=a",
    "GNU.sparse.realsize=9",
    "GNU.sparse.size=9",
    "GNU.sparse.map=0,1,4,2",
    "GNU.sparse.offset=4",
    "GNU.sparse.numbytes=3",
    "comment=x",
];

/// xorshift: what libFuzzer's seed decides is all decided by it.
struct Choice(u64);

impl Choice {
    fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 8 | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % limit
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Mutates a tar stream.
pub fn archive(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut choice = Choice::new(seed);
    let mut size = size;
    let how = choice.below(8);
    if how < 3 {
        size = libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    if how == 0 {
        return size;
    }
    let mut members = tar::members(&data[..size]);
    if how >= 3 {
        for _ in 0..=choice.below(3) {
            edit(&mut members, &mut choice);
        }
    }
    for member in members.iter_mut().filter(|member| is_header(member)) {
        if member[tar::TYPE] == b'x' && choice.below(8) > 0 {
            let body = reframed(tar::body(member));
            tar::resize(member, &body);
        }
        tar::seal(member);
    }
    store(data, max_size, &members.concat())
}

/// Mutates the body of a PAX header.
pub fn records(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut choice = Choice::new(seed);
    if choice.below(3) > 0 {
        let size = libfuzzer_sys::fuzzer_mutate(data, size, max_size);
        if choice.below(3) == 0 {
            return size;
        }
        let body = reframed(&data[..size]);
        return store(data, max_size, &body);
    }
    let mut body = reframed(&data[..size]);
    body.extend(record(choice.one(&RECORDS).as_bytes()));
    store(data, max_size, &body)
}

fn is_header(member: &[u8]) -> bool {
    member.len() >= tar::BLOCK && member[..tar::BLOCK].iter().any(|byte| *byte != 0)
}

fn edit(members: &mut Vec<Vec<u8>>, choice: &mut Choice) {
    let headers: Vec<usize> = (0..members.len())
        .filter(|index| is_header(&members[*index]))
        .collect();
    if headers.is_empty() || choice.below(8) == 0 {
        let added = tar::member(
            choice.one(TYPES),
            choice.one(&NAMES),
            choice.one(&NAMES),
            b"",
        );
        members.insert(choice.below(members.len() + 1), added);
        return;
    }
    let (this, other) = (choice.one(&headers), choice.one(&headers));
    let field = if choice.below(2) == 0 {
        tar::NAME
    } else {
        tar::LINK
    };
    match choice.below(9) {
        0 => members[this][tar::TYPE] = choice.one(TYPES),
        1 | 2 => tar::put(&mut members[this], field, choice.one(&NAMES).as_bytes()),
        3 => {
            let name = members[other][tar::NAME].to_vec();
            tar::put(&mut members[this], field, &name);
        }
        4 => members.swap(this, other),
        5 => members.insert(other, members[this].clone()),
        6 => drop(members.remove(this)),
        7 => {
            let body = record(choice.one(&RECORDS).as_bytes());
            members.insert(this, tar::member(b'x', "pax", "", &body));
        }
        _ => {
            let mut body = tar::body(&members[this]).to_vec();
            body.extend(record(choice.one(&RECORDS).as_bytes()));
            tar::resize(&mut members[this], &body);
        }
    }
}

/// The same records, a line each, with the right lengths.
fn reframed(body: &[u8]) -> Vec<u8> {
    let lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .flat_map(|line| {
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            record(line[digits..].strip_prefix(b" ").unwrap_or(&line[digits..]))
        })
        .collect()
}

fn store(data: &mut [u8], max_size: usize, bytes: &[u8]) -> usize {
    let length = bytes.len().min(max_size).min(data.len());
    data[..length].copy_from_slice(&bytes[..length]);
    length
}
