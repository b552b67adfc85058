//! `ucr top`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::context::Context;
use super::rootless::Users;
use super::{Format, output};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::native::processes;

/// List the processes of a running container
///
/// With their numbers on the host, and users by the names that the container has for them.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Name or ID
    #[arg(value_name = "CONTAINER")]
    name: String,
    /// Refused: options of ps, which ucr does not run
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Top {
    /// Where an ordinary user's works.
    pub(super) fn users(&self, context: &Context) -> Result<Users> {
        Users::of_container(context, &self.name)
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        if let Some(option) = self.options.first() {
            let message = format!("'{option}': ucr top takes no options of ps");
            return Err(Fault::new(Kind::Usage, message)
                .hint("--format json prints all that is known")
                .into());
        }
        let store = context.store()?;
        let container = context.state()?.find_running(&store, &self.name)?;
        let found = processes(&container)?;
        if context.wants_json(Format::Text) {
            let all = found.iter().map(|it| {
                json!({
                    "pid": it.pid,
                    "ppid": it.ppid,
                    "uid": it.uid,
                    "user": it.user,
                    "cpu_seconds": it.seconds(),
                    "command": it.command,
                })
            });
            output::json(&all.collect::<Vec<_>>())?;
            return Ok(Outcome::Done);
        }
        let rows: Vec<_> = found
            .iter()
            .map(|it| {
                let user = it.user.clone().unwrap_or_else(|| it.uid.to_string());
                let (pid, ppid) = (it.pid.to_string(), it.ppid.to_string());
                [pid, ppid, user, time(it.seconds()), it.command.clone()]
            })
            .collect();
        output::table(["PID", "PPID", "USER", "TIME", "COMMAND"], &rows)?;
        Ok(Outcome::Done)
    }
}

/// As ps shows it.
fn time(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}
