//! Amounts as docker's command line writes them: processors, bytes, lists of processors. Pure.
//!
//! Everything is computed in integers: `0.1` of a processor is exactly that, and no size is rounded
//! through a floating-point number.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Fault, Kind};

const NANOS: u64 = 1_000_000_000;

/// The kernel refuses a quota below a millisecond, which is this much of the usual period.
const LEAST_CPUS: Cpus = Cpus { nanos: NANOS / 100 };

/// An amount of processors, in billionths. In JSON a number: `1.5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus {
    nanos: u64,
}

impl Cpus {
    /// From billionths of a processor.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// Billionths of a processor.
    pub const fn nanos(self) -> u64 {
        self.nanos
    }

    /// Microseconds of processor time in a period of so many microseconds.
    pub fn quota(self, period: u64) -> u64 {
        let quota = u128::from(self.nanos) * u128::from(period) / u128::from(NANOS);
        u64::try_from(quota).unwrap_or(u64::MAX)
    }

    /// Zero is no limit; else the kernel has a least amount.
    pub fn check(self) -> Result<(), Fault> {
        if self.nanos == 0 || self >= LEAST_CPUS {
            return Ok(());
        }
        let message = format!("--cpus {self}: it is less than {LEAST_CPUS}");
        Err(Fault::new(Kind::Usage, message))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.nanos / NANOS, self.nanos % NANOS);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let part = format!("{part:09}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

impl FromStr for Cpus {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| Fault::new(Kind::Usage, format!("--cpus '{text}': {why}"));
        let number = || bad("it is not a number of processors").hint("say 2 or 0.5");
        let decimal = Decimal::parse(text).ok_or_else(number)?;
        let nanos = decimal
            .times(NANOS)
            .ok_or_else(|| bad("it has more than nine decimals, or is too large"))?;
        let cpus = Self { nanos };
        cpus.check()?;
        Ok(cpus)
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.nanos.is_multiple_of(NANOS) {
            return to.serialize_u64(self.nanos / NANOS);
        }
        // Shortest form that reads back the same: nine decimals are well within its precision.
        match self.to_string().parse::<f64>() {
            Ok(number) => to.serialize_f64(number),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(from)?;
        let text = format!("{number:.9}");
        let decimal = Decimal::parse(&text).and_then(|decimal| decimal.times(NANOS));
        match decimal {
            Some(nanos) => Ok(Self { nanos }),
            None => Err(D::Error::custom("not a number of processors")),
        }
    }
}

/// A number without a sign, as written: digits, perhaps a point and digits.
struct Decimal {
    digits: u64,
    decimals: u32,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            digits: is_number.then(|| digits.parse().ok()).flatten()?,
            decimals: u32::try_from(part.len()).ok()?,
        })
    }

    /// `None` if it is not whole or does not fit.
    fn times(&self, factor: u64) -> Option<u64> {
        let divisor = 10_u128.checked_pow(self.decimals)?;
        let product = u128::from(self.digits) * u128::from(factor);
        product
            .is_multiple_of(divisor)
            .then(|| u64::try_from(product / divisor).ok())?
    }

    /// Rounded down; `None` if it does not fit.
    fn times_down(&self, factor: u64) -> Option<u64> {
        let divisor = 10_u128.checked_pow(self.decimals)?;
        u64::try_from(u128::from(self.digits) * u128::from(factor) / divisor).ok()
    }
}

