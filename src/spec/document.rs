//! A description as a JSON document: `run --spec`, ucr-spec(5).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ContainerSpec;
use crate::error::{Fault, Kind};

/// Largest document that is read, in bytes.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// The version of the document that this ucr writes, and the only one it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Version {
    const NUMBER: u64 = 1;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => {
                let message = format!("{other} is not known; this ucr knows {}", Self::NUMBER);
                Err(serde::de::Error::custom(message))
            }
        }
    }
}

impl ContainerSpec {
    /// Reads a document. What it says wrong is named by its path, such as `mounts[0].target`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let spec: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            // A document that ends too early has no place, and the whole has none.
            let place = match path.as_str() {
                "." | "?" => String::new(),
                path => path.to_owned() + ": ",
            };
            refuse(place + &in_plain_words(&error.inner().to_string()))
        })?;
        reader.end().map_err(|error| refuse(error.to_string()))?;
        Ok(spec)
    }
}

/// Without the names of Rust's types.
fn in_plain_words(why: &str) -> String {
    let Some((wrong, wanted)) = why.rsplit_once(", expected ") else {
        return why.to_owned();
    };
    let (wanted, place) = wanted.split_once(" at line ").unwrap_or((wanted, ""));
    let plain = match wanted {
        "u64" | "u32" | "u16" => "a whole number that is not negative",
        "i64" | "i32" | "i16" => "a whole number",
        "f64" => "a number",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "an object",
        _ => return why.to_owned(),
    };
    format!("{wrong}, expected {plain} at line {place}")
}

fn refuse(why: String) -> Fault {
    Fault::new(Kind::Spec, format!("container description: {why}"))
        .hint("ucr-spec(5) lists every key; 'ucr run --dry-run --format json' shows one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let rows = [
            (r#"{"version":2,"image":"x"}"#, "version: 2 is not known"),
            (r#"{"image":"x"}"#, "missing field `version`"),
            (
                r#"{"version":1,"image":"x","colour":1}"#,
                "colour: unknown field",
            ),
            (
                r#"{"version":1,"image":"x","security":{"cap_add":["KILL",7]}}"#,
                "security.cap_add[1]: invalid type",
            ),
            (
                r#"{"version":1,"image":"x","security":{"seccomp":{"file":7}}}"#,
                "security.seccomp",
            ),
            (
                r#"{"version":1,"image":"x","secrets":[{"source":{"file":"/k"},"value":"1"}]}"#,
                "secrets[0].value: unknown field",
            ),
            (r#"{"version":1,"image":"x"} x"#, "trailing characters"),
            ("", "description: EOF"),
            ("{", "description: EOF"),
            (
                r#"{"version":1,"image":"x","resources":{"memory":"1g"}}"#,
                "expected a whole number that is not negative at line 1",
            ),
            (
                r#"{"version":1,"image":"x","resources":{"cpus":"1"}}"#,
                "expected a number at",
            ),
            (
                r#"{"version":1,"image":"x","args":"true"}"#,
                "args: invalid type: string \"true\", expected a list at",
            ),
            ("[]", "expected an object at"),
            (
                r#"{"version":1,"image":"x","devices":[{"path":"/dev/x","acess":"r"}]}"#,
                "devices[0]: it is no CDI name, nor an object",
            ),
        ];
        for (text, expected) in rows {
            let fault = ContainerSpec::parse(text.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains(expected), "{text}: {fault}");
        }
    }

    #[test]
    fn a_document_says_its_version_and_nothing_unset() {
        let spec = ContainerSpec {
            image: "x".into(),
            ..ContainerSpec::default()
        };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(text, r#"{"version":1,"image":"x"}"#);
        assert_eq!(ContainerSpec::parse(text.as_bytes()).unwrap(), spec);
    }
}
