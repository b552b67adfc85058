//! What every subcommand works with: where things are, and how to talk.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Format, Global, environment, output};
use crate::engine;
use crate::runtime::{Runtimes, State};
use crate::store::Store;
use crate::sys;

/// Resolved global options.
#[derive(Clone, Debug)]
pub(super) struct Context {
    global: Global,
    verbose: bool,
    /// We were started by an ordinary user, whatever we are by now.
    is_user: bool,
}

impl Context {
    pub(super) fn new(global: Global, verbose: bool) -> Self {
        Self {
            global,
            verbose,
            is_user: !sys::is_root(),
        }
    }

    /// Whether an ordinary user started us.
    pub(super) fn is_user(&self) -> bool {
        self.is_user
    }

    /// Opens the store, and makes it if needed.
    pub(super) fn store(&self) -> Result<Store> {
        let default = || self.place("/var/lib/ucr", "XDG_DATA_HOME", ".local/share");
        Store::open(&self.absolute(self.global.root.clone().map_or_else(default, Ok)?)?)
    }

    /// Opens the directory of run-time state, and makes it if needed.
    pub(super) fn state(&self) -> Result<State> {
        State::open(&self.state_directory()?)
    }

    /// Where that is, or will be.
    pub(super) fn state_directory(&self) -> Result<PathBuf> {
        let default = || self.place("/run/ucr", "XDG_RUNTIME_DIR", ".local/state");
        self.absolute(self.global.state.clone().map_or_else(default, Ok)?)
    }

    /// What runs containers, the preferred one first.
    pub(super) fn runtimes(&self) -> Runtimes {
        self.global.runtime.clone().unwrap_or_default()
    }

    /// The same, if somebody has said it.
    pub(super) fn said_runtimes(&self) -> Option<&Runtimes> {
        self.global.runtime.as_ref()
    }

    /// The same, where this runtime serves.
    pub(super) fn with_runtime(&self, name: impl Into<Runtimes>) -> Self {
        let mut global = self.global.clone();
        global.runtime = Some(name.into());
        Self { global, ..*self }
    }

    /// The same, where what is printed is for people.
    pub(super) fn in_text(&self) -> Self {
        let mut global = self.global.clone();
        global.format = None;
        Self { global, ..*self }
    }

    /// How Docker Engine is reached.
    pub(super) fn engine(&self) -> engine::Environment {
        environment::engine(self.global.engine_timeout)
    }

    /// Mends what processes left that died: first their containers, then what those used.
    pub(super) fn heal(&self) -> Result<()> {
        self.state()?.heal(&self.store()?);
        Ok(())
    }

    /// The same path, from wherever it is used later.
    pub(super) fn absolute(&self, path: PathBuf) -> Result<PathBuf> {
        Ok(self.working_directory()?.join(path))
    }

    /// Where relative paths start.
    pub(super) fn working_directory(&self) -> Result<PathBuf> {
        std::env::current_dir().context("the working directory is gone")
    }

    /// Whether to print JSON; commands differ in what they do when not told.
    pub(super) fn wants_json(&self, default: Format) -> bool {
        self.global.format.unwrap_or(default) == Format::Json
    }

    /// Whether progress is unwanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.global.quiet
    }

    /// Whether remarks for the curious are wanted.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Says something that only matters with `-v`.
    pub(super) fn note(&self, text: &str) {
        if self.is_verbose() {
            output::remark("note", text);
        }
    }

    fn place(&self, root: &str, variable: &str, below_home: &str) -> Result<PathBuf> {
        if !self.is_user {
            return Ok(root.into());
        }
        let base = environment::directory(variable)
            .or_else(|| Some(environment::directory("HOME")?.join(below_home)))
            .with_context(|| {
                format!("neither ${variable} nor $HOME is set; say --root and --state")
            })?;
        Ok(base.join(Path::new("ucr")))
    }
}
