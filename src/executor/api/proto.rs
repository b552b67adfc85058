//! JSON as protobuf writes and reads it, where that is not what serde does.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Fault, Kind};

/// Longest ID of a task, framework or executor, in bytes.
const MAX_ID: usize = 255;
/// Numbers that JSON does not have and agents write all the same.
const NO_NUMBERS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// Identifies one update of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// RFC 9562, version 4, of random bytes.
    pub fn random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = Bytes::deserialize(from)?.0;
        let length = bytes.len();
        let exact = bytes.try_into();
        let bytes =
            exact.map_err(|_| D::Error::custom(format!("it has {length} bytes, not 16")))?;
        Ok(Self(bytes))
    }
}

/// `bytes`: standard base64.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let bytes = STANDARD.decode(text.as_bytes());
        // Not the text, which may be anything.
        let bytes = bytes.map_err(|_| D::Error::custom("it is not base64"))?;
        Ok(Self(bytes))
    }
}

/// `{"value": ID}`: safe as the name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) String);

#[derive(Serialize, Deserialize)]
struct Wrapped<T> {
    value: T,
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Wrapped { value: &self.0 }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let id = Wrapped::<String>::deserialize(from)?.value;
        match is_id(&id) {
            true => Ok(Self(id)),
            false => Err(D::Error::custom("it cannot be an ID")),
        }
    }
}

/// Whether Mesos takes it as the ID of something.
pub fn is_id(text: &str) -> bool {
    let is_plain = |c: char| c != '/' && !c.is_control();
    !matches!(text, "" | "." | "..") && text.len() <= MAX_ID && text.chars().all(is_plain)
}

/// `int64`, which may be text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Long(pub(super) i64);

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LongVisitor).map(Self)
    }
}

struct LongVisitor;

impl Visitor<'_> for LongVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of 64 bits")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::custom("it has more than 64 bits"))
    }

    /// Agents write whole numbers of any field as `1.0`, too.
    fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
        let is_whole = value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0;
        #[allow(clippy::cast_possible_truncation, reason = "whole and in range")]
        match is_whole {
            true => Ok(value as i64),
            false => Err(E::custom("it is not a whole number of 64 bits")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<i64, E> {
        value
            .parse()
            .map_err(|_| E::custom("it is not a whole number of 64 bits"))
    }
}

/// `DurationInfo`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct DurationInfo {
    nanoseconds: Long,
}

impl DurationInfo {
    /// Less than nothing is nothing.
    pub(super) fn duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanoseconds.0).unwrap_or(0))
    }
}

/// The tree of a message. Numbers that are none become the text that protobuf takes for them, and
/// bytes that are no text its sign for that: a framework's name in Latin-1 must not cost the stream.
pub(super) fn tree(bytes: &[u8]) -> Result<Value, Fault> {
    let text = String::from_utf8_lossy(bytes);
    let bytes = text.as_bytes();
    let plain = serde_json::from_slice(bytes);
    let found = plain.or_else(|error| match quote(bytes) {
        Some(quoted) => serde_json::from_slice(&quoted),
        None => Err(error),
    });
    found.map_err(|error| Fault::new(Kind::Network, format!("an event of the agent: {error}")))
}

/// With quotes around `Infinity` and its kind; `None` without any.
fn quote(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let (mut at, mut is_text, mut found) = (0, false, false);
    while let Some(byte) = bytes.get(at) {
        let word = match is_text {
            true => None,
            false => NO_NUMBERS.iter().find(|it| bytes[at..].starts_with(it)),
        };
        if let Some(word) = word {
            out.push(b'"');
            out.extend_from_slice(word);
            out.push(b'"');
            at += word.len();
            found = true;
            continue;
        }
        if *byte == b'\\' && is_text {
            out.push(*byte);
            at += 1;
        } else if *byte == b'"' {
            is_text = !is_text;
        }
        out.extend(bytes.get(at));
        at += 1;
    }
    found.then_some(out)
}
