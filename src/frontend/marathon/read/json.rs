//! Text → JSON tree. Refuses what readers of JSON understand differently (a key that is there
//! twice), and says of a syntax error where it is and, if that is likely, what was forgotten.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::reader::step;
use crate::frontend::marathon::Findings;
use crate::spec::MAX_DOCUMENT;

/// The tree; whatever is wrong is in the findings, and without a tree there is one.
pub fn parse(bytes: &[u8], findings: &mut Findings) -> Option<Value> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        let text = format!("the document is larger than {} MiB", MAX_DOCUMENT >> 20);
        findings.add("", "E:json", text);
        return None;
    }
    // Editors on other systems begin a file with it; it is no part of the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let place = Place::of(bytes, error.valid_up_to());
            let text = format!("{place}: this is not UTF-8");
            findings.advise("", "E:json", text, "save the file as UTF-8");
            return None;
        }
    };
    if text.trim().is_empty() {
        findings.add("", "E:json", "line 1, column 1: there is nothing in it");
        return None;
    }
    let doubles = RefCell::new(Findings::default());
    let seed = Node {
        at: &Step::Top,
        doubles: &doubles,
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let tree = seed
        .deserialize(&mut reader)
        .and_then(|tree| reader.end().map(|()| tree));
    match tree {
        Ok(tree) => {
            findings.0.append(&mut doubles.into_inner().0);
            Some(tree)
        }
        Err(error) => {
            syntax(text, &error, findings);
            None
        }
    }
}

/// From 1, the column in characters.
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn of(bytes: &[u8], offset: usize) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let begin = before.iter().rposition(|byte| *byte == b'\n');
        let last = begin.map_or(before, |at| &before[at + 1..]);
        // Continuation bytes of UTF-8 are no characters of their own.
        let is_start = |byte: &&u8| **byte & 0xc0 != 0x80;
        Self {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + last.iter().filter(is_start).count(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

fn syntax(text: &str, error: &serde_json::Error, findings: &mut Findings) {
    let offset = offset(text, error.line(), error.column());
    let place = Place::of(text.as_bytes(), offset);
    let message = error.to_string();
    let why = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(why, _)| why);
    findings.add("", "E:json", format!("{place}: {why}"));
    if let Some(last) = findings.0.last_mut() {
        last.hint = advice(text, offset, why);
    }
}

/// serde_json counts bytes of a line from 1, and 0 is the line break before it.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let begin = match line {
        0 | 1 => 0,
        line => {
            let mut breaks = text.match_indices('\n').skip(line - 2);
            breaks.next().map_or(text.len(), |(at, _)| at + 1)
        }
    };
    (begin + column.saturating_sub(1)).min(text.len())
}

/// What was probably forgotten.
fn advice(text: &str, offset: usize, why: &str) -> Option<String> {
    let rest = text.as_bytes().get(offset..).unwrap_or_default();
    let next = rest.first().copied();
    if why.starts_with("EOF") {
        return Some(format!("{} is not closed", innermost(text, offset)?));
    }
    if why.contains("expected `,` or") {
        return Some(format!(
            "either a comma is missing before this, or {} is not closed",
            innermost(text, offset)?
        ));
    }
    if why == "trailing comma" {
        return Some("JSON allows no comma after the last item".into());
    }
    if why == "number out of range" {
        return Some("write a smaller number".into());
    }
    match next? {
        b'/' | b'#' => Some("JSON has no comments".into()),
        b'\'' => Some("text is in double quotes".into()),
        _ => None,
    }
}

/// An object or a list that was begun and not ended.
struct Open<'a> {
    byte: u8,
    line: usize,
    key: Option<&'a str>,
}

/// What the place is in: `the object "secrets" that begins in line 7`.
fn innermost(text: &str, end: usize) -> Option<String> {
    let mut open: Vec<Open> = Vec::new();
    let (mut line, mut last, mut key) = (1, None, None);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < end {
        match bytes[at] {
            b'\n' => line += 1,
            b'"' => {
                let after = string_end(bytes, at + 1).min(end);
                last = text.get(at + 1..after);
                at = after;
            }
            b':' => key = last.take(),
            b',' => key = None,
            byte @ (b'{' | b'[') => open.push(Open {
                byte,
                line,
                key: key.take(),
            }),
            b'}' | b']' => drop(open.pop()),
            _ => {}
        }
        at += 1;
    }
    let Open { byte, line, key } = open.pop()?;
    let what = if byte == b'{' { "object" } else { "list" };
    let name = key.map_or(String::new(), |key| format!(" \"{}\"", step(key)));
    Some(format!("the {what}{name} that begins in line {line}"))
}

/// Where the closing quote is.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// The way to a value, newest step first.
enum Step<'a> {
    Top,
    Key(&'a Step<'a>, &'a str),
    Index(&'a Step<'a>, usize),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Key(before, key) => write!(f, "{before}/{}", step(key)),
            Self::Index(before, index) => write!(f, "{before}({index})"),
        }
    }
}

/// A value that is still to be read.
struct Node<'a> {
    at: &'a Step<'a>,
    doubles: &'a RefCell<Findings>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let node = Node {
                at: &Step::Index(self.at, list.len()),
                doubles: self.doubles,
            };
            match items.next_element_seed(node)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = items.next_key::<String>()? {
            let at = Step::Key(self.at, &key);
            let value = items.next_value_seed(Node {
                at: &at,
                doubles: self.doubles,
            })?;
            if map.contains_key(&key) {
                let text = "the key is there twice, and which of them counts is anybody's guess";
                let path = at.to_string();
                self.doubles.borrow_mut().add(path, "E:duplicate-key", text);
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
