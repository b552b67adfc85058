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
        let mut removed = Vec::new();
        for name in &self.names {
            let (kind, what) = remove(context, name)?;
            if context.wants_json(Format::Text) {
                removed.push(json!({ "kind": kind, "name": what }));
            } else {
                output::line(&what)?;
            }
        }
        if context.wants_json(Format::Text) {
            output::json(&removed)?;
        }
        Ok(Outcome::Done)
    }
}

fn remove(context: &Context, name: &str) -> Result<(&'static str, String)> {
    let store = context.store()?;
    store.heal();
    match Named::find(context, name)? {
        Named::Container(record) => {
            let message = format!("container {} is running", record.id);
            let hint = format!("stop it, and it removes itself: kill {}", record.pid);
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
