//! Layers from a list of entries. Names and links are written as they are given, `..` and all, so
//! that the same builder makes honest and hostile archives.

use std::io::Write;
use std::path::PathBuf;

use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::digest;

/// How the blob of a layer is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// gzip, as nearly all images have it.
    #[default]
    Gzip,
    /// zstd.
    Zstd,
    /// The bare tar.
    Plain,
}

/// One member of the archive.
#[derive(Clone, Debug)]
struct Entry {
    header: Header,
    pax: Vec<(String, Vec<u8>)>,
    data: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Content {
    Entries(Vec<Entry>),
    Tar(Vec<u8>),
    Blob { file: PathBuf, diff_id: String },
}

/// A layer that is being put together.
#[derive(Clone, Debug)]
pub struct Layer {
    content: Content,
    packing: Packing,
    claimed_diff_id: Option<String>,
}

/// A layer as a blob.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Its bytes, or the file which has them.
    pub blob: Blob,
    /// What the configuration shall say.
    pub diff_id: String,
    /// How it is packed.
    pub packing: Packing,
}

/// Where the bytes of a blob are.
#[derive(Clone, Debug)]
pub enum Blob {
    /// In memory.
    Bytes(Vec<u8>),
    /// In this file, which is moved into the layout.
    File(PathBuf),
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    /// No entries, gzip.
    pub fn new() -> Self {
        Self::with(Content::Entries(Vec::new()))
    }

    /// A tar made elsewhere.
    pub fn from_tar(tar: Vec<u8>) -> Self {
        Self::with(Content::Tar(tar))
    }

    /// A packed blob in a file, too big for memory.
    pub fn from_blob(file: PathBuf, packing: Packing, diff_id: String) -> Self {
        Self::with(Content::Blob { file, diff_id }).packed(packing)
    }

    fn with(content: Content) -> Self {
        Self {
            content,
            packing: Packing::default(),
            claimed_diff_id: None,
        }
    }

    /// Another packing.
    #[must_use]
    pub fn packed(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Makes the configuration claim this diff ID instead of the true one.
    #[must_use]
    pub fn claiming(mut self, diff_id: &str) -> Self {
        self.claimed_diff_id = Some(diff_id.into());
        self
    }

    /// A regular file, mode 0644.
    #[must_use]
    pub fn file(self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path, 0o644, data.as_ref())
    }

