//! A real Docker Engine for the tests (Debian's docker.io), which is nobody else's: its files are
//! in a scratch directory, and it has a network namespace of its own, so that its bridge, its
//! addresses and its firewall rules are in nobody's way and go with it. Tests that pull from a
//! registry on loopback, publish ports or use the host's network are run on its machine:
//! [`Engine::on_its_machine`].

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{need, netns, process};

/// Longer than its keeper needs for anything.
const LIMIT: Duration = Duration::from_secs(120);

/// The Engine of this test program. It ends when the program does: nobody drops a static, but its
/// keeper's input ends then.
static SHARED: LazyLock<Engine> = LazyLock::new(Engine::new);

/// An Engine; gone with all its containers when it is dropped.
#[derive(Debug)]
pub struct Engine {
    directory: PathBuf,
    network: File,
    keeper: Mutex<Keeper>,
}

/// The process tests/support/engine.
#[derive(Debug)]
struct Keeper {
    child: Child,
    commands: Option<ChildStdin>,
    answers: ChildStdout,
}

impl Engine {
    /// The one that all tests of this program share: nobody stops it.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Another one.
    pub fn new() -> Self {
        need::root();
        for (program, package) in [("dockerd", "docker.io"), ("iptables", "iptables")] {
            need::program(program, package);
        }
        let parent = std::env::var_os("UCR_TEST_TMP").unwrap_or_else(|| "/var/tmp".into());
        let directory = tempfile::Builder::new()
            .prefix("ucr-test-engine-")
            .tempdir_in(parent)
            .expect("a directory")
            // It is its keeper's to remove.
            .keep();
        let network = netns::empty();
        let keeper = netns::inside(&network, || Keeper::start(&directory));
        let engine = Self {
            directory,
            network,
            keeper: Mutex::new(keeper),
        };
        engine.start();
        engine
    }

    /// For `$DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.directory.join("socket").display())
    }

    /// The client for it, with an empty configuration.
    pub fn docker<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut client = Command::new(need::program("docker", "docker.io"));
        client
            .env("DOCKER_CONFIG", self.directory.join("client"))
            .args(["--host", &self.host()])
            .args(words);
        client
    }

    /// What such a command prints, which must end well.
    #[track_caller]
    pub fn ask<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        process::tool(&mut self.docker(words)).trim().to_owned()
    }

    /// Does something where its network is: its loopback addresses are those there.
    pub fn on_its_machine<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        netns::inside(&self.network, act)
    }

    /// Starts it, and waits until it answers; it has kept what it had.
    #[track_caller]
    pub fn start(&self) {
        self.tell("start");
    }

    /// Stops it as a service is stopped, with its containers.
    #[track_caller]
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Ends it by force: its containers stay.
    #[track_caller]
    pub fn kill(&self) {
        self.tell("kill");
    }

    /// Makes it hang: it accepts connections, and answers nobody until [`Engine::resume`].
    pub fn hang(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("SIGSTOP");
    }

    /// After [`Engine::hang`].
    pub fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("SIGCONT");
    }

    /// Of dockerd, while it is running.
    pub fn pid(&self) -> Pid {
        let file = self.directory.join("pid");
        let text = std::fs::read_to_string(file).expect("its pid file");
        Pid::from_raw(text.trim().parse().expect("a pid"))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Where all its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    #[track_caller]
    fn tell(&self, command: &str) {
        let keeper = self.keeper.lock();
        let answer = keeper.unwrap_or_else(PoisonError::into_inner).tell(command);
        assert_eq!(answer, "ok", "{command} of dockerd");
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut();
        let keeper = keeper.unwrap_or_else(PoisonError::into_inner);
        keeper.commands = None;
        let _ = keeper.child.wait();
    }
}

impl Keeper {
    fn start(directory: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/engine");
        let mut child = Command::new(script)
            .arg(directory)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Signals for the tests are not for it.
            .process_group(0)
            .spawn()
            .expect("its keeper");
        let commands = child.stdin.take();
        let answers = child.stdout.take().expect("a pipe");
        Self {
            child,
            commands,
            answers,
        }
    }

    /// Says a line and waits for one.
    fn tell(&mut self, command: &str) -> String {
        let commands = self.commands.as_mut().expect("it is there until the drop");
        writeln!(commands, "{command}").expect("it reads");
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let timeout = Timespec::try_from(LIMIT).expect("a sane duration");
            let mut fds = [PollFd::new(&self.answers, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&timeout)).expect("poll of a pipe");
            assert!(ready > 0, "{command} of dockerd: no answer in {LIMIT:?}");
            let mut byte = [0];
            let count = self.answers.read(&mut byte).expect("read of a pipe");
            assert!(count > 0, "{command} of dockerd: its keeper has ended");
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).trim().to_owned()
    }
}
