//! Running a container in the Engine, in the foreground or handing it over.
//!
//! The CLI is attached to it and has our streams, but for stderr, see `relay`. Signals go to the
//! container by another call; where the CLI reads from a terminal it passes on itself what that sends.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::create::Made;
use super::found::ended;
use super::relay::{Relay, To};
use super::verdict::{State, failure};
use super::{Docker, EngineImage};
use crate::engine::Environment;
use crate::error::{Fault, Kind, kind};
use crate::runtime::stops::Stops;
use crate::runtime::{Ended, Happening};
use crate::spec::{ContainerSpec, GivenValues, STOP_TIMEOUT};
use crate::sys::signal::{Inbox, is_forwarded, is_job_control, stop_ourselves};
use crate::sys::tty::is_terminal;

/// How often a starting container is looked at that somebody follows, and held stderr let go.
const STEP: Duration = Duration::from_millis(100);
/// So often in a row a container must be over before the CLI is not waited for (moby 33820).
const TIRED: u32 = 3;
/// How long an Engine that went away is waited for.
const AWAY: Duration = Duration::from_secs(15);

/// A container that is to run.
pub struct Asked<'a> {
    /// What it is made of.
    pub image: &'a EngineImage,
    /// What it is to be like.
    pub spec: &'a ContainerSpec,
    /// Values of its secrets that were given.
    pub values: &'a GivenValues,
    /// It stays after its end.
    pub is_kept: bool,
    /// Nobody waits for it.
    pub is_detached: bool,
    /// Whether we are attached to its stdin, stdout and stderr.
    pub streams: [bool; 3],
    /// Let go of one with a terminal; docker's words.
    pub detach_keys: String,
    /// Somebody wants to know at once when its command is executed.
    pub is_followed: bool,
    /// How the Engine is reached.
    pub environment: &'a Environment,
    /// Is told what happens to it.
    pub happened: &'a dyn Fn(&Happening),
    /// Is told what the Engine has to remark.
    pub remark: &'a dyn Fn(&str),
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("Asked")
            .field("image", &self.image.name)
            .finish_non_exhaustive()
    }
}

/// What became of a container as far as we were there.
#[derive(Debug)]
pub enum Ran {
    /// It ended.
    Ended {
        /// Its ID.
        id: String,
        /// How.
        ended: Ended,
    },
    /// It runs on, with this ID.
    LetGo(String),
}

