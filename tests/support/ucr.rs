//! The real binary with a store, a state directory, a HOME and an environment of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{self, Finished, Running};
use super::user::User;
use super::{need, scratch::Scratch};

/// The variables that a login shell would give; everything else is cleared.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Longer than any single command of these tests takes on two slow cores.
const LIMIT: Duration = Duration::from_secs(120);

/// One private world for ucr.
#[derive(Debug)]
pub struct Ucr {
    scratch: Scratch,
    user: Option<User>,
}

impl Ucr {
    /// A new world with an empty store: root's, or that of whom `$UCR_TEST_AS` says.
    pub fn new() -> Self {
        need::root();
        match User::from_environment() {
            Some(user) => Self::of(user),
            None => Self::make(None),
        }
    }

    /// An ordinary user's.
    pub fn of(user: User) -> Self {
        Self::make(Some(user))
    }

    fn make(user: Option<User>) -> Self {
        let scratch = Scratch::new();
        scratch.dir("home");
        if let Some(user) = &user {
            user.prepare(&scratch);
        }
        Self { scratch, user }
    }

    /// Gives a directory to who runs it.
    pub fn own(&self, directory: &Path) {
        if let Some(user) = &self.user {
            user.own(directory);
        }
    }

    /// Who runs it, if not root.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// The binary under test: `$UCR_TEST_BINARY` (`./tests/all` gives the release binary), else
    /// the one that cargo built with the tests.
    pub fn binary() -> PathBuf {
        let built = env!("CARGO_BIN_EXE_ucr");
        std::env::var_os("UCR_TEST_BINARY").map_or(built.into(), PathBuf::from)
    }

    /// `ucr --root … --state …` in this process's environment, for what [`Self::cmd`] cannot do.
    pub fn command(&self) -> Command {
        let mut command = match &self.user {
            None => Command::new(Self::binary()),
            Some(user) => user.command(&self.scratch, &Self::binary()),
        };
        command.arg("--root").arg(self.root());
        command.arg("--state").arg(self.state());
        command
    }

    /// The same, started by a shell script as `"$@"`.
    pub fn by_shell(&self, script: &str) -> Command {
        let own = self.command();
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        command.arg(own.get_program()).args(own.get_args());
        command
    }

    /// A command line; `--root` and `--state` are put before the words.
    pub fn cmd<I>(&self, words: I) -> Invocation
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut command = self.command();
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .current_dir(self.scratch.path())
            .args(words);
        Invocation {
            command,
            stdin: Vec::new(),
            limit: LIMIT,
        }
    }

    /// Runs a command line without input.
    #[track_caller]
    pub fn run<I>(&self, words: I) -> Finished
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.cmd(words).run()
    }

    /// Pulls an image that must be there; gives the printed digest.
    #[track_caller]
    pub fn pull(&self, image: &str) -> String {
        self.run(["pull", image]).ok().text().to_owned()
    }

    /// Where the store is.
    pub fn root(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// Where the run-time state is.
    pub fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// `$HOME`.
    pub fn home(&self) -> PathBuf {
        self.scratch.join("home")
    }

    /// The directory that everything is in; also the working directory.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The files and directories of the store whose name is below one of `parts`, to see that a
    /// failed pull left nothing there.
    pub fn entries(&self, parts: &[&str]) -> Vec<PathBuf> {
        let is_made = self.root().join("VERSION").exists();
        let listed = parts.iter().flat_map(|part| {
            let directory = self.root().join(part);
            assert!(directory.is_dir() || !is_made, "the store has no {part}");
            children(&directory)
        });
        listed.collect()
    }
}

/// A test that fails leaves containers in the background.
impl Drop for Ucr {
    fn drop(&mut self) {
        if children(&self.state().join("containers")).is_empty() {
            return;
        }
        let listed = self.command().args(["ps", "--all", "--quiet"]).output();
        let listed = listed.map(|done| done.stdout).unwrap_or_default();
        for id in String::from_utf8_lossy(&listed).lines() {
            let _ = self.command().args(["rm", "--force", id]).output();
        }
    }
}

/// What is in a directory; nothing if there is none.
pub fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readdir").path())
        .collect();
    paths.sort();
    paths
}

/// A command line that is being put together.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Invocation {
    /// One more word.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Another time limit.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(mut self) -> Finished {
        process::run(&mut self.command, &self.stdin, self.limit)
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(mut self) -> Running {
        process::spawn(&mut self.command, &self.stdin)
    }
}
