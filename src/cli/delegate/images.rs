//! Images in the Engine: `pull`, `provision`, `images`, and what `inspect` shows of them.

use std::io::{IsTerminal, stderr};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::containers::shown;
use super::{Delegate, is_reason};
use crate::cli::inspect::{Inspect, container_text, image_text};
use crate::cli::provision::Provision;
use crate::cli::pull::{Pull, PullOptions, name};
use crate::cli::{Format, document, output};
use crate::credentials;
use crate::engine::Auth;
use crate::error::{Fault, Kind, kind};
use crate::exit::Outcome;
use crate::pull::{self, Policy};
use crate::runtime::docker::{Docker, EngineImage, PullRequest};
use crate::source::ImageName;

impl Delegate<'_> {
    pub(super) fn pull(&self, pull: &Pull) -> Result<Option<Outcome>> {
        let can = |_: &Docker| self.check_image(&pull.options, pull.image()?);
        if self.first(|| Ok(()), can)?.is_none() {
            return Ok(None);
        }
        let image = self.have(&pull.options, pull.image()?, Policy::Always)?;
        match self.context.wants_json(Format::Text) {
            true => output::json(&summary(&image))?,
            false => output::line(&image.manifest.as_ref().unwrap_or(&image.id).to_string())?,
        }
        Ok(Some(Outcome::Done))
    }

    /// The image is in the Engine, and nothing else is to be done; a bundle is made of it by ucr.
    pub(super) fn provision(&self, provision: &mut Provision) -> Result<Option<Outcome>> {
        provision.check()?;
        let can = |_: &Docker| {
            self.check_image(&provision.options, provision.image()?)?;
            match (&provision.directory, &provision.backend) {
                (None, None) => Ok(()),
                (_, Some(_)) => Err(own_rootfs("--backend").into()),
                (Some(_), None) => Err(own_rootfs("DIR").into()),
            }
        };
        if self.first(|| Ok(()), can)?.is_none() {
            return Ok(None);
        }
        let image = self.have(&provision.options, provision.image()?, Policy::Missing)?;
        if provision.bundle.is_some() {
            provision.image = Some(format!("docker-daemon:{}", image.name));
            provision.options = provision.options.for_engine();
            return Ok(None);
        }
        match self.context.wants_json(Format::Text) {
            true => output::json(&summary(&image))?,
            false => output::line(&image.id.to_string())?,
        }
        Ok(Some(Outcome::Done))
    }

    /// Refuses names and options that the Engine cannot honour.
    pub(super) fn check_image(&self, options: &PullOptions, image: &str) -> Result<()> {
        match name(self.context, image)? {
            ImageName::Registry(_) => Ok(options.check_for_engine()?),
            other => {
                let message = format!("image {other}: Docker Engine pulls from registries only");
                let instead = match &other {
                    ImageName::DockerDaemon(there) => format!("say {there} --policy missing"),
                    ImageName::DockerArchive { path, .. } => {
                        format!("docker load --input {}", path.display())
                    }
                    _ => format!("skopeo copy {image} docker-daemon:NAME:TAG"),
                };
                Err(Fault::new(Kind::Unsupported, message)
                    .hint(format!("{instead}, or say --runtime native"))
                    .into())
            }
        }
    }

    /// An image that is in the Engine afterwards.
    pub(super) fn have(
        &self,
        options: &PullOptions,
        image: &str,
        default: Policy,
    ) -> Result<EngineImage> {
        let docker = self.docker()?;
        let name = name(self.context, image)?;
        let policy = options.policy(&name, default);
        let here = match policy {
            Policy::Always => None,
            _ => docker.image(&name.to_string())?,
        };
        self.image(options, &name, default, here)
    }

    /// The same, of one that is there already, or not. It is of the platform that was asked for: of
    /// one that has no choice of them docker takes any.
    pub(super) fn image(
        &self,
        options: &PullOptions,
        name: &ImageName,
        default: Policy,
        here: Option<EngineImage>,
    ) -> Result<EngineImage> {
        let found = self.any(options, name, default, here)?;
        if let Some(asked) = &options.platform {
            pull::check_platform(&found.config.platform, asked)
                .with_context(|| format!("image {name}"))?;
        }
        Ok(found)
    }

    fn any(
        &self,
        options: &PullOptions,
        name: &ImageName,
        default: Policy,
        here: Option<EngineImage>,
    ) -> Result<EngineImage> {
        let docker = self.docker()?;
        match (here, options.policy(name, default)) {
            (Some(image), Policy::Missing | Policy::Never) => Ok(image),
            (None, Policy::Never) => {
                let message = format!("image {name} is not in Docker Engine");
                Err(Fault::new(Kind::NotFound, message)
                    .hint("leave out --policy never, or pull it first")
                    .into())
            }
            // Docker pulls what is newer; without an answer what is there will do.
            (Some(image), Policy::Newer) => match self.fetch(docker, options, name) {
                Err(error) if kind(&error) == Kind::Network => Ok(image),
                fetched => fetched,
            },
            (_, _) => self.fetch(docker, options, name),
        }
    }

    fn fetch(
        &self,
        docker: &Docker,
        options: &PullOptions,
        name: &ImageName,
    ) -> Result<EngineImage> {
        let ImageName::Registry(reference) = name else {
            return self.check_image(options, &name.to_string()).and_then(|()| {
                anyhow::bail!("internal: an image that no registry has");
            });
        };
        let registry = reference.registry();
        let found = credentials::find(&options.credentials()?, registry, reference.repository())?;
        found.notes.iter().for_each(|note| self.context.note(note));
        for warning in &found.warnings {
            output::remark("warning", warning);
        }
        let key = credentials::docker_key(registry);
        let auth = found.credential.as_ref().map(|credential| Auth {
            registry: &key,
            secret: &credential.secret,
        });
        let platform = options.platform.as_ref().map(ToString::to_string);
        let request = PullRequest {
            name: &name.to_string(),
            platform: platform.as_deref(),
            auth,
            limit: options.pull_timeout.unwrap_or(Self::PULL_LIMIT),
            shows_progress: !self.context.is_quiet() && stderr().is_terminal(),
        };
        docker.pull(&self.directory, &self.environment, &request)
    }

    pub(super) fn images(&self) -> Result<Option<Outcome>> {
        if !self.is_alone() {
            self.context.note("these are the native runtime's images");
            return Ok(None);
        }
        let images = self.docker()?.images()?;
        if self.context.wants_json(Format::Text) {
            output::json(&images.iter().map(summary).collect::<Vec<_>>())?;
            return Ok(Some(Outcome::Done));
        }
        let rows: Vec<_> = images
            .iter()
            .map(|image| {
                [
                    image.name.clone(),
                    image
                        .manifest
                        .as_ref()
                        .unwrap_or(&image.id)
                        .short()
                        .to_owned(),
                    image.config.platform.to_string(),
                    image.document["Size"]
                        .as_u64()
                        .map(output::size)
                        .unwrap_or_default(),
                    image.document["Created"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                ]
            })
            .collect();
        output::table(["IMAGE", "DIGEST", "PLATFORM", "SIZE", "CREATED"], &rows)?;
        Ok(Some(Outcome::Done))
    }

    pub(super) fn inspect(&self, inspect: &Inspect) -> Result<Option<Outcome>> {
        let as_json = self.context.wants_json(Format::Json);
        let found = self.look(inspect.name()?)?;
        let image = match &found {
            Some(_) => None,
            None => self.find_image(inspect.name()?)?,
        };
        if inspect.raw.is_some() && (found.is_some() || image.is_some()) {
            let message = "--raw: Docker Engine keeps no manifests as they were fetched";
            return Err(Fault::new(Kind::Unsupported, message)
                .hint("leave it out, or say --runtime native")
                .into());
        }
        match (found.map(shown), image) {
            (Some(container), _) if as_json => output::json(&document::container(&container))?,
            (Some(container), _) => container_text(&container)?,
            (None, Some(image)) if as_json => output::json(&whole(&image))?,
            (None, Some(image)) => image_text(&whole(&image))?,
            (None, None) if self.is_alone() => {
                let name = inspect.name()?;
                let message =
                    format!("'{name}' is no container of ucr's and no image in Docker Engine");
                return Err(Fault::new(Kind::NotFound, message)
                    .hint("see 'ucr --runtime docker ps --all' and 'ucr --runtime docker images'")
                    .into());
            }
            (None, None) => return Ok(None),
        }
        Ok(Some(Outcome::Done))
    }

    /// An image that the Engine has, if the native runtime is not to be asked first.
    fn find_image(&self, what: &str) -> Result<Option<EngineImage>> {
        // What is no image's name is not there.
        let Ok(name) = name(self.context, what) else {
            return Ok(None);
        };
        if self.is_native_first() && self.context.store()?.image(&name.to_string())?.is_some() {
            return Ok(None);
        }
        match self.docker().and_then(|it| it.image(&name.to_string())) {
            // It was said already, when a container of that name was looked for.
            Err(error) if !self.is_alone() && is_reason(&error) => Ok(None),
            found => found,
        }
    }
}

/// All that the Engine says, under the keys that a native image has it.
fn whole(image: &EngineImage) -> Value {
    let mut document = summary(image);
    let said = &image.document;
    document["layers"] = json!([]);
    document["config"] = json!({
        "architecture": said["Architecture"],
        "os": said["Os"],
        "created": said["Created"],
        "config": said["Config"],
        "rootfs": { "type": "layers", "diff_ids": said["RootFS"]["Layers"] },
    });
    document
}

fn own_rootfs(what: &str) -> Fault {
    let message = format!("{what}: Docker Engine keeps root filesystems to itself");
    Fault::new(Kind::Unsupported, message)
        .hint("--bundle DIR makes a bundle of its image; or say --runtime native")
}

/// With the keys of a native image.
fn summary(image: &EngineImage) -> Value {
    json!({
        "kind": "image",
        "name": image.name,
        "index_digest": null,
        "manifest_digest": image.manifest,
        "config_digest": image.id,
        "platform": image.config.platform,
        "source": "docker",
        "size": image.document["Size"],
        "pulled_at": null,
    })
}
