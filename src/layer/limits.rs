//! What a layer may ask for before it is taken for a bomb (CVE-2017-14992, CVE-2022-2879,
//! CVE-2025-58183 class), and how `--limit NAME=VALUE` changes that.
//!
//! The defaults are far above any real image. Whoever finds a limit exceeded makes the fault here,
//! so that each says what was found, what is allowed, and which option raises it. Pure.

use std::fmt;
use std::str::FromStr;

use crate::error::{Fault, Kind};

/// The bounds of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of the tar stream, and bytes of file content with holes counted.
    pub unpacked_bytes: u64,
    /// Bytes of tar stream for each byte of the blob that was read, once the stream is longer than
    /// [`Limits::ratio_floor`]. gzip reaches 1032 with nothing but zeros, real layers 10 or less.
    pub ratio: u64,
    /// Bytes of tar stream up to which the ratio does not count: small layers do no harm.
    pub ratio_floor: u64,
    /// Bytes of one path.
    pub path_bytes: u64,
    /// Components of one path.
    pub depth: u64,
    /// Extended attributes of one entry.
    pub xattrs: u64,
    /// Bytes of all names and values of the extended attributes of one entry.
    pub xattr_bytes: u64,
    /// Extended headers (PAX, GNU long names) before one entry.
    pub headers: u64,
    /// Bytes of them together.
    pub header_bytes: u64,
    /// Regions of one sparse file.
    pub sparse_regions: u64,
    /// Bytes of memory for what is remembered of directories, whiteouts and links.
    pub index_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 8_000_000,
            unpacked_bytes: 1 << 40,
            ratio: 1000,
            ratio_floor: 1 << 30,
            path_bytes: 4095,
            depth: 1024,
            xattrs: 256,
            xattr_bytes: 256 << 10,
            headers: 16,
            header_bytes: 1 << 20,
            sparse_regions: 10_000,
            index_bytes: 256 << 20,
        }
    }
}

/// A limit, by the name that `--limit` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// [`Limits::entries`]
    Entries,
    /// [`Limits::unpacked_bytes`]
    Bytes,
    /// [`Limits::ratio`]
    Ratio,
    /// [`Limits::path_bytes`]
    Path,
    /// [`Limits::depth`]
    Depth,
    /// [`Limits::xattrs`]
    Xattrs,
    /// [`Limits::xattr_bytes`]
    XattrBytes,
    /// [`Limits::headers`]
    Headers,
    /// [`Limits::header_bytes`]
    HeaderBytes,
    /// [`Limits::sparse_regions`]
    SparseRegions,
    /// [`Limits::index_bytes`]
    IndexBytes,
}

/// What one limit is called, counts and may be.
struct Row {
    name: Name,
    word: &'static str,
    /// After a number, in messages.
    what: &'static str,
    /// Written with K, M, G or T.
    bytes: bool,
    /// Beyond it the kernel, or this program's types, would be the limit.
    most: u64,
}

const fn row(name: Name, word: &'static str, what: &'static str, bytes: bool, most: u64) -> Row {
    Row {
        name,
        word,
        what,
        bytes,
        most,
    }
}

/// PATH_MAX without the byte that ends a path.
const PATH_MOST: u64 = 4095;
/// Half of PATH_MAX: names of one byte.
const DEPTH_MOST: u64 = 2048;
/// An extended header is held in memory.
const HEADER_MOST: u64 = 1 << 30;
const ANY: u64 = i64::MAX.cast_unsigned();

const ROWS: [Row; 11] = [
    row(Name::Entries, "entries", "entries", false, ANY),
    row(Name::Bytes, "bytes", "unpacked bytes", true, ANY),
    row(
        Name::Ratio,
        "ratio",
        "bytes unpacked from each byte of the blob",
        false,
        ANY,
    ),
    row(Name::Path, "path", "bytes in a path", true, PATH_MOST),
    row(
        Name::Depth,
        "depth",
        "levels of directories",
        false,
        DEPTH_MOST,
    ),
    row(
        Name::Xattrs,
        "xattrs",
        "extended attributes of one entry",
        false,
        1 << 20,
    ),
    row(
        Name::XattrBytes,
        "xattr-bytes",
        "bytes of extended attributes of one entry",
        true,
        HEADER_MOST,
    ),
    row(
        Name::Headers,
        "headers",
        "extended headers before one entry",
        false,
        1 << 20,
    ),
    row(
        Name::HeaderBytes,
        "header-bytes",
        "bytes of extended headers before one entry",
        true,
        HEADER_MOST,
    ),
    row(
        Name::SparseRegions,
        "sparse-regions",
        "regions in a sparse file",
        false,
        1 << 24,
    ),
    row(
        Name::IndexBytes,
        "index-bytes",
        "bytes of directories and whiteouts to remember",
        true,
        ANY,
    ),
];

const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

impl Name {
    fn row(self) -> &'static Row {
        // The rows stand in the order of the names, which a test checks.
        &ROWS[self as usize]
    }
}

impl Limits {
    fn get(&self, name: Name) -> u64 {
        *self.clone().slot(name)
    }

    fn slot(&mut self, name: Name) -> &mut u64 {
        match name {
            Name::Entries => &mut self.entries,
            Name::Bytes => &mut self.unpacked_bytes,
            Name::Ratio => &mut self.ratio,
            Name::Path => &mut self.path_bytes,
            Name::Depth => &mut self.depth,
            Name::Xattrs => &mut self.xattrs,
            Name::XattrBytes => &mut self.xattr_bytes,
            Name::Headers => &mut self.headers,
            Name::HeaderBytes => &mut self.header_bytes,
            Name::SparseRegions => &mut self.sparse_regions,
            Name::IndexBytes => &mut self.index_bytes,
        }
    }

