//! `ucr prune`.

use anyhow::{Context as _, Result};
use clap::Args;

use super::context::Context;
use super::{Format, output};
use crate::exit::Outcome;
use crate::store::Patience;

/// Remove everything that no image, root filesystem or container refers to
///
/// Waits for pulls in progress. Images stay: remove their names first, with 'ucr rm'.
#[derive(Debug, Args)]
pub(super) struct Prune {}

impl Prune {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        context.heal()?;
        let store = context.store()?;
        let reclaimed = match store.prune(Patience::Try)? {
            Some(reclaimed) => reclaimed,
            None => {
                if !context.is_quiet() {
                    output::remark("prune", "waiting for a pull or a start in progress");
                }
                store
                    .prune(Patience::Wait)?
                    .context("a lock that is waited for is had")?
            }
        };
        if context.wants_json(Format::Text) {
            output::json(&reclaimed)?;
        } else {
            output::line(&format!(
                "removed {}, {}, {}: {}",
                output::count(reclaimed.layers, "layer"),
                output::count(reclaimed.blobs, "document"),
                output::count(reclaimed.partial, "partial download"),
                output::size(reclaimed.bytes)
            ))?;
        }
        Ok(Outcome::Done)
    }
}