    /// An executable file.
    #[must_use]
    pub fn program(self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path, 0o755, data.as_ref())
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, path, mode, b"")
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, 0o777, b"")
            .linked(target)
    }

    /// A hard link to another path of the image. Archivers repeat the owner, mode and time of the
    /// file, and so does this when the file is in the same layer.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        let known = self.header_of(target).cloned();
        let mut layer = self.entry(EntryType::Link, path, 0o644, b"").linked(target);
        if let Some(known) = known {
            let header = &mut layer.last().header;
            header.set_mode(known.mode().expect("a mode"));
            header.set_uid(known.uid().expect("an owner"));
            header.set_gid(known.gid().expect("a group"));
            header.set_mtime(known.mtime().expect("a time"));
        }
        layer
    }

    /// A named pipe.
    #[must_use]
    pub fn fifo(self, path: &str) -> Self {
        self.entry(EntryType::Fifo, path, 0o644, b"")
    }

    /// A character device.
    #[must_use]
    pub fn char_device(self, path: &str, major: u32, minor: u32) -> Self {
        let mut layer = self.entry(EntryType::Char, path, 0o600, b"");
        let header = &mut layer.last().header;
        header.set_device_major(major).expect("ustar has a major");
        header.set_device_minor(minor).expect("ustar has a minor");
        layer
    }

    /// The removal of a path of the layers below.
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let (parent, name) = path.rsplit_once('/').map_or(("", path), |(p, n)| (p, n));
        let separator = if parent.is_empty() { "" } else { "/" };
        self.file(&format!("{parent}{separator}.wh.{name}"), b"")
    }

    /// Hides all that the layers below have in this directory.
    #[must_use]
    pub fn opaque(self, directory: &str) -> Self {
        self.file(&format!("{directory}/.wh..wh..opq"), b"")
    }

    /// The owner of the last entry.
    #[must_use]
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        let header = &mut self.last().header;
        header.set_uid(uid);
        header.set_gid(gid);
        self
    }

    /// The mode of the last entry.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.last().header.set_mode(mode);
        self
    }

    /// The modification time of the last entry, in seconds.
    #[must_use]
    pub fn mtime(mut self, seconds: u64) -> Self {
        self.last().header.set_mtime(seconds);
        self
    }

    /// An extended attribute of the last entry.
    #[must_use]
    pub fn xattr(mut self, name: &str, value: &[u8]) -> Self {
        let key = format!("SCHILY.xattr.{name}");
        self.last().pax.push((key, value.to_vec()));
        self
    }

    fn entry(mut self, kind: EntryType, path: &str, mode: u32, data: &[u8]) -> Self {
        let Content::Entries(entries) = &mut self.content else {
            panic!("a layer made from bytes takes no entries");
        };
        let mut header = Header::new_ustar();
        let mut pax = Vec::new();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(data.len() as u64);
        let fields = header.as_ustar_mut().expect("it is ustar");
        put(&mut fields.name, "path", path, &mut pax);
        entries.push(Entry {
            header,
            pax,
            data: data.to_vec(),
        });
        self
    }

    fn linked(mut self, target: &str) -> Self {
        let Entry { header, pax, .. } = self.last();
        let fields = header.as_ustar_mut().expect("it is ustar");
        put(&mut fields.linkname, "linkpath", target, pax);
        self
    }

    fn header_of(&self, path: &str) -> Option<&Header> {
        let Content::Entries(entries) = &self.content else {
            return None;
        };
        let mut headers = entries.iter().map(|entry| &entry.header);
        headers.find(|header| *header.path_bytes() == *path.as_bytes())
    }

    fn last(&mut self) -> &mut Entry {
        let Content::Entries(entries) = &mut self.content else {
            panic!("a layer made from bytes has no entries to change");
        };
        entries.last_mut().expect("an entry to change")
    }

    /// Writes, hashes and packs it.
    pub fn pack(&self) -> Packed {
        let (blob, true_diff_id) = match &self.content {
            Content::Blob { file, diff_id } => (Blob::File(file.clone()), diff_id.clone()),
            Content::Tar(tar) => (Blob::Bytes(pack(tar, self.packing)), digest(tar)),
            Content::Entries(entries) => {
                let tar = write(entries);
                (Blob::Bytes(pack(&tar, self.packing)), digest(&tar))
            }
        };
        Packed {
            blob,
            diff_id: self.claimed_diff_id.clone().unwrap_or(true_diff_id),
            packing: self.packing,
        }
    }
}

/// Puts a name into its header field as it is, or into a PAX record when it is too long.
fn put(field: &mut [u8; 100], key: &str, value: &str, pax: &mut Vec<(String, Vec<u8>)>) {
    match field.get_mut(..value.len()) {
        Some(room) => room.copy_from_slice(value.as_bytes()),
        None => pax.push((key.into(), value.as_bytes().to_vec())),
    }
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let pax = entry
            .pax
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()));
        if !entry.pax.is_empty() {
            builder.append_pax_extensions(pax).expect("PAX records");
        }
        let mut header = entry.header.clone();
        header.set_cksum();
        builder
            .append(&header, entry.data.as_slice())
            .expect("an entry");
    }
    builder.into_inner().expect("the end of the archive")
}

fn pack(tar: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => tar.to_vec(),
        Packing::Zstd => zstd::encode_all(tar, 3).expect("zstd"),
        Packing::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).expect("gzip");
            encoder.finish().expect("gzip")
        }
    }
}
