//! Makes the checks of a container's health: on a timer, one at a time, each a child of the process
//! that watches the container, entered into it by the code of `ucr exec`.
//!
//! Never blocks, but to reap what has ended; all that is waited for is behind one descriptor. A
//! check that cannot be made has failed, and ends nothing but itself.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Error, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Signal, kill_process_group};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::Asked;
use super::exec::{Command, decide, enter};
use super::plan::Plan;
use super::status::{Listener, Message};
use crate::error::{self, Kind};
use crate::exit;
use crate::runtime::Happening;
use crate::runtime::{Container, HealthFile, HealthResult, HealthState, HealthStatus};
use crate::spec::HealthCheck;
use crate::sys::namespace::leave_processes;
use crate::sys::proc::Proc;
use crate::sys::process::{Child, Exit};

/// Most that is kept of what a check prints, in bytes, as in docker.
const MAX_OUTPUT: usize = 4096;
/// What the one descriptor says is ready.
const TIMER: u64 = 0;
const PROCESS: u64 = 1;
const REPORT: u64 = 2;
const OUTPUT: u64 = 3;

/// The health of one start of a container.
pub(super) struct Health<'a> {
    check: &'a HealthCheck,
    asked: &'a Asked<'a>,
    file: &'a HealthFile,
    container: Container,
    /// Decided once: nothing of it changes while the container runs.
    plan: Option<Plan>,
    state: HealthState,
    began: Instant,
    epoll: OwnedFd,
    /// The next check, or the end of this one's time.
    timer: OwnedFd,
    probe: Option<Probe>,
}

/// A check that is being made.
struct Probe {
    child: Child,
    report: Option<Listener>,
    output: Option<File>,
    printed: Vec<u8>,
    is_cut: bool,
    failure: Option<Error>,
    started_at: u64,
    is_late: bool,
}

impl<'a> Health<'a> {
    /// Of a container that has been started; nothing is checked before [`Self::begin`].
    pub(super) fn new(
        check: &'a HealthCheck,
        asked: &'a Asked<'a>,
        file: &'a HealthFile,
        container: Container,
    ) -> Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(TIMER);
        epoll::add(&epoll, &timer, data, EventFlags::IN)?;
        Ok(Self {
            check,
            asked,
            file,
            container,
            plan: None,
            state: HealthState::default(),
            began: Instant::now(),
            epoll,
            timer,
            probe: None,
        })
    }

    /// Becomes readable when [`Self::step`] has something to do.
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The command is executed: the first interval begins.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.began = Instant::now();
        self.file.write(&self.state)?;
        self.wait_for_next()
    }

    fn is_grace(&self) -> bool {
        self.began.elapsed() < self.check.start_period.duration()
    }

    fn wait_for_next(&self) -> Result<()> {
        let is_starting = self.state.status == HealthStatus::Starting && self.is_grace();
        self.set_timer(match is_starting {
            true => self.check.start_interval.duration(),
            false => self.check.interval.duration(),
        })
    }

    fn set_timer(&self, length: Duration) -> Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(length)?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Does what can be done now.
    pub(super) fn step(&mut self) -> Result<()> {
        let ready = self.ready()?;
        let is_time = ready.contains(&TIMER) && self.take_timer();
        let Some(probe) = &mut self.probe else {
            return match is_time {
                true => self.start(),
                false => Ok(()),
            };
        };
        if ready.contains(&REPORT) {
            probe.hear(self.epoll.as_fd());
        }
        probe.read(self.epoll.as_fd());
        if ready.contains(&PROCESS) {
            return self.finish();
        }
        if is_time {
            probe.is_late = true;
            probe.kill();
        }
        Ok(())
    }

    fn ready(&self) -> Result<Vec<u64>> {
        let mut events = [epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 4];
        match epoll::wait(&self.epoll, &mut events, Some(&Timespec::default())) {
            Ok(ready) => Ok(events[..ready].iter().map(|it| it.data.u64()).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it went off; set anew meanwhile, it has not.
    fn take_timer(&self) -> bool {
        rustix::io::read(&self.timer, &mut [0_u8; 8]).is_ok()
    }

    fn start(&mut self) -> Result<()> {
        let started_at = now();
        let entered = self.enter();
        // Whatever happened: what this process starts next need not be the container's.
        leave_processes()?;
        match entered {
            Ok((child, report, output)) => {
                for (fd, token) in [
                    (child.handle(), PROCESS),
                    (report.as_fd(), REPORT),
                    (output.as_fd(), OUTPUT),
                ] {
                    epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN)?;
                }
                self.probe = Some(Probe {
                    child,
                    report: Some(report),
                    output: Some(output),
                    printed: Vec::new(),
                    is_cut: false,
                    failure: None,
                    started_at,
                    is_late: false,
                });
                self.set_timer(self.check.timeout.duration())
            }
            Err(error) => self.record(HealthResult {
                started_at,
                ended_at: now(),
                exit_code: exit::FAULT.into(),
                output: error::render(&error),
            }),
        }
    }

    fn enter(&mut self) -> Result<(Child, Listener, File)> {
        let plan = match &self.plan {
            Some(plan) => plan.clone(),
            None => {
                let command = Command {
                    argv: self.check.argv.clone(),
                    ..Command::default()
                };
                let plan = decide(&self.container.record, &command)?;
                self.plan.insert(plan).clone()
            }
        };
        let (read, write) = io::pipe()?;
        ioctl_fionbio(&read, true)?;
        let error = write.try_clone()?;
        let streams = [None, Some(write.into()), Some(error.into())];
        let (child, report) = enter(&self.container, plan, streams, None)?;
        Ok((child, report, OwnedFd::from(read).into()))
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut probe) = self.probe.take() else {
            return Ok(());
        };
        // Copies of a descriptor keep it in the list.
        let _ = epoll::delete(&self.epoll, probe.child.handle());
        let exit = probe.child.wait()?;
        probe.hear(self.epoll.as_fd());
        probe.read(self.epoll.as_fd());
        probe.close(self.epoll.as_fd());
        let result = probe.result(exit, self.check);
        if result.exit_code != 0 && self.container_is_ending() {
            return Ok(());
        }
        self.record(result)
    }

    /// Its end takes the checks along, which says nothing about its health.
    fn container_is_ending(&self) -> bool {
        let pid = self.container.life.started.map(|started| started.pid);
        let proc = Proc::open();
        pid.is_none_or(|pid| proc.is_ok_and(|proc| proc.is_ending(pid)))
    }

    fn record(&mut self, result: HealthResult) -> Result<()> {
        let before = self.state.status;
        let is_grace = self.is_grace();
        self.state.add(result, self.check.retries, is_grace);
        self.file.write(&self.state)?;
        if self.state.status != before {
            (self.asked.happened)(&Happening::Health {
                id: self.asked.id,
                status: self.state.status,
            });
        }
        self.wait_for_next()
    }
}

