//! The checks of an app as this machine makes them (reference/marathon.md, section 5.2): Marathon's
//! own from outside, Mesos's from inside.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::checks::{Check, Command, IpVersion, Pace, Patience, Question, Scheme, Subject};
use crate::frontend::marathon::app::{
    self, App, CheckCommand, CheckKind, HealthCheck, HealthProtocol, IpProtocol, ReadinessCheck,
    ReadinessProtocol,
};
use crate::frontend::marathon::ports::Assigned;

/// An app with the numbers of its ports.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a> {
    pub(super) app: &'a App,
    pub(super) ports: &'a [Assigned],
}

impl Checked<'_> {
    /// Whether there is anything to check.
    pub(super) fn has_checks(&self) -> bool {
        let app = self.app;
        !app.health_checks.is_empty() || !app.readiness_checks.is_empty() || app.check.is_some()
    }

    /// Whether somebody can wait until it is ready.
    pub(super) fn has_readiness(&self) -> bool {
        !self.app.readiness_checks.is_empty()
    }

    /// Whether its own address has to be known: no port of the host leads to it.
    pub(super) fn needs_address(&self) -> bool {
        let mut health = self.app.health_checks.iter();
        let is_tcp = health.any(|it| it.protocol == HealthProtocol::Tcp);
        let is_behind = !self.app.is_on_host_network();
        self.has_checks() && (self.has_own_address() || is_tcp && is_behind)
    }

    fn has_own_address(&self) -> bool {
        let is_container = |it: &app::Network| it.mode == app::NetworkMode::Container;
        self.app.networks.iter().any(is_container)
    }

    /// Health checks in their order, then the readiness check, then the generic one.
    pub(super) fn all(&self, own: Option<IpAddr>) -> Vec<Check> {
        let health = self.app.health_checks.iter().map(|it| self.health(it, own));
        let ready = self.app.readiness_checks.iter();
        let ready = ready.filter_map(|it| self.readiness(it, own));
        let generic = self.app.check.iter().map(|it| self.generic(it));
        health.chain(ready).chain(generic).collect()
    }

    fn health(&self, check: &HealthCheck, own: Option<IpAddr>) -> Check {
        let pace = pace(check.interval_seconds, check.timeout_seconds);
        let patience = Patience {
            grace: seconds(check.grace_period_seconds),
            max_failures: check.max_consecutive_failures,
        };
        let path = check.path.clone().unwrap_or_else(|| "/".to_owned());
        let question = match check.protocol {
            HealthProtocol::Http | HealthProtocol::MesosHttp => Question::Get(Scheme::Http, path),
            HealthProtocol::Https | HealthProtocol::MesosHttps => {
                Question::Get(Scheme::Https, path)
            }
            HealthProtocol::Tcp | HealthProtocol::MesosTcp | HealthProtocol::Command => {
                Question::Connect
            }
        };
        let subject = match check.protocol {
            HealthProtocol::Http | HealthProtocol::Https | HealthProtocol::Tcp => {
                let address = match check.protocol {
                    HealthProtocol::Tcp => self.behind(check.port, check.port_index, own),
                    _ => self.outside(check.port, check.port_index, own),
                };
                let ignores = check.ignore_http_1xx;
                return Check::marathon(question, address, pace, patience, ignores);
            }
            HealthProtocol::Command => {
                let text = check.command.as_ref().map(|it| it.value.clone());
                Subject::Command(Command::Shell(text.unwrap_or_default()))
            }
            _ => Subject::Port {
                ip: match check.ip_protocol {
                    IpProtocol::IPv4 => IpVersion::V4,
                    IpProtocol::IPv6 => IpVersion::V6,
                },
                port: self.inside(check.port, check.port_index),
                question,
            },
        };
        Check::mesos(subject, seconds(check.delay_seconds), pace, patience)
    }

    fn readiness(&self, check: &ReadinessCheck, own: Option<IpAddr>) -> Option<Check> {
        let scheme = match check.protocol {
            ReadinessProtocol::Http => Scheme::Http,
            ReadinessProtocol::Https => Scheme::Https,
        };
        let name = Some(check.port_name.as_str());
        let index = match self.app.is_on_host_network() {
            true => {
                let mut all = self.app.port_definitions.iter();
                all.position(|it| it.name.as_deref() == name)?
            }
            false => {
                let mut all = self.app.port_mappings().iter();
                all.position(|it| it.name.as_deref() == name)?
            }
        };
        let codes: BTreeSet<u16> = check.http_status_codes_for_ready.iter().copied().collect();
        Some(Check::readiness(
            check.name.clone(),
            (scheme, check.path.clone()),
            self.outside(None, Some(index), own),
            pace(check.interval_seconds, check.timeout_seconds),
            codes,
        ))
    }

    fn generic(&self, check: &app::Check) -> Check {
        let ip = IpVersion::V4;
        let subject = match &check.kind {
            CheckKind::Http {
                port,
                port_index,
                path,
            } => Subject::Port {
                ip,
                port: self.inside(*port, *port_index),
                question: Question::Get(Scheme::Http, path.clone()),
            },
            CheckKind::Tcp { port, port_index } => Subject::Port {
                ip,
                port: self.inside(*port, *port_index),
                question: Question::Connect,
            },
            CheckKind::Exec { command } => Subject::Command(match command {
                CheckCommand::Shell(text) => Command::Shell(text.clone()),
                CheckCommand::Argv(argv) => Command::Argv(argv.clone()),
            }),
        };
        let pace = pace(check.interval_seconds, check.timeout_seconds);
        Check::report(subject, seconds(check.delay_seconds), pace)
    }

    /// Where clients find a port: on this host, or on a network of its own at its own address.
    fn outside(&self, said: Option<u16>, index: Option<usize>, own: Option<IpAddr>) -> SocketAddr {
        let port = self.ports.get(index.unwrap_or(0));
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (address, number) = match (self.has_own_address(), own) {
            (true, Some(own)) => (own, port.map(|it| it.inside(false))),
            _ => (host, port.and_then(|it| it.host)),
        };
        SocketAddr::new(address, said.or(number).unwrap_or(0))
    }

    /// The same for a connection that nothing is said on: whoever forwards a published port from
    /// loopback accepts it before he knows whether anybody listens in the container.
    fn behind(&self, said: Option<u16>, index: Option<usize>, own: Option<IpAddr>) -> SocketAddr {
        let port = self.ports.get(index.unwrap_or(0));
        match (own, port) {
            (Some(own), Some(port)) if said.is_none() && !self.app.is_on_host_network() => {
                SocketAddr::new(own, port.inside(false))
            }
            _ => self.outside(said, index, own),
        }
    }

    /// On which it listens.
    fn inside(&self, said: Option<u16>, index: Option<usize>) -> u16 {
        let port = self.ports.get(index.unwrap_or(0));
        let number = port.map(|it| it.inside(self.app.is_on_host_network()));
        said.or(number).unwrap_or(0)
    }
}

fn pace(interval: u32, timeout: u32) -> Pace {
    Pace {
        interval: seconds(interval),
        timeout: seconds(timeout),
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}
