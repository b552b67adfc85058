//! `ucr images`.

use anyhow::Result;
use clap::Args;

use super::context::Context;
use super::{Format, document, output};
use crate::exit::Outcome;

/// List the images in the store
#[derive(Debug, Args)]
pub(super) struct Images {}

impl Images {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let images = context.store()?.images()?;
        if context.wants_json(Format::Text) {
            output::json(
                &images
                    .iter()
                    .map(document::image_summary)
                    .collect::<Vec<_>>(),
            )?;
            return Ok(Outcome::Done);
        }
        let rows: Vec<_> = images
            .iter()
            .map(|image| {
                [
                    image.name.clone(),
                    image.manifest_digest.short().to_owned(),
                    image.platform.to_string(),
                    output::size(image.size),
                    output::ago(image.pulled_at),
                ]
            })
            .collect();
        output::table(["IMAGE", "DIGEST", "PLATFORM", "SIZE", "PULLED"], &rows)?;
        Ok(Outcome::Done)
    }
}
