//! Published and exposed ports, in docker's words. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Ports one after the other, none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    first: u16,
    last: u16,
}

impl Span {
    /// How many.
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// All of them.
    pub fn ports(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }

    fn parse(text: &str) -> Option<Self> {
        let port = |text: &str| {
            let is_digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
            text.parse().ok().filter(|port| is_digits && *port != 0)
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (u16, u16) = (port(first)?, port(last)?);
        (first <= last).then_some(Self { first, last })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Ports that a container serves: `PORT[-PORT][/tcp|udp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exposed {
    /// Inside.
    pub ports: Span,
    /// Of this protocol.
    pub protocol: Protocol,
}

impl FromStr for Exposed {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (ports, protocol) = protocol(text)?;
        let ports = Span::parse(ports).ok_or_else(|| {
            let message = format!("'{text}' is no port of a container");
            Fault::new(Kind::Usage, message).hint("say PORT, FIRST-LAST, perhaps with /udp")
        })?;
        Ok(Self { ports, protocol })
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ports, self.protocol)
    }
}

/// `[[ADDRESS:][PORT[-PORT]]:]PORT[-PORT][/tcp|udp]`: of the host, then of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Publish {
    /// Of the host; all its addresses if unset.
    pub address: Option<IpAddr>,
    /// Of the host; free ones if unset.
    pub host: Option<Span>,
    /// What they lead to.
    pub container: Exposed,
}

/// One port that is to lead to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of the host; all its addresses if unset.
    pub address: Option<IpAddr>,
    /// The first of these that is free; any if there are none.
    pub host: Option<Span>,
    /// Inside.
    pub container: u16,
    /// Of this protocol.
    pub protocol: Protocol,
}

impl Publish {
    /// A free port for each of these.
    pub fn anywhere(container: Exposed) -> Self {
        Self {
            address: None,
            host: None,
            container,
        }
    }

    /// Port by port.
    pub fn wanted(self) -> impl Iterator<Item = Wanted> {
        let container = self.container.ports;
        container.ports().zip(0..).map(move |(port, place)| Wanted {
            address: self.address,
            host: self.host.map(|host| match container.count() {
                1 => host,
                _ => Span {
                    first: host.first + place,
                    last: host.first + place,
                },
            }),
            container: port,
            protocol: self.container.protocol,
        })
    }
}

impl FromStr for Publish {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("'{text}': {why}"))
                .hint("say [[ADDRESS:]PORT:]PORT, as in 8080:80 or 127.0.0.1::53/udp")
        };
        let (rest, protocol) = protocol(text)?;
        let (front, inside) = match rest.rsplit_once(':') {
            Some((front, inside)) => (Some(front), inside),
            None => (None, rest),
        };
        let ports = Span::parse(inside).ok_or_else(|| bad("the container has no such port"))?;
        let (address, host) = match front {
            None => (None, None),
            Some(front) => host(front).map_err(bad)?,
        };
        if ports.count() > 1 && host.is_some_and(|host| host.count() != ports.count()) {
            return Err(bad(
                "there are not as many ports of the host as of the container",
            ));
        }
        Ok(Self {
            address,
            host,
            container: Exposed { ports, protocol },
        })
    }
}

/// `[ADDRESS:][PORT[-PORT]]`.
fn host(text: &str) -> Result<(Option<IpAddr>, Option<Span>), &'static str> {
    let (address, port) = match text.rsplit_once(':') {
        // An address of version 6 alone, without brackets, is taken for what it may not be.
        Some((address, port)) => (Some(address), port),
        None => (None, text),
    };
    let span = match port {
        "" => None,
        port => Some(Span::parse(port).ok_or("the host has no such port")?),
    };
    let address = match address {
        None | Some("") => None,
        Some(address) => Some(self::address(address).ok_or("the host has no such address")?),
    };
    Ok((address, span))
}

fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

fn protocol(text: &str) -> Result<(&str, Protocol), Fault> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((ports, "tcp")) => Ok((ports, Protocol::Tcp)),
        Some((ports, "udp")) => Ok((ports, Protocol::Udp)),
        Some((_, other)) => {
            let message = format!("'{text}': ports of protocol {other} cannot be published");
            Err(Fault::new(Kind::Usage, message).hint("tcp and udp can"))
        }
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => (),
        }
        match (self.host, self.address) {
            (Some(host), _) => write!(f, "{host}:")?,
            (None, Some(_)) => f.write_str(":")?,
            (None, None) => (),
        }
        write!(f, "{}", self.container)
    }
}

impl TryFrom<String> for Exposed {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Exposed> for String {
    fn from(exposed: Exposed) -> Self {
        exposed.to_string()
    }
}

impl TryFrom<String> for Publish {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Publish> for String {
    fn from(publish: Publish) -> Self {
        publish.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, how it is written again, and the ports that it makes.
    #[test]
    fn what_docker_takes() {
        for (said, written, first, count) in [
            ("80", "80/tcp", None, 1),
            ("8080:80", "8080:80/tcp", Some(8080), 1),
            (":80", "80/tcp", None, 1),
            ("8080:80/udp", "8080:80/udp", Some(8080), 1),
            ("127.0.0.2:8080:80", "127.0.0.2:8080:80/tcp", Some(8080), 1),
            ("127.0.0.1::53/udp", "127.0.0.1::53/udp", None, 1),
            ("[::1]:8080:80", "[::1]:8080:80/tcp", Some(8080), 1),
            ("[::1]::80", "[::1]::80/tcp", None, 1),
            ("8000-8002:80-82", "8000-8002:80-82/tcp", Some(8000), 3),
            ("80-82", "80-82/tcp", None, 3),
            ("8000-8010:80", "8000-8010:80/tcp", Some(8000), 1),
        ] {
            let publish: Publish = said.parse().unwrap_or_else(|e| panic!("{said}: {e}"));
            assert_eq!(publish.to_string(), written, "{said}");
            assert_eq!(publish.to_string().parse::<Publish>().unwrap(), publish);
            let wanted: Vec<_> = publish.wanted().collect();
            assert_eq!(wanted.len(), count, "{said}");
            assert_eq!(wanted[0].host.map(|span| span.first), first, "{said}");
        }
        let last = "8000-8002:80-82"
            .parse::<Publish>()
            .unwrap()
            .wanted()
            .last()
            .unwrap();
        assert_eq!(
            (last.host.unwrap().to_string().as_str(), last.container),
            ("8002", 82)
        );
    }

    #[test]
    fn what_docker_refuses() {
        for (said, why) in [
            ("", "no such port"),
            ("0", "no such port"),
            ("x", "no such port"),
            ("+80", "no such port"),
            ("65536:80", "the host has no such port"),
            ("82-80", "no such port"),
            ("8000-8001:80-82", "not as many"),
            ("80/sctp", "protocol sctp"),
            ("80/TCP", "protocol TCP"),
            ("::1:80:80", "no such address"),
            ("[127.0.0.1]:80:80", "no such address"),
            ("localhost:80:80", "no such address"),
        ] {
            let error = said.parse::<Publish>().unwrap_err().to_string();
            assert!(error.contains(why), "{said}: {error}");
        }
        assert!("80/sctp".parse::<Exposed>().is_err());
        assert_eq!("53/udp".parse::<Exposed>().unwrap().to_string(), "53/udp");
    }
}
