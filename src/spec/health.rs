//! Whether a container is well: a check that is made again and again while it runs. Docker's
//! meanings and defaults; the only place where what was asked for and what the image says meet.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ContainerSpec, TimeSpan};
use crate::error::{Fault, Kind};
use crate::image::ImageConfig;

/// Shortest time that docker takes.
const SHORTEST: TimeSpan = TimeSpan::from_nanos(1_000_000);
const SECOND: u64 = 1_000_000_000;
/// Executes a check that is text, unless the image has another.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What was asked for; what is unset, or 0, is the image's, or else docker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// The check itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<HealthTest>,
    /// Between the end of a check, or the start of the container, and the next check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<TimeSpan>,
    /// How long a check may take before it is killed and counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// So many failures in a row make it unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Failures that come so soon after the start do not count, unless a check was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<TimeSpan>,
    /// The interval during that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<TimeSpan>,
}

/// How it is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthTest {
    /// Not at all, whatever the image says.
    None,
    /// By a text that the image's shell understands.
    Shell(String),
    /// By a command and its arguments.
    Exec(Vec<String>),
}

/// A decided check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What is executed in the container.
    pub argv: Vec<String>,
    /// See [`Health::interval`].
    pub interval: TimeSpan,
    /// See [`Health::timeout`].
    pub timeout: TimeSpan,
    /// See [`Health::retries`].
    pub retries: u32,
    /// See [`Health::start_period`].
    pub start_period: TimeSpan,
    /// See [`Health::start_interval`].
    pub start_interval: TimeSpan,
}

impl Health {
    /// Refuses what makes no sense whatever the image.
    pub fn check(&self) -> Result<(), Fault> {
        let times = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("start period", self.start_period),
            ("start interval", self.start_interval),
        ];
        for (name, span) in times {
            if span.is_some_and(|span| span != TimeSpan::default() && span < SHORTEST) {
                let message = format!("health check: its {name} is less than a millisecond");
                return Err(Fault::new(Kind::Usage, message));
            }
        }
        let has_times = self.retries.is_some() || times.iter().any(|(_, span)| span.is_some());
        match &self.test {
            Some(HealthTest::None) if has_times => {
                let message = "health check: there is to be none, but it is described";
                Err(Fault::new(Kind::Usage, message).hint("leave out one or the other"))
            }
            Some(HealthTest::Shell(text)) if text.is_empty() => Err(no_command()),
            Some(HealthTest::Exec(argv)) if argv.first().is_none_or(String::is_empty) => {
                Err(no_command())
            }
            _ => Ok(()),
        }
    }

    /// What an image says, as docker writes it. Fails with [`Kind::Spec`] on what docker's builder
    /// would not have made.
    fn from_image(document: &Value) -> Result<Self, Fault> {
        let found: Written = serde_json::from_value(document.clone())
            .map_err(|error| of_image(&error.to_string()))?;
        let health = Self {
            test: test(&found.test)?,
            interval: span(found.interval)?,
            timeout: span(found.timeout)?,
            retries: u32::try_from(found.retries)
                .map(Some)
                .map_err(|_| of_image("it has an impossible number of retries"))?,
            start_period: span(found.start_period)?,
            start_interval: span(found.start_interval)?,
        };
        let is_none = health.test == Some(HealthTest::None);
        let checked = if is_none { Ok(()) } else { health.check() };
        checked.map_err(|fault| of_image(&fault.to_string()))?;
        Ok(health)
    }
}

fn no_command() -> Fault {
    Fault::new(Kind::Usage, "health check: it has no command")
        .hint("--no-healthcheck is the word for none")
}

fn of_image(why: &str) -> Fault {
    Fault::new(Kind::Spec, format!("the image's health check: {why}"))
        .hint("--no-healthcheck runs it without, --health-cmd with another")
}

/// Docker's form in an image's configuration; times are nanoseconds.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Written {
    #[serde(deserialize_with = "or_empty")]
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    retries: i64,
    start_period: i64,
    start_interval: i64,
}

/// Go writes null for a list that was never made.
fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn test(words: &[String]) -> Result<Option<HealthTest>, Fault> {
    let Some((form, rest)) = words.split_first() else {
        return Ok(None);
    };
    match (form.as_str(), rest) {
        ("NONE", []) => Ok(Some(HealthTest::None)),
        ("CMD", [_, ..]) => Ok(Some(HealthTest::Exec(rest.to_vec()))),
        ("CMD-SHELL", [text]) => Ok(Some(HealthTest::Shell(text.clone()))),
        _ => Err(of_image(&format!("'{}' is no test", words.join(" ")))),
    }
}

fn span(nanos: i64) -> Result<Option<TimeSpan>, Fault> {
    let nanos = u64::try_from(nanos).map_err(|_| of_image("it has a negative time"))?;
    Ok((nanos > 0).then(|| TimeSpan::from_nanos(nanos)))
}

