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

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(first: f64, factor: f64, longest: f64) -> Backoff {
        Backoff {
            first,
            factor,
            longest,
            next: first.min(longest),
            count: 0,
        }
    }

    #[test]
    fn delays_grow_to_the_longest_and_a_long_run_begins_anew() {
        let mut backoff = backoff(1.0, 2.0, 5.0);
        let short = Duration::from_secs(1);
        let delays: Vec<_> = (0..4).map(|_| backoff.delay(short).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5]);
        assert_eq!(backoff.delay(Duration::from_secs(5)).as_secs(), 5);
        assert_eq!(backoff.delay(Duration::from_secs(6)).as_secs(), 1);
        assert_eq!(backoff.count(), 6);
    }

    #[test]
    fn numbers_without_a_delay() {
        assert_eq!(
            backoff(0.0, 1e300, 0.0).delay(Duration::ZERO),
            Duration::ZERO
        );
        let mut huge = backoff(1e9, 1e308, 1e9);
        huge.delay(Duration::ZERO);
        assert_eq!(huge.delay(Duration::ZERO).as_secs(), 1_000_000_000);
    }
}
