//! YAML as CDI files have it: one document of mappings, sequences and scalars, read by serde. What a
//! plain scalar is, its reader decides: `name: 0` is a name where a name is wanted, a number where
//! a number is.
//!
//! Anchors, aliases and tags are refused, so that no file is larger than it looks; depth and number
//! of values are limited.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Deepest nesting; a CDI file has seven levels.
const MAX_DEPTH: usize = 32;
/// Most values, keys included.
const MAX_VALUES: usize = 100_000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Text; in quotes it is nothing else.
    Scalar { text: String, is_plain: bool },
    /// A list.
    Sequence(Vec<Value>),
    /// Values by name.
    Mapping(BTreeMap<String, Value>),
}

/// Reads a file's only document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let taken = builder.take(event);
        taken.map_err(|why| format!("line {}: {why}", span.start.line()))?;
    }
    builder.root.ok_or_else(|| "it is empty".to_owned())
}

/// A collection whose end has not come yet.
enum Open {
    Sequence(Vec<Value>),
    Mapping(BTreeMap<String, Value>, Option<String>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Value>,
    values: usize,
}

impl Builder {
    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Alias(_) => Err("anchors and aliases are not supported".to_owned()),
            Event::Scalar(text, style, anchor, tag) => {
                plain(anchor, tag.is_some())?;
                self.put(Value::Scalar {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain,
                })
            }
            Event::SequenceStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                self.open(Open::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                self.open(Open::Mapping(BTreeMap::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Sequence(items)) => self.put(Value::Sequence(items)),
                Some(Open::Mapping(pairs, _)) => self.put(Value::Mapping(pairs)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, collection: Open) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        self.open.push(collection);
        Ok(())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("it has more than {MAX_VALUES} values"));
        }
        match self.open.last_mut() {
            None if self.root.is_some() => return Err("it has a second document".to_owned()),
            None => self.root = Some(value),
            Some(Open::Sequence(items)) => items.push(value),
            Some(Open::Mapping(pairs, key)) => match (key.take(), value) {
                (Some(name), value) => {
                    if pairs.contains_key(&name) {
                        return Err(format!("'{name}' is there twice"));
                    }
                    pairs.insert(name, value);
                }
                (None, Value::Scalar { text, .. }) => *key = Some(text),
                (None, _) => return Err("a key is not a name".to_owned()),
            },
        }
        Ok(())
    }
}

fn plain(anchor: usize, has_tag: bool) -> Result<(), String> {
    match (anchor, has_tag) {
        (0, false) => Ok(()),
        (_, true) => Err("tags are not supported".to_owned()),
        _ => Err("anchors and aliases are not supported".to_owned()),
    }
}

/// YAML 1.2's core schema, and the octal numbers of 1.1 (`0660`), which the programs that write and
/// read CDI files have.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.get(..2) {
        Some("0x") => (&digits[2..], 16),
        Some("0o") => (&digits[2..], 8),
        Some(start) if start.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

impl IntoDeserializer<'_, Error> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! as_number {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.visit_number(visitor)
        }
    )*};
}

macro_rules! as_text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self {
                Self::Scalar { text, is_plain } if !is_plain || !is_null(&text) => {
                    visitor.visit_string(text)
                }
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

impl Value {
    fn visit_number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self {
            Self::Scalar {
                text,
                is_plain: true,
            } => match number(text) {
                Some(number) => visitor.visit_i64(number),
                None => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Scalar {
                text,
                is_plain: true,
            } if is_null(&text) => visitor.visit_unit(),
            Self::Scalar { text, .. } => visitor.visit_string(text),
            Self::Sequence(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Mapping(pairs) => visitor.visit_map(MapDeserializer::new(pairs.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self {
            Self::Scalar {
                text,
                is_plain: true,
            } if is_null(text) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    as_text! { deserialize_str deserialize_string deserialize_identifier }

    as_number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        name: String,
        mode: Option<u32>,
        list: Vec<String>,
    }

    #[test]
    fn the_reader_decides_what_a_scalar_is() {
        let rows = [
            ("name: 0\nmode: 0660\nlist: [a, 1.0, yes]\n", Some(0o660)),
            (
                "name: '0'\nmode: 432\nlist:\n- a\n- 1.0\n- yes\n",
                Some(0o660),
            ),
            (
                "{\"name\": \"0\", \"mode\": 0o660, \"list\": [\"a\", \"1.0\", \"yes\"]}",
                Some(0o660),
            ),
            (
                "---\nmode: 0x1b0\nname: 0\nlist:\n  - a\n  - 1.0\n  - yes\n...\n",
                Some(0o660),
            ),
            ("name: 0\nmode: ~\nlist: [a, 1.0, yes]", None),
        ];
        for (text, mode) in rows {
            let found = Row::deserialize(parse(text).unwrap());
            let expected = Row {
                name: "0".into(),
                mode,
                list: ["a", "1.0", "yes"].map(Into::into).to_vec(),
            };
            assert_eq!(found, Ok(expected), "{text}");
        }
        for text in [
            "name: ~\nlist: []",
            "name: a\nlist: []\nmode: '432'",
            "name: a\nlist: []\nmode: 08",
            "name: a\nlist: []\nmode: -1",
            "name: a\nlist: []\nmode: 0x-1",
            "name: a\nlist: b",
            "name: [a]\nlist: []",
        ] {
            assert!(Row::deserialize(parse(text).unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_larger_than_it_looks_is_refused() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        let many = format!("[{}]", "a,".repeat(MAX_VALUES));
        let rows = [
            ("a: &x [1]\nb: *x", "line 1: anchors"),
            ("a: &x 1", "anchors"),
            ("&x {}", "anchors"),
            ("a: *x", "anchor"),
            ("a: !!binary x", "tags"),
            ("!mine {}", "tags"),
            ("a: 1\nb: 2\na: 3", "'a' is there twice"),
            ("[a]: 1", "not a name"),
            ("a: 1\n---\nb: 2", "second document"),
            (deep.as_str(), "deep"),
            (many.as_str(), "more than 100000 values"),
            ("", "empty"),
            ("# nothing", "empty"),
            ("a: 'x", ""),
            ("a: [", ""),
            ("\ta: x: y: [", ""),
        ];
        for (text, words) in rows {
            let why = parse(text).unwrap_err();
            assert!(why.contains(words), "{text:.40}: {why}");
        }
    }
}