/// How a container of this image is checked; `None` if it is not. Fails with [`Kind::Spec`] if what
/// was asked for is of a check that there is not, or the image's makes no sense.
pub fn health_check(
    spec: &ContainerSpec,
    image: &ImageConfig,
) -> Result<Option<HealthCheck>, Fault> {
    let asked = spec.health.clone().unwrap_or_default();
    asked.check()?;
    if asked.test == Some(HealthTest::None) {
        return Ok(None);
    }
    let found = image.healthcheck.as_ref().map(Health::from_image);
    let found = found.transpose()?.unwrap_or_default();
    let argv = match asked.test.as_ref().or(found.test.as_ref()) {
        Some(HealthTest::Exec(argv)) => argv.clone(),
        Some(HealthTest::Shell(text)) => in_shell(text, &image.shell),
        None | Some(HealthTest::None) if asked == Health::default() => return Ok(None),
        None | Some(HealthTest::None) => {
            let message = "health check: it is described, but the image has none";
            return Err(Fault::new(Kind::Spec, message).hint("say --health-cmd, too"));
        }
    };
    let choose = |own: Option<TimeSpan>, other: Option<TimeSpan>, seconds: u64| {
        let set = [own, other].into_iter().flatten();
        let mut set = set.filter(|span| *span != TimeSpan::default());
        set.next().unwrap_or(TimeSpan::from_nanos(seconds * SECOND))
    };
    let mut retries = [asked.retries, found.retries].into_iter().flatten();
    Ok(Some(HealthCheck {
        argv,
        interval: choose(asked.interval, found.interval, 30),
        timeout: choose(asked.timeout, found.timeout, 30),
        retries: retries.find(|number| *number > 0).unwrap_or(3),
        start_period: choose(asked.start_period, found.start_period, 0),
        start_interval: choose(asked.start_interval, found.start_interval, 5),
    }))
}

fn in_shell(text: &str, shell: &[String]) -> Vec<String> {
    let usual = || SHELL.map(str::to_owned).to_vec();
    let mut argv = match shell {
        [] => usual(),
        shell => shell.to_vec(),
    };
    argv.push(text.to_owned());
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(config: &str) -> ImageConfig {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{config},
                "rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    fn decide(health: Health, config: &str) -> Result<Option<HealthCheck>, Fault> {
        let spec = ContainerSpec {
            health: Some(health),
            ..Default::default()
        };
        health_check(&spec, &image(config))
    }

    const IMAGE: &str = r#"{"Healthcheck":{"Test":["CMD-SHELL","check"],"Interval":2000000000,
        "Retries":7}}"#;

    #[test]
    fn the_image_fills_what_was_not_asked_for() {
        let check = decide(Health::default(), IMAGE).unwrap().unwrap();
        assert_eq!(check.argv, ["/bin/sh", "-c", "check"]);
        assert_eq!(check.interval, TimeSpan::from_nanos(2 * SECOND));
        assert_eq!(
            (check.timeout, check.retries),
            (TimeSpan::from_nanos(30 * SECOND), 7)
        );
        assert_eq!(check.start_interval, TimeSpan::from_nanos(5 * SECOND));
        let asked = Health {
            test: Some(HealthTest::Exec(vec!["/own".into()])),
            retries: Some(1),
            interval: Some(TimeSpan::default()),
            ..Default::default()
        };
        let check = decide(asked, IMAGE).unwrap().unwrap();
        assert_eq!(
            (check.argv.as_slice(), check.retries),
            (&["/own".into()][..], 1)
        );
        assert_eq!(check.interval, TimeSpan::from_nanos(2 * SECOND));
    }

    #[test]
    fn forms_of_images() {
        let shell = r#"{"Shell":["/bin/ash","-ec"],"Healthcheck":{"Test":["CMD-SHELL","x"]}}"#;
        let argv = |config: &str| {
            let check = decide(Health::default(), config).unwrap();
            check.map(|check| check.argv.join(" "))
        };
        assert_eq!(argv(shell).as_deref(), Some("/bin/ash -ec x"));
        let exec = r#"{"Healthcheck":{"Test":["CMD","a","b"]}}"#;
        assert_eq!(argv(exec).as_deref(), Some("a b"));
        for none in [
            "{}",
            r#"{"Healthcheck":null}"#,
            r#"{"Healthcheck":{}}"#,
            r#"{"Healthcheck":{"Test":null}}"#,
            r#"{"Healthcheck":{"Test":["NONE"],"Interval":5}}"#,
        ] {
            assert_eq!(argv(none), None, "{none}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for config in [
            r#"{"Healthcheck":7}"#,
            r#"{"Healthcheck":{"Test":["CMD"]}}"#,
            r#"{"Healthcheck":{"Test":["CMD-SHELL","a","b"]}}"#,
            r#"{"Healthcheck":{"Test":["CMD-SHELL",""]}}"#,
            r#"{"Healthcheck":{"Test":["curl"]}}"#,
            r#"{"Healthcheck":{"Test":["CMD","x"],"Interval":-1}}"#,
            r#"{"Healthcheck":{"Test":["CMD","x"],"Timeout":5}}"#,
            r#"{"Healthcheck":{"Test":["CMD","x"],"Retries":-1}}"#,
            r#"{"Healthcheck":{"Test":["CMD","x"],"Retries":"x"}}"#,
        ] {
            let fault = decide(Health::default(), config).unwrap_err();
            assert_eq!(fault.kind(), Kind::Spec, "{config}");
            let none = Health {
                test: Some(HealthTest::None),
                ..Default::default()
            };
            assert_eq!(decide(none, config), Ok(None), "{config}");
        }
        let fault = |health| decide(health, "{}").unwrap_err().to_string();
        let retries = Health {
            retries: Some(2),
            ..Default::default()
        };
        assert!(fault(retries.clone()).contains("the image has none"));
        let none = Health {
            test: Some(HealthTest::None),
            ..retries
        };
        assert!(fault(none).contains("there is to be none"));
        for test in [
            HealthTest::Shell(String::new()),
            HealthTest::Exec(Vec::new()),
        ] {
            let health = Health {
                test: Some(test),
                ..Default::default()
            };
            assert!(fault(health).contains("no command"));
        }
        let short = Health {
            timeout: Some(TimeSpan::from_nanos(999_999)),
            ..Default::default()
        };
        assert!(fault(short).contains("millisecond"));
    }
}
