//! What a container printed, on disk: a line for each line, with its time and stream, as
//! Kubernetes' runtimes write it. What has no end of line yet is marked as a part (`P`), so that
//! binary output and prompts are kept as they were.
//!
//! ```text
//! 2026-11-22T21:30:00.123456789Z stdout F a whole line
//! 2026-11-22T21:30:01.000000000Z stderr P a part of one
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};

/// Longest line of the file that is read as one, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Output,
    /// Standard error.
    Error,
}

/// A log that is being written.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: Option<u64>,
}

/// The time now, for a log.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
    let time = DateTime::from_timestamp(seconds, now.subsec_nanos()).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

impl LogFile {
    /// Continues the log at `path`.
    pub(super) fn create(path: &Path, max_size: Option<u64>) -> Result<Self> {
        let file = open(path).with_context(|| format!("log {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            file,
            max_size,
        })
    }

    /// Adds what was printed: to standard output (0) or error (1).
    pub(super) fn write(&mut self, stream: usize, bytes: &[u8]) -> io::Result<()> {
        let head = format!("{} {}", now(), ["stdout", "stderr"][stream]);
        let mut text = Vec::with_capacity(bytes.len() + 64);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mark, content) = match line.split_last() {
                Some((b'\n', content)) => ("F", content),
                _ => ("P", line),
            };
            text.extend_from_slice(format!("{head} {mark} ").as_bytes());
            text.extend_from_slice(content);
            text.push(b'\n');
        }
        self.make_room(text.len() as u64)?;
        self.file.write_all(&text)?;
        self.size += text.len() as u64;
        Ok(())
    }

    fn make_room(&mut self, wanted: u64) -> io::Result<()> {
        if self.size > 0 && self.max_size.is_some_and(|max| self.size + wanted > max) {
            fs::rename(&self.path, older(&self.path))?;
            self.file = open(&self.path)?;
            self.size = 0;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("1")
}

/// A line of a log, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was printed.
    pub time: DateTime<Utc>,
    /// Where.
    pub stream: Stream,
    /// What, with its end of line if it had one.
    pub content: Vec<u8>,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(words.next()?).ok()?;
        let time = DateTime::parse_from_rfc3339(time).ok()?.to_utc();
        let stream = match words.next()? {
            b"stdout" => Stream::Output,
            b"stderr" => Stream::Error,
            _ => return None,
        };
        let is_whole = words.next()? == b"F";
        let mut content = words.next()?.to_vec();
        if is_whole {
            content.push(b'\n');
        }
        Some(Self {
            time,
            stream,
            content,
        })
    }
}

/// Reads a log from its beginning, and on while it grows.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: BufReader<File>,
    /// A newer file, when this one is read.
    is_older: bool,
}

impl LogReader {
    /// Opens it; `None` if there is none.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let what = || format!("read {}", path.display());
        let (file, is_older) = match File::open(older(path)) {
            Ok(file) => (file, true),
            Err(_) => match File::open(path) {
                Ok(file) => (file, false),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error).with_context(what),
            },
        };
        Ok(Some(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(64 << 10, file),
            is_older,
        }))
    }

    /// The next whole line of the file; `None` if there is none yet.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            let start = self.file.stream_position()?;
            let mut line = Vec::new();
            let mut limited = io::Read::take(&mut self.file, MAX_LINE);
            limited.read_until(b'\n', &mut line)?;
            if line.last() == Some(&b'\n') {
                line.pop();
                if let Some(line) = Line::parse(&line) {
                    return Ok(Some(line));
                }
                // Not ours: somebody else wrote it, or the disk was full.
                continue;
            }
            self.file.seek(io::SeekFrom::Start(start))?;
            if !self.follow_rotation()? {
                return Ok(None);
            }
        }
    }

    /// Goes on with the newer file, if there is one.
    fn follow_rotation(&mut self) -> Result<bool> {
        let Ok(newer) = File::open(&self.path) else {
            return Ok(false);
        };
        let place =
            |file: &File| Ok::<_, io::Error>((file.metadata()?.dev(), file.metadata()?.ino()));
        if !self.is_older && place(&newer)? == place(self.file.get_ref())? {
            return Ok(false);
        }
        self.is_older = false;
        self.file = BufReader::with_capacity(64 << 10, newer);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(path: &Path) -> [Vec<u8>; 2] {
        let mut reader = LogReader::open(path).unwrap().unwrap();
        let mut all = [Vec::new(), Vec::new()];
        while let Some(line) = reader.next_line().unwrap() {
            all[usize::from(line.stream == Stream::Error)].extend(line.content);
        }
        all
    }

    #[test]
    fn what_was_printed_is_read_byte_for_byte() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        let mut log = LogFile::create(&path, None).unwrap();
        let parts: [(usize, &[u8]); 6] = [
            (0, b"one\ntwo"),
            (1, b"other\n"),
            (0, b" and a half\n\n"),
            (0, b"\x00\xff\r\x1b[1m"),
            (1, b" "),
            (0, b"F \n"),
        ];
        let mut expected = [Vec::new(), Vec::new()];
        for (stream, bytes) in parts {
            log.write(stream, bytes).unwrap();
            expected[stream].extend_from_slice(bytes);
        }
        assert_eq!(printed(&path), expected);
    }

    #[test]
    fn a_limited_log_keeps_the_newest() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        let mut log = LogFile::create(&path, Some(1000)).unwrap();
        for number in 0..200 {
            log.write(0, format!("line {number}\n").as_bytes()).unwrap();
        }
        let size = |path: &Path| path.metadata().unwrap().len();
        assert!(size(&path) <= 1000 && size(&older(&path)) <= 1000);
        let [all, _] = printed(&path);
        let all = String::from_utf8(all).unwrap();
        assert!(all.ends_with("line 198\nline 199\n"), "{all}");
        assert!(!all.contains("line 1\n"), "{all}");
    }
}
