//! Raw tar blocks for the tests: hostile archives are not written with a library that would
//! refuse to write them.

/// A PAX record with the right length.
pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [
        length.to_string().as_bytes(),
        b" ",
        key.as_bytes(),
        b"=",
        value,
        b"\n",
    ]
    .concat()
}

/// One header with its body.
#[derive(Clone)]
pub(crate) struct Member {
    header: [u8; 512],
    body: Vec<u8>,
    before: Vec<u8>,
    pax: Vec<u8>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.header[..100]
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or(&[]);
        write!(
            f,
            "{} {}",
            char::from(self.header[156]),
            name.escape_ascii()
        )
    }
}

fn put(header: &mut [u8; 512], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

fn octal(width: usize, number: u64) -> Vec<u8> {
    format!("{number:0>width$o}\0", width = width - 1).into_bytes()
}

impl Member {
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let mut header = [0; 512];
        put(&mut header, 0, name.as_ref());
        put(&mut header, 156, &[kind]);
        put(&mut header, 257, b"ustar\x0000");
        let member = Self {
            header,
            body: Vec::new(),
            before: Vec::new(),
            pax: Vec::new(),
        };
        let mode = if kind == b'5' { 0o755 } else { 0o644 };
        member.mode(mode).owner(0, 0).size(0).mtime(1_000_000_000)
    }

    pub(crate) fn mode(self, mode: u64) -> Self {
        self.raw(100, &octal(8, mode))
    }

    pub(crate) fn owner(self, uid: u64, gid: u64) -> Self {
        self.raw(108, &octal(8, uid)).raw(116, &octal(8, gid))
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.raw(124, &octal(12, size))
    }

    pub(crate) fn mtime(self, seconds: u64) -> Self {
        self.raw(136, &octal(12, seconds))
    }

    pub(crate) fn device(self, major: u64, minor: u64) -> Self {
        self.raw(329, &octal(8, major)).raw(337, &octal(8, minor))
    }

    pub(crate) fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.raw(157, target.as_ref())
    }

    /// Any field, by offset; the checksum is made later.
    pub(crate) fn raw(mut self, at: usize, bytes: &[u8]) -> Self {
        put(&mut self.header, at, bytes);
        self
    }

    pub(crate) fn body(self, body: impl AsRef<[u8]>) -> Self {
        let mut member = self.size(body.as_ref().len() as u64);
        member.body = body.as_ref().to_vec();
        member
    }

    pub(crate) fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.extend(record(key, value.as_ref()));
        self
    }

    /// Blocks between header and content that the size does not count.
    pub(crate) fn body_after(mut self, mut blocks: Vec<u8>) -> Self {
        blocks.append(&mut self.body);
        self.body = blocks;
        self
    }

    /// Another member in front, such as a GNU long name.
    pub(crate) fn after(mut self, other: Member) -> Self {
        self.before.extend(other.bytes());
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.before.clone();
        if !self.pax.is_empty() {
            out.extend(Member::new(b'x', "PaxHeaders/x").body(&self.pax).bytes());
        }
        let mut header = self.header;
        put(&mut header, 148, b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
        out.extend(header);
        out.extend(&self.body);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

pub(crate) fn file(name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Member {
    Member::new(b'0', name).body(body)
}

pub(crate) fn dir(name: impl AsRef<[u8]>) -> Member {
    Member::new(b'5', name)
}

pub(crate) fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Member {
    Member::new(b'2', name).mode(0o777).link(target)
}

pub(crate) fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Member {
    Member::new(b'1', name).link(target)
}

/// An archive of these members, properly ended.
pub(crate) fn archive(members: &[Member]) -> Vec<u8> {
    let mut out: Vec<u8> = members.iter().flat_map(Member::bytes).collect();
    out.extend([0; 1024]);
    out
}
