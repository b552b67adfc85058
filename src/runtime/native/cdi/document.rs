//! A CDI file: its keys, and what makes no sense whatever device is asked for.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::yaml;
use crate::spec::check_cdi_name;

/// A file's content. Every key of CDI 1.1 is known; others make it unusable, as the specification
/// demands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    cdi_version: String,
    pub(super) kind: String,
    #[serde(default, rename = "annotations")]
    _annotations: IgnoredAny,
    pub(super) devices: Vec<Entry>,
    /// Made for every device of the file, once.
    #[serde(default)]
    pub(super) container_edits: ContainerEdits,
}

/// A device of the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(default, rename = "annotations")]
    _annotations: IgnoredAny,
    #[serde(default)]
    pub(super) container_edits: ContainerEdits,
}

/// What a device changes in a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ContainerEdits {
    #[serde(default)]
    pub(super) env: Vec<String>,
    #[serde(default)]
    pub(super) device_nodes: Vec<DeviceNode>,
    #[serde(default)]
    pub(super) mounts: Vec<Mount>,
    #[serde(default)]
    pub(super) hooks: Vec<Hook>,
    // The specification's example and its text write it differently.
    #[serde(default, alias = "additionalGIDs")]
    pub(super) additional_gids: Vec<u32>,
    #[serde(default)]
    pub(super) intel_rdt: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) net_devices: Vec<IgnoredAny>,
}

/// A node in the container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceNode {
    pub(super) path: String,
    pub(super) host_path: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) file_mode: Option<u32>,
    pub(super) permissions: Option<String>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// Something of the host's in the container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Mount {
    pub(super) host_path: String,
    pub(super) container_path: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) options: Vec<String>,
}

/// A program to run.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hook {
    pub(super) hook_name: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    pub(super) timeout: Option<u32>,
}

impl Document {
    /// Reads a file, by the extension of its name. What is wrong is named by its path in it.
    pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Self, String> {
        let document: Self = if path.extension().is_some_and(|name| name == "json") {
            let mut reader = serde_json::Deserializer::from_slice(content);
            let document = read(&mut reader)?;
            reader.end().map_err(|error| error.to_string())?;
            document
        } else {
            let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned())?;
            read(yaml::parse(text)?)?
        };
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), String> {
        if !is_known(&self.cdi_version) {
            let version = &self.cdi_version;
            return Err(format!(
                "cdiVersion: '{version}' is none of 0.1 to 0.8, 1.0 and 1.1"
            ));
        }
        if self.devices.is_empty() {
            return Err("devices: there is none".to_owned());
        }
        let mut seen = HashSet::new();
        for (place, Entry { name, .. }) in self.devices.iter().enumerate() {
            let full = format!("{}={name}", self.kind);
            if check_cdi_name(&full).is_err() {
                return Err(format!("devices[{place}].name: '{full}' is no CDI name"));
            }
            if !seen.insert(name) {
                return Err(format!("devices[{place}].name: '{name}' is there twice"));
            }
        }
        Ok(())
    }
}

fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<Document, String> {
    serde_path_to_error::deserialize(reader).map_err(|error| match error.path().to_string() {
        path if path == "." || path == "?" => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}

/// The versions that there are, whatever their patch: later ones of the specification may say
/// things that must not be ignored. That an earlier version did not have a key yet is no fault.
fn is_known(version: &str) -> bool {
    let numbers: Option<Vec<u32>> = version
        .split('.')
        .map(|number| number.parse().ok())
        .collect();
    matches!(numbers.as_deref(), Some([0, 1..=8, _] | [1, 0 | 1, _]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = r#""devices":[{"name":"x"}]"#;

    fn parse(name: &str, text: &str) -> Result<Document, String> {
        Document::parse(Path::new(name), text.as_bytes())
    }

    #[test]
    fn both_forms_say_the_same() {
        let yaml = "cdiVersion: 0.8.0\nkind: a.com/b\nannotations: {k: v}\ndevices:\n\
                    - name: 0\n  containerEdits:\n    deviceNodes:\n    - path: /dev/x\n      \
                    major: 1\n      fileMode: 0600\n";
        let json = r#"{"cdiVersion":"0.8.0","kind":"a.com/b","annotations":{"k":"v"},"devices":[
            {"name":"0","containerEdits":{"deviceNodes":[
                {"path":"/dev/x","major":1,"fileMode":384}]}}]}"#;
        for (name, text) in [("x.yaml", yaml), ("x.json", json)] {
            let found = parse(name, text).unwrap();
            let node = &found.devices[0].container_edits.device_nodes[0];
            assert_eq!(found.devices[0].name, "0");
            assert_eq!((node.major, node.file_mode), (Some(1), Some(0o600)));
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let of = |rest: &str| format!(r#"{{"cdiVersion":"1.0.0","kind":"a.com/b",{rest}}}"#);
        let edits = |edits: &str| {
            of(&format!(
                r#""devices":[{{"name":"x","containerEdits":{edits}}}]"#
            ))
        };
        let rows = [
            (String::new(), "EOF"),
            ("[]".into(), "invalid length"),
            (of(DEVICE) + "x", "trailing"),
            (of(""), "trailing comma"),
            (of(r#""devices":[]"#), "devices: there is none"),
            (of(r#""devices":[{}]"#), "devices[0]: missing field `name`"),
            (
                of(r#""devices":[{"name":7}]"#),
                "devices[0].name: invalid type",
            ),
            (
                of(r#""devices":[{"name":"a b"}]"#),
                "devices[0].name: 'a.com/b=a b'",
            ),
            (
                of(r#""devices":[{"name":"x"},{"name":"x"}]"#),
                "devices[1].name: 'x' is there twice",
            ),
            (
                of(r#""devices":[{"name":"x","nodes":[]}]"#),
                "devices[0].nodes: unknown field",
            ),
            (
                of(&format!(r#"{DEVICE},"kind":"c.com/d""#)),
                "duplicate field `kind`",
            ),
            (
                edits(r#"{"deviceNodes":[{"major":1}]}"#),
                "deviceNodes[0]: missing field `path`",
            ),
            (
                edits(r#"{"deviceNodes":[{"path":"/x","major":-1}]}"#),
                "deviceNodes[0].major: invalid value",
            ),
            (
                edits(r#"{"additionalGids":[4294967296]}"#),
                "additionalGids[0]",
            ),
            (
                edits(r#"{"env":"A=1"}"#),
                "containerEdits.env: invalid type",
            ),
            (
                edits(r#"{"mounts":[{"hostPath":"/x"}]}"#),
                "mounts[0]: missing field `containerPath`",
            ),
            (
                of(&format!(r#""annotations":{}"#, "[".repeat(500_000))),
                "annotations: expected value",
            ),
            (
                edits(&format!(r#"{{"intelRdt":{}"#, "[".repeat(500_000))),
                "intelRdt: expected value",
            ),
        ];
        for (text, words) in rows {
            let why = parse("x.json", &text).unwrap_err();
            assert!(why.contains(words), "{text:.80}: {why}");
        }
        let why = Document::parse(Path::new("x.yaml"), b"a: \xff").unwrap_err();
        assert!(why.contains("UTF-8"), "{why}");
    }

    #[test]
    fn versions_and_kinds() {
        let with = |version: &str, kind: &str| {
            let text = format!(r#"{{"cdiVersion":"{version}","kind":"{kind}",{DEVICE}}}"#);
            parse("x.json", &text)
        };
        for version in ["0.1.0", "0.3.0", "0.8.2", "1.0.0", "1.1.1"] {
            assert!(with(version, "a.com/b").is_ok(), "{version}");
        }
        for version in [
            "", "1", "1.0", "0.0.1", "0.9.0", "1.2.0", "2.0.0", "v1.0.0", "1.0.x",
        ] {
            let why = with(version, "a.com/b").unwrap_err();
            assert!(why.starts_with("cdiVersion:"), "{version}: {why}");
        }
        for kind in ["", "a", "a/", "/b", "a/b/c", "a.com/b=c", "-a/b", "a/b-"] {
            assert!(with("1.0.0", kind).is_err(), "{kind}");
        }
    }
}
