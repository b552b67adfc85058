//! A ucr of its own beside an Engine that has the sample image.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::engine::Engine;
use crate::support::layout::Layout;
use crate::support::process::{Finished, Running};
use crate::support::registry::Registry;
use crate::support::samples::{self, TAG};
use crate::support::ucr::{Invocation, Ucr, children};

pub const LIMIT: Duration = Duration::from_secs(60);
/// Ends at once when it is told to.
pub const SERVES: &str = "trap 'exit 9' TERM; trap 'echo usr1' USR1; echo ready; \
                          while :; do sleep 0.05; done";
/// Does not.
pub const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

/// The Engine of these tests: others count what is in theirs. It ends when the program does.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);
/// The sample in it.
static IMAGE: LazyLock<String> = LazyLock::new(|| image(&ENGINE));

/// Brings the sample into an Engine; gives its name there.
pub fn image(engine: &Engine) -> String {
    engine.on_its_machine(|| {
        let registry = Registry::open();
        let name = registry.push(&Layout::of(TAG, &samples::small()), TAG, "life/small:1");
        engine.ask(["pull", "--quiet", &name]);
        name
    })
}

pub struct Host {
    pub ucr: Ucr,
    pub image: String,
    host: String,
    runtime: &'static str,
}

impl Host {
    /// Of the Engine that all these tests share.
    pub fn new() -> Self {
        Self::of(&ENGINE, &IMAGE)
    }

    pub fn of(engine: &Engine, image: &str) -> Self {
        Self {
            ucr: Ucr::new(),
            image: image.to_owned(),
            host: engine.host(),
            runtime: "docker",
        }
    }

    /// With another list of runtimes.
    pub fn with(self, runtime: &'static str) -> Self {
        Self { runtime, ..self }
    }

    pub fn cmd(&self, words: &[&str]) -> Invocation {
        let words = [&["--runtime", self.runtime], words].concat();
        self.ucr
            .cmd(words)
            .env("DOCKER_HOST", &self.host)
            .limit(LIMIT)
    }

    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Finished {
        self.cmd(words).run()
    }

    /// For `$DOCKER_HOST`.
    pub fn host(&self) -> String {
        self.host.clone()
    }

    /// `ucr run FLAGS IMAGE WORDS`.
    pub fn start(&self, flags: &[&str], words: &[&str]) -> Invocation {
        self.cmd(&[&["run"], flags, &[&self.image], words].concat())
    }

    /// The same of a script that says when it is ready.
    #[track_caller]
    pub fn ready(&self, flags: &[&str], script: &str) -> Running {
        let running = self.start(flags, &["sh", "-c", script]).spawn();
        let is_ready = || running.stdout_so_far().contains("ready");
        running.wait_until("ready", LIMIT, is_ready);
        running
    }

    /// In the background, ready; its ID.
    #[track_caller]
    pub fn background(&self, flags: &[&str], script: &str) -> String {
        let flags = [&["-d"], flags].concat();
        let id = self.start(&flags, &["sh", "-c", script]).run().ok();
        let id = id.text().to_owned();
        let begin = Instant::now();
        while !self.run(&["logs", &id]).ok().stdout.contains("ready") {
            assert!(begin.elapsed() < LIMIT, "{id} is not ready");
        }
        id
    }

    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        self.run(&["inspect", name]).ok().json()
    }

    /// What is there for whoever comes after us.
    pub fn private(&self) -> Vec<PathBuf> {
        children(&self.ucr.state().join("docker"))
    }
}
