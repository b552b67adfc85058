//! Signals by name or number, as kill(1) and docker take them.

use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// First and last real-time signal as programs see them: C libraries keep the first two or three
/// for themselves (signal(7)).
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SignalNumber(i32);

impl SignalNumber {
    /// The usual request to end.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// The end.
    pub const KILL: Self = Self(libc::SIGKILL);

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for SignalNumber {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = match name.parse::<i32>() {
            Ok(number) => Some(number).filter(|number| (1..=RTMAX).contains(number)),
            Err(_) => real_time(name).or_else(|| {
                let known = format!("SIG{name}").parse::<Signal>();
                known.ok().map(|signal| signal as i32)
            }),
        };
        number.map(Self).ok_or_else(|| {
            Fault::new(Kind::Usage, format!("'{text}' is no signal"))
                .hint("say a name or a number, as in TERM, SIGUSR1, RTMIN+3 or 9")
        })
    }
}

fn real_time(name: &str) -> Option<i32> {
    let distance = |rest: &str, sign: char| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let number = match name.strip_prefix("RTMIN") {
        Some(rest) => RTMIN.checked_add(distance(rest, '+')?)?,
        None => RTMAX.checked_sub(distance(name.strip_prefix("RTMAX")?, '-')?)?,
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

impl fmt::Display for SignalNumber {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match Signal::try_from(self.0) {
            Ok(signal) => out.write_str(signal.as_str()),
            Err(_) => write!(out, "{}", self.0),
        }
    }
}

impl From<SignalNumber> for String {
    fn from(signal: SignalNumber) -> Self {
        signal.to_string()
    }
}

impl TryFrom<String> for SignalNumber {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let rows = [
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("sigint", Some(2)),
            ("9", Some(9)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX", Some(64)),
            ("RTMAX-64", None),
            ("0", None),
            ("65", None),
            ("-1", None),
            ("NOSUCH", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let found = text.parse::<SignalNumber>().ok().map(SignalNumber::number);
            assert_eq!(found, expected, "{text}");
            if let Some(number) = found {
                let again = SignalNumber(number).to_string().parse();
                assert_eq!(again, Ok(SignalNumber(number)), "{text}");
            }
        }
    }
}
