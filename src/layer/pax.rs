//! The records of a PAX extended header (POSIX.1-2017, pax, "pax Extended Header").
//!
//! Records are framed by their length and by nothing else: a value may hold any byte, a newline
//! included (an attacker who can end a record early injects `linkpath`). Whatever is malformed is
//! refused, never skipped (CVE-2026-32766). Pure.

use super::limits::{self, Limits};
use crate::error::{Fault, Kind};

/// Seconds and nanoseconds since 1970; the nanoseconds always count forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Whole seconds, rounded towards the past.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// What a PAX header says about the next entry. A key given twice counts the last time; one with
/// an empty value takes back what was said before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pax {
    /// `path`.
    pub path: Option<Vec<u8>>,
    /// `linkpath`.
    pub link: Option<Vec<u8>>,
    /// `size`, in bytes.
    pub size: Option<u64>,
    /// `uid`.
    pub uid: Option<u64>,
    /// `gid`.
    pub gid: Option<u64>,
    /// `mtime`.
    pub mtime: Option<Timestamp>,
    /// `SCHILY.xattr.*`, names without that prefix.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `GNU.sparse.*`.
    pub sparse: SparseKeys,
}

/// The records of GNU tar's three PAX formats for sparse files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseKeys {
    /// `GNU.sparse.major` and `.minor`: (1, 0) means that the map is in the content.
    pub version: (Option<u64>, Option<u64>),
    /// The real name.
    pub name: Option<Vec<u8>>,
    /// The size with holes: `realsize` or `size`.
    pub real_size: Option<u64>,
    /// Offsets and lengths in turn: `map` (0.1), or `offset` and `numbytes` (0.0).
    pub numbers: Vec<u64>,
}

fn bad(why: impl Into<String>) -> Fault {
    Fault::new(Kind::Layer, format!("pax header: {}", why.into()))
}

/// Parses the whole body of a PAX header.
pub fn parse(mut body: &[u8], limits: &Limits) -> Result<Pax, Fault> {
    let mut pax = Pax::default();
    while !body.is_empty() {
        let (record, rest) = frame(body)?;
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(|| bad("a record without '='"))?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.is_empty() || key.contains(&0) {
            return Err(bad("a record without a proper key"));
        }
        pax.set(key, value, limits)?;
        body = rest;
    }
    Ok(pax)
}

/// Cuts one record off: `LENGTH SPACE key=value NEWLINE`, where the length counts all of it.
fn frame(body: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let digits = body.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > 10 || body.get(digits) != Some(&b' ') {
        return Err(bad("a record without a length"));
    }
    let length = decimal(&body[..digits])?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // The shortest record has a key of one byte and no value.
    if length > body.len() || length < digits + 4 {
        return Err(bad(format!("a record of impossible length {length}")));
    }
    let (record, rest) = body.split_at(length);
    match record.split_last() {
        Some((b'\n', record)) => Ok((&record[digits + 1..], rest)),
        _ => Err(bad("a record that does not end with a newline")),
    }
}

impl Pax {
    fn set(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Fault> {
        match key {
            b"path" => self.path = name(value)?,
            b"linkpath" => self.link = name(value)?,
            b"size" => self.size = number(value)?,
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"mtime" => self.mtime = time(value)?,
            _ => {
                if let Some(key) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.retain(|(known, _)| known != key);
                    self.xattrs.push((key.to_vec(), value.to_vec()));
                    self.check_xattrs(limits)?;
                } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.set(key, value)?;
                }
            }
        }
        Ok(())
    }

    /// After every one: looking for a key among all before it takes quadratic time.
    fn check_xattrs(&self, limits: &Limits) -> Result<(), Fault> {
        limits.check(limits::Name::Xattrs, self.xattrs.len() as u64)?;
        let lengths = self
            .xattrs
            .iter()
            .map(|(key, value)| key.len() + value.len());
        limits.check(limits::Name::XattrBytes, lengths.sum::<usize>() as u64)?;
        Ok(())
    }
}

impl SparseKeys {
    /// Whether the entry is sparse at all.
    pub fn is_used(&self) -> bool {
        self.version.0.is_some() || self.real_size.is_some() || !self.numbers.is_empty()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match key {
            b"major" => self.version.0 = number(value)?,
            b"minor" => self.version.1 = number(value)?,
            b"name" => self.name = name(value)?,
            b"size" | b"realsize" => self.real_size = number(value)?,
            b"map" => {
                self.numbers = value
                    .split(|byte| *byte == b',')
                    .filter(|_| !value.is_empty())
                    .map(decimal)
                    .collect::<Result<_, _>>()?;
            }
            // Format 0.0: the order of the records is the map.
            b"offset" if self.numbers.len().is_multiple_of(2) => {
                self.numbers.push(decimal(value)?);
            }
            b"numbytes" if !self.numbers.len().is_multiple_of(2) => {
                self.numbers.push(decimal(value)?);
            }
            b"offset" | b"numbytes" => return Err(bad("a sparse map out of order")),
            _ => {}
        }
        Ok(())
    }
}

