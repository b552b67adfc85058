//! `ucr volume`: named volumes.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::context::Context;
use super::{Format, document, output};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::Container;
use crate::spec::mount::{Source, volume_name};
use crate::store::VolumeRecord;

/// List, make, show and remove named volumes
///
/// A volume is a directory in the store that outlives containers. 'ucr run -v NAME:DIR' shows one
/// inside, and makes it if it is not there. Only 'ucr volume rm' removes one.
#[derive(Debug, Args)]
pub(super) struct Volume {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the volumes
    Ls,
    /// Make an empty volume; one that is there stays as it is. Prints its name
    Create {
        /// The volume
        #[arg(value_parser = volume_name)]
        name: String,
    },
    /// Show all that is known of volumes
    Inspect {
        /// The volumes
        #[arg(required = true, value_name = "NAME", value_parser = volume_name)]
        names: Vec<String>,
    },
    /// Remove volumes and everything in them. Prints what was removed
    Rm {
        /// The volumes
        #[arg(required = true, value_name = "NAME", value_parser = volume_name)]
        names: Vec<String>,
    },
}

impl Volume {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        context.heal()?;
        match self.verb {
            Verb::Ls => list(context)?,
            Verb::Create { name } => {
                context.store()?.create_volume(&name)?;
                removed_or_made(context, &[name])?;
            }
            Verb::Inspect { names } => inspect(context, &names)?,
            Verb::Rm { names } => return remove(context, &names),
        }
        Ok(Outcome::Done)
    }
}

/// Volumes, and the containers that have them.
struct Known {
    volumes: Vec<VolumeRecord>,
    containers: Vec<Container>,
}

impl Known {
    fn read(context: &Context) -> Result<Self> {
        context.heal()?;
        let store = context.store()?;
        Ok(Self {
            volumes: store.volumes()?,
            containers: context.state()?.all(&store)?,
        })
    }

    fn used_by(&self, name: &str) -> Vec<&Container> {
        let has = |container: &&Container| {
            container.record.spec.mounts.iter().any(
                |mount| matches!(&mount.source, Source::Volume(it) if it.name.as_deref() == Some(name)),
            )
        };
        self.containers.iter().filter(has).collect()
    }

    fn ids(&self, name: &str) -> Vec<&str> {
        let ids = self.used_by(name).into_iter();
        ids.map(|it| it.record.id.as_str()).collect()
    }

    fn document(&self, volume: &VolumeRecord) -> Value {
        document::volume(volume, &self.ids(&volume.name))
    }
}

fn list(context: &Context) -> Result<()> {
    let known = Known::read(context)?;
    if context.wants_json(Format::Text) {
        let all: Vec<_> = known.volumes.iter().map(|it| known.document(it)).collect();
        return output::json(&all);
    }
    let row = |volume: &VolumeRecord| {
        [
            volume.name.clone(),
            output::ago(volume.created_at),
            known.ids(&volume.name).join(" "),
            volume.path.display().to_string(),
        ]
    };
    let rows: Vec<_> = known.volumes.iter().map(row).collect();
    output::table(["NAME", "CREATED", "USED BY", "PATH"], &rows)
}

fn inspect(context: &Context, names: &[String]) -> Result<()> {
    let known = Known::read(context)?;
    let mut documents = Vec::new();
    for name in names {
        let found = known.volumes.iter().find(|volume| volume.name == *name);
        let found = found.ok_or_else(|| {
            Fault::new(Kind::NotFound, format!("there is no volume {name}"))
                .hint("'ucr volume ls' lists them")
        })?;
        documents.push(known.document(found));
    }
    output::json(&documents)
}

fn remove(context: &Context, names: &[String]) -> Result<Outcome> {
    let store = context.store()?;
    let mut removed = Vec::new();
    let mut failed = None;
    for name in names {
        let known = Known::read(context)?;
        let result = match known.used_by(name).first() {
            Some(container) => Err(in_use(name, container)),
            None => store.remove_volume(name),
        };
        match result {
            Ok(()) => removed.push(name.clone()),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    removed_or_made(context, &removed)?;
    failed.map_or(Ok(Outcome::Done), Err)
}

fn in_use(name: &str, container: &Container) -> anyhow::Error {
    let owner = container.record.name();
    let message = format!("volume {name} is in use by container {owner}");
    let hint = format!("remove that first: ucr rm -f {owner}");
    Fault::new(Kind::Usage, message).hint(hint).into()
}

fn removed_or_made(context: &Context, names: &[String]) -> Result<()> {
    if context.wants_json(Format::Text) {
        return output::json(&names);
    }
    names.iter().try_for_each(|name| output::line(name))
}
