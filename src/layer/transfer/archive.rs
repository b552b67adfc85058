//! Archives at either end: written by the `tar` crate in GNU's dialect, read by the careful reader
//! of layers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

use super::{Form, Object, Sink, Summary};
use crate::error::{Fault, Kind};
use crate::layer::decompress::Decoder;
use crate::layer::entry::{Entry, Reader, Type};
use crate::layer::limits::Limits;
use crate::layer::whiteout::components;

/// An archive that objects are put into.
#[allow(missing_debug_implementations, reason = "the builder has none")]
pub struct Archive<W: Write> {
    builder: Builder<W>,
}

impl<W: Write> Archive<W> {
    /// Onto this stream.
    pub fn new(to: W) -> Self {
        let mut builder = Builder::new(to);
        builder.sparse(false);
        Self { builder }
    }

    fn header(object: &Object) -> Result<Header> {
        let mut header = Header::new_gnu();
        header.set_entry_type(match object.form {
            Form::File => EntryType::Regular,
            Form::Directory => EntryType::Directory,
            Form::Symlink(_) => EntryType::Symlink,
            Form::HardLink(_) => EntryType::Link,
            Form::Fifo => EntryType::Fifo,
        });
        header.set_mode(object.mode);
        header.set_uid(object.uid.into());
        header.set_gid(object.gid.into());
        header.set_mtime(u64::try_from(object.mtime.seconds).unwrap_or(0));
        header.set_size(object.size);
        Ok(header)
    }
}

impl<W: Write> Sink for Archive<W> {
    fn add(&mut self, object: &Object, content: &mut dyn Read) -> Result<()> {
        let mut header = Self::header(object)?;
        let path = match (&object.form, object.path.as_os_str().is_empty()) {
            (_, true) => PathBuf::from("./"),
            (Form::Directory, false) => object.path.join(""),
            (_, false) => object.path.clone(),
        };
        let target = match &object.form {
            Form::Symlink(text) => Some(Path::new(std::ffi::OsStr::from_bytes(text))),
            Form::HardLink(first) => Some(first.as_path()),
            _ => None,
        };
        match target {
            None => self.builder.append_data(&mut header, path, content)?,
            // A short one exactly as it is.
            Some(target) if target.as_os_str().len() < 100 => {
                header.set_link_name_literal(target.as_os_str().as_bytes())?;
                self.builder.append_data(&mut header, path, io::empty())?;
            }
            Some(target) => self.builder.append_link(&mut header, path, target)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.builder.finish()?;
        Ok(self.builder.get_mut().flush()?)
    }
}

/// Reads an archive, perhaps compressed with gzip or zstd, into a sink.
pub fn read_archive(from: impl Read, sink: &mut dyn Sink) -> Result<Summary> {
    let limits = Limits::default();
    let decoder = Decoder::new(BufReader::new(from))?;
    let mut reader = Reader::new(BufReader::with_capacity(128 << 10, Plain(decoder)), &limits);
    let mut summary = Summary::default();
    while let Some(entry) = reader.next_entry()? {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        take(&entry, &mut reader, sink, &mut summary, &limits)
            .with_context(|| format!("entry '{path}'"))?;
    }
    // Whoever writes it is not to be told that nobody reads.
    reader.drain()?;
    sink.finish()?;
    Ok(summary)
}

fn take(
    entry: &Entry,
    reader: &mut Reader<impl BufRead>,
    sink: &mut dyn Sink,
    summary: &mut Summary,
    limits: &Limits,
) -> Result<()> {
    let path = clean(&entry.path, limits)?;
    let form = match &entry.kind {
        Type::File => Form::File,
        Type::Directory => Form::Directory,
        Type::Symlink => Form::Symlink(entry.link.clone()),
        Type::HardLink => Form::HardLink(clean(&entry.link, limits)?),
        Type::Fifo => Form::Fifo,
        Type::CharDevice(..) | Type::BlockDevice(..) => {
            summary.left_out(&path, "it is a device");
            return Ok(());
        }
        Type::SparseFile(_) => {
            return Err(Fault::new(Kind::Unsupported, "a sparse file")
                .hint("make the archive without --sparse")
                .into());
        }
    };
    if path.as_os_str().is_empty() && form != Form::Directory {
        return Err(Fault::new(Kind::Layer, "an entry without a name").into());
    }
    let object = Object {
        path,
        form,
        mode: entry.attributes.mode,
        uid: entry.attributes.uid,
        gid: entry.attributes.gid,
        mtime: entry.attributes.mtime,
        size: entry.size,
    };
    sink.add(&object, &mut Content(reader))?;
    summary.count(&object);
    Ok(())
}

/// Without anything that could lead out; `..` is refused.
pub(super) fn clean(path: &[u8], limits: &Limits) -> Result<PathBuf, Fault> {
    let parts = components(path, limits)?;
    Ok(parts.into_iter().map(std::ffi::OsStr::from_bytes).collect())
}

/// The content of the entry that was read last.
struct Content<'a, R>(&'a mut Reader<R>);

impl<R: BufRead> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.content().map_err(io::Error::other)?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.0.consume(length);
        Ok(length)
    }
}

/// What was compressed.
struct Plain<R: BufRead>(Decoder<R>);

impl<R: BufRead> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fill(buffer)
    }
}
