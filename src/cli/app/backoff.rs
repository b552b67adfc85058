//! How long a failed app waits before it is started again: Marathon's rule.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::frontend::marathon::app::App;
use crate::sys::signal::Inbox;

/// Seconds of an app's starts.
pub(super) struct Backoff {
    first: f64,
    factor: f64,
    longest: f64,
    next: f64,
    count: u32,
}

impl Backoff {
    pub(super) fn new(app: &App) -> Self {
        let longest = f64::from(app.max_launch_delay_seconds);
        let first = f64::from(app.backoff_seconds).min(longest);
        Self {
            first,
            factor: app.backoff_factor,
            longest,
            next: first,
            count: 0,
        }
    }

    /// How often it was started again.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The next delay. A run that was longer than the longest one begins anew.
    fn delay(&mut self, ran: Duration) -> Duration {
        if ran.as_secs_f64() > self.longest {
            self.next = self.first;
        }
        let delay = self.next;
        self.next = (self.next * self.factor).min(self.longest);
        self.count = self.count.saturating_add(1);
        Duration::try_from_secs_f64(delay).unwrap_or_default()
    }

    /// Waits; yes if somebody asks for the end meanwhile.
    pub(super) fn pause(&mut self, inbox: &Inbox, ran: Duration) -> Result<bool> {
        let end = Instant::now() + self.delay(ran);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut all = [PollFd::from_borrowed_fd(inbox.as_fd(), PollFlags::IN)];
            match poll(&mut all, Some(&Timespec::try_from(left)?)) {
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
            while let Some(number) = inbox.next()? {
                if matches!(
                    number,
                    libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP
                ) {
                    return Ok(true);
                }
            }
        }
    }
}
