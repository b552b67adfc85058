//! Who is there when the executor and its tasks are killed: a process of ucr's that does then what the
//! next command of ucr would do, since on an agent nobody may type one for days. Addresses and ports of
//! dead containers become free, their cgroups go, and so does what Docker Engine still runs.
//!
//! ```text
//! executor ── fork ──► warden: out of the agent's cgroups, in a session of its own
//!    │  a byte: docker is used; another: nothing is left        │
//!    ▼ SIGKILL                     pidfd ──────────────────────►│ heal, sweep, exit
//! ```
//!
//! An agent ends an executor by its freezer cgroup, with all below, and then removes its cgroups of
//! memory and processors, where it kills nobody: a process that it finds there blocks it for a minute.
//! So the warden is out of all of them, or there is none. Where the executor has a namespace of
//! processes for itself, the warden dies with it, and the next command heals as always.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, getpid, getsid, pidfd_open, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::cli::context::Context;
use crate::error::render;
use crate::runtime::State;
use crate::runtime::docker::Docker;
use crate::runtime::native::cgroup::leave_all;
use crate::store::Store;
use crate::sys::memory::let_program_go;
use crate::sys::proc::Proc;
use crate::sys::process::{Child, Namespaces, close_all_but, spawn};
use crate::sys::signal::unblock;

/// How long the executor's children may take to go; they die with it.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// Before each time that something is healed: what was let go of a moment ago, or what an Engine went
/// on making, is found by the later ones.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(2),
];

/// What the warden says when it is at its post.
const READY: u8 = b'+';
/// What the executor says: it has started something in Docker Engine.
const DOCKER: u8 = b'd';
/// It has left nothing.
const DISMISSED: u8 = b'.';

/// The executor's side.
#[derive(Debug)]
pub(super) struct Warden {
    post: Result<Post, String>,
}

#[derive(Debug)]
struct Post {
    child: Child,
    line: PipeWriter,
}

/// What will have to be done.
pub(super) struct Estate {
    state: State,
    store: Store,
    docker: PathBuf,
    patience: Option<Duration>,
    /// The session of the executor, if it leads one.
    session: Option<Pid>,
}

/// Starts it. This process must have one thread, and has it out of its cgroups when this returns.
pub(super) fn start(context: &Context) -> Result<Warden> {
    let estate = Estate::of(context)?;
    let executor = pidfd_open(getpid(), PidfdFlags::empty()).context("a handle of this process")?;
    let (heard, line) = io::pipe()?;
    let (answers, answer) = io::pipe()?;
    let body = || serve(&estate, &executor, heard, answer);
    let child = spawn(Namespaces::default(), body).context("start a warden")?;
    let post = match said(answers)? {
        None => Ok(Post { child, line }),
        Some(why) => {
            child.wait()?;
            Err(why)
        }
    };
    Ok(Warden { post })
}

/// Why the warden is not at its post.
fn said(mut answers: PipeReader) -> Result<Option<String>> {
    let mut answer = Vec::new();
    answers.read_to_end(&mut answer)?;
    Ok(match answer.as_slice() {
        [READY] => None,
        [] => Some("it has died".to_owned()),
        why => Some(String::from_utf8_lossy(why).into_owned()),
    })
}

impl Warden {
    /// Why there is none, for people: what is left of tasks that are killed with the executor waits for
    /// the next command of ucr.
    pub(super) fn remark(&self) -> Option<String> {
        let why = self.post.as_ref().err()?;
        Some(format!(
            "no warden, so what a killed executor leaves waits for the next ucr command: {why}"
        ))
    }

    /// From now on there may be containers in Docker Engine.
    pub(super) fn docker_is_used(&mut self) {
        self.say(DOCKER);
    }

    /// Nothing is left that it would have to do; waits until it is gone.
    pub(super) fn dismiss(mut self) {
        self.say(DISMISSED);
        if let Ok(post) = &self.post {
            let _ = post.child.wait();
        }
    }

