//! CNI network configuration lists: found by name in directories, read, and checked before anything
//! is run. What a list says about a plugin is the plugin's business and handed on as it is.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::version::Version;
use crate::error::{Fault, Kind};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Files of one directory that are looked at.
const MAX_FILES: usize = 1024;
/// Plugins of one list.
const MAX_PLUGINS: usize = 32;

/// A list of plugins that connect a container one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// What it is called.
    pub name: String,
    /// Versions of the specification that it may be used with, the newest first; at least one.
    pub versions: Vec<Version>,
    /// It does not want to be checked.
    pub disable_check: bool,
    /// What each plugin is told.
    pub plugins: Vec<PluginConfig>,
    /// Where it was found.
    pub file: PathBuf,
}

/// What a list says of one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginConfig {
    /// The program's name.
    pub program: String,
    /// All of it.
    pub config: Map<String, Value>,
}

impl PluginConfig {
    /// Whether it wants to be told of something that only the runtime knows.
    pub fn is_capable(&self, capability: &str) -> bool {
        self.config
            .get("capabilities")
            .and_then(|all| all.get(capability))
            .is_some_and(|value| *value == Value::Bool(true))
    }
}

impl List {
    /// Whether a plugin of it wants to be told of something.
    pub fn is_capable(&self, capability: &str) -> bool {
        self.plugins.iter().any(|it| it.is_capable(capability))
    }

    /// The list of that name. Of several the first counts, lists before single plugins, as for other
    /// runtimes. Fails with [`Kind::NotFound`] if there is none.
    pub fn find(name: &str, directories: &[PathBuf]) -> Result<Self> {
        let mut broken = Vec::new();
        for (path, document) in documents(directories, &mut broken)? {
            if document.get("name").and_then(Value::as_str) == Some(name) {
                return Self::read(&path, document)
                    .with_context(|| format!("network cni:{name}: {}", path.display()));
            }
        }
        let places: Vec<_> = directories
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        let message = format!("there is no network cni:{name} in {}", places.join(", "));
        let hint = match broken.first() {
            Some((path, why)) => format!("{} cannot be read: {why}", path.display()),
            None => "'ucr network ls' lists them; --cni-config-dir says where to look".to_owned(),
        };
        Err(Fault::new(Kind::NotFound, message).hint(hint).into())
    }

    /// All lists that make sense, the first of each name.
    pub fn all(directories: &[PathBuf]) -> Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        for (path, document) in documents(directories, &mut Vec::new())? {
            if let Ok(list) = Self::read(&path, document)
                && all.iter().all(|other| other.name != list.name)
            {
                all.push(list);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn read(path: &Path, document: Map<String, Value>) -> Result<Self> {
        let versions = versions(&document)?;
        let text = document.get("name").and_then(Value::as_str);
        let name = text.unwrap_or_default().to_owned();
        let disable_check = document.get("disableCheck") == Some(&Value::Bool(true));
        refuse_more_files(path, &name, &document, &versions)?;
        let plugins = match document.get("plugins") {
            None => vec![Value::Object(document)],
            Some(Value::Array(plugins)) => plugins.clone(),
            Some(_) => return Err(refuse("plugins is no list")),
        };
        if plugins.is_empty() || plugins.len() > MAX_PLUGINS {
            return Err(refuse(&format!("it has not 1 to {MAX_PLUGINS} plugins")));
        }
        Ok(Self {
            name,
            versions,
            disable_check,
            plugins: plugins.into_iter().map(plugin).collect::<Result<_>>()?,
            file: path.to_owned(),
        })
    }
}

/// Version 1.1 has plugins of a list in a directory of its name, too.
fn refuse_more_files(
    path: &Path,
    name: &str,
    document: &Map<String, Value>,
    versions: &[Version],
) -> Result<()> {
    let is_whole = document.get("loadOnlyInlinedPlugins") == Some(&Value::Bool(true));
    let more = path.with_file_name(name);
    if is_whole || !versions.contains(&Version::V1_1_0) || !more.is_dir() {
        return Ok(());
    }
    let message = format!(
        "plugins in the directory {} are not supported",
        more.display()
    );
    Err(Fault::new(Kind::Unsupported, message)
        .hint("put them into the list, and say loadOnlyInlinedPlugins there")
        .into())
}

fn refuse(why: &str) -> anyhow::Error {
    Fault::new(Kind::Spec, why).into()
}

fn plugin(value: Value) -> Result<PluginConfig> {
    let Value::Object(config) = value else {
        return Err(refuse("a plugin is no object"));
    };
    let Some(program) = config.get("type").and_then(Value::as_str) else {
        return Err(refuse("a plugin has no type"));
    };
    // Of the plugins' directories, and of nowhere else.
    let is_name = !program.is_empty() && !program.contains(['/', '\0']);
    if !is_name || matches!(program, "." | "..") {
        return Err(refuse(&format!("'{program}' is no name of a plugin")));
    }
    Ok(PluginConfig {
        program: program.to_owned(),
        config,
    })
}

fn versions(document: &Map<String, Value>) -> Result<Vec<Version>> {
    let listed = document.get("cniVersions").and_then(Value::as_array);
    let mut said: Vec<&Value> = listed.into_iter().flatten().collect();
    said.extend(document.get("cniVersion"));
    let words: Vec<&str> = said.iter().filter_map(|it| it.as_str()).collect();
    let mut known: Vec<Version> = words.iter().filter_map(|text| text.parse().ok()).collect();
    known.sort_unstable();
    known.dedup();
    known.reverse();
    if !known.is_empty() {
        return Ok(known);
    }
    let message = match words.is_empty() {
        true => "it says no cniVersion".to_owned(),
        false => format!("cniVersion {} is not supported", words.join(", ")),
    };
    Err(Fault::new(Kind::Unsupported, message)
        .hint(format!("ucr knows {}", Version::words()))
        .into())
}

type Documents = Vec<(PathBuf, Map<String, Value>)>;

/// All files of the directories that are JSON objects, in the order in which they count.
fn documents(directories: &[PathBuf], broken: &mut Vec<(PathBuf, String)>) -> Result<Documents> {
    let mut found = Vec::new();
    for directory in directories {
        let mut paths = files(directory)
            .with_context(|| format!("directory of CNI networks {}", directory.display()))?;
        paths.sort_by_key(|path| (!is_list(path), path.clone()));
        for path in paths {
            match document(&path) {
                Ok(document) => found.push((path, document)),
                Err(error) => broken.push((path, format!("{error:#}"))),
            }
        }
    }
    Ok(found)
}

fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "conflist")
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let wanted = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str());
        matches!(extension, Some("conflist" | "conf" | "json"))
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    let paths: Vec<_> = paths.into_iter().filter(wanted).collect();
    if paths.len() > MAX_FILES {
        return Err(Fault::new(Kind::Limit, format!("it has more than {MAX_FILES} files")).into());
    }
    Ok(paths)
}

fn document(path: &Path) -> Result<Map<String, Value>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(refuse(&format!(
            "it is no file of at most {MAX_FILE} bytes"
        )));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
