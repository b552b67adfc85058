//! What comes of an app's checks: what is recorded, who hears of it, and what is to be done.

use serde_json::{Value, json};

use super::health::Checked;
use crate::checks::{Event, Standing, State, overall};
use crate::cli::output;
use crate::error::escape;
use crate::runtime::{HealthFile, HealthResult, HealthState, HealthStatus, Published};

/// The results of one run.
pub(super) struct Results<'a> {
    checked: Checked<'a>,
    id: String,
    /// Where `ucr ps` and `ucr inspect` look.
    file: Option<HealthFile>,
    _mark: Option<Published>,
    state: HealthState,
    standings: Vec<Standing>,
}

/// What is to be done about a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Somebody may want to hear of it.
    Tell(Value),
    /// The same; from now on it is ready.
    Ready(Value),
    /// It is to be ended, for this reason.
    End(String),
}

impl<'a> Results<'a> {
    pub(super) fn new(
        checked: Checked<'a>,
        id: &str,
        file: HealthFile,
        mark: Option<Published>,
    ) -> Self {
        let count = checked.app.health_checks.len();
        let results = Self {
            checked,
            id: id.to_owned(),
            file: Some(file).filter(|_| count > 0),
            _mark: mark.filter(|_| count > 0),
            state: HealthState::default(),
            standings: vec![Standing::default(); count],
        };
        results.record();
        results
    }

    /// Takes a result into account.
    pub(super) fn take(&mut self, event: Event) -> Consequence {
        match event {
            Event::Health { index, standing } => self.learn(index, standing),
            Event::Kill {
                index,
                failures,
                cause,
            } => {
                let cause = escape(&cause);
                let times = if failures == 1 { "time" } else { "times" };
                Consequence::End(format!(
                    "health check {index} failed {failures} {times}: {cause}"
                ))
            }
            Event::Ready { status, .. } => {
                Consequence::Ready(json!({ "event": "ready", "id": self.id, "status": status }))
            }
            Event::NotReady { status, .. } => {
                Consequence::Tell(json!({ "event": "not-ready", "id": self.id, "status": status }))
            }
            Event::Checked { report, .. } => {
                Consequence::Tell(json!({ "event": "check", "id": self.id, "result": report }))
            }
        }
    }

    fn learn(&mut self, index: usize, standing: Standing) -> Consequence {
        let failed = standing.state == State::Unhealthy || standing.cause.is_some();
        let now = milliseconds();
        self.state.failing_streak = standing.failures;
        let result = HealthResult {
            started_at: now,
            ended_at: now,
            exit_code: failed.into(),
            output: standing.cause.clone().unwrap_or_default(),
        };
        if let Some(place) = self.standings.get_mut(index) {
            *place = standing;
        }
        self.state.keep(result);
        self.state.status = match overall(&self.standings) {
            None | Some(State::Unknown) => HealthStatus::Starting,
            Some(State::Healthy) => HealthStatus::Healthy,
            Some(State::Unhealthy) => HealthStatus::Unhealthy,
        };
        self.record();
        Consequence::Tell(json!({
            "event": "health",
            "id": self.id,
            "status": self.state.status,
            "check": index,
        }))
    }

    fn record(&self) {
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.write(&self.state)) {
            let why = crate::error::render(&error);
            output::remark("warning", &format!("{}: {why}", self.checked.app.id));
        }
    }
}

/// Since 1970.
fn milliseconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}
