//! What a probe's finding means for each of the three roles. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::Probe;
use super::probe::Outcome;
use super::tally::Verdict;
use crate::spec::TimeSpan;
use crate::sys::process::Exit;

/// What Marathon shows of a task that answers no readiness check: "gateway timeout".
const NO_ANSWER: u16 = 504;

/// The last result of a generic check, in Mesos's form: without a value if there is none yet, or the
/// probe could not be made, or not in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The answer's status code.
    Http(Option<u16>),
    /// Whether somebody accepts connections.
    Tcp(Option<bool>),
    /// The command's exit code; that of a shell if a signal ended it.
    Command(Option<u8>),
}

impl Report {
    /// Before there is a result.
    pub(super) fn none(probe: &Probe) -> Self {
        match probe {
            Probe::Http(_) => Self::Http(None),
            Probe::Tcp(_) => Self::Tcp(None),
            Probe::Command(_) => Self::Command(None),
        }
    }
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What it told itself.
    pub(super) outcome: Option<Outcome>,
    /// The beginning of what the command printed.
    pub(super) printed: String,
    /// The time it had, if it took longer.
    pub(super) late: Option<Duration>,
}

impl Finding {
    /// Of a probe that could not even begin.
    pub(super) fn failed(cause: String) -> Self {
        Self {
            outcome: Some(Outcome::Failed(cause)),
            printed: String::new(),
            late: None,
        }
    }

    /// What it says about health.
    pub(super) fn health(&self, probe: &Probe) -> Verdict {
        if let (Probe::Http(http), Some(Outcome::Status(100..=199))) = (probe, &self.outcome)
            && http.ignores_1xx
        {
            return Verdict::Void;
        }
        match self.in_time() {
            Some(Outcome::Status(200..=399) | Outcome::Connected) => Verdict::Passed,
            Some(Outcome::Exited(Exit::Code(0))) => Verdict::Passed,
            _ => Verdict::Failed(self.cause()),
        }
    }

    /// The HTTP status that it stands for.
    pub(super) fn status(&self) -> u16 {
        match self.in_time() {
            Some(Outcome::Status(status)) => *status,
            _ => NO_ANSWER,
        }
    }

    /// Whether there was an answer at all.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.in_time(), Some(Outcome::Status(_)))
    }

    /// What is told of a generic check.
    pub(super) fn report(&self, probe: &Probe) -> Report {
        match self.in_time() {
            Some(Outcome::Status(status)) => Report::Http(Some(*status)),
            Some(Outcome::Connected) => Report::Tcp(Some(true)),
            Some(Outcome::Unconnected(_)) => Report::Tcp(Some(false)),
            Some(Outcome::Exited(exit)) => Report::Command(Some(exit.code())),
            Some(Outcome::Failed(_)) | None => Report::none(probe),
        }
    }

    fn in_time(&self) -> Option<&Outcome> {
        self.outcome.as_ref().filter(|_| self.late.is_none())
    }

    fn cause(&self) -> String {
        if let Some(limit) = self.late {
            let why = format!("no result within {}", TimeSpan::from(limit));
            return self.with_printed(why);
        }
        match &self.outcome {
            Some(Outcome::Status(status)) => format!("HTTP status {status}"),
            Some(Outcome::Exited(Exit::Code(code))) => {
                self.with_printed(format!("exit code {code}"))
            }
            Some(Outcome::Exited(Exit::Signal(signal))) => {
                self.with_printed(format!("ended by signal {signal}"))
            }
            Some(Outcome::Failed(cause)) => self.with_printed(cause.clone()),
            Some(Outcome::Unconnected(cause)) => cause.clone(),
            Some(Outcome::Connected) => "connected".to_owned(),
            None => self.with_printed("the probe ended without a result".to_owned()),
        }
    }

    fn with_printed(&self, why: String) -> String {
        match self.printed.is_empty() {
            true => why,
            false => format!("{why}: {}", self.printed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::checks::plan::{Check, Command, Pace, Patience, Question, Scheme, Subject};

    const PACE: Pace = Pace {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
    };

    fn http(ignores_1xx: bool) -> Probe {
        let patience = Patience {
            grace: Duration::ZERO,
            max_failures: 1,
        };
        let question = Question::Get(Scheme::Http, "/".into());
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        Check::marathon(question, address, PACE, patience, ignores_1xx).probe
    }

    fn command() -> Probe {
        let subject = Subject::Command(Command::Shell("x".into()));
        Check::report(subject, Duration::ZERO, PACE).probe
    }

    fn finding(outcome: Outcome, is_late: bool) -> Finding {
        Finding {
            outcome: Some(outcome),
            printed: "said".into(),
            late: is_late.then_some(Duration::from_secs(2)),
        }
    }

    fn failed(cause: &str) -> Verdict {
        Verdict::Failed(cause.into())
    }

    #[test]
    fn statuses() {
        let rows = [
            (100, failed("HTTP status 100"), Verdict::Void),
            (199, failed("HTTP status 199"), Verdict::Void),
            (200, Verdict::Passed, Verdict::Passed),
            (399, Verdict::Passed, Verdict::Passed),
            (400, failed("HTTP status 400"), failed("HTTP status 400")),
            (0, failed("HTTP status 0"), failed("HTTP status 0")),
        ];
        for (status, plain, ignoring) in rows {
            let found = finding(Outcome::Status(status), false);
            assert_eq!(found.health(&http(false)), plain, "{status}");
            assert_eq!(found.health(&http(true)), ignoring, "{status}");
            assert_eq!(found.status(), status);
            assert_eq!(found.report(&http(false)), Report::Http(Some(status)));
        }
    }

    /// An interim answer that nothing follows in time is one that changes nothing.
    #[test]
    fn late_ones() {
        let found = finding(Outcome::Status(103), true);
        let late = failed("no result within 2s: said");
        assert_eq!(found.health(&http(true)), Verdict::Void);
        assert_eq!(found.health(&http(false)), late);
        assert_eq!(found.status(), 504);
        assert_eq!(found.report(&http(false)), Report::Http(None));
        let found = finding(Outcome::Exited(Exit::Code(0)), true);
        assert_eq!(found.health(&command()), late);
        assert_eq!(found.report(&command()), Report::Command(None));
    }

    #[test]
    fn others() {
        let rows = [
            (
                Outcome::Exited(Exit::Code(3)),
                failed("exit code 3: said"),
                Report::Command(Some(3)),
            ),
            (
                Outcome::Exited(Exit::Signal(9)),
                failed("ended by signal 9: said"),
                Report::Command(Some(137)),
            ),
            (
                Outcome::Exited(Exit::Code(0)),
                Verdict::Passed,
                Report::Command(Some(0)),
            ),
            (Outcome::Connected, Verdict::Passed, Report::Tcp(Some(true))),
            (
                Outcome::Unconnected("no".into()),
                failed("no"),
                Report::Tcp(Some(false)),
            ),
            (
                Outcome::Failed("why".into()),
                failed("why: said"),
                Report::Command(None),
            ),
        ];
        for (outcome, verdict, report) in rows {
            let found = finding(outcome, false);
            assert_eq!(found.health(&command()), verdict);
            assert_eq!(found.report(&command()), report);
            assert_eq!(found.status(), 504);
        }
    }
}
