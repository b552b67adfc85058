//! Makes the checks of one task in time: side by side, each one probe at a time.
//!
//! Never blocks; all that is waited for is behind one descriptor. A probe that cannot be made has
//! failed. Once a check wants the task killed, or the task ends, no more is checked.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use serde::{Deserialize, Serialize};

use super::plan::{Check, Role};
use super::probe::{LAST_WORDS, RunCommand, Running};
use super::tally::{Consequence, Standing, Tally};
use super::verdict::{Finding, Report};
use crate::error;
use crate::sys::namespace::Network;
use crate::sys::proc::Proc;

/// Most that is taken at a time of what the descriptor says is ready.
const BATCH: usize = 16;
const TIMER: u64 = 0;

/// The first process of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number here.
    pub pid: i32,
    /// When it started, in clock ticks since boot; `None` is whoever has that number now.
    pub start_time: Option<u64>,
}

/// What a check tells, by its place among the checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The task became healthy, or a probe failed that counts.
    Health {
        /// Which check.
        index: usize,
        /// What it knows now.
        standing: Standing,
    },
    /// It is to be killed. Nothing comes after this.
    Kill {
        /// Which check.
        index: usize,
        /// Failures in a row.
        failures: u32,
        /// Of the last one. Part of it may come from the task.
        cause: String,
    },
    /// It is ready. Told once.
    Ready {
        /// Which check.
        index: usize,
        /// HTTP's.
        status: u16,
    },
    /// It is not ready yet; told when the status is another than before.
    NotReady {
        /// Which check.
        index: usize,
        /// HTTP's; 504 without an answer.
        status: u16,
    },
    /// The result is another than before.
    Checked {
        /// Which check.
        index: usize,
        /// What it is.
        report: Report,
    },
}

/// The checks of one run of a task. Dropped, it ends the probes that are being made.
pub struct Watch<'a> {
    entries: Vec<Entry>,
    task: Option<Task>,
    network: Option<Network>,
    run: Box<RunCommand<'a>>,
    began: Instant,
    epoll: OwnedFd,
    timer: OwnedFd,
    is_over: bool,
}

/// One check.
struct Entry {
    check: Check,
    count: Count,
    /// When the next probe is due.
    next: Option<Duration>,
    current: Option<Current>,
}

/// What is known by now.
enum Count {
    Health(Tally),
    Readiness(Option<u16>),
    Report(Report),
}

/// The probe that is being made.
struct Current {
    probe: Running,
    /// When it is to be killed; later, when that has been enough.
    deadline: Option<Duration>,
    /// The time it had, once that is over.
    late: Option<Duration>,
}

impl<'a> Watch<'a> {
    /// Begins to check a task that runs since now. Without a process on this machine nothing can be
    /// checked in its network. The caller must be single-threaded whenever it calls [`Self::step`].
    pub fn new(checks: Vec<Check>, task: Option<Task>, run: Box<RunCommand<'a>>) -> Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        let task = task.map(identified).transpose()?;
        let network = match task {
            Some(task) => {
                Network::of(task.pid, task.start_time).context("open the task's network")?
            }
            None => None,
        };
        let this = Self {
            entries: checks.into_iter().map(Entry::new).collect(),
            task,
            network,
            run,
            began: Instant::now(),
            epoll,
            timer,
            is_over: false,
        };
        this.arm()?;
        Ok(this)
    }

