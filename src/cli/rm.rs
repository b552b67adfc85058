//! `ucr rm`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::inspect::Named;
use super::stop::stop;
use super::{Format, output};
use crate::error::{self, Fault, Kind};
use crate::exit::Outcome;
use crate::provision;
use crate::runtime::{Container, State};
use crate::spec::SignalNumber;

/// How long a container that ended may take to be put away by the ucr that watched it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Remove containers, root filesystems and image names
///
/// NAME is the name or ID of a container, the ID or path of a root filesystem, or an image. What an
/// image alone needed is freed by 'ucr prune'. Prints what was removed.
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// Kill containers that run, and do not mind what is not there
    #[arg(long, short)]
    pub(super) force: bool,
    /// What to remove
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// What another runtime has removed of them.
    #[arg(skip)]
    pub(super) removed: Vec<Value>,
}

impl Rm {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let as_json = context.wants_json(Format::Text);
        let mut removed = self.removed.clone();
        let mut failed = None;
        for name in &self.names {
            match self.remove(context, name) {
                Err(error) if self.force && error::kind(&error) == Kind::NotFound => (),
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

    /// Kills what is to be removed by force, where that can be done at this time only.
    pub(super) fn kill(&self, context: &Context) -> Result<()> {
        let names = self.names.iter().filter(|_| self.force);
        for name in names {
            let (state, store) = (context.state()?, context.store()?);
            if let Ok(container) = state.find_running(&store, name) {
                stop(&state, &container, Some(SignalNumber::KILL), None)?;
            }
        }
        Ok(())
    }

    fn remove(&self, context: &Context, name: &str) -> Result<(&'static str, String)> {
        context.heal()?;
        let store = context.store()?;
        match Named::find(context, name)? {
            Named::Container(container) => {
                self.remove_container(context, &container)?;
                Ok(("container", container.record.name().to_owned()))
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

    fn remove_container(&self, context: &Context, container: &Container) -> Result<()> {
        let name = container.record.name();
        let state = context.state()?;
        if container.is_watched && !is_over(&state, container)? {
            if !self.force {
                let message = format!("container {name} is running");
                let hint = format!("stop it first: ucr stop {name}; or: ucr rm -f {name}");
                return Err(Fault::new(Kind::Usage, message).hint(hint).into());
            }
            stop(&state, container, Some(SignalNumber::KILL), None)?;
        }
        match context.store()?.remove_container(&container.record.id)? {
            true => Ok(()),
            false => {
                let message = format!("container {name} is running");
                Err(Fault::new(Kind::Usage, message).hint("try again").into())
            }
        }
    }
}

/// Whether a container that ended is let go of soon by the ucr that watched it.
fn is_over(state: &State, container: &Container) -> Result<bool> {
    let Some(watched) = state.watch(&container.record.id)? else {
        return Ok(true);
    };
    let deadline = Instant::now() + PATIENCE;
    while container.life.ended.is_some() && Instant::now() < deadline {
        if watched.is_over()? {
            return Ok(true);
        }
        sleep(Duration::from_millis(5));
    }
    Ok(false)
}
