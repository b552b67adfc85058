//! Images in the Engine.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Docker;
use crate::engine::{Auth, Engine, Environment};
use crate::error::{Kind, kind};
use crate::image::{Digest, ImageConfig, Reference};
use crate::sys::signal::HeldEnds;

/// An image that the Engine has.
#[derive(Clone, Debug)]
pub struct EngineImage {
    /// What it was asked for by.
    pub name: String,
    /// The digest of its configuration, or of its manifest where the Engine keeps it by that.
    pub id: Digest,
    /// What its registry calls it, if it came from one.
    pub manifest: Option<Digest>,
    /// What it says about containers.
    pub config: ImageConfig,
    /// All that the Engine says.
    pub document: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: Digest,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    config: Option<Value>,
    #[serde(default, rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Default, Deserialize)]
struct RootFs {
    #[serde(default, rename = "Layers")]
    layers: Option<Vec<String>>,
}

/// An image that is to be in the Engine.
#[derive(Debug)]
pub struct PullRequest<'a> {
    /// Its normalised name.
    pub name: &'a str,
    /// Of a multi-platform image, if not the Engine's own.
    pub platform: Option<&'a str>,
    /// For its registry.
    pub auth: Option<Auth<'a>>,
    /// How long it may take.
    pub limit: Duration,
    /// Progress goes to stderr.
    pub shows_progress: bool,
}

impl Docker {
    /// The image of that name, if the Engine has it.
    pub fn image(&self, name: &str) -> Result<Option<EngineImage>> {
        let words = ["image", "inspect", "--format", "{{json .}}", name];
        let answer = match self.engine.call(&words, self.engine.short(), None) {
            Ok(answer) => answer,
            Err(error) if kind(&error) == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        understand(name, &answer).map(Some)
    }

    /// Fetches an image. `environment` is that of the Engine. Fails with what the registry says.
    pub fn pull(
        &self,
        directory: &std::path::Path,
        environment: &Environment,
        request: &PullRequest,
    ) -> Result<EngineImage> {
        // Whatever ends us, the credential goes first.
        let ends = HeldEnds::hold().context("read signals")?;
        // A configuration for this pull alone: nothing else has the credential.
        let engine = Engine::open(directory, environment, request.auth.as_ref())?;
        let pulled = fetch(&engine, request, ends.as_fd());
        drop(engine);
        if pulled
            .as_ref()
            .is_err_and(|it| kind(it) == Kind::Interrupted)
        {
            // The signal acts as soon as it is let in.
            self.engine.private().remove();
        }
        drop(ends);
        pulled?;
        let image = self.image(request.name)?;
        image.with_context(|| format!("image {} went away while it was being used", request.name))
    }

    /// The images that the Engine has a name for, by name.
    pub fn images(&self) -> Result<Vec<EngineImage>> {
        let format = "{{.Repository}}:{{.Tag}}";
        let words = ["image", "ls", "--format", format];
        let answer = self.engine.call(&words, self.engine.short(), None)?;
        let names = String::from_utf8_lossy(&answer);
        let mut names: Vec<&str> = names.lines().filter(|it| !it.contains("<none>")).collect();
        names.sort_unstable();
        names.dedup();
        let found = names.into_iter().map(|name| self.image(name));
        // What went meanwhile is not listed.
        Ok(found
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }
}

fn fetch(engine: &Engine, request: &PullRequest, interrupt: BorrowedFd) -> Result<()> {
    let mut words = vec!["pull"];
    if let Some(platform) = request.platform {
        words.extend(["--platform", platform]);
    }
    words.push(request.name);
    match request.shows_progress && std::io::stderr().is_terminal() {
        // The CLI draws its progress on what is its stdout.
        true => {
            let stderr = rustix::io::dup(std::io::stderr()).context("progress")?;
            engine.call_showing(&words, request.limit, stderr, Some(interrupt))
        }
        false => engine
            .call(&words, request.limit, Some(interrupt))
            .map(drop),
    }
}

impl EngineImage {
    /// One that is not there yet, of which nothing is known.
    pub fn unknown(name: &str) -> Result<Self> {
        let nothing = json!({
            "Id": format!("sha256:{}", "0".repeat(64)),
            "Architecture": "amd64",
            "Os": "linux",
            "Config": {"Cmd": ["unknown"]},
        });
        understand(name, nothing.to_string().as_bytes())
    }
}

fn understand(name: &str, answer: &[u8]) -> Result<EngineImage> {
    let what = || format!("image {name} as Docker Engine describes it");
    let document: Value = serde_json::from_slice(answer).with_context(what)?;
    let found: Inspected = serde_json::from_value(document.clone()).with_context(what)?;
    let config = json!({
        "architecture": found.architecture,
        "os": found.os,
        "variant": found.variant.filter(|it| !it.is_empty()),
        "config": found.config.unwrap_or_else(|| json!({})),
        "rootfs": {
            "type": "layers",
            "diff_ids": found.root_fs.layers.unwrap_or_default(),
        },
    });
    let digests = found.repo_digests.unwrap_or_default();
    let repository = |text: &str| {
        let found: Option<Reference> = text.parse().ok();
        found.map(|it| (it.registry().to_owned(), it.repository().to_owned()))
    };
    let of_name = repository(name);
    let of_name = digests
        .iter()
        .find(|digest| of_name.is_some() && repository(digest) == of_name);
    let manifest = of_name.or(digests.first());
    let manifest = manifest.and_then(|text| text.split_once('@')?.1.parse().ok());
    Ok(EngineImage {
        name: name.to_owned(),
        id: found.id,
        manifest,
        config: ImageConfig::parse(config.to_string().as_bytes()).with_context(what)?,
        document,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says() {
        let digest = |c: char| format!("sha256:{}", String::from(c).repeat(64));
        let answer = json!({
            "Id": digest('a'),
            "RepoDigests": [format!("other@{}", digest('b')), format!("r.io/x@{}", digest('c'))],
            "Architecture": "amd64",
            "Os": "linux",
            "Config": {"Env": ["A=1"], "Cmd": ["sh"], "Entrypoint": null, "Hostname": ""},
            "RootFS": {"Type": "layers", "Layers": [digest('d')]},
        });
        let found = understand("r.io/x:1", answer.to_string().as_bytes()).unwrap();
        assert_eq!(found.id.to_string(), digest('a'));
        assert_eq!(found.manifest.unwrap().to_string(), digest('c'));
        assert_eq!(found.config.cmd, ["sh"]);
        for bad in ["", "[]", r#"{"Id":"x"}"#] {
            assert!(understand("x", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