fn name(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err(bad("a name with a NUL byte"));
    }
    Ok(Some(value.to_vec()).filter(|name| !name.is_empty()))
}

fn number(value: &[u8]) -> Result<Option<u64>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    decimal(value).map(Some)
}

/// Decimal digits and nothing else, not even a sign.
pub(super) fn decimal(digits: &[u8]) -> Result<u64, Fault> {
    let not = || bad(format!("'{}' is not a number", digits.escape_ascii()));
    if digits.is_empty() {
        return Err(not());
    }
    digits.iter().try_fold(0u64, |sum, digit| {
        let digit = Some(digit).filter(|d| d.is_ascii_digit()).ok_or_else(not)?;
        sum.checked_mul(10)
            .and_then(|sum| sum.checked_add(u64::from(digit - b'0')))
            .ok_or_else(not)
    })
}

/// `[-]seconds[.fraction]`; what a file system cannot hold is clamped later, what an `i64` cannot
/// hold is clamped here.
fn time(value: &[u8]) -> Result<Option<Timestamp>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let mut halves = digits.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (halves.next().unwrap_or(b""), halves.next().unwrap_or(b""));
    let valid = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || !valid(whole) || !valid(fraction) {
        return Err(bad(format!("'{}' is not a time", value.escape_ascii())));
    }
    let seconds = decimal(whole).ok().and_then(|n| i64::try_from(n).ok());
    let seconds = seconds.unwrap_or(i64::MAX);
    let nanoseconds = (0..9).fold(0, |sum, place| {
        sum * 10 + u32::from(fraction.get(place).map_or(0, |digit| digit - b'0'))
    });
    Ok(Some(match (negative, nanoseconds) {
        (false, _) => Timestamp {
            seconds,
            nanoseconds,
        },
        (true, 0) => Timestamp {
            seconds: -seconds,
            nanoseconds,
        },
        (true, _) => Timestamp {
            seconds: (-seconds).saturating_sub(1),
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::record;
    use super::*;

    fn parse(body: &[u8]) -> Result<Pax, Fault> {
        super::parse(body, &Limits::default())
    }

    #[test]
    fn values_may_hold_any_byte() {
        let evil = b"a\n22 linkpath=/etc/evil\nb=\0";
        let mut body = record("SCHILY.xattr.user.x", evil);
        body.extend(record("SCHILY.xattr.user.empty", b""));
        let pax = parse(&body).unwrap();
        assert_eq!(pax.link, None);
        assert_eq!(
            pax.xattrs,
            vec![
                (b"user.x".to_vec(), evil.to_vec()),
                (b"user.empty".to_vec(), Vec::new())
            ]
        );
    }

    #[test]
    fn the_last_of_a_key_counts() {
        let mut body = record("path", b"first");
        body.extend(record("path", b"last"));
        body.extend(record("size", b"7"));
        body.extend(record("size", b""));
        let pax = parse(&body).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"last"[..]));
        assert_eq!(pax.size, None);
    }

    #[test]
    fn malformed_records_are_refused() {
        for body in [
            &b"x"[..],
            b"0 a=b\n",
            b"5 a=b\n",
            b"7 a=b\n",
            b"6 a=b ",
            b"6 aab\n",
            b"5 =b\n",
            b" 6 a=b\n",
            b"-6 a=b\n",
            b"99999999999999999999 a=b\n",
            b"11 size=-1\n",
            b"11 size=1a\n",
            b"13 path=a\0b\n",
            b"12 a\0a=bcd\n",
            b"6 a=b\n\0",
        ] {
            assert!(parse(body).is_err(), "{}", body.escape_ascii());
        }
        assert!(parse(&record("size", b"99999999999999999999")).is_err());
        assert!(parse(&record("mtime", b"1e3")).is_err());
        assert_eq!(parse(b"6 a=b\n").unwrap(), Pax::default());
    }

    #[test]
    fn times() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("12.5", 12, 500_000_000),
            ("1.0000000019", 1, 1),
            ("-5.5", -6, 500_000_000),
            ("-5", -5, 0),
            ("7.", 7, 0),
            ("99999999999999999999", i64::MAX, 0),
        ] {
            let parsed = time(text.as_bytes()).unwrap().unwrap();
            let expected = Timestamp {
                seconds,
                nanoseconds,
            };
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
