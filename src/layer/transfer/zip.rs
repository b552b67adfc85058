//! zip archives, read by their central directory (APPNOTE.TXT 6.3, Info-ZIP's extensions).
//!
//! An entry whose two headers contradict each other is refused: readers could see two archives.
//! Names and sizes are the author's; nothing is kept in memory beyond one entry.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use chrono::NaiveDate;

use super::archive::clean;
use super::{Form, Object, Sink, Summary};
use crate::error::{Fault, Kind};
use crate::layer::decompress::{Crc, inflate};
use crate::layer::limits::Limits;
use crate::layer::pax::Timestamp;

/// The record at the end, and the longest comment after it.
const END: usize = 22;
const MAX_COMMENT: usize = 65_535;
const END64_LOCATOR: u64 = 20;
const CENTRAL: usize = 46;
const LOCAL: usize = 30;
/// Values that say "see the zip64 extension".
const WIDE: u64 = 0xffff_ffff;
/// Systems whose attributes are those of Unix: Unix itself and macOS.
const UNIX: [u8; 2] = [3, 19];
const MAX_TARGET: u64 = 4095;

fn bad(why: impl Into<String>) -> Fault {
    Fault::new(Kind::Layer, why.into())
}

/// Reads a zip archive into a sink.
pub fn read_zip(file: &File, sink: &mut dyn Sink) -> Result<Summary> {
    let limits = Limits::default();
    let mut summary = Summary::default();
    let (start, size) = find_directory(file)?;
    let mut directory = BufReader::new(Section::new(file, start, size));
    while !directory.fill_buf()?.is_empty() {
        let entry = Entry::read(&mut directory, &limits)?;
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        take(file, &entry, sink, &mut summary, &limits)
            .with_context(|| format!("entry '{name}'"))?;
    }
    sink.finish()?;
    Ok(summary)
}

/// Where the central directory is, and how long.
fn find_directory(file: &File) -> Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let tail_length = length.min((END + MAX_COMMENT) as u64);
    let mut tail = vec![0; usize::try_from(tail_length)?];
    file.read_exact_at(&mut tail, length - tail_length)?;
    let is_end = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06") && usize::from(u16_at(record, 20)) == record.len() - END
    };
    let last = tail
        .len()
        .checked_sub(END)
        .ok_or_else(|| bad("not a zip archive"))?;
    let at = (0..=last).rev().find(is_end);
    let at = at.ok_or_else(|| bad("not a zip archive, or cut short"))?;
    let record = &tail[at..];
    let end = length - tail_length + at as u64;
    let (mut size, mut start) = (wide(u32_at(record, 12)), wide(u32_at(record, 16)));
    if size == WIDE || start == WIDE || u16_at(record, 10) == u16::MAX {
        (size, start) = find_directory64(file, end)?.unwrap_or((size, start));
    }
    match start.checked_add(size) {
        Some(after) if after <= end => Ok((start, size)),
        _ => Err(bad("its directory is not where it should be").into()),
    }
}

fn find_directory64(file: &File, end: u64) -> Result<Option<(u64, u64)>> {
    let Some(at) = end.checked_sub(END64_LOCATOR) else {
        return Ok(None);
    };
    let mut locator = [0; 20];
    file.read_exact_at(&mut locator, at)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let mut record = [0; 56];
    file.read_exact_at(&mut record, u64_at(&locator, 8))?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(bad("a zip64 archive without its end").into());
    }
    Ok(Some((u64_at(&record, 40), u64_at(&record, 48))))
}

/// One line of the central directory.
struct Entry {
    name: Vec<u8>,
    system: u8,
    flags: u16,
    method: u16,
    mtime: Timestamp,
    crc: u32,
    stored: u64,
    size: u64,
    attributes: u32,
    local: u64,
}