/// The CLI while it is attached.
struct Attached {
    child: Child,
    relay: Relay,
    stops: Stops,
    /// It has a process group of its own.
    is_apart: bool,
    is_started: bool,
    is_stopped: Option<i32>,
    /// When it began.
    since: Instant,
    next_look: Instant,
    /// How often in a row its container was seen to be over.
    seen_over: u32,
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Where it has ended, nobody is there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Docker {
    /// Runs a container to its end and removes it, unless it is kept or was let go of. Fails before
    /// anything is started if the Engine refuses it; with [`Kind::NoCommand`] or
    /// [`Kind::NotExecutable`] if the command cannot be executed.
    pub fn run(&self, asked: &Asked) -> Result<Ran> {
        let inbox = Inbox::open().context("read signals")?;
        let made = self.create(asked, &inbox)?;
        let ran = self.run_made(asked, &made, &inbox);
        let stays = match &ran {
            Ok(Ran::LetGo(_)) => true,
            Ok(Ran::Ended { .. }) => asked.is_kept,
            Err(_) => false,
        };
        if matches!(ran, Ok(Ran::LetGo(_))) && !asked.is_kept && !asked.is_detached {
            self.leave_let_go(asked, &made)?;
        }
        if !stays && let Err(error) = self.discard(&made.full_id) {
            let why = crate::error::render(&error);
            (asked.remark)(&format!(
                "the next ucr command removes its container: {why}"
            ));
        }
        ran
    }

    fn run_made(&self, asked: &Asked, made: &Made, inbox: &Inbox) -> Result<Ran> {
        (asked.happened)(&Happening::Created { id: made.id() });
        if asked.is_detached {
            self.start(asked, made, inbox)?;
            return Ok(Ran::LetGo(made.id().to_owned()));
        }
        let mut attached = self.attach(asked, made)?;
        let status = self.follow(asked, made, inbox, &mut attached)?;
        self.conclude(asked, made, attached, status)
    }

    fn start(&self, asked: &Asked, made: &Made, inbox: &Inbox) -> Result<()> {
        let words = ["start", &made.full_id];
        if let Err(error) = self
            .engine
            .call(&words, self.engine.long(), Some(inbox.ends()))
        {
            // With --rm the Engine has removed it by now.
            let state = self.state(&made.full_id).unwrap_or_default();
            return Err(match state.was_started() {
                true => error,
                false => self.refused(asked, &state, &error.to_string()).into(),
            });
        }
        // It may be over and removed already.
        let pid = self.state(&made.full_id).unwrap_or_default().pid;
        let id = made.id();
        (asked.happened)(&Happening::Started { id, pid });
        Ok(())
    }

    fn refused(&self, asked: &Asked, state: &State, said: &str) -> Fault {
        let process = crate::spec::process(asked.spec, &asked.image.config, "");
        let command = process.ok().and_then(|it| it.argv.first().cloned());
        failure("start", state, said, &command.unwrap_or_default())
    }

    fn attach(&self, asked: &Asked, made: &Made) -> Result<Attached> {
        let keys = format!("--detach-keys={}", asked.detach_keys);
        let mut words = vec!["start", "--attach", &keys];
        let [stdin, stdout, stderr] = asked.streams;
        if stdin && asked.spec.stdin {
            words.push("--interactive");
        }
        words.push(&made.full_id);
        let stream = |is_wanted: bool| match is_wanted {
            true => Stdio::inherit(),
            false => Stdio::null(),
        };
        let mut command = self.engine.command(&words);
        command
            .stdin(stream(stdin && asked.spec.stdin))
            .stdout(stream(stdout))
            .stderr(match stderr {
                true => Stdio::piped(),
                false => Stdio::null(),
            });
        // What a terminal sends to all of us the CLI would take for its own end. It must be in the
        // terminal's group only where it reads from it, or draws on it.
        let reads = stdin && asked.spec.stdin && is_terminal(std::io::stdin());
        let is_apart = !asked.spec.tty && !reads;
        if is_apart {
            command.process_group(0);
        }
        let mut child = command.spawn().context("run docker start")?;
        let relay = Relay::new(child.stderr.take().map(Into::into), To::Stderr);
        Ok(Attached {
            child,
            relay,
            stops: Stops::default(),
            is_apart,
            is_started: false,
            is_stopped: None,
            since: Instant::now(),
            next_look: Instant::now()
                + if asked.is_followed {
                    STEP
                } else {
                    self.engine.short()
                },
            seen_over: 0,
        })
    }

    /// Passes on what comes until the CLI ends.
    fn follow(
        &self,
        asked: &Asked,
        made: &Made,
        inbox: &Inbox,
        attached: &mut Attached,
    ) -> Result<ExitStatus> {
        let pid = i32::try_from(attached.child.id())
            .ok()
            .and_then(Pid::from_raw);
        let pid = pid.context("docker start has no process")?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        loop {
            if Instant::now() >= attached.next_look {
                self.look(asked, made, attached)?;
            }
            let until_look = attached.next_look.saturating_duration_since(Instant::now());
            let limit = match attached.relay.holds() {
                true => until_look.min(STEP),
                false => until_look,
            };
            wait(handle.as_fd(), inbox, &attached.relay, limit)?;
            attached.relay.step()?;
            while let Some(signal) = inbox.next_from()? {
                self.pass_on(made, attached, signal)?;
            }
            if let Some(status) = attached.child.try_wait()? {
                return Ok(status);
            }
        }
    }

    /// Sees how far the container is; ends the CLI if that waits for nothing.
    fn look(&self, asked: &Asked, made: &Made, attached: &mut Attached) -> Result<()> {
        let state = self.state(&made.full_id);
        let is_late = attached.since.elapsed() > self.engine.long();
        match &state {
            Ok(state) if state.was_started() => {
                if !attached.is_started {
                    attached.is_started = true;
                    let (id, pid) = (made.id(), state.pid);
                    (asked.happened)(&Happening::Started { id, pid });
                }
                attached.seen_over = match state.running {
                    true => 0,
                    false => attached.seen_over + 1,
                };
            }
            _ if !attached.is_started && is_late => {
                let _ = attached.child.kill();
                let limit = self.engine.long();
                let message = format!("docker start: nothing was started within {limit:?}");
                return Err(Fault::new(Kind::Network, message)
                    .hint(
                        "the Engine may hang: see its log (journalctl -u docker), or say \
                         --engine-timeout TIME",
                    )
                    .into());
            }
            _ => (),
        }
        if attached.seen_over >= TIRED {
            let _ = attached.child.kill();
        }
        let is_awaited = asked.is_followed && !attached.is_started;
        attached.next_look = Instant::now()
            + if is_awaited {
                STEP
            } else {
                self.engine.short()
            };
        Ok(())
    }

    fn pass_on(
        &self,
        made: &Made,
        attached: &mut Attached,
        (number, is_sent): (i32, bool),
    ) -> Result<()> {
        if is_job_control(number) {
            return Ok(stop_ourselves()?);
        }
        if !is_forwarded(number) {
            return Ok(());
        }
        let is_request = matches!(number, libc::SIGINT | libc::SIGTERM);
        if is_request && attached.stops.is_enough(Instant::now()) {
            return self.kill(made);
        }
        let is_end = is_request || matches!(number, libc::SIGHUP | libc::SIGQUIT);
        // Whoever asks for the end of what an Engine that hangs has is let go.
        let is_early = is_end && !attached.is_started && !self.state(&made.full_id)?.was_started();
        if is_early {
            attached.is_stopped = Some(number);
            let _ = attached.child.kill();
        } else if is_sent || attached.is_apart {
            // Not through the CLI that is attached: newer ones take SIGINT and SIGTERM for their
            // own end, and what the container then says is lost.
            let told = self.signal(made, number, self.engine.short());
            // Without other signals the container goes on, and so do we.
            return if is_end { told } else { Ok(()) };
        }
        Ok(())
    }

    /// The Engine keeps it when it ends; the first command after that removes it.
    fn leave_let_go(&self, asked: &Asked, made: &Made) -> Result<()> {
        let private = self.engine.private();
        let mut note = self.note(private.name(), Some(&made.full_id), asked.environment);
        note["is_let_go"] = true.into();
        private.note(&note)?;
        private.leave();
        Ok(())
    }

    fn kill(&self, made: &Made) -> Result<()> {
        self.signal(made, libc::SIGKILL, self.engine.long())
    }

    fn signal(&self, made: &Made, number: i32, limit: Duration) -> Result<()> {
        let option = format!("--signal={number}");
        let words = ["kill", &option, &made.full_id];
        match self.engine.call(&words, limit, None) {
            // It ended meanwhile.
            Err(error) if error.to_string().contains("is not running") => Ok(()),
            done => done.map(drop),
        }
    }

    fn conclude(
        &self,
        asked: &Asked,
        made: &Made,
        mut attached: Attached,
        status: ExitStatus,
    ) -> Result<Ran> {
        let (is_started, is_stopped) = (attached.is_started, attached.is_stopped);
        let held = attached.relay.finish()?;
        let held = held.as_slice();
        if let Some(number) = is_stopped {
            let message = format!("signal {number} came before the container was started");
            return Err(Fault::new(Kind::Interrupted, message).into());
        }
        let mut state = self.state_again(made).map_err(|error| {
            let message = format!(
                "container {}: Docker Engine went away while it ran",
                made.id()
            );
            let _ = To::Stderr.print(held);
            error.context(Fault::new(Kind::Network, message).hint(
                "the container may go on; the next ucr command that reaches the Engine removes it",
            ))
        })?;
        if state.running {
            let is_detached = asked.spec.tty && status.success();
            if is_detached {
                To::Stderr.print(held)?;
                return Ok(Ran::LetGo(made.id().to_owned()));
            }
            (asked.remark)("its client ended while the container ran, which is now stopped");
            state = self.stop(asked, made)?;
        }
        let said = String::from_utf8_lossy(held);
        if !state.was_started() {
            let said = crate::engine::said(held);
            return Err(self.refused(asked, &state, &said).into());
        }
        if let Some(fault) = self.unexecutable(asked, made, &state, &said) {
            return Err(fault.into());
        }
        To::Stderr.print(held)?;
        let id = made.id().to_owned();
        if !is_started {
            (asked.happened)(&Happening::Started {
                id: &id,
                pid: state.pid,
            });
        }
        Ok(Ran::Ended {
            id,
            ended: ended(&state),
        })
    }

    /// The state, also of an Engine that is just being restarted.
    fn state_again(&self, made: &Made) -> Result<State> {
        let deadline = Instant::now() + AWAY.min(self.engine.short());
        loop {
            match self.state(&made.full_id) {
                Err(error) if kind(&error) == Kind::Network && Instant::now() < deadline => {
                    std::thread::sleep(STEP);
                }
                found => return found,
            }
        }
    }

    /// Ends it as `ucr stop` does.
    fn stop(&self, asked: &Asked, made: &Made) -> Result<State> {
        let grace = asked.spec.stop_timeout.unwrap_or(STOP_TIMEOUT);
        let limit = self.engine.long() + Duration::from_secs(grace.into());
        self.engine.call(&["stop", &made.full_id], limit, None)?;
        self.state(&made.full_id)
    }
}

/// Waits for something to do.
fn wait(child: BorrowedFd, inbox: &Inbox, relay: &Relay, limit: Duration) -> Result<()> {
    let mut fds = vec![
        PollFd::from_borrowed_fd(child, PollFlags::IN),
        PollFd::new(inbox, PollFlags::IN),
    ];
    if let Some(handle) = relay.handle() {
        fds.push(PollFd::from_borrowed_fd(handle, PollFlags::IN));
    }
    let limit = Timespec::try_from(limit)?;
    match poll(&mut fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
