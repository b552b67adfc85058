//! `ucr ps`.

use anyhow::Result;
use clap::Args;

use super::context::Context;
use super::{Format, document, output};
use crate::exit::Outcome;
use crate::runtime::ContainerRecord;
use crate::store::RootfsRecord;

/// List running containers and provisioned root filesystems
#[derive(Debug, Args)]
pub(super) struct Ps {}

impl Ps {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        context.heal()?;
        let store = context.store()?;
        let containers = context.state()?.running(&store)?;
        let provisioned = store.rootfs_records()?;
        if context.wants_json(Format::Text) {
            let containers = containers.iter().map(document::container);
            let rootfs = provisioned
                .iter()
                .map(document::rootfs)
                .collect::<Result<Vec<_>>>()?;
            output::json(&containers.chain(rootfs).collect::<Vec<_>>())?;
            return Ok(Outcome::Done);
        }
        let mut rows: Vec<_> = containers.iter().map(container_row).collect();
        for record in &provisioned {
            rows.push(rootfs_row(record)?);
        }
        output::table(["ID", "KIND", "IMAGE", "STATUS", "CREATED", "WHAT"], &rows)?;
        Ok(Outcome::Done)
    }
}

fn container_row(record: &ContainerRecord) -> [String; 6] {
    [
        record.id.clone(),
        "container".into(),
        record.image.clone(),
        "running".into(),
        output::ago(record.started_at),
        record.argv.join(" "),
    ]
}

fn rootfs_row(record: &RootfsRecord) -> Result<[String; 6]> {
    Ok([
        record.id.clone(),
        "rootfs".into(),
        record.image.clone(),
        document::rootfs_status(record)?.into(),
        output::ago(record.created_at),
        record.path.display().to_string(),
    ])
}
