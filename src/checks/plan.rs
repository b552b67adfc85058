//! What is to be checked of a running task, when, and what follows from it. Pure.
//!
//! Two families of checks look alike and count differently: Marathon's own (`HTTP`, `HTTPS`,
//! `TCP`), which a scheduler makes over the network, and those that Mesos makes beside the task
//! (`MESOS_*`, `COMMAND`). Here a [`Check`] is only made whole, by one function for each family, so
//! that the rules of one never meet the schedule of the other.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::TimeSpan;

/// Marathon's first probe comes no later than this after the start.
const FIRST_TICK: Duration = Duration::from_secs(5);
/// Intervals that are shorter are made so long: each probe is a process.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// One check of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What its results are for.
    pub(super) role: Role,
    /// What is done.
    pub(super) probe: Probe,
    /// When.
    pub(super) timing: Timing,
}

/// What results are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Too many failures end the task.
    Health(KillRule),
    /// Tells once that the task is ready.
    Readiness {
        /// What the app calls it.
        name: String,
        /// HTTP status codes that say so.
        codes: BTreeSet<u16>,
    },
    /// Is told to whoever asks, and changes nothing.
    Report,
}

/// When a task is killed for its failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillRule {
    /// Whose way of counting.
    pub(super) family: Family,
    /// `maxConsecutiveFailures`.
    pub(super) max_failures: u32,
    /// Failures so soon after the start do not count before the first success.
    pub(super) grace: TimeSpan,
}

/// Whose rules a check follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Killed by the failure after `max_failures` ones; by none if that is 0.
    Marathon,
    /// Killed by failure number `max_failures`; by the first if that is 0.
    Mesos,
}

/// What is done to find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A GET request.
    Http(Http),
    /// A connection is made.
    Tcp(Target),
    /// A command is executed in the task.
    Command(Command),
}

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// Whom it is sent to.
    pub(super) target: Target,
    /// In the clear or not; certificates are not looked at.
    pub(super) scheme: Scheme,
    /// From its first `/`, perhaps with a query.
    pub(super) path: String,
    /// Whether what a redirect points at is the answer.
    pub(super) follows_redirects: bool,
    /// Whether an answer 1xx changes nothing, instead of being a failure.
    pub(super) ignores_1xx: bool,
}

/// Whom a probe talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Seen from where.
    pub(super) place: Place,
    /// Where.
    pub(super) address: SocketAddr,
}

/// Whose network a probe is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// That of ucr.
    Outside,
    /// The task's.
    Inside,
}

/// How HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

/// A command that is executed in the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Read by `/bin/sh`.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

impl Command {
    /// What is executed.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Shell(text) => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
            Self::Argv(argv) => argv.clone(),
        }
    }
}

/// When probes are made. All times begin when the task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The first one.
    first: TimeSpan,
    /// Between two.
    interval: TimeSpan,
    /// From where to where the interval is measured.
    cadence: Cadence,
    /// How long one may take; `None` is for ever.
    timeout: Option<TimeSpan>,
}

/// From where to where an interval is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cadence {
    /// From beginning to beginning, like a clock; a tick during a probe is skipped.
    Ticks,
    /// From the end of a probe to the beginning of the next.
    Pauses,
}

impl Timing {
    fn new(first: Duration, pace: Pace, cadence: Cadence) -> Self {
        let timeout = (!pace.timeout.is_zero()).then_some(pace.timeout);
        Self {
            first: first.into(),
            interval: pace.interval.max(SHORTEST_INTERVAL).into(),
            cadence,
            timeout: timeout.map(Into::into),
        }
    }

    /// When the first probe is due.
    pub(super) fn first(&self) -> Duration {
        self.first.duration()
    }

    /// When the next one is due after a probe that ended then.
    pub(super) fn next(&self, ended: Duration) -> Duration {
        let interval = self.interval.duration();
        match self.cadence {
            Cadence::Pauses => ended.saturating_add(interval),
            Cadence::Ticks => {
                let since = ended.saturating_sub(self.first()).as_nanos();
                let ticks = since / interval.as_nanos().max(1) + 1;
                let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
                self.first().saturating_add(interval.saturating_mul(ticks))
            }
        }
    }

