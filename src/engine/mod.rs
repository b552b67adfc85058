//! Docker Engine, through the `docker` CLI (design D10): contexts, TLS and ssh are the CLI's.
//!
//! ```text
//! Engine ─► private DOCKER_CONFIG (contexts linked, credentials of one pull) ─► docker WORDS ─► Answer
//! ```
//!
//! Every call is bounded in time and output, because Engines hang. What the CLI's environment has is
//! listed here; nothing of ours that may hold a secret is handed on.

mod answer;
mod call;
mod private;

use std::ffi::OsString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use rustix::fs::{Access, access};
use serde::de::DeserializeOwned;

use crate::error::{Fault, Kind};
use crate::sys::process::ends_with_us;

pub use answer::{fault, is_own_word, said};
use call::Collected;
use private::secrets;
pub use private::{Auth, Left, Private, forget, left};

/// How long the Engine may take for what it answers from memory, if nobody says.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many times as long it may take for what makes or removes something.
const WORK: u32 = 6;

/// What the CLI may see of our environment: how to reach the Engine, and who we are.
const HANDED_ON: [&str; 26] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "DOCKER_CONTENT_TRUST",
    "DOCKER_CONTENT_TRUST_SERVER",
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TERM",
    "LANG",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_CONNECTION",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// The variables that say which Engine is meant and how it is reached; the caller reads them, so
/// that tests need not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Those of [`Environment::names`] that are set.
    pub variables: Vec<(String, OsString)>,
    /// `$DOCKER_CONFIG`, or `~/.docker`.
    pub config: Option<PathBuf>,
    /// How long the Engine may take to answer, if somebody says.
    pub patience: Option<Duration>,
}