/// Bytes with docker's units: `64m`, `1.5g`, `512KiB`, `100`. Powers of 1024 all.
pub fn bytes(text: &str) -> Result<u64, Fault> {
    let bad = |why: &str| {
        Fault::new(Kind::Usage, format!("'{text}': {why}")).hint("say 512m, 1.5g or 1073741824")
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = Decimal::parse(number).ok_or_else(|| bad("it is not an amount of bytes"))?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let factor = factor(&unit).ok_or_else(|| bad("the unit is none of b, k, m, g, t, p"))?;
    match number.times_down(factor) {
        Some(bytes) if i64::try_from(bytes).is_ok() => Ok(bytes),
        _ => Err(bad("it is too large")),
    }
}

fn factor(unit: &str) -> Option<u64> {
    let letter = match unit {
        "" | "b" => return Some(1),
        unit => unit
            .strip_suffix("ib")
            .or(unit.strip_suffix('b'))
            .unwrap_or(unit),
    };
    let power = ["k", "m", "g", "t", "p"]
        .iter()
        .position(|known| *known == letter)?;
    Some(1024 << (10 * power))
}

/// The same, or `-1` for unlimited: `--memory-swap`.
pub fn bytes_or_unlimited(text: &str) -> Result<i64, Fault> {
    match text {
        "-1" => Ok(-1),
        // `bytes` gives nothing that does not fit.
        text => Ok(bytes(text)?.cast_signed()),
    }
}

/// Processors or memory nodes as the kernel lists them: `0-1,3`.
pub fn cpu_list(text: &str) -> Result<String, Fault> {
    let number = |text: &str| -> Option<u32> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let is_range = |part: &str| match part.split_once('-') {
        None => number(part).is_some(),
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    };
    if text.split(',').all(is_range) {
        return Ok(text.to_owned());
    }
    let message = format!("'{text}' is not a list of numbers and ranges");
    Err(Fault::new(Kind::Usage, message).hint("say 0-1,3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        for (text, nanos) in [
            ("2", 2 * NANOS),
            ("0.5", NANOS / 2),
            (".5", NANOS / 2),
            ("1.", NANOS),
            ("0", 0),
            ("0.01", NANOS / 100),
            ("1.123456789", 1_123_456_789),
            ("0.1000000000", NANOS / 10),
        ] {
            let cpus: Cpus = text.parse().unwrap();
            assert_eq!(cpus.nanos(), nanos, "{text}");
            assert_eq!(cpus.to_string().parse::<Cpus>().unwrap(), cpus, "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "+1",
            "1e3",
            "0x1",
            "0.009",
            "1.1234567891",
            "NaN",
            "1 ",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }

    #[test]
    fn half_a_processor_is_half_of_the_period() {
        assert_eq!("0.5".parse::<Cpus>().unwrap().quota(100_000), 50_000);
        assert_eq!("1.001".parse::<Cpus>().unwrap().quota(100_000), 100_100);
        assert_eq!(
            Cpus::from_nanos(u64::MAX).quota(1_000_000) / 1000,
            u64::MAX / NANOS * 1000 + 709
        );
    }

    #[test]
    fn processors_in_json_are_numbers() {
        for (text, nanos) in [
            ("2", 2 * NANOS),
            ("0.1", NANOS / 10),
            ("1.123456789", 1_123_456_789),
        ] {
            let cpus: Cpus = serde_json::from_str(text).unwrap();
            assert_eq!(cpus.nanos(), nanos);
            assert_eq!(serde_json::to_string(&cpus).unwrap(), text);
        }
        for text in ["-1", "1e300", "null", "\"1\""] {
            assert!(serde_json::from_str::<Cpus>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_in_dockers_units() {
        for (text, expected) in [
            ("32", 32),
            ("32b", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32KiB", 32 << 10),
            ("32Kib", 32 << 10),
            ("32 m", 32 << 20),
            ("1.5g", 3 << 29),
            ("0.3k", 307),
            (".5m", 1 << 19),
            ("2t", 2 << 40),
            ("1p", 1 << 50),
            ("0", 0),
        ] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "m",
            "-1",
            "+1",
            "1e3",
            "32 mm",
            "32bb",
            "32ib",
            "1  m",
            "1m ",
            "1x",
            "1kbb",
            "8192p",
            "1.2.3m",
            "9223372036854775808",
            "1é",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn swap_may_be_unlimited() {
        assert_eq!(bytes_or_unlimited("-1").unwrap(), -1);
        assert_eq!(bytes_or_unlimited("1g").unwrap(), 1 << 30);
        assert!(bytes_or_unlimited("-2").is_err());
    }

    #[test]
    fn lists_of_processors() {
        for text in ["0", "0-1,3", "0,0", "7-7"] {
            assert_eq!(cpu_list(text).unwrap(), text);
        }
        for text in [
            "",
            ",",
            "0,",
            "1-0",
            "-1",
            "0-",
            "a",
            "0-1-2",
            "0 ",
            "4294967296",
            "0\n",
        ] {
            assert!(cpu_list(text).is_err(), "{text}");
        }
    }
}
