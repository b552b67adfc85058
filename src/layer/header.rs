//! The 512-byte header block: checksum, dialect, names and numbers. Pure.
//!
//! The `tar` crate knows where the fields are; the numbers are read here, because it takes a
//! negative base-256 number for a huge one, and a size that wraps is how archives smuggle entries
//! (CVE-2026-59874).

use tar::{GnuHeader, Header};

use crate::error::{Fault, Kind};

/// Where a POSIX header has the first half of a long name.
const PREFIX: std::ops::Range<usize> = 345..500;

fn bad(why: impl Into<String>) -> Fault {
    Fault::new(Kind::Layer, why.into())
}

/// Whether the sum of all bytes is the one in the header. Old archives summed signed bytes.
pub(super) fn checksum_is_right(block: &[u8; 512]) -> bool {
    let field = 148..156;
    let Ok(said) = signed(&block[field.clone()], "checksum") else {
        return false;
    };
    let byte = |at: usize| if field.contains(&at) { b' ' } else { block[at] };
    let plain: i64 = (0..512).map(|at| i64::from(byte(at))).sum();
    let odd: i64 = (0..512).map(|at| i64::from(byte(at).cast_signed())).sum();
    said == plain || said == odd
}

/// An octal or base-256 number of either sign.
pub(super) fn signed(field: &[u8], what: &str) -> Result<i64, Fault> {
    let wrong = || bad(format!("the {what} is not a number"));
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field).ok_or_else(wrong),
        _ => octal(field).ok_or_else(wrong),
    }
}

/// The same, refusing what is negative.
pub(super) fn unsigned(field: &[u8], what: &str) -> Result<u64, Fault> {
    u64::try_from(signed(field, what)?).map_err(|_| bad(format!("the {what} is negative")))
}

/// A modification time; one that no `i64` can hold is clamped, as a file system would.
pub(super) fn time(field: &[u8]) -> Result<i64, Fault> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => {
            let clamp = if first & 0x40 != 0 {
                i64::MIN
            } else {
                i64::MAX
            };
            Ok(base_256(field).unwrap_or(clamp))
        }
        _ => signed(field, "modification time"),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().take_while(|byte| blank(byte)).count();
    let digits = field[start..].split(|byte| blank(byte)).next()?;
    digits.iter().try_fold(0i64, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// Two's complement, the top bit of the first byte being only the mark.
fn base_256(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let low = i64::from(first & 0x3f);
    let start = if first & 0x40 != 0 { low - 0x40 } else { low };
    rest.iter().try_fold(start, |sum, byte| {
        sum.checked_mul(256)?.checked_add(i64::from(*byte))
    })
}

/// Bytes up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(field)
}

/// The name, with the prefix of a POSIX header.
pub(super) fn name(header: &Header) -> Vec<u8> {
    let name = text(&header.as_old().name);
    let is_posix = &header.as_bytes()[257..263] == b"ustar\0";
    let prefix = if is_posix || header.as_gnu().is_some_and(has_prefix_by_mistake) {
        text(&header.as_bytes()[PREFIX])
    } else {
        b""
    };
    match prefix {
        b"" => name.to_vec(),
        _ => [prefix, b"/", name].concat(),
    }
}

/// Go before 1.8 wrote a POSIX prefix into GNU headers when a long path met a large id
/// (golang/go#21005); such layers are still pulled. What stands there is then no time.
fn has_prefix_by_mistake(gnu: &GnuHeader) -> bool {
    let is_time = |field: &[u8]| field[0] == 0 || signed(field, "time").is_ok();
    let ascii = gnu.as_header().as_bytes()[PREFIX].is_ascii();
    ascii && !(is_time(&gnu.atime) && is_time(&gnu.ctime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"    644 ", Some(0o644)),
            (b"00000000", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"0000648\0", None),
            (b"-0000644", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfb", Some(-5)),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            let parsed = signed(field, "field").ok();
            assert_eq!(parsed, expected, "{}", field.escape_ascii());
        }
        assert_eq!(
            time(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").unwrap(),
            i64::MAX
        );
        assert!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff", "size").is_err());
    }
}
