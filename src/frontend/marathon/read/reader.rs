//! Typed access to a JSON tree that records what is wrong and goes on. A key that is null is as
//! good as none. Values are not repeated in messages, but for those of an enumeration.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::nearest::{meant, nearest};
use crate::error::escape;
use crate::frontend::marathon::Findings;

/// Marathon's whole numbers have 32 bits.
pub const MAX_WHOLE: i64 = i32::MAX as i64;
/// Items of a list of objects; more would only make everything after this slow.
const MAX_ITEMS: usize = 4096;
/// Characters of a key or a value that are shown.
const MAX_SHOWN: usize = 60;
/// Up to here each whole number has a floating-point number of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Where findings go.
#[derive(Debug)]
pub struct Sink {
    findings: RefCell<Findings>,
    strict: bool,
}

impl Sink {
    /// With what was found already; `strict` refuses unknown keys.
    pub fn new(findings: Findings, strict: bool) -> Self {
        Self {
            findings: RefCell::new(findings),
            strict,
        }
    }

    /// Adds one.
    pub fn add(&self, path: impl Into<String>, id: &'static str, text: impl Into<String>) {
        self.findings.borrow_mut().add(path, id, text);
    }

    /// Adds one with what to do about it.
    pub fn advise(
        &self,
        path: impl Into<String>,
        id: &'static str,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.borrow_mut().advise(path, id, text, hint);
    }

    /// Whether the value of the place is none to go by: something is wrong with it as a whole, or
    /// with what is around it.
    pub fn is_broken(&self, path: &str) -> bool {
        let findings = self.findings.borrow();
        let mut errors = findings.0.iter().filter(|finding| finding.is_error());
        errors.any(|error| leads_to(&error.path, path))
    }

    /// Whether nothing is wrong at the place, below or above it: what follows from a broken value
    /// is not worth a second message.
    pub fn is_sound(&self, path: &str) -> bool {
        let findings = self.findings.borrow();
        let mut errors = findings.0.iter().filter(|finding| finding.is_error());
        !errors.any(|error| leads_to(&error.path, path) || leads_to(path, &error.path))
    }

    /// The same of several places.
    pub fn are_sound(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| self.is_sound(path))
    }

    /// All of them.
    pub fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }
}

/// Whether the one place is the other or around it.
fn leads_to(outer: &str, inner: &str) -> bool {
    !outer.is_empty()
        && inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '(']))
}

/// A key as part of a path or of a sentence: harmless for a terminal, and short.
pub fn step(key: &str) -> String {
    match key.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => escape(&key[..at]) + "…",
        None => escape(key),
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    path: String,
    value: &'a Value,
    sink: &'a Sink,
}

impl<'a> Item<'a> {
    /// The whole document.
    pub fn top(value: &'a Value, sink: &'a Sink) -> Self {
        let path = String::new();
        Self { path, value, sink }
    }

    /// A part of it that has no place of its own.
    pub fn inner(&self, value: &'a Value) -> Self {
        Self {
            value,
            ..self.clone()
        }
    }

    /// As it was written.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Says what is wrong with it.
    pub fn refuse(&self, id: &'static str, text: impl Into<String>) {
        self.sink.add(&self.path, id, text);
    }

    /// Says what is wrong with it, and what to do.
    pub fn advise(&self, id: &'static str, text: impl Into<String>, hint: impl Into<String>) {
        self.sink.advise(&self.path, id, text, hint);
    }

    /// Says that it is of the wrong type.
    pub fn mistyped(&self, wanted: &str) {
        let text = format!("is {}, but has to be {wanted}", kind(self.value));
        match form(self.value, wanted) {
            Some(hint) => self.advise("E:type", text, hint),
            None => self.refuse("E:type", text),
        }
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        self.value.is_string()
    }

