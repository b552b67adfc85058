//! Counts the results of one health check, by the rules of its family. Pure: times come in as
//! lengths since the task runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Family, KillRule};

/// How a task is, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No result that counts.
    #[default]
    Unknown,
    /// The last one was a success.
    Healthy,
    /// The last one was a failure.
    Unhealthy,
}

/// What one check knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// In a word.
    pub state: State,
    /// How many failures that count came in a row.
    pub failures: u32,
    /// Why the last probe failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What a probe says about health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Well.
    Passed,
    /// Not well, and why.
    Failed(String),
    /// Neither.
    Void,
}

/// What follows from a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// There is nothing to tell.
    Nothing,
    /// It became healthy, or failed once more.
    Told,
    /// The same, and the task is to be killed.
    Kill,
}

/// The count of one check.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    rule: KillRule,
    standing: Standing,
    has_passed: bool,
}

impl Tally {
    pub(super) fn new(rule: KillRule) -> Self {
        Self {
            rule,
            standing: Standing::default(),
            has_passed: false,
        }
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Takes a verdict into account that came then.
    pub(super) fn add(&mut self, at: Duration, verdict: Verdict) -> Consequence {
        match verdict {
            Verdict::Void => Consequence::Nothing,
            Verdict::Passed => self.pass(),
            Verdict::Failed(cause) => self.fail(at, cause),
        }
    }

    fn pass(&mut self) -> Consequence {
        let was_healthy = self.standing.state == State::Healthy;
        self.has_passed = true;
        self.standing = Standing {
            state: State::Healthy,
            ..Standing::default()
        };
        match was_healthy {
            true => Consequence::Nothing,
            false => Consequence::Told,
        }
    }

    fn fail(&mut self, at: Duration, cause: String) -> Consequence {
        self.standing.cause = Some(cause);
        if !self.has_passed && self.is_grace(at) {
            return Consequence::Nothing;
        }
        let before = self.standing.failures;
        self.standing.failures = before.saturating_add(1);
        self.standing.state = State::Unhealthy;
        let max = self.rule.max_failures;
        let is_enough = match self.rule.family {
            Family::Marathon => max > 0 && before >= max,
            Family::Mesos => self.standing.failures >= max,
        };
        match is_enough {
            true => Consequence::Kill,
            false => Consequence::Told,
        }
    }

    /// Marathon: `now < started + grace`; Mesos: `now - started <= grace`, none if that is 0.
    fn is_grace(&self, at: Duration) -> bool {
        let grace = self.rule.grace.duration();
        match self.rule.family {
            Family::Marathon => at < grace,
            Family::Mesos => !grace.is_zero() && at <= grace,
        }
    }
}

/// How a task is according to all of its checks: healthy only if all say so, unknown if one knows
/// nothing. `None` without checks, where to run is all that is asked.
pub fn overall<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> Option<State> {
    let states = standings.into_iter().map(|it| it.state);
    states.reduce(|one, other| match (one, other) {
        (State::Unknown, _) | (_, State::Unknown) => State::Unknown,
        (State::Healthy, State::Healthy) => State::Healthy,
        _ => State::Unhealthy,
    })
}

#[cfg(test)]
mod tests {
    use super::Family::{Marathon, Mesos};
    use super::*;

    /// Family, grace and maximum; then probes: the second each ended, and whether it passed (`.`),
    /// failed (`x`) or was void (`-`); then which probe kills, counted from 1, the state and the
    /// failures at the end.
    type Row = (
        (Family, f64, u32),
        &'static [(f64, char)],
        Option<usize>,
        State,
        u32,
    );

    const SEED: &[(f64, char)] = &[
        (4.9, 'x'),
        (25.0, 'x'),
        (45.0, 'x'),
        (65.0, 'x'),
        (85.0, 'x'),
    ];
    const EACH_SECOND: &[(f64, char)] = &[(0.0, 'x'), (1.0, 'x'), (2.0, 'x'), (3.0, 'x')];
    /// C71: up after 10 s, dies at 13.
    const DIES: &[(f64, char)] = &[
        (5.0, 'x'),
        (10.0, '.'),
        (15.0, 'x'),
        (20.0, 'x'),
        (25.0, 'x'),
    ];

