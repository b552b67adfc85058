//! The keys by which somebody who is attached lets go of a container: docker's notation and
//! default.

use std::fmt;
use std::str::FromStr;

use crate::error::{Fault, Kind};

/// A sequence of keys, as the bytes that a terminal sends for them; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![control(b'p'), control(b'q')])
    }
}

/// What a terminal sends for a key with Ctrl.
fn control(key: u8) -> u8 {
    key & 0x1f
}

/// As they are said.
impl fmt::Display for DetachKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|byte| match byte {
            0 => "ctrl-@".to_owned(),
            1..=26 => format!("ctrl-{}", char::from(byte | 0x60)),
            27..=31 => format!("ctrl-{}", char::from(byte | 0x40)),
            _ => char::from(*byte).to_string(),
        });
        out.write_str(&words.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for DetachKeys {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let keys = text.split(',').filter(|_| !text.is_empty());
        let bytes = keys.map(|key| match key.as_bytes() {
            [key] => Ok(*key),
            [
                b'c',
                b't',
                b'r',
                b'l',
                b'-',
                key @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_'),
            ] => Ok(control(*key)),
            _ => {
                let message = format!("'{key}' is no key");
                Err(Fault::new(Kind::Usage, message)
                    .hint("say letters and ctrl-LETTER, as in ctrl-p,ctrl-q"))
            }
        });
        bytes.collect::<Result<_, _>>().map(Self)
    }
}

/// Looks for the keys in what is typed.
#[derive(Debug)]
pub(super) struct Watch {
    keys: Vec<u8>,
    /// How many of them were typed last; they are held back until it is clear what they were.
    matched: usize,
}

impl Watch {
    pub(super) fn new(keys: &DetachKeys) -> Self {
        Self {
            keys: keys.0.clone(),
            matched: 0,
        }
    }

    /// What of this is for the container, and whether the keys were in it.
    pub(super) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        if self.keys.is_empty() {
            return (typed.to_vec(), false);
        }
        for byte in typed {
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(*byte == self.keys[0]);
            if self.matched == 0 {
                passed.push(*byte);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        assert_eq!("ctrl-p,ctrl-q".parse(), Ok(DetachKeys::default()));
        assert_eq!("a,ctrl-[".parse(), Ok(DetachKeys(vec![b'a', 27])));
        assert_eq!("".parse(), Ok(DetachKeys(Vec::new())));
        for text in ["ctrl-", "ctrl-P1", "ab", ",", "shift-a"] {
            assert!(text.parse::<DetachKeys>().is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_found_wherever_reads_end() {
        type Row = (&'static [&'static [u8]], &'static [u8], bool);
        let rows: [Row; 6] = [
            (&[b"ab"], b"ab", false),
            (&[b"a\x10\x11b"], b"a", true),
            (&[b"a\x10", b"\x11"], b"a", true),
            (&[b"\x10", b"x"], b"\x10x", false),
            (&[b"\x10\x10\x11"], b"\x10", true),
            (&[b"\x11\x10"], b"\x11", false),
        ];
        for (reads, expected, found) in rows {
            let mut watch = Watch::new(&DetachKeys::default());
            let (mut all, mut last) = (Vec::new(), false);
            for read in reads {
                let (passed, is_found) = watch.filter(read);
                all.extend(passed);
                last |= is_found;
            }
            assert_eq!((&all[..], last), (expected, found), "{reads:?}");
        }
    }
}
