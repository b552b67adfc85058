//! How it is called and known, how it ends, what is kept of its output, and whether it is well.

use std::collections::BTreeMap;

use super::Circumstances;
use super::words::{Words, refuse};
use crate::error::Fault;
use crate::spec::{ContainerSpec, Health, HealthTest, Log, STOP_TIMEOUT, health_check};

pub(super) fn add(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    pairs("labels", "--label", &spec.labels, words)?;
    if !spec.annotations.is_empty() {
        circumstances.since((1, 43), "annotations", "--annotation")?;
    }
    pairs("annotations", "--annotation", &spec.annotations, words)?;
    words.perhaps("--restart", spec.restart);
    words.perhaps("--stop-signal", spec.stop_signal);
    words.option("--stop-timeout", spec.stop_timeout.unwrap_or(STOP_TIMEOUT));
    log(spec.log, words);
    // What is no check under the native runtime is none here: docker would be silent.
    health_check(spec, circumstances.config)?;
    match &spec.health {
        Some(asked) => health(asked, circumstances, words),
        None => Ok(()),
    }
}

fn pairs(
    field: &str,
    option: &str,
    pairs: &BTreeMap<String, String>,
    words: &mut Words,
) -> Result<(), Fault> {
    for (name, value) in pairs {
        if name.contains('=') {
            let field = format!("{field}.{name}");
            let why = "docker takes a name up to the first '='";
            return Err(refuse(&field, option, why, "choose a name without '='"));
        }
        words.option(option, format_args!("{name}={value}"));
    }
    Ok(())
}

/// The driver is always said: an Engine's own default may keep nothing that can be read again. With
/// a size there is one file that is being written, and one that is older.
fn log(log: Log, words: &mut Words) {
    if log.none {
        words.option("--log-driver", "none");
        return;
    }
    words.option("--log-driver", "json-file");
    if let Some(bytes) = log.max_size {
        words.option("--log-opt", format_args!("max-size={bytes}"));
        words.option("--log-opt", "max-file=2");
    }
}

fn health(asked: &Health, circumstances: &Circumstances, words: &mut Words) -> Result<(), Fault> {
    match &asked.test {
        None => (),
        Some(HealthTest::None) => words.switch("--no-healthcheck"),
        Some(HealthTest::Shell(text)) => words.option("--health-cmd", text),
        Some(HealthTest::Exec(_)) => {
            let why = "docker has options for a check by the image's shell only";
            return Err(refuse(
                "health.test.exec",
                "",
                why,
                "say it as text for a shell",
            ));
        }
    }
    words.perhaps("--health-interval", asked.interval);
    words.perhaps("--health-timeout", asked.timeout);
    words.perhaps("--health-retries", asked.retries);
    words.perhaps("--health-start-period", asked.start_period);
    if asked.start_interval.is_some() {
        circumstances.since((1, 44), "health.start_interval", "--health-start-interval")?;
    }
    words.perhaps("--health-start-interval", asked.start_interval);
    Ok(())
}
