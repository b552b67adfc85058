//! The order of the places, and the search through them.
//!
//! What is named for this command must be there and be valid; what merely lies about must not stop
//! a pull, so it only warns.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::config::Config;
use super::{Credential, Environment, Found, Secret, Sources, helper, key};
use crate::error::{Fault, Kind};

/// Longest time a helper may take.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest credential file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// A place that may hold a credential.
struct Place {
    /// How it is called in messages.
    name: String,
    text: Text,
    /// Whether the user named it: then it must exist and be valid.
    named: bool,
    /// Whether it may name a program to run.
    helpers: bool,
}

enum Text {
    File(PathBuf),
    Given(Vec<u8>),
}

/// Finds the credential for a repository on a registry, both as in a
/// reference (`docker.io`, `library/alpine`). Fails only if a place that the user named cannot be
/// used: [`Kind::NotFound`] if it is missing, [`Kind::Usage`] if it is malformed.
pub fn find(sources: &Sources, registry: &str, repository: &str) -> Result<Found> {
    let mut found = Found::default();
    if let Some((user, password)) = &sources.creds {
        let credential = Credential::basic(user, password, "--creds");
        found.notes.push(format!("{registry}: using {credential}"));
        found.credential = Some(credential);
        return Ok(found);
    }
    for place in places(sources) {
        let Some(config) = read(&place, &mut found)? else {
            found.looked_in.push(place.name);
            continue;
        };
        if let Some((key, credential)) =
            search(&config, &place, sources, (registry, repository), &mut found)?
        {
            let note = format!("{registry}: using {credential}, key '{key}'");
            found.notes.push(note);
            found.credential = Some(credential);
            return Ok(found);
        }
        found.looked_in.push(place.name);
    }
    let places = found.looked_in.join(", ");
    let note = format!("{registry}: no credential found; looked in {places}");
    found.notes.push(note);
    Ok(found)
}

fn places(sources: &Sources) -> Vec<Place> {
    let environment = &sources.environment;
    let named_file = |flag: &str, path: &PathBuf| Place {
        name: format!("{flag} {}", path.display()),
        text: Text::File(path.clone()),
        named: true,
        helpers: true,
    };
    let mut places = Vec::new();
    if let Some(text) = &sources.pull_secret {
        places.push(Place {
            name: "--pull-secret".to_owned(),
            text: Text::Given(text.clone()),
            named: true,
            // Whoever may store a secret in a cluster may not thereby run programs on its nodes.
            helpers: false,
        });
    }
    if let Some(path) = &sources.auth_file {
        places.push(named_file("--auth-file", path));
    }
    if let Some(path) = &environment.registry_auth_file {
        places.push(named_file("$REGISTRY_AUTH_FILE", path));
    }
    if let Some(text) = &environment.docker_auth_config {
        places.push(Place {
            name: "$DOCKER_AUTH_CONFIG".to_owned(),
            text: Text::Given(text.clone().into_bytes()),
            named: false,
            helpers: true,
        });
    }
    places.extend(default_files(environment).into_iter().map(|path| Place {
        name: path.display().to_string(),
        text: Text::File(path),
        named: false,
        helpers: true,
    }));
    places
}

/// Where `docker login` and `podman login` write when they are not told otherwise.
fn default_files(environment: &Environment) -> Vec<PathBuf> {
    let home = environment.home.as_ref();
    let docker = environment.docker_config.clone();
    let podman_config = environment.xdg_config_home.clone();
    let uid = nix::unistd::geteuid();
    let run = PathBuf::from(format!("/run/containers/{uid}"));
    [
        docker
            .or_else(|| home.map(|home| home.join(".docker")))
            .map(|dir| dir.join("config.json")),
        environment
            .xdg_runtime_dir
            .as_ref()
            .map(|dir| dir.join("containers"))
            .or(Some(run))
            .map(|dir| dir.join("auth.json")),
        podman_config
            .or_else(|| home.map(|home| home.join(".config")))
            .map(|dir| dir.join("containers/auth.json")),
        home.map(|home| home.join(".dockercfg")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The parsed place; `None` if it is not there, or unusable and nobody named it.
fn read(place: &Place, found: &mut Found) -> Result<Option<Config>> {
    let text = match &place.text {
        Text::Given(text) => text.clone(),
        Text::File(path) => match read_file(path) {
            Ok(text) => text,
            Err(error) if place.named => {
                let message = format!("{}: {error}", place.name);
                return Err(Fault::new(Kind::NotFound, message).into());
            }
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => {
                found.warnings.push(format!("{}: {error}", place.name));
                return Ok(None);
            }
        },
    };
    match Config::parse(&text) {
        Ok(config) => Ok(Some(config)),
        Err(why) => complain(place, &why, found).map(|()| None),
    }
}

fn absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

fn read_file(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("larger than 4 MiB"));
    }
    Ok(text)
}

fn complain(place: &Place, why: &str, found: &mut Found) -> Result<()> {
    let message = format!("{}: {why}", place.name);
    if place.named {
        return Err(Fault::new(Kind::Usage, message).into());
    }
    found.warnings.push(message);
    Ok(())
}

/// Looks for a registry in one place: helpers first, as docker does, then the entries.
fn search(
    config: &Config,
    place: &Place,
    sources: &Sources,
    (registry, repository): (&str, &str),
    found: &mut Found,
) -> Result<Option<(String, Credential)>> {
    if let Some(name) = config.helper(registry) {
        let asked = key::docker_key(registry);
        let path = sources.environment.path.as_deref();
        let timeout = sources.helper_timeout.unwrap_or(HELPER_TIMEOUT);
        let timeout = timeout.min(HELPER_TIMEOUT);
        let answer = if place.helpers {
            helper::ask(name, &asked, path, timeout)
        } else {
            Err("it is not run, because a pull secret starts no program".to_owned())
        };
        match answer {
            Ok(Some(secret)) => return Ok(Some((asked, from_helper(secret, name, place)))),
            Ok(None) => {}
            Err(why) => found.warnings.push(format!(
                "credential helper docker-credential-{name} of {}: {why}; going on without it",
                place.name
            )),
        }
    }
    match config.entry(registry, repository, &place.name) {
        Ok(entry) => Ok(entry),
        Err(why) => complain(place, &why, found).map(|()| None),
    }
}

fn from_helper(secret: Secret, name: &str, place: &Place) -> Credential {
    let origin = format!("docker-credential-{name}, named in {}", place.name);
    Credential { secret, origin }
}

#[cfg(test)]
mod tests;
