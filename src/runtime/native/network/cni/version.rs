//! Versions of the CNI specification that ucr speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(non_camel_case_types, reason = "versions are numbers with points")]
pub enum Version {
    /// The first with lists of plugins.
    V0_3_0,
    /// The same, in other words.
    V0_3_1,
    /// The first with CHECK, and with the result of ADD for DEL.
    V0_4_0,
    /// The first with one form for all addresses.
    V1_0_0,
    /// The first with several versions in a list.
    V1_1_0,
}

impl Version {
    const ALL: [Self; 5] = [
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// As documents have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// All of them, for people.
    pub fn words() -> String {
        Self::ALL.map(Self::text).join(", ")
    }

    /// Whether there is CHECK, and DEL is told what ADD said.
    pub fn has_check(self) -> bool {
        self >= Self::V0_4_0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|version| version.text() == text)
            .ok_or_else(|| format!("CNI version {text} is not known"))
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text().to_owned()
    }
}
