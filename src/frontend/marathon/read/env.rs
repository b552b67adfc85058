//! `env` and `secrets`. Their values are never part of a message.

use std::collections::BTreeMap;

use super::reader::{Item, Object};
use crate::frontend::marathon::app::{EnvValue, SecretDeclaration, SecretName};

/// `secrets`.
pub fn secrets(top: &Object) -> BTreeMap<String, SecretDeclaration> {
    let Some(secrets) = top.get("secrets").and_then(|item| item.map()) else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, item) in secrets.entries() {
        if name.is_empty() {
            item.refuse("E:range", "a secret needs a name");
        }
        // A name whose declaration is broken is declared nevertheless.
        let source = declaration(&item).unwrap_or_default();
        all.insert(name.to_owned(), SecretDeclaration { source });
    }
    all
}

fn declaration(item: &Item) -> Option<String> {
    if item.is_text() {
        let text = "is text, but has to be an object";
        item.advise("E:type", text, "write {\"source\": PATH}");
        return None;
    }
    let source = item.object(&["source"])?.required("source", "E:type")?;
    let text = source.text()?;
    if text.is_empty() {
        source.refuse("E:secret-source-empty", "is empty");
    } else if text.split('/').any(|part| part == "..") {
        source.refuse("E:secret-source", "must not have '..' in it");
    } else if text.split('/').all(str::is_empty) {
        source.refuse("E:secret-source", "names no secret");
    }
    Some(text.to_owned())
}

/// `env`.
pub fn variables(top: &Object) -> BTreeMap<String, EnvValue> {
    let Some(env) = top.get("env").and_then(|item| item.map()) else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, item) in env.entries() {
        let why = match name {
            "" => Some("a variable needs a name"),
            name if name.contains('=') => Some("its name has a '='"),
            name if name.contains('\0') => Some("its name has a NUL character"),
            _ => None,
        };
        if let Some(why) = why {
            item.refuse("E:env-key", why);
        }
        if let Some(value) = value(&item) {
            all.insert(name.to_owned(), value);
        }
    }
    all
}

fn value(item: &Item) -> Option<EnvValue> {
    if item.is_text() {
        return item.text().map(|text| EnvValue::Plain(text.to_owned()));
    }
    if !item.value().is_object() {
        item.mistyped("text or {\"secret\": NAME}");
        return None;
    }
    secret_name(item).map(EnvValue::Secret)
}

/// `{"secret": NAME}`.
pub fn secret_name(item: &Item) -> Option<SecretName> {
    if item.is_text() {
        let text = "is text, but has to be an object";
        item.advise("E:type", text, "write {\"secret\": NAME}");
        return None;
    }
    let name = item.object(&["secret"])?.required("secret", "E:type")?;
    let secret = name.text()?.to_owned();
    Some(SecretName { secret })
}