    /// How long a probe may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(TimeSpan::duration)
    }
}

/// How often, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two probes.
    pub interval: Duration,
    /// How long one may take; 0 is for ever.
    pub timeout: Duration,
}

/// How much is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// `gracePeriodSeconds`.
    pub grace: Duration,
    /// `maxConsecutiveFailures`.
    pub max_failures: u32,
}

/// What is asked of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// An answer to `GET` of this path.
    Get(Scheme, String),
    /// To accept a connection.
    Connect,
}

/// What Mesos looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A port of the task's own loopback address.
    Port {
        /// By which protocol: [`IpVersion::V4`] unless somebody says otherwise.
        ip: IpVersion,
        /// Its number inside.
        port: u16,
        /// What is asked.
        question: Question,
    },
    /// What a command returns.
    Command(Command),
}

/// An internet protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// 127.0.0.1.
    #[default]
    V4,
    /// `::1`.
    V6,
}

impl Check {
    /// Marathon's `HTTP`, `HTTPS` and `TCP` of this address, which is reached from outside.
    pub fn marathon(
        question: Question,
        address: SocketAddr,
        pace: Pace,
        patience: Patience,
        ignores_1xx: bool,
    ) -> Self {
        let place = Place::Outside;
        let mut probe = Probe::port(question, Target { place, address });
        if let Probe::Http(http) = &mut probe {
            http.ignores_1xx = ignores_1xx;
        }
        Self {
            role: Role::Health(KillRule::new(Family::Marathon, patience)),
            probe,
            timing: Timing::new(pace.interval.min(FIRST_TICK), pace, Cadence::Ticks),
        }
    }

    /// `MESOS_*` and `COMMAND`, first made after a delay.
    pub fn mesos(subject: Subject, delay: Duration, pace: Pace, patience: Patience) -> Self {
        let mut probe = Probe::inside(subject);
        if let Probe::Http(http) = &mut probe {
            http.follows_redirects = true;
        }
        Self {
            role: Role::Health(KillRule::new(Family::Mesos, patience)),
            probe,
            timing: Timing::new(delay, pace, Cadence::Pauses),
        }
    }

    /// Mesos's generic `check`, first made after a delay.
    pub fn report(subject: Subject, delay: Duration, pace: Pace) -> Self {
        let mut probe = Probe::inside(subject);
        if let Probe::Http(http) = &mut probe {
            http.follows_redirects = true;
        }
        Self {
            role: Role::Report,
            probe,
            timing: Timing::new(delay, pace, Cadence::Pauses),
        }
    }

    /// Marathon's `readinessChecks` entry of that name: a path of an address that is reached from
    /// outside, and the HTTP status codes that say that the task is ready.
    pub fn readiness(
        name: String,
        (scheme, path): (Scheme, String),
        address: SocketAddr,
        pace: Pace,
        codes: BTreeSet<u16>,
    ) -> Self {
        let place = Place::Outside;
        let question = Question::Get(scheme, path);
        Self {
            role: Role::Readiness { name, codes },
            probe: Probe::port(question, Target { place, address }),
            timing: Timing::new(Duration::ZERO, pace, Cadence::Pauses),
        }
    }

    /// What its results are for.
    pub fn role(&self) -> &Role {
        &self.role
    }
}

impl KillRule {
    fn new(family: Family, patience: Patience) -> Self {
        Self {
            family,
            max_failures: patience.max_failures,
            grace: patience.grace.into(),
        }
    }
}

impl Probe {
    fn port(question: Question, target: Target) -> Self {
        match question {
            Question::Connect => Self::Tcp(target),
            Question::Get(scheme, path) => Self::Http(Http {
                target,
                scheme,
                path: match path.starts_with('/') {
                    true => path,
                    false => format!("/{path}"),
                },
                follows_redirects: false,
                ignores_1xx: false,
            }),
        }
    }

