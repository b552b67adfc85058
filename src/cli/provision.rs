//! `ucr provision`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use super::app::{AppFile, AppSecrets};
use super::context::Context;
use super::pull::PullOptions;
use super::{Format, Verbosity, document, output};
use crate::bundle;
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::provision::{self, Provisioned, Request};
use crate::pull::Policy;
use crate::runtime::native::host_name;
use crate::spec::{ContainerSpec, process};
use crate::store::{Backend, Image, RootfsRecord};

/// Make a root filesystem, or an OCI bundle, from an image
///
/// Pulls the image if it is not in the store. Prints the path of the root filesystem or of the
/// bundle. It stays until 'ucr rm PATH'; after a reboot the same command mounts it again.
#[derive(Debug, Args)]
pub(super) struct Provision {
    /// The image
    #[arg(required_unless_present = "app")]
    pub(super) image: Option<String>,
    /// Where to put it: a directory that is empty or not there yet [default: in the store]
    #[arg(value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    /// Arguments of the bundle's command, instead of the image's
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
    #[command(flatten)]
    pub(super) verbosity: Verbosity,
    /// How the root filesystem is made [default: overlay, or copy for users]
    #[arg(long, value_name = "HOW")]
    pub(super) backend: Option<BackendName>,
    /// Make an OCI bundle in DIR: rootfs and config.json, for runc, crun, youki or runsc
    #[arg(long, value_name = "DIR", conflicts_with = "directory")]
    pub(super) bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(super) options: PullOptions,
    #[command(flatten)]
    pub(super) app: AppFile,
    #[command(flatten)]
    pub(super) app_secrets: AppSecrets,
    /// What an app definition says of the command.
    #[arg(skip)]
    entrypoint: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BackendName {
    /// An overlay mount over the store's layers: instant, no space
    Overlay,
    /// A full copy: needs neither mount nor store afterwards
    Copy,
}

impl Provision {
    /// Its name, which clap or an app has seen to.
    pub(super) fn image(&self) -> Result<&str> {
        self.image.as_deref().context("clap requires an image")
    }

    /// Takes the image and the command of an app; what was said of an image is the directory.
    pub(super) fn take_app(&mut self, image: String, app: &ContainerSpec) -> Result<(), Fault> {
        let place = self.image.replace(image).map(PathBuf::from);
        let has_two = place.is_some() && (self.directory.is_some() || self.bundle.is_some());
        if has_two || !self.args.is_empty() {
            return Err(Fault::new(Kind::Usage, "--app with an image or arguments")
                .hint("the app definition has them: ucr provision --app FILE [DIR]"));
        }
        self.directory = self.directory.take().or(place);
        if self.bundle.is_some() {
            self.entrypoint.clone_from(&app.entrypoint);
            self.args.clone_from(&app.args);
        }
        Ok(())
    }

    /// Refuses what makes no sense, whoever serves.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self.args.is_empty() || self.bundle.is_some() {
            true => Ok(()),
            false => Err(Fault::new(
                Kind::Usage,
                "arguments without --bundle: nothing is executed",
            )
            .hint("leave out what follows '--', or add --bundle DIR")),
        }
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        self.check()?;
        let image = self.options.pull(context, self.image()?, Policy::Missing)?;
        let spec = ContainerSpec {
            image: image.record.name.clone(),
            entrypoint: self.entrypoint.clone(),
            args: self.args.clone(),
            ..ContainerSpec::default()
        };
        let bundle = self
            .bundle
            .clone()
            .map(|path| context.absolute(path))
            .transpose()?;
        let process = match &bundle {
            Some(_) => Some(process(&spec, &image.config, &host_name())?),
            None => None,
        };
        let Provisioned { record, is_new } = self.rootfs(context, &image, bundle.as_deref())?;
        let mut path = record.path.clone();
        if let (Some(bundle), Some(process)) = (bundle, process) {
            // One that is there belongs to a bundle made before, and may have been edited.
            if !bundle::config_of(&bundle).exists() {
                bundle::write(&bundle, &process)
                    .with_context(|| format!("bundle {}", bundle.display()))
                    .inspect_err(|_| {
                        // One that was there before holds what somebody wrote to it.
                        if is_new {
                            drop(undo(context, &record));
                        }
                    })?;
            }
            path = bundle;
        }
        context.note(&format!("rootfs {} of {}", record.id, image.record.name));
        if context.wants_json(Format::Text) {
            output::json(&document::rootfs(&record)?)?;
        } else {
            output::line(text(&path)?)?;
        }
        Ok(Outcome::Done)
    }

    /// What an ordinary user mounts is seen by ucr alone, and gone with it.
    fn backend(&self, context: &Context) -> Result<Backend> {
        match (self.backend, context.is_user()) {
            (None, true) | (Some(BackendName::Copy), _) => Ok(Backend::Copy),
            (None | Some(BackendName::Overlay), false) => Ok(Backend::Overlay),
            (Some(BackendName::Overlay), true) => Err(Fault::new(
                Kind::Unsupported,
                "--backend overlay: only root can mount where others see it",
            )
            .hint("say --backend copy, or run ucr as root, or of a namespace: unshare -Urm")
            .into()),
        }
    }

    fn rootfs(
        &self,
        context: &Context,
        image: &Image,
        bundle: Option<&Path>,
    ) -> Result<Provisioned> {
        let directory = match (bundle, &self.directory) {
            (Some(bundle), _) => Some(bundle::rootfs_of(bundle)),
            (None, Some(directory)) => Some(context.absolute(directory.clone())?),
            (None, None) => None,
        };
        let request = Request {
            image,
            directory: directory.as_deref(),
            backend: self.backend(context)?,
            bundle,
            note: &|warning| output::remark("warning", warning),
        };
        provision::provision(&context.store()?, &request)
    }
}

fn undo(context: &Context, record: &RootfsRecord) -> Result<()> {
    provision::remove(&context.store()?, record)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let message = format!("path {} is not UTF-8", path.display());
        Fault::new(Kind::Usage, message).into()
    })
}