impl Probe {
    /// Why it was not executed, if it says so.
    fn hear(&mut self, epoll: BorrowedFd) {
        let Some(report) = &self.report else {
            return;
        };
        // Where the process has ended, its side is closed, and nothing here waits.
        match report.next() {
            Ok(Message::Failed(error)) => self.failure = Some(error),
            Ok(Message::Handle(_)) => (),
            Ok(Message::Closed) | Err(_) => {
                let _ = epoll::delete(epoll, report);
                self.report = None;
            }
        }
    }

    fn read(&mut self, epoll: BorrowedFd) {
        let mut buffer = [0_u8; MAX_OUTPUT];
        // No more than a few at a time: it may print faster than this reads.
        for _ in 0..16 {
            let Some(output) = &mut self.output else {
                return;
            };
            match output.read(&mut buffer) {
                Ok(read) if read > 0 => {
                    let room = MAX_OUTPUT - self.printed.len();
                    self.is_cut |= read > room;
                    self.printed.extend_from_slice(&buffer[..read.min(room)]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Ok(_) | Err(_) => {
                    let _ = epoll::delete(epoll, output);
                    self.output = None;
                }
            }
        }
    }

    fn close(&mut self, epoll: BorrowedFd) {
        if let Some(output) = self.output.take() {
            let _ = epoll::delete(epoll, output);
        }
        if let Some(report) = self.report.take() {
            let _ = epoll::delete(epoll, report);
        }
    }

    /// Kills it, and what it has started in its own session's first group.
    fn kill(&self) {
        // It may not have made its group yet, and is then alone.
        let _ = kill_process_group(self.child.pid(), Signal::KILL);
        let _ = self.child.signal(libc::SIGKILL);
    }

    fn result(&mut self, exit: Exit, check: &HealthCheck) -> HealthResult {
        let printed = String::from_utf8_lossy(&self.printed).into_owned();
        let cut = if self.is_cut { "..." } else { "" };
        let (exit_code, output) = match self.failure.take() {
            _ if self.is_late => {
                let why = format!("health check exceeded timeout ({})", check.timeout);
                (-1, format!("{why}: {printed}{cut}"))
            }
            Some(error) => (failure_code(&error), error::render(&error)),
            None => (exit.code().into(), printed + cut),
        };
        HealthResult {
            started_at: self.started_at,
            ended_at: now(),
            exit_code,
            output,
        }
    }
}

fn failure_code(error: &Error) -> i32 {
    i32::from(match error::kind(error) {
        Kind::NoCommand => exit::NOT_FOUND,
        Kind::NotExecutable => exit::NOT_EXECUTABLE,
        _ => exit::FAULT,
    })
}

impl Drop for Health<'_> {
    /// The container's last process cannot go before its processes that are children of this one
    /// are reaped (pid_namespaces(7)).
    fn drop(&mut self) {
        if let Some(probe) = self.probe.take() {
            probe.kill();
            let _ = probe.child.wait();
        }
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