    /// Becomes readable when [`Self::step`] has something to do.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// What each health check knows.
    pub fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.entries.iter().filter_map(|entry| match &entry.count {
            Count::Health(tally) => Some(tally.standing()),
            Count::Readiness(_) | Count::Report(_) => None,
        })
    }

    /// Checks no more: the task is being ended.
    pub fn stop(&mut self) {
        self.is_over = true;
        for entry in &mut self.entries {
            entry.next = None;
            if let Some(current) = entry.current.as_mut().filter(|it| it.late.is_none()) {
                current.expire(self.began.elapsed(), Duration::ZERO);
            }
        }
    }

    /// Does what can be done now.
    pub fn step(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for token in self.ready()? {
            if token == TIMER {
                // Set anew meanwhile, it is not readable; what is due is asked of the clock.
                let _ = rustix::io::read(&self.timer, &mut [0_u8; 8]);
                continue;
            }
            let index = usize::try_from((token - 1) / 2)?;
            match token % 2 {
                1 => self.finish(index, &mut events)?,
                _ => self.read(index),
            }
        }
        for index in 0..self.entries.len() {
            self.look(index, &mut events)?;
        }
        self.arm()?;
        Ok(events)
    }

    fn ready(&self) -> Result<Vec<u64>> {
        let mut events = [epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; BATCH];
        match epoll::wait(&self.epoll, &mut events, Some(&Timespec::default())) {
            Ok(ready) => Ok(events[..ready].iter().map(|it| it.data.u64()).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the timer to what comes next.
    fn arm(&self) -> Result<()> {
        let times = self.entries.iter().filter_map(Entry::due);
        let left = times.min().map_or(Duration::ZERO, |due| {
            let left = due.saturating_sub(self.began.elapsed());
            left.max(Duration::from_nanos(1))
        });
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(left)?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Begins what is due, and ends what has taken too long.
    fn look(&mut self, index: usize, events: &mut Vec<Event>) -> Result<()> {
        let now = self.began.elapsed();
        let entry = &mut self.entries[index];
        if entry.due().is_none_or(|due| due > now) {
            return Ok(());
        }
        if let Some(current) = &mut entry.current {
            current.expire(now, entry.check.timing.timeout().unwrap_or_default());
            return Ok(());
        }
        entry.next = None;
        match Running::start(&entry.check.probe, self.network.as_ref(), &*self.run) {
            Ok(probe) => self.attend(index, probe, now),
            Err(error) => {
                let finding = Finding::failed(error::render(&error));
                self.conclude(index, &finding, events)
            }
        }
    }

    fn attend(&mut self, index: usize, probe: Running, now: Duration) -> Result<()> {
        let add = |fd, token| {
            let data = EventData::new_u64(token);
            epoll::add(&self.epoll, fd, data, EventFlags::IN)
        };
        let entry = &mut self.entries[index];
        let first = u64::try_from(index)? * 2 + 1;
        let timeout = entry.check.timing.timeout();
        // First of all it is in the list of what is ended.
        let current = entry.current.insert(Current {
            probe,
            deadline: timeout.map(|timeout| now.saturating_add(timeout)),
            late: None,
        });
        add(current.probe.process(), first)?;
        if let Some(output) = current.probe.output() {
            add(output, first + 1)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize) {
        let Some(current) = &mut self.entries[index].current else {
            return;
        };
        if !current.probe.read()
            && let Some(output) = current.probe.output()
        {
            let _ = epoll::delete(&self.epoll, output);
        }
    }

    fn finish(&mut self, index: usize, events: &mut Vec<Event>) -> Result<()> {
        let Some(current) = self.entries[index].current.take() else {
            return Ok(());
        };
        // Copies of a descriptor keep it in the list.
        let _ = epoll::delete(&self.epoll, current.probe.process());
        if let Some(output) = current.probe.output() {
            let _ = epoll::delete(&self.epoll, output);
        }
        let (outcome, printed) = current.probe.finish()?;
        let finding = Finding {
            outcome,
            printed,
            late: current.late,
        };
        self.conclude(index, &finding, events)
    }

    fn conclude(&mut self, index: usize, found: &Finding, events: &mut Vec<Event>) -> Result<()> {
        // Its end takes the checks along, which says nothing about its health.
        if self.is_over || self.task_is_ending()? {
            self.stop();
            return Ok(());
        }
        let now = self.began.elapsed();
        let entry = &mut self.entries[index];
        entry.next = Some(entry.check.timing.next(now));
        let must_end = entry.take(index, found, now, events);
        if must_end {
            self.stop();
        }
        Ok(())
    }

    fn task_is_ending(&self) -> Result<bool> {
        let Some(task) = self.task else {
            return Ok(false);
        };
        let proc = Proc::open()?;
        let is_it = proc.start_time(task.pid) == task.start_time;
        Ok(!is_it || proc.is_ending(task.pid))
    }
}

/// With the time it started.
fn identified(task: Task) -> Result<Task> {
    let start_time = match task.start_time {
        Some(start_time) => Some(start_time),
        None => Proc::open()?.start_time(task.pid),
    };
    Ok(Task { start_time, ..task })
}

impl Entry {
    fn new(check: Check) -> Self {
        Self {
            count: match check.role() {
                Role::Health(rule) => Count::Health(Tally::new(*rule)),
                Role::Readiness { .. } => Count::Readiness(None),
                Role::Report => Count::Report(Report::none(&check.probe)),
            },
            next: Some(check.timing.first()),
            check,
            current: None,
        }
    }

    /// When something has to be done about it.
    fn due(&self) -> Option<Duration> {
        match &self.current {
            Some(current) => current.deadline,
            None => self.next,
        }
    }

    /// Takes a finding into account; whether the task is to be killed.
    fn take(
        &mut self,
        index: usize,
        found: &Finding,
        now: Duration,
        events: &mut Vec<Event>,
    ) -> bool {
        match (&mut self.count, self.check.role()) {
            (Count::Health(tally), _) => {
                let consequence = tally.add(now, found.health(&self.check.probe));
                let standing = tally.standing().clone();
                let kill = Event::Kill {
                    index,
                    failures: standing.failures,
                    cause: standing.cause.clone().unwrap_or_default(),
                };
                if consequence != Consequence::Nothing {
                    events.push(Event::Health { index, standing });
                }
                let must_end = consequence == Consequence::Kill;
                events.extend(must_end.then_some(kill));
                return must_end;
            }
            (Count::Readiness(last), Role::Readiness { codes, .. }) => {
                let status = found.status();
                if codes.contains(&status) && found.is_answer() {
                    self.next = None;
                    events.push(Event::Ready { index, status });
                } else if last.replace(status) != Some(status) {
                    events.push(Event::NotReady { index, status });
                }
            }
            (Count::Readiness(_), _) => (),
            (Count::Report(last), _) => {
                let report = found.report(&self.check.probe);
                if std::mem::replace(last, report) != report {
                    events.push(Event::Checked { index, report });
                }
            }
        }
        false
    }
}

impl Current {
    /// Kills it, the second time for good.
    fn expire(&mut self, now: Duration, limit: Duration) {
        self.deadline = match self.late.replace(limit) {
            None => {
                self.probe.kill();
                Some(now.saturating_add(LAST_WORDS))
            }
            Some(_) => {
                self.probe.kill_now();
                None
            }
        };
    }
}

impl Drop for Watch<'_> {
    /// A native container's last process cannot go before those of its processes that are children
    /// of a probe are reaped (pid_namespaces(7)).
    fn drop(&mut self) {
        self.stop();
        for entry in &mut self.entries {
            if let Some(current) = entry.current.take() {
                current.probe.reap();
            }
        }
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("task", &self.task)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