    fn say(&mut self, word: u8) {
        if let Ok(post) = &mut self.post {
            // Somebody has killed it; then nobody is there to be told.
            let _ = post.line.write_all(&[word]);
        }
    }
}

/// The warden's whole life.
fn serve(estate: &Estate, executor: &OwnedFd, heard: PipeReader, mut answer: PipeWriter) -> u8 {
    let kept = [executor.as_fd(), heard.as_fd(), answer.as_fd()];
    let taken = take_post(&kept);
    let word = match &taken {
        Ok(()) => vec![READY],
        Err(error) => render(error).into_bytes(),
    };
    let is_heard = answer.write_all(&word).is_ok();
    drop(answer);
    if taken.is_err() || !is_heard {
        return 1;
    }
    let _ = let_program_go();
    if let Ok(Some(has_docker)) = wait_for_end(executor.as_fd(), heard) {
        estate.settle(has_docker);
    }
    0
}

/// Leaves all that the executor has in common with it.
fn take_post(kept: &[BorrowedFd]) -> Result<()> {
    leave_all()?;
    setsid()?;
    rustix::process::chdir("/")?;
    let mut null = std::fs::OpenOptions::new();
    let null = null.read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    drop(null);
    close_all_but(kept.iter().copied())?;
    // The executor reads its signals from a handle; here they mean what they always mean.
    unblock()?;
    // For whoever sees two of one command line in ps(1).
    Ok(rustix::thread::set_name(c"ucr-warden")?)
}

/// Waits until the executor is gone: whether it has used Docker Engine. `None` if it has said that it
/// leaves nothing. The end of the pipe means nothing: its children have copies of it.
fn wait_for_end(executor: BorrowedFd, mut heard: PipeReader) -> Result<Option<bool>> {
    let (mut has_docker, mut is_open) = (false, true);
    loop {
        let mut handles = vec![PollFd::from_borrowed_fd(executor, PollFlags::IN)];
        if is_open {
            handles.push(PollFd::new(&heard, PollFlags::IN));
        }
        match poll(&mut handles, None) {
            Ok(_) => (),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let is_over = !handles[0].revents().is_empty();
        let is_told = handles.get(1).is_some_and(|it| !it.revents().is_empty());
        let mut words = [0; 16];
        // What was said last is heard before the end.
        if is_told {
            let count = heard.read(&mut words)?;
            is_open = count > 0;
            has_docker |= words[..count].contains(&DOCKER);
            if words[..count].contains(&DISMISSED) {
                return Ok(None);
            }
        } else if is_over {
            return Ok(Some(has_docker));
        }
    }
}

impl Estate {
    /// Of this process, from whose working directory relative paths start.
    pub(super) fn of(context: &Context) -> Result<Self> {
        Ok(Self {
            state: context.state()?,
            store: context.store()?,
            docker: context.state_directory()?.join("docker"),
            patience: context.engine().patience,
            session: getsid(None).ok().filter(|session| *session == getpid()),
        })
    }

    /// Waits until everybody is gone who might still make something.
    fn settle(&self, has_docker: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_anybody_there() && Instant::now() < deadline {
            sleep(POLL);
        }
        self.heal(has_docker);
    }

    /// Does what the next command of ucr would do, in silence.
    pub(super) fn heal(&self, has_docker: bool) {
        for pause in PAUSES {
            sleep(pause);
            self.state.heal(&self.store);
            if has_docker {
                Docker::heal(&self.docker, self.patience);
            }
        }
    }

    /// Whether a child of the executor still runs. Those of other sessions are found by the later times
    /// that something is healed.
    fn is_anybody_there(&self) -> bool {
        let (Some(session), Ok(proc)) = (self.session, Proc::open()) else {
            return false;
        };
        let mut all = proc.processes().unwrap_or_default().into_iter();
        // The executor itself may wait to be reaped.
        all.any(|pid| getsid(Pid::from_raw(pid)) == Ok(session) && !proc.is_ending(pid))
    }
}
