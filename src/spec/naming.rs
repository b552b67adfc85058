//! What a container calls itself and how it finds others: name servers, more lines of its hosts
//! file, the NIS domain. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// Most bytes of a host or domain name (__NEW_UTS_LEN).
pub const MAX_NAME: usize = 64;

/// Names, in docker's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Naming {
    /// Name servers, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// Domains to look names up in, instead of the host's; `.` alone is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Options of the resolver, instead of the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_options: Vec<String>,
    /// More lines of `/etc/hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostEntry>,
    /// The NIS domain, and the rest of the own name in `/etc/hosts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

impl Naming {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what would be a line of its own in a file, or no name.
    pub fn check(&self) -> Result<(), Fault> {
        for (flag, words) in [
            ("--dns-search", &self.dns_search),
            ("--dns-option", &self.dns_options),
        ] {
            let bad = |word: &&String| word.is_empty() || word.contains(is_separator);
            if let Some(word) = words.iter().find(bad) {
                let message = format!("{flag} '{word}': it is not one word");
                return Err(Fault::new(Kind::Spec, message).hint("give the flag once for each"));
            }
        }
        match &self.domain {
            Some(name) => check_host_name("domain name", name),
            None => Ok(()),
        }
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Refuses what cannot be the name of a host: HOST_NAME_MAX; what else may be in it, RFC 1123 says.
pub fn check_host_name(what: &str, name: &str) -> Result<(), Fault> {
    let is_usable = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_usable) {
        return Ok(());
    }
    let message = format!("{what} '{name}' is not 1 to 64 letters, digits, '-', '.', '_'");
    Err(Fault::new(Kind::Spec, message))
}

/// A line of `/etc/hosts`: `NAME:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostEntry {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub address: HostAddress,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// This.
    Ip(IpAddr),
    /// The host, by an address at which the container reaches it: `host-gateway`.
    Gateway,
}

const GATEWAY: &str = "host-gateway";

impl FromStr for HostEntry {
    type Err = Fault;

    /// `NAME:ADDRESS` or `NAME=ADDRESS`, as docker has both; an IPv6 address with or without
    /// brackets.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("--add-host '{text}': {why}"))
                .hint("say NAME:ADDRESS, or NAME:host-gateway")
        };
        let (name, address) = text
            .split_once([':', '='])
            .ok_or_else(|| bad("it has no address"))?;
        if name.is_empty() || name.contains(is_separator) || name.contains('#') {
            return Err(bad("it has no usable name"));
        }
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let address = match bare.unwrap_or(address) {
            GATEWAY => HostAddress::Gateway,
            ip => HostAddress::Ip(ip.parse().map_err(|_| bad("it has no IP address"))?),
        };
        Ok(Self {
            name: name.to_owned(),
            address,
        })
    }
}

impl fmt::Display for HostEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Ip(ip) => write!(f, "{}:{ip}", self.name),
            HostAddress::Gateway => write!(f, "{}:{GATEWAY}", self.name),
        }
    }
}

impl TryFrom<String> for HostEntry {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<HostEntry> for String {
    fn from(entry: HostEntry) -> Self {
        entry.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back() {
        for (text, again) in [
            ("a:192.0.2.1", "a:192.0.2.1"),
            ("a=192.0.2.1", "a:192.0.2.1"),
            ("a.b:2001:db8::1", "a.b:2001:db8::1"),
            ("a:[::1]", "a:::1"),
            ("a=host-gateway", "a:host-gateway"),
        ] {
            assert_eq!(text.parse::<HostEntry>().unwrap().to_string(), again);
        }
        for text in [
            "",
            "a",
            ":1.2.3.4",
            "a:",
            "a:1.2.3",
            "a b:1.2.3.4",
            "a\n:1.2.3.4",
            "#:1.2.3.4",
            "a:[::1",
        ] {
            assert!(text.parse::<HostEntry>().is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_makes_a_line_of_its_own() {
        for json in [
            r#"{"dns_search": ["a b"]}"#,
            r#"{"dns_search": ["a\nnameserver 192.0.2.9"]}"#,
            r#"{"dns_options": [""]}"#,
            r#"{"domain": "a/b"}"#,
            r#"{"domain": ""}"#,
        ] {
            let naming: Naming = serde_json::from_str(json).unwrap();
            assert_eq!(naming.check().unwrap_err().kind(), Kind::Spec, "{json}");
        }
        let good = r#"{"dns":["::1"],"dns_search":["."],"dns_options":["ndots:2"],"domain":"d"}"#;
        let naming: Naming = serde_json::from_str(good).unwrap();
        naming.check().unwrap();
        assert_eq!(serde_json::to_string(&naming).unwrap(), good);
        assert!(serde_json::from_str::<Naming>(r#"{"dns": ["x"]}"#).is_err());
    }
}
