//! When to ask again, and how long to wait before.
//!
//! Pure apart from jitter. `Retry-After` is honoured as a number and as a date (RFC 9110 section
//! 10.2.3), each time up to [`Timing::max_wait`]; only the deadline bounds all waits together.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Every duration and count that bounds a conversation. Tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For TCP and TLS together.
    pub connect: Duration,
    /// Longest silence within an answer, or before it.
    pub idle: Duration,
    /// How long https is tried alone on a loopback registry before http is tried too.
    pub https_head_start: Duration,
    /// The first wait between two tries; doubles each time.
    pub backoff: Duration,
    /// Longest wait that a registry may ask for.
    pub max_wait: Duration,
    /// Tries in a row that bring nothing.
    pub tries: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            https_head_start: Duration::from_millis(300),
            backoff: Duration::from_millis(500),
            max_wait: Duration::from_secs(120),
            tries: 6,
        }
    }
}

impl Timing {
    /// How long to wait after failure number `failures` (from 1): doubling, and up to a quarter
    /// more, so that a fleet of clients does not come back in step.
    pub(super) fn backoff_after(&self, failures: u32) -> Duration {
        let doubled = self.backoff * 2u32.pow(failures.saturating_sub(1).min(4));
        let jitter = RandomState::new().hash_one(failures) % 256;
        doubled + doubled.mul_f64(jitter as f64 / 1024.0)
    }

    /// The wait that a `Retry-After` asks for, bounded. `None` if it says nothing usable.
    pub(super) fn asked_for(&self, retry_after: &str, now: SystemTime) -> Option<Duration> {
        let text = retry_after.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => http_date(text)?.duration_since(now).unwrap_or_default(),
        };
        Some(wait.min(self.max_wait))
    }
}

/// Whether an answer may be different next time.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 522)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that servers may still send.
fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|d| (1..=31).contains(d))?;
    let month = words.next().filter(|m| m.len() == 3)?;
    let month = MONTHS.find(month).filter(|at| at % 3 == 0)? as u64 / 3 + 1;
    let year: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|y| (1970..10000).contains(y))?;
    let mut clock = words
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let valid = hour < 24 && minute < 60 && second <= 60 && words.next() == Some("GMT");
    let seconds = days_from_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    valid.then(|| UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Days since 1970-01-01 in the Gregorian calendar, counting years from March.
fn days_from_epoch(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let timing = Timing::default();
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let rows = [
            ("2", Some(2)),
            (" 0 ", Some(0)),
            ("100000", Some(120)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Wed, 29 Feb 2040 00:00:00 GMT", Some(120)),
            ("Sun, 06 Nov 1994 08:49:40 CET", None),
            ("Sun, 06 anF 1994 08:49:40 GMT", None),
            ("Sun, 06 Nov 1994 25:49:40 GMT", None),
            ("soon", None),
            ("-1", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let found = timing.asked_for(text, now).map(|wait| wait.as_secs());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn days_are_counted_right() {
        let rows = [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 22), 20_779),
        ];
        for ((y, m, d), expected) in rows {
            assert_eq!(days_from_epoch(y, m, d), expected, "{y}-{m}-{d}");
        }
    }

    #[test]
    fn back_off_doubles_and_stays_bounded() {
        let timing = Timing::default();
        for (failures, base) in [(1, 500), (2, 1000), (3, 2000), (5, 8000), (50, 8000)] {
            let wait = timing.backoff_after(failures).as_millis();
            assert!((base..=base * 5 / 4).contains(&wait), "{failures}: {wait}");
        }
    }
}