    const ROWS: &[Row] = &[
        // The seed's: the 4th failure that counts, or one earlier with the first one after 5 s.
        ((Marathon, 5.0, 3), SEED, Some(5), State::Unhealthy, 4),
        (
            (Marathon, 5.0, 3),
            &[(5.0, 'x'), (25.0, 'x'), (45.0, 'x'), (65.0, 'x')],
            Some(4),
            State::Unhealthy,
            4,
        ),
        // The same as MESOS_HTTP without a delay: the third.
        (
            (Mesos, 5.0, 3),
            &[(5.0, 'x'), (25.0, 'x'), (45.0, 'x'), (65.0, 'x')],
            Some(4),
            State::Unhealthy,
            3,
        ),
        ((Mesos, 5.0, 3), &[(5.001, 'x')], None, State::Unhealthy, 1),
        ((Mesos, 5.0, 3), &[(4.0, 'x')], None, State::Unknown, 0),
        // C70.
        ((Mesos, 0.0, 2), EACH_SECOND, Some(2), State::Unhealthy, 2),
        (
            (Marathon, 0.0, 2),
            EACH_SECOND,
            Some(3),
            State::Unhealthy,
            3,
        ),
        ((Marathon, 0.0, 0), EACH_SECOND, None, State::Unhealthy, 4),
        ((Mesos, 0.0, 0), EACH_SECOND, Some(1), State::Unhealthy, 1),
        ((Mesos, 0.0, 1), EACH_SECOND, Some(1), State::Unhealthy, 1),
        (
            (Marathon, 0.0, 1),
            EACH_SECOND,
            Some(2),
            State::Unhealthy,
            2,
        ),
        // C71.
        ((Mesos, 30.0, 3), DIES, Some(5), State::Unhealthy, 3),
        ((Marathon, 30.0, 2), DIES, Some(5), State::Unhealthy, 3),
        // A success forgets, a void result changes nothing.
        (
            (Mesos, 0.0, 2),
            &[(1.0, 'x'), (2.0, '.'), (3.0, 'x')],
            None,
            State::Unhealthy,
            1,
        ),
        (
            (Mesos, 0.0, 2),
            &[(1.0, '.'), (2.0, '-')],
            None,
            State::Healthy,
            0,
        ),
        (
            (Mesos, 0.0, 2),
            &[(1.0, 'x'), (2.0, '-'), (3.0, 'x')],
            Some(3),
            State::Unhealthy,
            2,
        ),
        ((Mesos, 0.0, 2), &[(1.0, '-')], None, State::Unknown, 0),
        ((Mesos, 0.0, 2), &[], None, State::Unknown, 0),
    ];

    #[test]
    fn timelines() {
        for (rule, probes, killed, state, failures) in ROWS {
            let (family, grace, max_failures) = *rule;
            let mut tally = Tally::new(KillRule {
                family,
                max_failures,
                grace: Duration::from_secs_f64(grace).into(),
            });
            let mut killer = None;
            for (number, (at, what)) in probes.iter().enumerate() {
                let verdict = match what {
                    'x' => Verdict::Failed("no".into()),
                    '.' => Verdict::Passed,
                    _ => Verdict::Void,
                };
                let then = Duration::from_secs_f64(*at);
                if tally.add(then, verdict) == Consequence::Kill {
                    killer = Some(number + 1);
                    break;
                }
            }
            let found = (killer, tally.standing().state, tally.standing().failures);
            assert_eq!(found, (*killed, *state, *failures), "{rule:?} {probes:?}");
        }
    }

    /// The first success, each that follows a failure, and each failure that counts are told.
    #[test]
    fn what_is_told() {
        let mut tally = Tally::new(KillRule {
            family: Marathon,
            max_failures: 0,
            grace: Duration::from_secs(3).into(),
        });
        let told: String = "x..xx.-."
            .chars()
            .enumerate()
            .map(|(second, what)| {
                let verdict = match what {
                    'x' => Verdict::Failed(format!("failure at {second}")),
                    '.' => Verdict::Passed,
                    _ => Verdict::Void,
                };
                let at = Duration::from_secs(second as u64);
                match tally.add(at, verdict) {
                    Consequence::Told => '!',
                    Consequence::Nothing => '_',
                    Consequence::Kill => 'k',
                }
            })
            .collect();
        assert_eq!(told, "_!_!!!__");
        assert_eq!(tally.standing().cause, None);
    }

    #[test]
    fn a_failure_in_grace_leaves_its_cause() {
        let mut tally = Tally::new(KillRule {
            family: Mesos,
            max_failures: 1,
            grace: Duration::from_secs(3).into(),
        });
        tally.add(Duration::ZERO, Verdict::Failed("refused".into()));
        let expected = Standing {
            cause: Some("refused".into()),
            ..Standing::default()
        };
        assert_eq!(*tally.standing(), expected);
    }

    #[test]
    fn all_checks_together() {
        use State::{Healthy, Unhealthy, Unknown};
        let rows: [(&[State], Option<State>); 7] = [
            (&[], None),
            (&[Healthy], Some(Healthy)),
            (&[Healthy, Healthy], Some(Healthy)),
            (&[Healthy, Unhealthy], Some(Unhealthy)),
            (&[Unhealthy, Unknown], Some(Unknown)),
            (&[Healthy, Unknown, Healthy], Some(Unknown)),
            (&[Unhealthy, Unhealthy, Healthy], Some(Unhealthy)),
        ];
        for (states, expected) in rows {
            let standings: Vec<_> = states
                .iter()
                .map(|state| Standing {
                    state: *state,
                    ..Standing::default()
                })
                .collect();
            assert_eq!(overall(&standings), expected, "{states:?}");
        }
    }
}
