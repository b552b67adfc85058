//! An image in a Docker Engine: asked about with `docker image inspect`, and brought with
//! `docker save` into a file that has no name, to be read as Docker's archive.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{DaemonImage, LocalImage};
use crate::engine::{Engine, Environment, SHORT};
use crate::error::{Fault, Kind, kind};
use crate::image::Digest;

/// How long an Engine may take to write an image, if nobody says.
const SAVE: Duration = Duration::from_secs(3600);
/// How often a directory is made again because a sweeper took it for a dead one's.
const MAX_TRIES: u32 = 3;

/// An image in the Engine that the environment names.
#[derive(Debug)]
pub struct Daemon {
    /// Which image.
    pub image: DaemonImage,
    /// How the Engine is reached.
    pub environment: Environment,
    /// Where a directory may be made for the CLI, locked as long as it is in use.
    pub directory: PathBuf,
}

impl Daemon {
    /// The image's ID: where the Engine keeps images by its classic drivers, the digest of the
    /// configuration. Fails with [`Kind::NotFound`] if there is no such image, with
    /// [`Kind::Network`] if there is no Engine.
    pub fn id(&self, deadline: Option<Instant>) -> Result<Digest> {
        let name = self.image.to_string();
        let words = ["image", "inspect", "--format", "{{.Id}}", &name];
        let answer = self.engine()?.call(&words, left(deadline).min(SHORT), None);
        let answer = answer.map_err(|error| self.explained(error))?;
        let text = String::from_utf8_lossy(&answer);
        text.trim().parse().map_err(|_| {
            let message = "Docker Engine: the answer to 'docker image inspect' is no image's ID";
            Fault::new(Kind::Network, message)
                .hint("is it Docker's own CLI that is called docker here?")
                .into()
        })
    }

    /// Has the Engine write the image into an empty file, and opens it there.
    pub fn save(&self, into: File, deadline: Option<Instant>) -> Result<LocalImage> {
        // An Engine that hangs is told from one that takes its time.
        self.id(deadline)?;
        let name = self.image.to_string();
        let stdout = into.try_clone()?.into();
        self.engine()?
            .call_showing(&["save", &name], left(deadline), stdout)
            .map_err(|error| self.explained(error))?;
        LocalImage::in_docker_file(into).context("what 'docker save' wrote")
    }

    fn engine(&self) -> Result<Engine> {
        let open = || Engine::open(&self.directory, &self.environment, None);
        for _ in 1..MAX_TRIES {
            match open() {
                Ok(engine) if engine.private().path().exists() => return Ok(engine),
                Err(error) if kind(&error) != Kind::Kernel => return Err(self.explained(error)),
                _ => (),
            }
        }
        open()
    }

    /// With hints for who wants an image, not a runtime.
    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let Some(fault) = error.downcast_ref::<Fault>() else {
            return error;
        };
        let message = fault.to_string();
        let fault = Fault::new(fault.kind(), message.clone());
        match fault.kind() {
            Kind::NoSpace if message.contains("/dev/stdout") => {
                // The store's disk is full, not the Engine's.
                std::io::Error::from(std::io::ErrorKind::StorageFull).into()
            }
            Kind::NotFound => fault.hint("'docker images' lists those that it has").into(),
            Kind::Unsupported => fault
                .hint("install Docker's CLI (Debian: apt-get install docker.io)")
                .into(),
            Kind::Network if message.contains("'docker save'") => {
                fault.hint("say --pull-timeout for more").into()
            }
            Kind::Network => fault
                .hint("start it (systemctl start docker); see $DOCKER_HOST and 'docker context ls'")
                .into(),
            _ => error,
        }
    }
}

/// How long the Engine may take.
fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(SAVE, |it| it.saturating_duration_since(Instant::now()))
}
