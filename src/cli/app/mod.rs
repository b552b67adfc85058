//! `--app`: what commands do with a Marathon app definition, which says everything that a command
//! line else says.
//!
//! ```text
//! load ─► values ─► ports, sandbox, volumes ─► artifacts ─► ucr run, watched ─► exit
//! ```

mod artifacts;
mod backoff;
mod health;
mod inspect;
mod leases;
mod load;
mod options;
mod parameters;
mod part;
mod prepare;
mod pull;
mod results;
mod run;
mod status;
mod supervise;
mod task;
mod values;

pub(super) use artifacts::{fetch_all, owner};
pub(super) use inspect::inspect;
pub(super) use options::{AppFile, AppMachine, AppRun, AppSecrets, check};
pub(super) use part::{in_task, part_in_silence, work};
pub(super) use prepare::SECCOMP;
pub(super) use pull::{provision, pull};
pub(super) use run::run;
pub(super) use status::{Line, Status};