    /// These limits with some of them changed; of two settings of one name the last counts.
    #[must_use]
    pub fn with(mut self, settings: &[Setting]) -> Self {
        for setting in settings {
            *self.slot(setting.name) = setting.value;
        }
        self
    }

    /// A fault if more was found than is allowed.
    pub(super) fn check(&self, name: Name, found: u64) -> Result<(), Fault> {
        let allowed = self.get(name);
        if found <= allowed {
            return Ok(());
        }
        let Row {
            word, what, most, ..
        } = name.row();
        let message = format!("{found} {what} are more than the limit of {allowed}");
        let fault = Fault::new(Kind::Limit, message);
        Err(if allowed < *most {
            fault.hint(format!(
                "if the image is to be trusted, raise it with --limit {word}=VALUE"
            ))
        } else {
            fault.hint("no option raises this limit: the system could not hold more")
        })
    }
}

/// All limits as `--limit` takes them.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, row) in ROWS.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            let setting = Setting {
                name: row.name,
                value: self.get(row.name),
            };
            write!(f, "{separator}{setting}")?;
        }
        Ok(())
    }
}

/// One limit with its value: `bytes=2T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    name: Name,
    value: u64,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.name.row();
        let whole = |(_, shift): &&(char, u32)| self.value.trailing_zeros() >= *shift;
        let unit = UNITS
            .iter()
            .rev()
            .find(whole)
            .filter(|_| row.bytes && self.value > 0);
        match unit {
            Some((unit, shift)) => write!(f, "{}={}{unit}", row.word, self.value >> shift),
            None => write!(f, "{}={}", row.word, self.value),
        }
    }
}

impl FromStr for Setting {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: String| {
            let words: Vec<&str> = ROWS.iter().map(|row| row.word).collect();
            Fault::new(Kind::Usage, why).hint(format!("the limits are {}", words.join(", ")))
        };
        let (word, value) = text
            .split_once('=')
            .ok_or_else(|| bad("it is not NAME=VALUE".into()))?;
        let row = ROWS.iter().find(|row| row.word == word);
        let row = row.ok_or_else(|| bad(format!("there is no limit '{word}'")))?;
        match number(value, row.bytes) {
            Some(value) if (1..=row.most).contains(&value) => Ok(Self {
                name: row.name,
                value,
            }),
            Some(_) => Err(bad(format!("{word} is not between 1 and {}", row.most))),
            None if row.bytes => Err(bad(format!(
                "'{value}' is not a number of bytes, such as 4096 or 2T"
            ))),
            None => Err(bad(format!("'{value}' is not a number"))),
        }
    }
}

/// Digits, and for bytes one letter; what is too large for a `u64` is larger than every limit.
fn number(text: &str, bytes: bool) -> Option<u64> {
    let unit = UNITS
        .iter()
        .find(|(unit, _)| bytes && text.ends_with(*unit));
    let (digits, shift) = match unit {
        Some((_, shift)) => (&text[..text.len() - 1], *shift),
        None => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<u64>().unwrap_or(u64::MAX);
    Some(number.saturating_mul(1 << shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{hint, kind};

    #[test]
    fn rows_stand_in_the_order_of_the_names() {
        for (at, row) in ROWS.iter().enumerate() {
            assert_eq!(row.name as usize, at, "{}", row.word);
        }
    }

    #[test]
    fn settings() {
        for (text, name, value) in [
            ("entries=1", Name::Entries, 1),
            ("bytes=2T", Name::Bytes, 2 << 40),
            ("bytes=5", Name::Bytes, 5),
            ("ratio=50", Name::Ratio, 50),
            ("path=4095", Name::Path, 4095),
            ("header-bytes=3M", Name::HeaderBytes, 3 << 20),
            ("index-bytes=1G", Name::IndexBytes, 1 << 30),
            ("xattr-bytes=64K", Name::XattrBytes, 64 << 10),
        ] {
            let expected = Setting { name, value };
            assert_eq!(text.parse::<Setting>().unwrap(), expected, "{text}");
            assert_eq!(expected.to_string(), text);
        }
        for text in [
            "",
            "entries",
            "entries=",
            "entries=0",
            "entries=1K",
            "entries=-1",
            "entries=+1",
            "entries= 1",
            "bytes=K",
            "bytes=1k",
            "bytes=1KK",
            "bytes=16777216T",
            "bytes=99999999999999999999",
            "path=4096",
            "depth=2049",
            "inodes=1",
            "Entries=1",
        ] {
            let error = text.parse::<Setting>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
        }
    }

    #[test]
    fn every_limit_has_a_name_and_can_be_set() {
        let defaults = Limits::default();
        for part in defaults.to_string().split(", ") {
            let same: Setting = part.parse().unwrap();
            assert_eq!(Limits::default().with(&[same]), defaults, "{part}");
            let name = same.name;
            let lower = Setting { name, value: 1 };
            let limits = Limits::default().with(&[same, lower]);
            assert_eq!(limits.get(name), 1, "{part}");
            assert!(limits.check(name, 1).is_ok(), "{part}");
            let error = anyhow::Error::from(limits.check(name, 2).unwrap_err());
            assert_eq!(kind(&error), Kind::Limit);
            let word = part.split('=').next().unwrap();
            let hint = hint(&error).unwrap();
            assert!(hint.contains(&format!("--limit {word}=")), "{hint}");
        }
        let error = anyhow::Error::from(defaults.check(Name::Path, 5000).unwrap_err());
        assert!(!hint(&error).unwrap().contains("--limit"));
    }
}
