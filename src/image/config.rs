//! The image configuration: what to run by default and which layers make the root filesystem
//! (image-spec, config.md).

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::digest::Digest;
use super::platform::Platform;
use crate::error::{Fault, Kind};

/// The parts of a configuration that ucr uses. Empty lists and unset values are the same thing
/// here, as they are for Docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// The platform the image was built for.
    pub platform: Platform,
    /// When the image was made, RFC 3339.
    pub created: Option<String>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
    /// `ENV`, as `NAME=value`.
    pub env: Vec<String>,
    /// `USER`, not yet looked up.
    pub user: Option<String>,
    /// `WORKDIR`.
    pub working_dir: Option<String>,
    /// `VOLUME`s.
    pub volumes: Vec<String>,
    /// `EXPOSE`d ports, as `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// `LABEL`s.
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`.
    pub stop_signal: Option<String>,
    /// `HEALTHCHECK`, as it is written.
    pub healthcheck: Option<Value>,
    /// `SHELL`.
    pub shell: Vec<String>,
    /// Digests of the uncompressed layers, bottom first.
    pub diff_ids: Vec<Digest>,
}

impl ImageConfig {
    /// What is said where there is no image: nothing.
    pub fn none() -> Self {
        Self {
            platform: Platform::host(),
            created: None,
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            env: Vec::new(),
            user: None,
            working_dir: None,
            volumes: Vec::new(),
            exposed_ports: Vec::new(),
            labels: BTreeMap::new(),
            stop_signal: None,
            healthcheck: None,
            shell: Vec::new(),
            diff_ids: Vec::new(),
        }
    }

    /// Reads a configuration. Fails with [`Kind::Registry`] on what is no image configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = |why: String| Fault::new(Kind::Registry, format!("image configuration: {why}"));
        // In keys that nobody asks for, serde_json lets anything pass.
        let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let found: oci_spec::image::ImageConfiguration =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let diff_ids = found.rootfs().diff_ids().iter().map(|text| {
            text.parse::<Digest>().map_err(|fault| {
                Fault::new(
                    Kind::Registry,
                    format!("image configuration: diff ID: {fault}"),
                )
                .into()
            })
        });
        let diff_ids = diff_ids.collect::<Result<_>>()?;
        let variant = found.variant().as_deref();
        let platform = Platform::new(
            &found.os().to_string(),
            &found.architecture().to_string(),
            variant,
        );
        let beyond = Beyond::parse(text).map_err(|error| wrong(error.to_string()))?;
        let run = found.config().clone().unwrap_or_default();
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        Ok(Self {
            platform,
            created: text(found.created()),
            entrypoint: run.entrypoint().clone().unwrap_or_default(),
            cmd: run.cmd().clone().unwrap_or_default(),
            env: run.env().clone().unwrap_or_default(),
            user: text(run.user()),
            working_dir: text(run.working_dir()),
            volumes: sorted(run.volumes()),
            exposed_ports: sorted(run.exposed_ports()),
            labels: run
                .labels()
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            stop_signal: text(run.stop_signal()),
            healthcheck: beyond.healthcheck,
            shell: beyond.shell.unwrap_or_default(),
            diff_ids,
        })
    }
}

/// What docker's configurations have beyond the specification's.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Beyond {
    healthcheck: Option<Value>,
    shell: Option<Vec<String>>,
}

impl Beyond {
    fn parse(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Whole {
            config: Option<Beyond>,
        }
        // Few images have either, and a start should not read everything twice.
        if !text.contains("\"Healthcheck\"") && !text.contains("\"Shell\"") {
            return Ok(Self::default());
        }
        let whole: Whole = serde_json::from_str(text)?;
        Ok(whole.config.unwrap_or_default())
    }
}

/// JSON objects used as sets come in hash order; print and compare them in one order.
fn sorted(set: &Option<Vec<String>>) -> Vec<String> {
    let mut names = set.clone().unwrap_or_default();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let config = ImageConfig::parse(
            br#"{"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00Z",
                "config":{"Cmd":["sh"],"Entrypoint":null,"Env":["A=1"],"User":"","Volumes":{"/b":{},"/a":{}},
                "OnBuild":null,"Labels":null,"ArgsEscaped":true,"Healthcheck":{"Test":["NONE"]}},
                "history":[{"empty_layer":true}],
                "rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .unwrap();
        assert_eq!(config.cmd, ["sh"]);
        assert_eq!(config.volumes, ["/a", "/b"]);
        assert_eq!((config.user, config.entrypoint), (None, vec![]));
        assert_eq!(config.platform.to_string(), "linux/amd64");
    }

    #[test]
    fn refuses_bad_diff_ids_and_other_documents() {
        for text in [
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:../x"]}}"#,
            r#"{"architecture":"amd64"}"#,
            "null",
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
        let whole = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"x":"?"}"#;
        assert!(ImageConfig::parse(whole).is_ok());
        assert!(ImageConfig::parse(&whole.map(|b| if b == b'?' { 0xf0 } else { b })).is_err());
    }
}