impl Environment {
    /// The variables that matter.
    pub fn names() -> &'static [&'static str] {
        &HANDED_ON
    }

    fn get(&self, name: &str) -> Option<&OsString> {
        let mut all = self.variables.iter();
        all.find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A Docker Engine that can be asked.
#[derive(Debug)]
pub struct Engine {
    program: PathBuf,
    variables: Vec<(String, OsString)>,
    private: Private,
    patience: Duration,
    /// What no message may repeat.
    secrets: Vec<String>,
}

impl Engine {
    /// Finds the CLI, and makes its configuration below `directory`, which nobody else may read.
    /// Asks nothing yet. Fails with [`Kind::Unsupported`] if there is no CLI.
    pub fn open(directory: &Path, environment: &Environment, auth: Option<&Auth>) -> Result<Self> {
        let private = Private::make(directory, environment.config.as_deref(), auth)?;
        let secrets = auth.map_or_else(Vec::new, |auth| secrets(auth.secret));
        Ok(Self {
            secrets,
            ..Self::with(environment, private)?
        })
    }

    /// The same, with a configuration that is there.
    pub fn with(environment: &Environment, private: Private) -> Result<Self> {
        let mut variables = environment.variables.clone();
        let wants_tls = ["DOCKER_TLS", "DOCKER_TLS_VERIFY"];
        let wants_tls = wants_tls.iter().any(|it| environment.get(it).is_some());
        if let Some(config) = &environment.config
            && wants_tls
            && environment.get("DOCKER_CERT_PATH").is_none()
        {
            // The CLI would look in its configuration, which is ours.
            variables.push(("DOCKER_CERT_PATH".to_owned(), config.clone().into()));
        }
        Ok(Self {
            program: program(environment)?,
            variables,
            private,
            patience: environment.patience.unwrap_or(PATIENCE),
            secrets: Vec::new(),
        })
    }

    /// Whether there is a CLI.
    pub fn is_there(environment: &Environment) -> bool {
        program(environment).is_ok()
    }

    /// The directory that is this process's as long as it lives.
    pub fn private(&self) -> &Private {
        &self.private
    }

    /// How long it may take for what it answers from memory.
    pub fn short(&self) -> Duration {
        self.patience
    }

    /// How long it may take for what makes or removes something.
    pub fn long(&self) -> Duration {
        self.patience.saturating_mul(WORK)
    }

    /// A command line of the CLI, which ends when we do.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command
            .args(words)
            .env_clear()
            .envs(variables)
            .env("DOCKER_CONFIG", self.private.path())
            .env("DOCKER_CLI_HINTS", "false")
            .stdin(Stdio::null());
        ends_with_us(&mut command);
        command
    }

    /// What a command line prints. `interrupt` ends it early when it becomes readable. Fails with
    /// [`Kind::Network`] without an Engine or an answer in time, with [`Kind::Interrupted`], or
    /// with what the Engine says, in its words.
    pub fn call(
        &self,
        words: &[&str],
        limit: Duration,
        interrupt: Option<BorrowedFd>,
    ) -> Result<Vec<u8>> {
        Ok(self.call_with_remarks(words, limit, interrupt)?.0)
    }

    /// The same, with what was said on stderr of something that went well.
    pub fn call_with_remarks(
        &self,
        words: &[&str],
        limit: Duration,
        interrupt: Option<BorrowedFd>,
    ) -> Result<(Vec<u8>, String)> {
        let mut command = self.command(words);
        command.stdout(Stdio::piped());
        self.collect(&mut command, words, limit, interrupt)
    }

    /// The same, where stdout is somebody else's.
    pub fn call_showing(
        &self,
        words: &[&str],
        limit: Duration,
        stdout: OwnedFd,
        interrupt: Option<BorrowedFd>,
    ) -> Result<()> {
        let mut command = self.command(words);
        command.stdout(stdout);
        self.collect(&mut command, words, limit, interrupt)
            .map(drop)
    }

    fn collect(
        &self,
        command: &mut Command,
        words: &[&str],
        limit: Duration,
        interrupt: Option<BorrowedFd>,
    ) -> Result<(Vec<u8>, String)> {
        let verb = words.first().copied().unwrap_or_default();
        let collected =
            call::collect(command, limit, interrupt).map_err(|error| self.no_cli(&error))?;
        match collected {
            Collected::Ended(status, stdout, stderr) if status.success() => {
                Ok((stdout, String::from_utf8_lossy(&stderr).into_owned()))
            }
            Collected::Ended(_, _, stderr) => Err(fault(verb, &self.redacted(&stderr)).into()),
            Collected::TimedOut => {
                let message =
                    format!("Docker Engine: no answer to 'docker {verb}' within {limit:?}");
                Err(Fault::new(Kind::Network, message)
                    .hint(
                        "it may hang: see its log (journalctl -u docker), or say --runtime native",
                    )
                    .into())
            }
            Collected::TooMuch => {
                let message = format!("Docker Engine: the answer to 'docker {verb}' has no end");
                Err(Fault::new(Kind::Limit, message).hint(NOT_DOCKER).into())
            }
            Collected::Interrupted => {
                Err(Fault::new(Kind::Interrupted, format!("docker {verb}: interrupted")).into())
            }
        }
    }

    /// Why the CLI cannot be executed.
    pub fn no_cli(&self, error: &std::io::Error) -> Fault {
        let message = format!("{} cannot be executed: {error}", self.program.display());
        Fault::new(Kind::Unsupported, message).hint(NO_CLI)
    }

    /// What the CLI says, without what it was told in confidence: it repeats what registries and
    /// proxies say, who may repeat what they got.
    fn redacted(&self, said: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(said).into_owned();
        let secrets = self.secrets.iter();
        let text = secrets.fold(text, |text, secret| text.replace(secret.as_str(), "***"));
        text.into_bytes()
    }

    /// The same, of something that prints JSON.
    pub fn ask<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T> {
        let answer = self.call(words, self.short(), None)?;
        serde_json::from_slice(&answer).map_err(|error| {
            let verb = words.first().copied().unwrap_or_default();
            let message = format!("Docker Engine: the answer to 'docker {verb}': {error}");
            Fault::new(Kind::Unsupported, message)
                .hint(NOT_DOCKER)
                .into()
        })
    }
}

/// What may be wrong with a CLI that answers what Docker's does not.
pub const NOT_DOCKER: &str = "is it Docker's own CLI that is called docker here?";

/// What to do without a CLI.
const NO_CLI: &str =
    "install Docker's CLI (Debian: apt-get install docker.io), or say --runtime native";

/// The first in PATH that may be executed, as a shell finds it.
fn program(environment: &Environment) -> Result<PathBuf, Fault> {
    let path = environment.get("PATH").cloned().unwrap_or_default();
    let places = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let files = places.map(|dir| dir.join("docker"));
    let files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    let is_executable = |file: &&PathBuf| access(*file, Access::EXEC_OK).is_ok();
    if let Some(file) = files.iter().find(is_executable) {
        return Ok(file.clone());
    }
    let message = match files.first() {
        Some(file) => format!("{} is not executable", file.display()),
        None => "there is no program 'docker' in PATH".to_owned(),
    };
    Err(Fault::new(Kind::Unsupported, message).hint(NO_CLI))
}
