//! `ucr rm`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::context::Context;
use super::inspect::Named;
use super::{Format, output};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::provision;

/// Remove root filesystems and image names
///
/// NAME is the ID or path of a root filesystem, or an image. What an image alone needed is freed by
/// 'ucr prune'. Prints what was removed.
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// What to remove
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rm {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let as_json = context.wants_json(Format::Text);
        let mut removed = Vec::new();
        let mut failed = None;
        for name in &self.names {
            match remove(context, name) {
                Ok((kind, what)) if as_json => removed.push(json!({ "kind": kind, "name": what })),
                Ok((_, what)) => output::line(&what)?,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if as_json {
            output::json(&removed)?;
        }
        failed.map_or(Ok(Outcome::Done), Err)
    }
}

fn remove(context: &Context, name: &str) -> Result<(&'static str, String)> {
    context.heal()?;
    let store = context.store()?;
    match Named::find(context, name)? {
        Named::Container(record) => {
            let message = format!("container {} is running", record.id);
            let hint = format!("stop it, and it removes itself: kill -KILL {}", record.pid);
            Err(Fault::new(Kind::Usage, message).hint(hint).into())
        }
        Named::Rootfs(record) => {
            provision::remove(&store, &record)?;
            Ok(("rootfs", record.id))
        }
        Named::Image(record) => {
            store.remove_image(&record.name)?;
            Ok(("image", record.name))
        }
    }
}
