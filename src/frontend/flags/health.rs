//! The flags about whether a container is well.

use clap::Args;

use crate::spec::{Health, HealthTest, TimeSpan};

/// Health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Health options")]
pub struct HealthFlags {
    /// A shell command in the container that succeeds while the container is well
    #[arg(long, value_name = "COMMAND", conflicts_with = "no_healthcheck")]
    health_cmd: Option<String>,
    /// Time between checks [default: the image's, or 30s]
    #[arg(long, value_name = "TIME", conflicts_with = "no_healthcheck")]
    health_interval: Option<TimeSpan>,
    /// How long a check may take [default: the image's, or 30s]
    #[arg(long, value_name = "TIME", conflicts_with = "no_healthcheck")]
    health_timeout: Option<TimeSpan>,
    /// Failures in a row that make it unhealthy [default: the image's, or 3]
    #[arg(long, value_name = "NUMBER", conflicts_with = "no_healthcheck")]
    health_retries: Option<u32>,
    /// Time after the start in which failures do not count [default: the image's, or 0s]
    #[arg(long, value_name = "TIME", conflicts_with = "no_healthcheck")]
    health_start_period: Option<TimeSpan>,
    /// Time between checks during that time [default: the image's, or 5s]
    #[arg(long, value_name = "TIME", conflicts_with = "no_healthcheck")]
    health_start_interval: Option<TimeSpan>,
    /// Make no checks, whatever the image says
    #[arg(long)]
    no_healthcheck: bool,
}

impl HealthFlags {
    pub(super) fn health(&self) -> Option<Health> {
        let command = self.health_cmd.as_deref();
        let health = Health {
            test: match command {
                _ if self.no_healthcheck => Some(HealthTest::None),
                // As in docker: an empty one is an unset one.
                None | Some("") => None,
                Some(text) => Some(HealthTest::Shell(text.to_owned())),
            },
            interval: self.health_interval,
            timeout: self.health_timeout,
            retries: self.health_retries,
            start_period: self.health_start_period,
            start_interval: self.health_start_interval,
        };
        (health != Health::default()).then_some(health)
    }
}
