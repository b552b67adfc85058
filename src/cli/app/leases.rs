//! Ports for an app: marked as taken for every other ucr, and tried whether anybody else has them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use crate::error::{Fault, Kind, render};
use crate::frontend::marathon::app::Protocol;
use crate::frontend::marathon::ports::{HostPort, Ranges, Supply, Wanted};
use crate::runtime::{Published, State};
use crate::sys;

/// What is held for an app until it ends.
pub(super) struct Leases<'a> {
    state: &'a State,
    held: Vec<Published>,
}

impl<'a> Leases<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        let held = Vec::new();
        Self { state, held }
    }

    fn hold(&mut self, port: u16, is_service: bool) -> Result<bool, Fault> {
        let taken = self.state.take_port(port, is_service).map_err(|error| {
            let why = render(&error);
            Fault::new(Kind::Store, format!("take port {port}: {why}"))
        })?;
        let is_ours = taken.is_some();
        self.held.extend(taken);
        Ok(is_ours)
    }
}

impl Supply for Leases<'_> {
    fn take(&mut self, port: u16, protocol: Protocol) -> Result<bool, Fault> {
        if !self.hold(port, false)? {
            return Ok(false);
        }
        match try_it(port, protocol) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                self.held.pop();
                Ok(false)
            }
            Err(error) => {
                let fault = Fault::new(Kind::Kernel, format!("host port {port}: {error}"));
                Err(match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        fault.hint("ports below 1024 are for root: say another hostPort")
                    }
                    _ => fault,
                })
            }
        }
    }

    fn service(&mut self, range: &Ranges) -> Result<u16, Fault> {
        for port in range.numbers() {
            if self.hold(port, true)? {
                return Ok(port);
            }
        }
        let message = format!("no service port of {range} is free [E:ports-exhausted]");
        Err(Fault::new(Kind::Limit, message).hint("offer more: --service-ports FIRST-LAST"))
    }

    fn said_service(&mut self, port: u16) -> Result<(), Fault> {
        // Two apps may say the same one: a load balancer makes one service of them.
        self.hold(port, true).map(drop)
    }

    fn random(&mut self, below: usize) -> usize {
        at_random(below)
    }
}

/// What a start would perhaps get: nothing is taken, and fixed ports may be in use now.
pub(super) struct Preview {
    fixed: Vec<u16>,
    services: u16,
}

impl Preview {
    pub(super) fn new(wanted: &[Wanted]) -> Self {
        let fixed = wanted.iter().filter_map(|port| match port.host {
            HostPort::Fixed(number) => Some(number),
            HostPort::Dynamic | HostPort::Unpublished => None,
        });
        Self {
            fixed: fixed.collect(),
            services: 0,
        }
    }
}

impl Supply for Preview {
    fn take(&mut self, port: u16, protocol: Protocol) -> Result<bool, Fault> {
        Ok(self.fixed.contains(&port) || try_it(port, protocol).is_ok())
    }

    fn service(&mut self, range: &Ranges) -> Result<u16, Fault> {
        let numbers = range.numbers();
        let number = numbers.get(usize::from(self.services)).copied();
        self.services += 1;
        Ok(number.unwrap_or_default())
    }

    fn said_service(&mut self, _: u16) -> Result<(), Fault> {
        Ok(())
    }

    fn random(&mut self, below: usize) -> usize {
        at_random(below)
    }
}

fn at_random(below: usize) -> usize {
    let number = sys::random_number().unwrap_or(0);
    usize::try_from(number % (below.max(1) as u64)).unwrap_or(0)
}

/// Binds it for a moment, on every address.
fn try_it(port: u16, protocol: Protocol) -> io::Result<()> {
    if protocol != Protocol::Udp {
        everywhere(port, |address| TcpListener::bind(address).map(drop))?;
    }
    if protocol != Protocol::Tcp {
        everywhere(port, |address| UdpSocket::bind(address).map(drop))?;
    }
    Ok(())
}

/// The unspecified IPv6 address stands for those of IPv4, too, where there is IPv6.
fn everywhere(port: u16, bind: impl Fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if !is_about_port(&error) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
        result => result,
    }
}

fn is_about_port(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}
