//! The only place that reads environment variables on behalf of the command line.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::Environment;
use crate::engine;

/// What credential look-up wants to know.
pub(super) fn credentials() -> Environment {
    let path = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    Environment {
        registry_auth_file: path("REGISTRY_AUTH_FILE"),
        docker_config: path("DOCKER_CONFIG"),
        home: path("HOME"),
        xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
        xdg_config_home: path("XDG_CONFIG_HOME"),
        docker_auth_config: variable("DOCKER_AUTH_CONFIG").filter(|value| !value.is_empty()),
        path: env::var_os("PATH"),
    }
}

/// How Docker Engine is reached, and how long it may take to answer.
pub(super) fn engine(patience: Option<Duration>) -> engine::Environment {
    let names = engine::Environment::names().iter();
    let set = names.filter_map(|name| Some(((*name).to_owned(), env::var_os(name)?)));
    let home = || Some(directory("HOME")?.join(".docker"));
    engine::Environment {
        variables: set.collect(),
        config: directory("DOCKER_CONFIG").or_else(home).map(absolute),
        patience,
    }
}

/// From wherever it is used later.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// A directory named by a variable.
pub(super) fn directory(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A variable's value, if it is set and text.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}
