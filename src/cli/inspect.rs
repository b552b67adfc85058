//! `ucr inspect`: all that is known of an image, a container or a root filesystem.

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::app::{AppFile, AppMachine};
use super::context::Context;
use super::{Format, document, output};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::image::Digest;
use crate::runtime::{Container, ContainerRecord, Status};
use crate::store::{ImageRecord, RootfsRecord, Store};

/// Show all that is known of an image, a container or a root filesystem
///
/// NAME is an image in the store, the name or ID of a container, or the ID or path of a root
/// filesystem. Prints JSON unless --format text; ucr-inspect(1) describes the keys.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Print a document of the image exactly as it was fetched
    #[arg(long, value_name = "WHICH")]
    pub(super) raw: Option<RawDocument>,
    /// What to show
    #[arg(
        value_name = "NAME",
        required_unless_present = "app",
        conflicts_with = "app"
    )]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) app: AppFile,
    #[command(flatten)]
    pub(super) app_machine: AppMachine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RawDocument {
    /// The image manifest
    Manifest,
    /// The image configuration
    Config,
    /// The index that the manifest was chosen from
    Index,
}

/// Something that has a name.
pub(super) enum Named {
    Container(Box<Container>),
    Rootfs(RootfsRecord),
    Image(ImageRecord),
}

impl Inspect {
    /// What clap has seen to.
    pub(super) fn name(&self) -> Result<&str> {
        self.name.as_deref().context("clap requires a name")
    }
}

impl Named {
    /// Finds it. Fails with [`Kind::NotFound`], or [`Kind::Usage`] if a short ID is ambiguous.
    pub(super) fn find(context: &Context, name: &str) -> Result<Self> {
        let store = context.store()?;
        let is_id = |id: &str| name.len() >= 4 && id.starts_with(name);
        let path = context.absolute(name.into())?;
        let mut found: Vec<Self> = Vec::new();
        let state = context.state()?;
        state.heal(&store);
        for container in state.all(&store)? {
            if container.record.spec.name.as_deref() == Some(name) {
                return Ok(Self::Container(Box::new(container)));
            }
            if is_id(&container.record.id) {
                found.push(Self::Container(Box::new(container)));
            }
        }
        for record in store.rootfs_records()? {
            if is_id(&record.id) || record.path == path || record.bundle.as_ref() == Some(&path) {
                found.push(Self::Rootfs(record));
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => return Ok(only),
            (Some(_), false) => {
                return Err(Fault::new(
                    Kind::Usage,
                    format!("'{name}' is the start of several IDs"),
                )
                .hint("say the whole ID")
                .into());
            }
            (None, _) => (),
        }
        let nothing = || {
            Fault::new(
                Kind::NotFound,
                format!("'{name}' is no container, root filesystem or image here"),
            )
            .hint("see 'ucr ps' and 'ucr images'")
        };
        // What is no image name either is simply not there.
        let image = super::pull::name(context, name).map_err(|_| nothing())?;
        Ok(Self::Image(
            store.image(&image.to_string())?.ok_or_else(nothing)?,
        ))
    }
}

impl Inspect {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let store = context.store()?;
        let found = Named::find(context, self.name()?)?;
        if let Some(which) = self.raw {
            raw(&store, &found, which)?;
            return Ok(Outcome::Done);
        }
        let as_json = context.wants_json(Format::Json);
        match found {
            Named::Container(record) if as_json => output::json(&document::container(&record))?,
            Named::Container(record) => container_text(&record)?,
            Named::Rootfs(record) if as_json => output::json(&document::rootfs(&record)?)?,
            Named::Rootfs(record) => rootfs_text(&record)?,
            Named::Image(record) if as_json => output::json(&document::image(&store, &record)?)?,
            Named::Image(record) => image_text(&document::image(&store, &record)?)?,
        }
        Ok(Outcome::Done)
    }
}

