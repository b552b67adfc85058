//! Archives as raw blocks of 512 bytes. A library would refuse to write what the attacks need, or
//! would quietly make it right.

use super::layer::Layer;

/// An archive that is being put together; what changes an entry changes the last one.
#[derive(Clone, Debug, Default)]
pub struct RawTar {
    done: Vec<u8>,
    entry: Option<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    header: [u8; 512],
    records: Vec<u8>,
    body: Vec<u8>,
}

/// `LENGTH key=value\n`, where the length counts itself.
pub fn record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let rest = key.len() + value.len() + 3;
    let digits = (1..).find(|digits| (rest + digits).to_string().len() == *digits);
    let length = rest + digits.expect("a length");
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

impl RawTar {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A regular file, mode 0644.
    #[must_use]
    pub fn file(self, name: &str, body: impl AsRef<[u8]>) -> Self {
        self.header(b'0', name, body)
    }

    /// A directory, mode 0755.
    #[must_use]
    pub fn dir(self, name: &str) -> Self {
        self.header(b'5', name, "").mode(0o755)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.header(b'2', name, "").mode(0o777).target(target)
    }

    /// A hard link.
    #[must_use]
    pub fn hardlink(self, name: &str, target: &str) -> Self {
        self.header(b'1', name, "").target(target)
    }

    /// A device, `b'3'` or `b'4'`.
    #[must_use]
    pub fn device(self, kind: u8, name: &str, major: u64, minor: u64) -> Self {
        self.header(kind, name, "")
            .octal(329, 8, major)
            .octal(337, 8, minor)
    }

    /// An entry or extended header of any type.
    #[must_use]
    pub fn header(mut self, kind: u8, name: &str, body: impl AsRef<[u8]>) -> Self {
        self.finish_entry();
        let body = body.as_ref().to_vec();
        let size = body.len() as u64;
        self.entry = Some(Entry {
            header: [0; 512],
            records: Vec::new(),
            body,
        });
        let named = match name.len() {
            ..=100 => self.field(0, name),
            _ => self.pax("path", name),
        };
        named
            .field(156, [kind])
            .field(257, "ustar\x0000")
            .mode(0o644)
            .owner(0, 0)
            .size(size)
            .octal(136, 12, 1_500_000_000)
    }

    /// The mode.
    #[must_use]
    pub fn mode(self, mode: u64) -> Self {
        self.octal(100, 8, mode)
    }

    /// Owner and group.
    #[must_use]
    pub fn owner(self, uid: u64, gid: u64) -> Self {
        self.octal(108, 8, uid).octal(116, 8, gid)
    }

    /// The size that the header states, whatever the body has.
    #[must_use]
    pub fn size(self, size: u64) -> Self {
        self.octal(124, 12, size)
    }

    /// Any field, by its offset; the checksum is made last.
    #[must_use]
    pub fn field(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.last().header[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// A PAX record for the entry.
    #[must_use]
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let line = record(key, value);
        self.last().records.extend(line);
        self
    }

    /// The archive with its two blocks of zeros.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = self.clone();
        all.finish_entry();
        all.done.resize(all.done.len() + 1024, 0);
        all.done
    }

    /// The archive as a layer.
    pub fn layer(&self) -> Layer {
        Layer::from_tar(self.bytes())
    }

    fn target(self, target: &str) -> Self {
        match target.len() {
            ..=100 => self.field(157, target),
            _ => self.pax("linkpath", target),
        }
    }

    fn octal(self, at: usize, width: usize, number: u64) -> Self {
        self.field(at, format!("{number:0>digits$o}\0", digits = width - 1))
    }

    fn last(&mut self) -> &mut Entry {
        self.entry.as_mut().expect("an entry to change")
    }

    fn finish_entry(&mut self) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        if !entry.records.is_empty() {
            let records = std::mem::take(&mut entry.records);
            let extended = Self::new().header(b'x', "PaxHeaders/x", records);
            let bytes = extended.bytes();
            self.done.extend(&bytes[..bytes.len() - 1024]);
        }
        entry.header[148..156].copy_from_slice(b"        ");
        let sum: u32 = entry.header.iter().map(|byte| u32::from(*byte)).sum();
        entry.header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.done.extend(entry.header);
        self.done.extend(entry.body);
        self.done.resize(self.done.len().next_multiple_of(512), 0);
    }
}
