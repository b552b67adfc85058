//! Limits of one disk each: how much may be read and written in a second, and the weight against
//! others. Pure.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::quantity::bytes;
use crate::error::{Fault, Kind};

/// Most of something that may happen on a disk in a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRate {
    /// The disk's node on the host, below `/dev`.
    pub path: PathBuf,
    /// Bytes or accesses in a second.
    pub rate: u64,
}

/// The weight of accesses to a disk against those of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskWeight {
    /// The disk's node on the host, below `/dev`.
    pub path: PathBuf,
    /// 10 to 1000.
    pub weight: u16,
}

/// Docker's `PATH:VALUE`.
fn split(text: &str) -> Result<(PathBuf, &str), Fault> {
    match text.rsplit_once(':') {
        Some((path, value)) if path.starts_with("/dev/") => Ok((path.into(), value)),
        Some(_) => {
            let message = format!("'{text}': it begins with no disk's node");
            Err(Fault::new(Kind::Usage, message).hint("say /dev/NAME:VALUE"))
        }
        None => {
            let message = format!("'{text}': it has no value");
            Err(Fault::new(Kind::Usage, message).hint("say /dev/NAME:VALUE"))
        }
    }
}

impl DiskRate {
    /// `PATH:BYTES`, with units.
    pub fn from_bytes(text: &str) -> Result<Self, Fault> {
        let (path, value) = split(text)?;
        let rate = bytes(value)?;
        Ok(Self { path, rate })
    }

    /// `PATH:NUMBER`.
    pub fn from_number(text: &str) -> Result<Self, Fault> {
        let (path, value) = split(text)?;
        let rate = value.parse().map_err(|_| {
            let message = format!("'{text}': '{value}' is no number");
            Fault::new(Kind::Usage, message).hint("say /dev/NAME:1000")
        })?;
        Ok(Self { path, rate })
    }
}

impl FromStr for DiskWeight {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (path, value) = split(text)?;
        let weight = value.parse().map_err(|_| {
            let message = format!("'{text}': '{value}' is no weight");
            Fault::new(Kind::Usage, message).hint("say /dev/NAME:500")
        })?;
        Ok(Self { path, weight })
    }
}

impl DiskWeight {
    /// Docker's range.
    pub fn check(&self) -> Result<(), Fault> {
        if (10..=1000).contains(&self.weight) {
            return Ok(());
        }
        let message = format!(
            "--blkio-weight-device {}: the weight {} is not between 10 and 1000",
            self.path.display(),
            self.weight
        );
        Err(Fault::new(Kind::Spec, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let rate = DiskRate::from_bytes("/dev/sda:1mb").unwrap();
        assert_eq!((rate.path, rate.rate), ("/dev/sda".into(), 1 << 20));
        assert_eq!(DiskRate::from_number("/dev/sda:7").unwrap().rate, 7);
        assert_eq!("/dev/sda:10".parse::<DiskWeight>().unwrap().weight, 10);
        for text in [
            "",
            "/dev/sda",
            "sda:1",
            "/dev/sda:",
            "/dev/sda:x",
            "/dev/sda:-1",
        ] {
            assert!(DiskRate::from_bytes(text).is_err(), "{text}");
            assert!(DiskRate::from_number(text).is_err(), "{text}");
            assert!(text.parse::<DiskWeight>().is_err(), "{text}");
        }
        assert!(DiskRate::from_number("/dev/sda:1m").is_err());
        let weight = |weight| DiskWeight {
            path: "/dev/sda".into(),
            weight,
        };
        assert!(weight(9).check().is_err() && weight(1001).check().is_err());
        assert!(weight(10).check().is_ok() && weight(1000).check().is_ok());
    }
}
