//! `ucr ps`.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::{Format, output};
use crate::exit::Outcome;
use crate::provision;
use crate::runtime::ContainerRecord;
use crate::store::RootfsRecord;

/// List running containers and provisioned root filesystems
#[derive(Debug, Args)]
pub(super) struct Ps {}

impl Ps {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let store = context.store()?;
        let containers = context.state()?.running(&store)?;
        let provisioned = store.rootfs_records()?;
        if context.wants_json(Format::Text) {
            let containers = containers.iter().map(container);
            let rootfs = provisioned.iter().map(rootfs).collect::<Result<Vec<_>>>()?;
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

/// A container as JSON.
pub(super) fn container(record: &ContainerRecord) -> Value {
    json!({
        "kind": "container",
        "id": record.id,
        "image": record.image,
        "manifest": record.manifest,
        "status": "running",
        "pid": record.pid,
        "argv": record.argv,
        "created_at": record.started_at,
        "spec": record.spec,
    })
}

/// A provisioned root filesystem as JSON.
pub(super) fn rootfs(record: &RootfsRecord) -> Result<Value> {
    Ok(json!({
        "kind": "rootfs",
        "id": record.id,
        "image": record.image,
        "manifest": record.manifest,
        "status": status(record)?,
        "backend": record.backend,
        "path": record.path,
        "bundle": record.bundle,
        "created_at": record.created_at,
    }))
}

fn status(record: &RootfsRecord) -> Result<&'static str> {
    Ok(if provision::is_ready(record)? {
        "ready"
    } else {
        "not mounted"
    })
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
        status(record)?.into(),
        output::ago(record.created_at),
        record.path.display().to_string(),
    ])
}
