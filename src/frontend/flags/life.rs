//! The flags about a container's name, its end, and what is kept of it.

use clap::Args;

use crate::error::Fault;
use crate::spec::{Log, Restart, SignalNumber, check_name};

/// Life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Life options")]
pub struct LifeFlags {
    /// A name for the container, which no other one has
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Start the container again when it ends: no (default), on-failure[:NUMBER], always or
    /// unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<Restart>,
    /// The signal that asks it to end [default: the image's, or TERM]
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<SignalNumber>,
    /// How long 'ucr stop' waits before it kills [default: 10]
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
    /// What becomes of the output of a container in the background: k8s-file (default) or none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// How it is kept, as in max-size=10m; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
}

impl LifeFlags {
    pub(super) fn name(&self) -> Result<Option<String>, Fault> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        Ok(self.name.clone())
    }

    /// Forgets what may be said beside an app definition.
    pub(super) fn leave_to_app(&mut self) {
        self.name = None;
        self.restart = None;
    }

    pub(super) fn restart(&self) -> Option<Restart> {
        self.restart
    }

    pub(super) fn stop(&self) -> (Option<SignalNumber>, Option<u32>) {
        (self.stop_signal, self.stop_timeout)
    }

    pub(super) fn log(&self) -> Result<Log, Fault> {
        Log::from_words(self.log_driver.as_deref(), &self.log_opt)
    }
}