    /// Text without NUL, which no argument, variable or path can hold.
    pub fn text(&self) -> Option<&'a str> {
        let Value::String(text) = self.value else {
            self.mistyped("text");
            return None;
        };
        if text.contains('\0') {
            self.refuse("E:nul", "has a NUL character");
            return None;
        }
        Some(text)
    }

    /// Text that is not empty.
    pub fn filled(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.is_empty() {
            self.refuse("E:range", "is empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.mistyped("true or false");
        }
        flag
    }

    /// A whole number; `1.0` is one.
    pub fn whole(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let Value::Number(number) = self.value else {
            self.mistyped("a whole number");
            return None;
        };
        let float = number.as_f64().unwrap_or(f64::INFINITY);
        if float.fract() != 0.0 {
            self.refuse("E:type", "is not a whole number");
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "whole and exact")]
        let exact = (float.abs() <= MAX_EXACT).then_some(float as i64);
        let whole = number.as_i64().or(exact);
        let Some(whole) = whole.filter(|whole| range.contains(whole)) else {
            let text = match (*range.start(), *range.end()) {
                (least, MAX_WHOLE) if whole.is_none_or(|it| it < least) && float < 0.0 => {
                    format!("is less than {least}")
                }
                (least, most) => format!("is not from {least} to {most}"),
            };
            self.refuse("E:range", text);
            return None;
        };
        Some(whole)
    }

    /// A number.
    pub fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let Some(number) = self.value.as_f64() else {
            self.mistyped("a number");
            return None;
        };
        if number < *range.start() {
            self.refuse("E:range", format!("is less than {}", range.start()));
            return None;
        }
        if number > *range.end() {
            self.refuse("E:range", format!("is more than {}", range.end()));
            return None;
        }
        // -0 is 0.
        Some(number + 0.0)
    }

    /// The value of the name in the table, whatever the case of its letters.
    pub fn choice<T: Copy>(&self, id: &'static str, table: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let row = table
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        if row.is_none() {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            let message = format!("'{}' is none of {}", step(text), names.join(", "));
            match meant(text, &names) {
                Some(name) => self.advise(id, message, format!("is '{name}' meant?")),
                None => self.refuse(id, message),
            }
        }
        row.map(|(_, value)| *value)
    }

    /// Items of a list.
    pub fn list(&self) -> Option<Vec<Item<'a>>> {
        let Value::Array(list) = self.value else {
            self.mistyped("a list");
            return None;
        };
        let item = |(index, value)| Item {
            path: format!("{}({index})", self.path),
            value,
            sink: self.sink,
        };
        Some(list.iter().enumerate().map(item).collect())
    }

    /// Items of a list of objects: not too many.
    pub fn objects(&self) -> Option<Vec<Item<'a>>> {
        let items = self.list()?;
        if items.len() > MAX_ITEMS {
            self.refuse("E:range", format!("has more than {MAX_ITEMS} items"));
            return None;
        }
        Some(items)
    }

    /// Texts of a list.
    pub fn texts(&self) -> Option<Vec<String>> {
        let items = self.list()?;
        let text = |item: &Item| item.text().map(str::to_owned);
        Some(items.iter().filter_map(text).collect())
    }

    /// An object with these keys; says which of its keys are none of them.
    pub fn object(&self, known: &[&str]) -> Option<Object<'a>> {
        let object = self.map()?;
        for key in object
            .map
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
        {
            object.unknown(key, known);
        }
        Some(object)
    }

    /// An object with keys that are the user's own.
    pub fn map(&self) -> Option<Object<'a>> {
        let Value::Object(map) = self.value else {
            self.mistyped("an object");
            return None;
        };
        Some(Object {
            path: self.path.clone(),
            map,
            sink: self.sink,
        })
    }
}

/// How a value would be written that is of another type by its punctuation only.
fn form(value: &Value, wanted: &str) -> Option<&'static str> {
    let is_number = |text: &String| text.parse::<f64>().is_ok();
    match value {
        Value::Number(_) | Value::Bool(_) if wanted.starts_with("text") => {
            Some("write it in double quotes")
        }
        Value::String(text) if wanted.ends_with("number") && is_number(text) => {
            Some("write it without quotes")
        }
        Value::String(text) if wanted == "true or false" && text.parse::<bool>().is_ok() => {
            Some("write it without quotes")
        }
        Value::String(_) | Value::Object(_) if wanted == "a list" => {
            Some("write it between [ and ]")
        }
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// An object and its place.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
    sink: &'a Sink,
}

impl<'a> Object<'a> {
    /// Says what is wrong with it.
    pub fn refuse(&self, id: &'static str, text: impl Into<String>) {
        self.sink.add(&self.path, id, text);
    }

    /// Says what is wrong with it, and what to do.
    pub fn advise(&self, id: &'static str, text: impl Into<String>, hint: impl Into<String>) {
        self.sink.advise(&self.path, id, text, hint);
    }

    /// Says what is wrong with one of its keys.
    pub fn refuse_at(&self, key: &str, id: &'static str, text: impl Into<String>) {
        self.sink.add(format!("{}/{key}", self.path), id, text);
    }

    /// Says what is wrong with one of its keys, and what to do.
    pub fn advise_at(&self, key: &str, id: &'static str, text: &str, hint: &str) {
        let path = format!("{}/{key}", self.path);
        self.sink.advise(path, id, text, hint);
    }

    fn item(&self, key: &str, value: &'a Value) -> Item<'a> {
        Item {
            path: format!("{}/{}", self.path, step(key)),
            value,
            sink: self.sink,
        }
    }

    /// All keys and their values, null or not.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        let entry = |(key, value): (&'a String, &'a Value)| (key.as_str(), self.item(key, value));
        self.map.iter().map(entry)
    }

    /// What the key says, unless that is null.
    pub fn get(&self, key: &str) -> Option<Item<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(self.item(key, value))
    }

    /// Whether the key says something.
    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// Text of the key.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.text().map(str::to_owned)
    }

    /// Text of a key that has to be there; what says that it is not has this identifier.
    pub fn required(&self, key: &str, id: &'static str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.refuse_at(key, id, "is required");
        }
        item
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key)
            .and_then(|item| item.flag())
            .unwrap_or(default)
    }

    /// A whole number from 0.
    pub fn count(&self, key: &str, default: u32) -> u32 {
        let number = self.get(key).and_then(|item| item.whole(0..=MAX_WHOLE));
        number
            .and_then(|it| u32::try_from(it).ok())
            .unwrap_or(default)
    }

    /// A port's number.
    pub fn port(&self, key: &str) -> Option<u16> {
        let number = self.get(key)?.whole(0..=i64::from(u16::MAX))?;
        u16::try_from(number).ok()
    }

    fn unknown(&self, key: &str, known: &[&str]) {
        if self.sink.findings.borrow().is_full() {
            return;
        }
        let (id, end) = match self.sink.strict {
            true => ("E:unknown-key", ""),
            false => ("W:unknown-key", " and has no effect"),
        };
        let path = format!("{}/{}", self.path, step(key));
        let text = format!("the key is not known{end}");
        match nearest(key, known) {
            Some(name) => self
                .sink
                .advise(path, id, text, format!("is '{name}' meant?")),
            None => self.sink.add(path, id, text),
        }
    }
}
