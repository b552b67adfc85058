//! The plugins of a list, run in their order: ADD and CHECK from the first to the last, DEL from the
//! last to the first.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::answer::Answer;
use super::cache::Written;
use super::list::{List, PluginConfig};
use super::plugin::{self, Patience, Verb};
use super::version::Version;
use super::{DEVICE, Places};
use crate::error::{Fault, Kind};

/// What is to be done, for one container.
pub(super) struct Work<'a> {
    written: &'a Written,
}

impl<'a> Work<'a> {
    pub(super) fn new(written: &'a Written) -> Self {
        Self { written }
    }

    /// Connects. `done` is told how many plugins have been run, and the latest result; before each
    /// one, for even one that fails may have done something.
    pub(super) fn add(
        &self,
        patience: &Patience,
        done: &mut dyn FnMut(usize, Option<&Value>),
    ) -> Result<(Value, Answer)> {
        let mut result: Option<(Value, Answer)> = None;
        for (place, config) in self.written.list.plugins.iter().enumerate() {
            let before = result.as_ref().map(|(value, _)| value);
            done(place + 1, before);
            let what = || self.what(config, Verb::Add);
            let value = self.run(config, Verb::Add, before, patience)?;
            let answer = Answer::parse(&value, &self.written.device).with_context(what)?;
            result = Some((value, answer));
        }
        result.context("internal: a list without plugins")
    }

    /// Undoes what so many plugins did. The others go on where one fails.
    pub(super) fn del(
        &self,
        count: usize,
        result: Option<&Value>,
        patience: &Patience,
    ) -> Result<()> {
        let result = result.filter(|_| self.written.version.has_check());
        let mut first = Ok(());
        for config in self.written.list.plugins.iter().take(count).rev() {
            let done = self.run(config, Verb::Del, result, patience).map(drop);
            first = first.and(done);
        }
        first
    }

    /// Asks whether all is as it was made.
    pub(super) fn check(&self, result: &Value, patience: &Patience) -> Result<()> {
        let mut plugins = self.written.list.plugins.iter();
        plugins.try_for_each(|config| {
            self.run(config, Verb::Check, Some(result), patience)
                .map(drop)
        })
    }

    fn what(&self, config: &PluginConfig, verb: Verb) -> String {
        let (name, program) = (&self.written.list.name, &config.program);
        format!("network cni:{name}: {} of plugin '{program}'", verb.word())
    }

    fn run(
        &self,
        config: &PluginConfig,
        verb: Verb,
        result: Option<&Value>,
        patience: &Patience,
    ) -> Result<Value> {
        let written = self.written;
        let run = || {
            let program = plugin::find(&config.program, &written.plugins)?;
            let (list, version) = (&written.list, written.version);
            let request = written.wishes.request(list, version, config, result);
            let env = environment(
                verb,
                &written.container,
                (&written.namespace.to_string_lossy(), &written.device),
                &written.wishes.args,
                (&written.plugins, &written.path),
            );
            plugin::run(&program, &env, &serde_json::to_vec(&request)?, patience)
        };
        run().with_context(|| self.what(config, verb))
    }
}

/// The newest version of the specification that a list, its plugins and ucr have in common. Where
/// the list leaves no choice, nobody is asked.
pub(super) fn version(list: &List, places: &Places, patience: &Patience) -> Result<Version> {
    let mut common: BTreeSet<Version> = list.versions.iter().copied().collect();
    for config in list.plugins.iter().filter(|_| list.versions.len() > 1) {
        let known = versions_of(config, list, places, patience).with_context(|| {
            let (name, program) = (&list.name, &config.program);
            format!("network cni:{name}: VERSION of plugin '{program}'")
        })?;
        common.retain(|version| known.contains(&version.text().to_owned()));
    }
    common.last().copied().ok_or_else(|| {
        let name = &list.name;
        let message = format!("network cni:{name}: its plugins know no cniVersion of the list");
        Fault::new(Kind::Unsupported, message)
            .hint("say an older one in the list")
            .into()
    })
}

fn versions_of(
    config: &PluginConfig,
    list: &List,
    places: &Places,
    patience: &Patience,
) -> Result<Vec<String>> {
    let program = plugin::find(&config.program, &places.plugins)?;
    let env = environment(
        Verb::Version,
        "",
        ("", DEVICE),
        "",
        (&places.plugins, &places.path),
    );
    let newest = list.versions.first();
    let request = json!({ "cniVersion": newest });
    let answer = plugin::run(&program, &env, request.to_string().as_bytes(), patience)?;
    let known = answer.get("supportedVersions").and_then(Value::as_array);
    let known = known.context("it says no supportedVersions")?;
    let words = known.iter().filter_map(Value::as_str);
    Ok(words.map(str::to_owned).collect())
}

/// All that a plugin gets of ucr's environment: nothing but where to find programs.
fn environment(
    verb: Verb,
    container: &str,
    (namespace, device): (&str, &str),
    args: &str,
    (plugins, path): (&[PathBuf], &str),
) -> Vec<(&'static str, String)> {
    let places: Vec<_> = plugins.iter().map(|it| it.to_string_lossy()).collect();
    vec![
        ("PATH", path.to_owned()),
        ("CNI_COMMAND", verb.word().to_owned()),
        ("CNI_CONTAINERID", container.to_owned()),
        ("CNI_NETNS", namespace.to_owned()),
        ("CNI_IFNAME", device.to_owned()),
        ("CNI_ARGS", args.to_owned()),
        ("CNI_PATH", places.join(":")),
    ]
}