fn raw(store: &Store, found: &Named, which: RawDocument) -> Result<()> {
    let Named::Image(record) = found else {
        return Err(Fault::new(Kind::Usage, "--raw is for images")
            .hint("leave it out for containers and root filesystems")
            .into());
    };
    let digest = match which {
        RawDocument::Manifest => &record.manifest_digest,
        RawDocument::Config => &record.config_digest,
        RawDocument::Index => record.index_digest.as_ref().ok_or_else(|| {
            Fault::new(
                Kind::NotFound,
                format!("image {} did not come from an index", record.name),
            )
        })?,
    };
    output::raw(store.blob(digest)?.bytes())
}

/// For people, from the document.
pub(super) fn image_text(image: &Value) -> Result<()> {
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let words = |value: &Value| {
        let words = value.as_array().filter(|words| !words.is_empty())?;
        Some(
            words
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    let (config, run) = (&image["config"], &image["config"]["config"]);
    output::facts(&[
        ("Image", text(&image["name"])),
        ("Manifest", text(&image["manifest_digest"])),
        ("Index", text(&image["index_digest"])),
        ("Config", text(&image["config_digest"])),
        ("Platform", text(&image["platform"])),
        ("Source", text(&image["source"])),
        ("Created", text(&config["created"])),
        ("Pulled", text(&image["pulled_at"])),
        ("Size", image["size"].as_u64().map(output::size)),
        ("Entrypoint", words(&run["Entrypoint"])),
        ("Command", words(&run["Cmd"])),
        ("User", text(&run["User"])),
        ("Directory", text(&run["WorkingDir"])),
        ("Environment", words(&run["Env"])),
        (
            "Runs",
            words(&image["run"]["argv"]).or_else(|| Some("nothing without arguments".into())),
        ),
    ])?;
    let layers = image["layers"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = layers
        .iter()
        .map(|layer| {
            let size = |key: &str| layer[key].as_u64().map(output::size).unwrap_or_default();
            let short = |key: &str| layer[key].as_str().unwrap_or_default().to_owned();
            [short("digest"), size("size"), size("unpacked_size")]
        })
        .collect();
    output::table(["LAYER", "SIZE", "UNPACKED"], &rows)
}

/// For people.
pub(super) fn container_text(container: &Container) -> Result<()> {
    let (record, life) = (&container.record, &container.life);
    let ended = life.ended.as_ref();
    output::facts(&[
        ("Container", Some(record.id.clone())),
        ("Name", record.spec.name.clone()),
        ("Image", Some(origin(record))),
        ("Manifest", record.manifest.as_ref().map(Digest::to_string)),
        ("Status", Some(status(container))),
        ("Process", container.process().map(|it| it.pid.to_string())),
        ("Command", Some(record.process.argv.join(" "))),
        ("Created", Some(output::ago(record.created_at))),
        ("Started", life.started.map(|it| output::ago(it.at))),
        ("Ended", ended.map(|it| output::ago(it.at))),
        ("Error", ended.and_then(|it| it.error.clone())),
    ])
}

/// What a container is made of, in words.
pub(super) fn origin(record: &ContainerRecord) -> String {
    match record.spec.rootfs {
        Some(_) => record.spec.origin(),
        None => record.image.clone(),
    }
}

/// What a container is doing, in words.
pub(super) fn status(container: &Container) -> String {
    match (&container.life.ended, container.status()) {
        (Some(ended), Status::Exited) if ended.oom_kills > 0 => {
            format!("exited ({}, out of memory)", ended.exit.code())
        }
        (Some(ended), Status::Exited) => format!("exited ({})", ended.exit.code()),
        (_, status) => match container
            .life
            .health
            .as_ref()
            .filter(|_| is_running(status))
        {
            Some(health) => format!("{} ({})", status.name(), health.status.name()),
            None => status.name().to_owned(),
        },
    }
}

fn is_running(status: Status) -> bool {
    status == Status::Running
}

fn rootfs_text(record: &RootfsRecord) -> Result<()> {
    let found = document::rootfs(record)?;
    let text = |key: &str| found[key].as_str().map(str::to_owned);
    output::facts(&[
        ("Rootfs", text("id")),
        ("Image", text("image")),
        ("Manifest", text("manifest_digest")),
        ("Status", text("status")),
        ("Backend", text("backend")),
        ("Path", text("path")),
        ("Bundle", text("bundle")),
        ("Created", Some(output::ago(record.created_at))),
    ])
}
