//! What plugins say that they made. Whatever it is, it is bounded, and a container's files get only
//! what belongs there.

use std::net::IpAddr;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::version::Version;
use crate::error::{Fault, Kind};
use crate::spec::{Mac, is_usable};

/// Entries of one list.
const MAX_ENTRIES: usize = 64;
/// Longest word, in bytes: that of a name in the DNS.
const MAX_WORD: usize = 253;

/// The document, as the specification has it from 0.3.0 on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    cni_version: Option<String>,
    interfaces: Vec<Interface>,
    ips: Vec<Ip>,
    dns: Dns,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interface {
    name: String,
    mac: String,
    sandbox: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ip {
    address: String,
    gateway: Option<String>,
    interface: Option<usize>,
}

/// Who knows names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses.
    pub nameservers: Vec<String>,
    /// Where the container is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Where else names are looked for.
    pub search: Vec<String>,
    /// How.
    pub options: Vec<String>,
}

/// An address that a container was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Which.
    pub address: IpAddr,
    /// How many bits of it are the network's.
    pub prefix: u8,
    /// Who knows the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// What a result says that ucr needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<Given>,
    pub(super) mac: Option<Mac>,
    pub(super) dns: Dns,
}

impl Answer {
    /// `device` is what the container's end is called.
    pub(super) fn parse(result: &Value, device: &str) -> Result<Self, Fault> {
        if !result.is_object() {
            return Err(refuse("what it prints is no result"));
        }
        let document: Document = Document::deserialize(result)
            .map_err(|error| refuse(&format!("what it prints is no result: {error}")))?;
        let version = document.cni_version.unwrap_or_default();
        if version.parse::<Version>().is_err() {
            return Err(refuse(&format!(
                "its result has the cniVersion '{version}'"
            )));
        }
        let dns = document.dns;
        let lengths = [
            document.interfaces.len(),
            document.ips.len(),
            dns.nameservers.len(),
            dns.search.len(),
            dns.options.len(),
        ];
        if lengths.iter().any(|length| *length > MAX_ENTRIES) {
            return Err(refuse(&format!("its result lists more than {MAX_ENTRIES}")));
        }
        dns.check()?;
        let interfaces = document.interfaces;
        // Devices of the host are in it, too, and the loopback device of the container.
        let is_own = |it: &Interface| !it.sandbox.is_empty() && it.name == device;
        let is_inside = |ip: &&Ip| {
            let interface = ip.interface.map(|place| interfaces.get(place));
            interface.is_none_or(|found| found.is_none_or(is_own))
        };
        let addresses = document.ips.iter().filter(is_inside).map(Ip::parse);
        let own = interfaces.iter().find(|it| is_own(it));
        Ok(Self {
            addresses: addresses.collect::<Result<_, _>>()?,
            mac: own.and_then(|it| it.mac.parse().ok()),
            dns,
        })
    }
}

impl Ip {
    fn parse(&self) -> Result<Given, Fault> {
        let parts = self.address.split_once('/');
        let parsed = parts.and_then(|(address, bits)| {
            Some((address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?))
        });
        let most = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let good = parsed.filter(|(address, bits)| *bits <= most(*address) && is_usable(*address));
        let (address, prefix) =
            good.ok_or_else(|| refuse(&format!("its result has the address '{}'", self.address)))?;
        let gateway = self.gateway.as_ref().filter(|text| !text.is_empty());
        let gateway = gateway.map(|text| {
            text.parse()
                .map_err(|_| refuse(&format!("its result has the gateway '{text}'")))
        });
        Ok(Given {
            address,
            prefix,
            gateway: gateway.transpose()?,
        })
    }
}

impl Dns {
    fn check(&self) -> Result<(), Fault> {
        let is_address = |text: &&String| text.parse::<IpAddr>().is_ok();
        if let Some(other) = self.nameservers.iter().find(|text| !is_address(text)) {
            return Err(refuse(&format!("its result has the name server '{other}'")));
        }
        let domain = Some(&self.domain).filter(|domain| !domain.is_empty());
        let words = self.search.iter().chain(&self.options).chain(domain);
        let is_word = |text: &&String| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
            !text.is_empty() && text.len() <= MAX_WORD && text.chars().all(inner)
        };
        for word in words {
            if !is_word(&word) {
                return Err(refuse(&format!("its result has the DNS word '{word}'")));
            }
        }
        Ok(())
    }

    /// An `/etc/resolv.conf`, if it has anything for one; in the order that Mesos has.
    pub(super) fn file(&self) -> Option<Vec<u8>> {
        let mut text = String::new();
        if !self.domain.is_empty() {
            text += &format!("domain {}\n", self.domain);
        }
        for (word, all) in [("search", &self.search), ("options", &self.options)] {
            if !all.is_empty() {
                text += &format!("{word} {}\n", all.join(" "));
            }
        }
        for server in &self.nameservers {
            text += &format!("nameserver {server}\n");
        }
        (!text.is_empty()).then(|| text.into_bytes())
    }
}

fn refuse(message: &str) -> Fault {
    let message: String = message.chars().take(MAX_WORD * 2).collect();
    Fault::new(Kind::Unsupported, message)
}