    fn inside(subject: Subject) -> Self {
        match subject {
            Subject::Command(command) => Self::Command(command),
            Subject::Port { ip, port, question } => {
                let ip: IpAddr = match ip {
                    IpVersion::V4 => Ipv4Addr::LOCALHOST.into(),
                    IpVersion::V6 => Ipv6Addr::LOCALHOST.into(),
                };
                let (place, address) = (Place::Inside, SocketAddr::new(ip, port));
                Self::port(question, Target { place, address })
            }
        }
    }

    /// Whether it is made in the task's network.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Http(http) => http.target.place,
            Self::Tcp(target) => target.place,
            // Enters the task by its own means.
            Self::Command(_) => Place::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn pace(interval: f64, timeout: f64) -> Pace {
        Pace {
            interval: seconds(interval),
            timeout: seconds(timeout),
        }
    }

    const PATIENCE: Patience = Patience {
        grace: Duration::from_secs(5),
        max_failures: 3,
    };

    /// Interval; when a probe ended; when the next is due. The first begins at min(interval, 5 s).
    #[test]
    fn marathons_ticks_are_fixed() {
        let rows = [
            (20.0, 0.0, 25.0),
            (20.0, 5.2, 25.0),
            (20.0, 24.999, 25.0),
            (20.0, 25.0, 45.0),
            (20.0, 46.0, 65.0),
            (2.0, 2.5, 4.0),
            (2.0, 9.0, 10.0),
            (0.0, 7.0, 7.1),
        ];
        for (interval, ended, due) in rows {
            let pace = pace(interval, 1.0);
            let check = Check::marathon(Question::Connect, ADDRESS, pace, PATIENCE, false);
            assert_eq!(check.timing.first(), seconds(interval.min(5.0)));
            let next = check.timing.next(seconds(ended));
            assert_eq!(next, seconds(due), "{interval} {ended}");
        }
    }

    #[test]
    fn mesos_pauses_after_each() {
        let command = Subject::Command(Command::Shell("true".into()));
        let check = Check::mesos(command.clone(), seconds(15.0), pace(10.0, 0.0), PATIENCE);
        assert_eq!(check.timing.first(), seconds(15.0));
        assert_eq!(check.timing.next(seconds(17.5)), seconds(27.5));
        assert_eq!(check.timing.timeout(), None);
        let check = Check::report(command, Duration::ZERO, pace(0.0, 20.0));
        assert_eq!(check.timing.next(seconds(1.0)), seconds(1.1));
        assert_eq!(check.timing.timeout(), Some(seconds(20.0)));
    }

    #[test]
    fn each_family_has_its_place_and_its_manners() {
        let get = || Question::Get(Scheme::Http, "health".into());
        let port = Subject::Port {
            ip: IpVersion::V6,
            port: 8080,
            question: get(),
        };
        let pace = pace(1.0, 1.0);
        let outside = Check::marathon(get(), ADDRESS, pace, PATIENCE, true);
        let inside = Check::mesos(port, Duration::ZERO, pace, PATIENCE);
        let (Probe::Http(outside), Probe::Http(inside)) = (outside.probe, inside.probe) else {
            panic!("both are HTTP");
        };
        assert_eq!(outside.path, "/health");
        assert_eq!(outside.target.place, Place::Outside);
        assert!(outside.ignores_1xx && !outside.follows_redirects);
        assert_eq!(inside.target.place, Place::Inside);
        assert_eq!(inside.target.address.to_string(), "[::1]:8080");
        assert!(!inside.ignores_1xx && inside.follows_redirects);
    }

    #[test]
    fn is_stored_as_json() {
        let codes = BTreeSet::from([200, 204]);
        let get = (Scheme::Https, "/ready".to_owned());
        let check = Check::readiness("r".into(), get, ADDRESS, pace(30.0, 10.0), codes);
        let text = serde_json::to_string(&check).unwrap();
        assert!(
            text.contains(r#""readiness":{"name":"r","codes":[200,204]}"#),
            "{text}"
        );
        assert!(
            text.contains(r#""cadence":"pauses","timeout":"10s""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Check>(&text).unwrap(), check);
    }
}
