//! Lengths of time as Go and docker write them: `1h30m`, `1.5s`, `300ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// Names of units, and how many nanoseconds they have, longest first.
const UNITS: [(&str, u64); 8] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    // Two letters that look the same.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// Of so many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// The same for the standard library.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for TimeSpan {
    /// What is longer than 584 years becomes that long.
    fn from(length: Duration) -> Self {
        Self::from_nanos(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl FromStr for TimeSpan {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        nanos(text).map(Self::from_nanos).ok_or_else(|| {
            Fault::new(Kind::Usage, format!("'{text}' is no length of time"))
                .hint("say numbers with units, as in 30s, 1m30s, 1.5h or 300ms")
        })
    }
}

/// `None` also for what is longer than a `u64` can hold, 584 years.
fn nanos(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let end = after.find(is_number).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(part(number, *length)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// A decimal number of units; what is less than a nanosecond is dropped, as Go does.
fn part(number: &str, length: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = match whole {
        "" => 0,
        whole => whole.parse().ok()?,
    };
    let (mut sum, mut place) = (0_u128, u128::from(length));
    let scale = 10_u128.pow(18);
    place *= scale;
    for digit in fraction.bytes().take(18) {
        place /= 10;
        sum += place * u128::from(digit - b'0');
    }
    let fraction = u64::try_from(sum / scale).ok()?;
    whole.checked_mul(length)?.checked_add(fraction)
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return out.write_str("0s");
        }
        for (name, length) in UNITS.iter().filter(|(name, _)| name.is_ascii()) {
            let (count, left) = (rest / u128::from(*length), rest % u128::from(*length));
            if count > 0 {
                write!(out, "{count}{name}")?;
            }
            rest = left;
        }
        Ok(())
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (text, nanos, again) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("1ns", 1, "1ns"),
            ("2us", 2_000, "2us"),
            ("2\u{b5}s", 2_000, "2us"),
            ("2\u{3bc}s", 2_000, "2us"),
            ("300ms", 300_000_000, "300ms"),
            ("1.5s", 1_500_000_000, "1s500ms"),
            (".5s", 500_000_000, "500ms"),
            ("1.s", 1_000_000_000, "1s"),
            ("90s", 90_000_000_000, "1m30s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("1h30m", 5_400_000_000_000, "1h30m"),
            ("0.1h", 360_000_000_000, "6m"),
            ("0.0000000001s", 0, "0s"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!(span, TimeSpan::from_nanos(nanos), "{text}");
            assert_eq!(span.to_string(), again, "{text}");
            assert_eq!(again.parse::<TimeSpan>().unwrap(), span);
        }
    }

    #[test]
    fn what_is_none() {
        let long = format!("{}h", "9".repeat(30));
        for text in [
            "", "h", "5", "5x", "m5", "-1s", "+1s", "1..5s", ".s", "1 s", "1S", "6000000h", &long,
        ] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }
}
