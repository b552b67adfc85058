//! Platforms and which of an image's variants serves this machine (image-spec, image-index.md,
//! "Platform Variants"; Go's GOOS and GOARCH names).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Fault, Kind};

/// Operating system, architecture and CPU variant, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// Normalises: `x86_64` is amd64, `aarch64` is arm64, arm without a variant is v7,
    /// arm64 v8 and amd64 v1 are the plain architectures.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let variant = variant
            .filter(|variant| !variant.is_empty())
            .map(str::to_ascii_lowercase);
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => ("amd64".to_owned(), None),
            "aarch64" => ("arm64".to_owned(), None),
            "i386" | "i686" | "x86" => ("386".to_owned(), None),
            "armhf" => ("arm".to_owned(), Some("v7")),
            "armel" => ("arm".to_owned(), Some("v6")),
            "arm" => ("arm".to_owned(), Some("v7")),
            other => (other.to_owned(), None),
        };
        let variant = variant.or_else(|| implied.map(str::to_owned));
        let variant = variant.map(|v| {
            if v.bytes().all(|b| b.is_ascii_digit()) {
                format!("v{v}")
            } else {
                v
            }
        });
        let plain = matches!(
            (architecture.as_str(), variant.as_deref()),
            ("arm64", Some("v8")) | ("amd64", Some("v1"))
        );
        let variant = if plain { None } else { variant };
        Self {
            os: os.to_ascii_lowercase(),
            architecture,
            variant,
        }
    }

    /// The machine that ucr was built for.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// The architecture, as Go calls it.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The operating system, as Go calls it.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The CPU variant, if it is not the plain one.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// How well `offered` serves `self`: 0 is exact, larger is an older variant, `None` not at all.
    pub fn rank(&self, offered: &Platform) -> Option<usize> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        self.acceptable_variants()
            .iter()
            .position(|variant| *variant == offered.variant)
    }

    /// The variants that this one can run, best first: its own, then the older ones, then none.
    fn acceptable_variants(&self) -> Vec<Option<String>> {
        let number = self
            .variant
            .as_deref()
            .and_then(|v| v.strip_prefix('v'))
            .and_then(|v| v.parse::<u32>().ok());
        let mut variants = vec![self.variant.clone()];
        let floor = match self.architecture.as_str() {
            "arm" => 5,
            "amd64" => 2,
            _ => u32::MAX,
        };
        if let Some(number) = number.filter(|number| *number < 100) {
            variants.extend((floor..number).rev().map(|n| Some(format!("v{n}"))));
        }
        if self.variant.is_some() {
            variants.push(None);
        }
        variants
    }
}

impl FromStr for Platform {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let part = |p: &&str| {
            !p.is_empty()
                && p.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        match (parts.iter().all(part), parts.as_slice()) {
            (true, [os, architecture]) => Ok(Self::new(os, architecture, None)),
            (true, [os, architecture, variant]) => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(Fault::new(
                Kind::Usage,
                format!("platform '{text}' is not OS/ARCH[/VARIANT]"),
            )
            .hint("for example linux/arm64 or linux/arm/v7")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn normal_forms() {
        let rows = [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("Linux/I386", "linux/386"),
        ];
        for (text, expected) in rows {
            assert_eq!(platform(text).to_string(), expected);
        }
        for text in ["linux", "linux/", "linux//v7", "a/b/c/d", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranks_prefer_the_newest_that_runs() {
        let rows = [
            ("linux/arm/v7", "linux/arm/v7", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v7", "linux/arm/v5", Some(2)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/amd64/v3", "linux/amd64/v2", Some(1)),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64", "linux/amd64", None),
            ("linux/amd64", "windows/amd64", None),
        ];
        for (wanted, offered, expected) in rows {
            assert_eq!(
                platform(wanted).rank(&platform(offered)),
                expected,
                "{wanted} {offered}"
            );
        }
    }
}