impl Entry {
    fn read(directory: &mut impl Read, limits: &Limits) -> Result<Self> {
        let mut header = [0; CENTRAL];
        directory.read_exact(&mut header)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err(bad("a directory with something else in it").into());
        }
        let mut take = |at: usize| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; u16_at(&header, at).into()];
            directory.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let (name, extra, _comment) = (take(28)?, take(30)?, take(32)?);
        limits.check(crate::layer::limits::Name::Path, name.len() as u64)?;
        let mut entry = Self {
            name,
            system: header[5],
            flags: u16_at(&header, 8),
            method: u16_at(&header, 10),
            mtime: dos_time(u16_at(&header, 14), u16_at(&header, 12)),
            crc: u32_at(&header, 16),
            stored: wide(u32_at(&header, 20)),
            size: wide(u32_at(&header, 24)),
            attributes: u32_at(&header, 38),
            local: wide(u32_at(&header, 42)),
        };
        entry.extend(&extra)?;
        Ok(entry)
    }

    fn extend(&mut self, mut extra: &[u8]) -> Result<(), Fault> {
        while extra.len() >= 4 {
            let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let field = extra
                .get(4..4 + length)
                .ok_or_else(|| bad("a cut extension"))?;
            match id {
                1 => self.widen(field)?,
                // Info-ZIP's time, in UTC: its first bit says that it is there.
                0x5455 if field.len() >= 5 && field[0] & 1 == 1 => {
                    self.mtime = time(i64::from(u32_at(field, 1).cast_signed()));
                }
                _ => (),
            }
            extra = &extra[4 + length..];
        }
        Ok(())
    }

    /// The values that did not fit, in their order.
    fn widen(&mut self, mut field: &[u8]) -> Result<(), Fault> {
        for value in [&mut self.size, &mut self.stored, &mut self.local] {
            if *value == WIDE {
                let (number, rest) = field
                    .split_at_checked(8)
                    .ok_or_else(|| bad("a cut zip64 extension"))?;
                *value = u64_at(number, 0);
                field = rest;
            }
        }
        Ok(())
    }

    /// Type and permissions, as Unix has them; 0 if they are not there.
    fn unix_mode(&self) -> u32 {
        match UNIX.contains(&self.system) {
            true => self.attributes >> 16,
            false => 0,
        }
    }

    /// The compressed bytes.
    fn section<'a>(&self, file: &'a File) -> Result<Section<'a>> {
        let mut header = [0; LOCAL];
        file.read_exact_at(&mut header, self.local)?;
        let name_length = usize::from(u16_at(&header, 26));
        let mut name = vec![0; name_length];
        file.read_exact_at(&mut name, self.local + LOCAL as u64)?;
        if !header.starts_with(b"PK\x03\x04") || name != self.name {
            return Err(bad("its two headers are of different files").into());
        }
        let skip = LOCAL as u64 + name_length as u64 + u64::from(u16_at(&header, 28));
        Ok(Section::new(file, self.local + skip, self.stored))
    }

    fn content<'a>(&self, file: &'a File) -> Result<Content<'a>> {
        let section = BufReader::new(self.section(file)?);
        let inner: Box<dyn Read + 'a> = match self.method {
            0 => Box::new(section),
            8 => Box::new(inflate(section)),
            other => {
                let message = format!("compressed with method {other}");
                let hint = "the methods stored and deflated are known";
                return Err(Fault::new(Kind::Unsupported, message).hint(hint).into());
            }
        };
        Ok(Content {
            inner,
            left: self.size,
            crc: Crc::new(),
            expected: self.crc,
        })
    }
}

fn take(
    file: &File,
    entry: &Entry,
    sink: &mut dyn Sink,
    summary: &mut Summary,
    limits: &Limits,
) -> Result<()> {
    if entry.flags & 1 != 0 {
        return Err(Fault::new(Kind::Unsupported, "it is encrypted").into());
    }
    let path = clean(&entry.name, limits)?;
    let mode = entry.unix_mode();
    let form = match mode & 0o170_000 {
        0o040_000 => Form::Directory,
        0o120_000 => Form::Symlink(target(file, entry)?),
        _ if entry.name.ends_with(b"/") => Form::Directory,
        0 | 0o100_000 => Form::File,
        _ => {
            summary.left_out(&path, "it is neither file, directory nor link");
            return Ok(());
        }
    };
    if path.as_os_str().is_empty() && form != Form::Directory {
        return Err(bad("an entry without a name").into());
    }
    let is_file = form == Form::File;
    let usual = if form == Form::Directory {
        0o755
    } else {
        0o644
    };
    let object = Object {
        path,
        form,
        mode: if mode == 0 { usual } else { mode & 0o7777 },
        uid: 0,
        gid: 0,
        mtime: entry.mtime,
        size: if is_file { entry.size } else { 0 },
    };
    match is_file {
        true => sink.add(&object, &mut entry.content(file)?)?,
        false => sink.add(&object, &mut io::empty())?,
    }
    summary.count(&object);
    Ok(())
}

fn target(file: &File, entry: &Entry) -> Result<Vec<u8>> {
    if !(1..=MAX_TARGET).contains(&entry.size) {
        return Err(bad("a link whose target is no path").into());
    }
    let mut target = Vec::new();
    entry.content(file)?.read_to_end(&mut target)?;
    match target.contains(&0) {
        true => Err(bad("a link whose target is no path").into()),
        false => Ok(target),
    }
}

/// Part of a file, by a position of its own.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl<'a> Section<'a> {
    fn new(file: &'a File, at: u64, left: u64) -> Self {
        Self { file, at, left }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let length = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

/// What was compressed: as long as it says, and with the right sum, or an error.
struct Content<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    crc: Crc,
    expected: u32,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
        if self.left == 0 {
            if self.inner.read(&mut [0])? != 0 {
                return Err(wrong("it is longer than it says"));
            }
            return match self.crc.sum() == self.expected {
                true => Ok(0),
                false => Err(wrong("its checksum is wrong")),
            };
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let length = self.inner.read(&mut buffer[..most])?;
        if length == 0 && most > 0 {
            return Err(wrong("it is shorter than it says"));
        }
        self.crc.update(&buffer[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}

/// MS-DOS time, which is of no time zone; taken as UTC.
fn dos_time(date: u16, clock: u16) -> Timestamp {
    let (year, month, day) = (1980 + (date >> 9), (date >> 5) & 15, date & 31);
    let (hour, minute, second) = (clock >> 11, (clock >> 5) & 63, (clock & 31) * 2);
    let day = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into());
    let at = day.and_then(|day| day.and_hms_opt(hour.into(), minute.into(), second.into()));
    time(at.map_or(0, |at| at.and_utc().timestamp()))
}

fn time(seconds: i64) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds: 0,
    }
}

fn wide(value: u32) -> u64 {
    value.into()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    wide(u32_at(bytes, at)) | wide(u32_at(bytes, at + 4)) << 32
}
