//! Ports of the host: bound before the container starts, which reserves them, and kept by whoever
//! watches it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};

use super::lease::PublishedPort;
use crate::error::{Fault, Kind};
use crate::spec::{Protocol, Publish, Wanted};

/// How often another free port is tried, for one that is free for IPv4 may be taken for IPv6.
const MAX_TRIES: u32 = 64;
/// Connections that wait while we are busy.
const BACKLOG: i32 = 128;
/// Ports of one container.
const MAX_PORTS: u32 = 4096;

/// A port of the host that is ours.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) port: PublishedPort,
    pub(super) socket: OwnedFd,
}

impl Bound {
    /// The same port, once more.
    pub(super) fn try_clone(&self) -> Result<Self> {
        let (port, socket) = (self.port, self.socket.try_clone()?);
        Ok(Self { port, socket })
    }
}

/// Binds all that is asked for, or fails for the first that somebody has.
pub(super) fn bind_all(asked: &[Publish], with_v6: bool) -> Result<Vec<Bound>> {
    let count: u32 = asked.iter().map(|it| it.container.ports.count()).sum();
    if count > MAX_PORTS {
        let message = format!("{count} published ports are more than {MAX_PORTS}");
        return Err(Fault::new(Kind::Limit, message).into());
    }
    let mut bound = Vec::new();
    for wanted in asked.iter().flat_map(|publish| publish.wanted()) {
        bound.extend(bind_one(&wanted, with_v6)?);
    }
    Ok(bound)
}

/// The same port of every address that is meant.
fn bind_one(wanted: &Wanted, with_v6: bool) -> Result<Vec<Bound>> {
    let mut addresses = match wanted.address {
        Some(address) => vec![address],
        None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
    };
    if wanted.address.is_none() && with_v6 {
        addresses.push(Ipv6Addr::UNSPECIFIED.into());
    }
    let (mut free, mut given);
    let ports: &mut dyn Iterator<Item = u16> = match wanted.host {
        Some(span) => {
            given = span.ports();
            &mut given
        }
        None => {
            free = (0..MAX_TRIES).map(|_| 0);
            &mut free
        }
    };
    let mut last = None;
    for port in ports {
        match bind_addresses(&addresses, port, wanted) {
            Ok(bound) => return Ok(bound),
            Err((at, Errno::ADDRINUSE)) => last = Some((at, Errno::ADDRINUSE)),
            Err((at, error)) => return Err(refuse(at, wanted, error)),
        }
    }
    let (at, error) = last.context("internal: no port was tried")?;
    Err(refuse(at, wanted, error))
}

fn refuse(at: SocketAddr, wanted: &Wanted, error: Errno) -> anyhow::Error {
    let (protocol, port) = (wanted.protocol, at.port());
    let hint = "say another port, or none for a free one";
    let fault = match (error, wanted.host) {
        (Errno::ADDRINUSE, Some(span)) if span.count() > 1 => {
            let message = format!("none of the ports {span}/{protocol} of {} is free", at.ip());
            Fault::new(Kind::Usage, message).hint(hint)
        }
        (Errno::ADDRINUSE, _) => {
            let message = format!("port {port}/{protocol} of {} is taken", at.ip());
            Fault::new(Kind::Usage, message).hint(hint)
        }
        (Errno::ADDRNOTAVAIL, _) => {
            let message = format!(
                "publish {port}/{protocol}: {} is no address of this host",
                at.ip()
            );
            Fault::new(Kind::Usage, message).hint("leave the address out for all of them")
        }
        (Errno::ACCESS, _) => {
            let message = format!("publish port {port}/{protocol}: it is for root to have");
            Fault::new(Kind::Unsupported, message).hint(
                "say one from 1024 on; or as root: \
                 sysctl -w net.ipv4.ip_unprivileged_port_start=NUMBER",
            )
        }
        _ => {
            let error = std::io::Error::from(error);
            let message = format!("publish port {port}/{protocol} of {}: {error}", at.ip());
            Fault::new(Kind::Kernel, message)
        }
    };
    fault.into()
}

/// One port of several addresses; which one that is the first decides if it is 0.
fn bind_addresses(
    addresses: &[IpAddr],
    mut port: u16,
    wanted: &Wanted,
) -> Result<Vec<Bound>, (SocketAddr, Errno)> {
    let mut bound = Vec::new();
    for address in addresses {
        let at = SocketAddr::new(*address, port);
        let (socket, at) = open(at, wanted.protocol).map_err(|error| (at, error))?;
        port = at.port();
        let (protocol, container) = (wanted.protocol, wanted.container);
        bound.push(Bound {
            port: PublishedPort {
                protocol,
                host: at,
                container,
            },
            socket,
        });
    }
    Ok(bound)
}

fn open(at: SocketAddr, protocol: Protocol) -> Result<(OwnedFd, SocketAddr), Errno> {
    let family = match at {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None)?;
    if at.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections that ended a minute ago are nobody's; whoever listens still is.
        set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &at)?;
    if protocol == Protocol::Tcp {
        listen(&socket, BACKLOG)?;
    }
    let named = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(text: &str) -> Vec<Publish> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn a_free_port_is_the_same_for_both_versions() {
        let bound = bind_all(&publish("80"), true).unwrap();
        let ports: Vec<_> = bound.iter().map(|it| it.port.host.port()).collect();
        assert!(
            ports.len() == 2 && ports[0] != 0 && ports[0] == ports[1],
            "{ports:?}"
        );
    }

    #[test]
    fn a_taken_port_is_named() {
        for protocol in ["tcp", "udp"] {
            let first = bind_all(&publish(&format!("127.0.0.1::80/{protocol}")), true).unwrap();
            let port = first[0].port.host.port();
            let again = publish(&format!("127.0.0.1:{port}:80/{protocol}"));
            let error = bind_all(&again, true).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("port {port}/{protocol} of 127.0.0.1 is taken")
            );
            let beside = publish(&format!("127.0.0.2:{port}:80/{protocol}"));
            bind_all(&beside, true).unwrap();
        }
    }

    #[test]
    fn a_range_gives_its_first_free_port() {
        let taken = bind_all(&publish("127.0.0.1::80"), false).unwrap();
        let port = taken[0].port.host.port();
        let Some(next) = port.checked_add(20) else {
            return;
        };
        let range = publish(&format!("127.0.0.1:{port}-{next}:80"));
        let found = bind_all(&range, false).unwrap();
        assert!(found[0].port.host.port() > port);
    }
}
