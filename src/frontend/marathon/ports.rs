//! Which ports of the host an app gets (reference/marathon.md, section 2.1). Pure: what is free,
//! the caller finds out.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::app::{App, Protocol};
use crate::error::{Fault, Kind};

/// Numbers that may be handed out, in the order in which they were said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u16>>);

impl Default for Ranges {
    /// What a Mesos agent offers unless told otherwise.
    fn default() -> Self {
        Self(vec![31000..=32000])
    }
}

impl Ranges {
    /// Those of service ports: Marathon's `--local_port_min` and `--local_port_max`.
    pub fn of_services() -> Self {
        Self(vec![10000..=20000])
    }

    /// Each number once, in order.
    pub fn numbers(&self) -> Vec<u16> {
        let mut all = Vec::new();
        for (place, range) in self.0.iter().enumerate() {
            let earlier = &self.0[..place];
            let is_new = |port: &u16| !earlier.iter().any(|range| range.contains(port));
            all.extend(range.clone().filter(is_new));
        }
        all
    }

    /// Whether it is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}-{}", range.start(), range.end())?;
        }
        Ok(())
    }
}

impl FromStr for Ranges {
    type Err = Fault;

    /// `8000-9000,31000-32000`, or as a Mesos agent is told: `ports(*):[8000-9000, 31000-32000]`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = || {
            let message = format!("'{text}' is no list of port ranges");
            Fault::new(Kind::Usage, message).hint("say 31000-32000, or 8000-9000,31000-32000")
        };
        let mesos = text
            .strip_prefix("ports")
            .map(|rest| rest.strip_prefix("(*)").unwrap_or(rest));
        let list = match mesos {
            Some(rest) => rest
                .strip_prefix(":[")
                .and_then(|rest| rest.strip_suffix(']'))
                .ok_or_else(bad)?,
            None => text,
        };
        let range = |word: &str| {
            let word = word.trim();
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (0 < first && first <= last).then_some(first..=last)
        };
        let ranges = list.split(',').map(range).collect::<Option<Vec<_>>>();
        ranges.map(Self).ok_or_else(bad)
    }
}

/// A port of the host that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPort {
    /// None.
    Unpublished,
    /// Any that is offered and free.
    Dynamic,
    /// This one.
    Fixed(u16),
}

/// One of an app's ports, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The container's port, or that of the definition; 0 is undecided.
    pub declared: u16,
    /// Of the host.
    pub host: HostPort,
    /// For load balancers; 0 is undecided.
    pub service: u16,
    /// tcp, udp or both.
    pub protocol: Protocol,
}

/// What the app asks for: its mappings, or on the host's network its definitions.
pub fn wanted(app: &App) -> Vec<Wanted> {
    if app.is_on_host_network() {
        let definitions = app.port_definitions.iter();
        return definitions
            .map(|it| Wanted {
                declared: it.port,
                host: match it.port {
                    port @ 1.. if app.require_ports => HostPort::Fixed(port),
                    _ => HostPort::Dynamic,
                },
                service: it.port,
                protocol: it.protocol,
            })
            .collect();
    }
    let mappings = app.port_mappings().iter();
    mappings
        .map(|it| Wanted {
            declared: it.container_port,
            host: match it.host_port {
                None => HostPort::Unpublished,
                Some(0) => HostPort::Dynamic,
                Some(port) => HostPort::Fixed(port),
            },
            service: it.service_port,
            protocol: it.protocol,
        })
        .collect()
}

/// A port with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// As in [`Wanted`].
    pub declared: u16,
    /// Of the host, if it has one.
    pub host: Option<u16>,
    /// Made up: the app declares 0 and has none of the host.
    pub generated: Option<u16>,
    /// For load balancers.
    pub service: u16,
    /// tcp, udp or both.
    pub protocol: Protocol,
}

impl Assigned {
    /// The number on which the program listens.
    pub fn inside(&self, is_on_host_network: bool) -> u16 {
        let declared = Some(self.declared).filter(|port| *port != 0 && !is_on_host_network);
        let number = declared.or(self.host).or(self.generated);
        number.unwrap_or(self.declared)
    }
}

/// Where ports come from.
pub trait Supply {
    /// Takes a port of the host for itself; no if somebody has it.
    fn take(&mut self, port: u16, protocol: Protocol) -> Result<bool, Fault>;
    /// Takes the lowest service port that no other app on this machine has.
    fn service(&mut self, range: &Ranges) -> Result<u16, Fault>;
    /// Hears of a service port that the app says.
    fn said_service(&mut self, port: u16) -> Result<(), Fault>;
    /// A number below the given one, at random.
    fn random(&mut self, below: usize) -> usize;
}

/// What is offered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Ports of the host.
    pub ports: Ranges,
    /// The operator has said them: fixed ports must be among them.
    pub is_said: bool,
    /// For load balancers.
    pub services: Ranges,
}

/// Gives every port its numbers: the fixed ones first, then the others one after the other from a
/// place at random. Fails with `E:port-in-use`, `E:port-not-offered` or `E:ports-exhausted`.
pub fn assign(
    wanted: &[Wanted],
    offer: &Offer,
    supply: &mut dyn Supply,
) -> Result<Vec<Assigned>, Fault> {
    let mut hosts = fixed(wanted, offer, supply)?;
    dynamic(wanted, offer, supply, &mut hosts)?;
    let mut assigned: Vec<Assigned> = Vec::new();
    for (port, host) in wanted.iter().zip(hosts) {
        let generated = match (port.declared, host) {
            (0, None) => Some(generate(wanted, &assigned, supply)),
            _ => None,
        };
        let service = match port.service {
            0 => supply.service(&offer.services)?,
            port => {
                supply.said_service(port)?;
                port
            }
        };
        assigned.push(Assigned {
            declared: port.declared,
            host,
            generated,
            service,
            protocol: port.protocol,
        });
    }
    Ok(assigned)
}

fn fixed(
    wanted: &[Wanted],
    offer: &Offer,
    supply: &mut dyn Supply,
) -> Result<Vec<Option<u16>>, Fault> {
    let take = |port: &Wanted| {
        let HostPort::Fixed(number) = port.host else {
            return Ok(None);
        };
        if offer.is_said && !offer.ports.contains(number) {
            let message = format!(
                "host port {number} is not offered: --ports has {} [E:port-not-offered]",
                offer.ports
            );
            return Err(
                Fault::new(Kind::Spec, message).hint("add it to --ports, or leave that out")
            );
        }
        match supply.take(number, port.protocol)? {
            true => Ok(Some(number)),
            false => {
                let message = format!("host port {number} is in use [E:port-in-use]");
                Err(Fault::new(Kind::Limit, message)
                    .hint("end what has it (ss -lntup, ucr ps), or say 0 for a free one"))
            }
        }
    };
    wanted.iter().map(take).collect()
}

fn dynamic(
    wanted: &[Wanted],
    offer: &Offer,
    supply: &mut dyn Supply,
    hosts: &mut [Option<u16>],
) -> Result<(), Fault> {
    let is_dynamic = |port: &&Wanted| port.host == HostPort::Dynamic;
    if !wanted.iter().any(|port| is_dynamic(&port)) {
        return Ok(());
    }
    let numbers = offer.ports.numbers();
    let start = supply.random(numbers.len());
    let is_fixed = |number: &u16| hosts.contains(&Some(*number));
    let circle = numbers[start..].iter().chain(&numbers[..start]);
    let mut candidates: Vec<u16> = circle.copied().filter(|it| !is_fixed(it)).collect();
    candidates.reverse();
    for (port, host) in wanted.iter().zip(hosts).filter(|(it, _)| is_dynamic(it)) {
        while host.is_none() {
            let Some(number) = candidates.pop() else {
                let message = format!("no port of {} is free [E:ports-exhausted]", offer.ports);
                return Err(Fault::new(Kind::Limit, message).hint("offer more: --ports FIRST-LAST"));
            };
            *host = supply.take(number, port.protocol)?.then_some(number);
        }
    }
    Ok(())
}

/// A port that nothing else of the app has; it is only told, not taken.
fn generate(wanted: &[Wanted], assigned: &[Assigned], supply: &mut dyn Supply) -> u16 {
    const FIRST: u16 = 1025;
    let is_other = |number: u16| {
        wanted.iter().any(|it| it.declared == number)
            || assigned.iter().any(|it| it.generated == Some(number))
    };
    let span = u16::MAX - FIRST + 1;
    let start = supply.random(span.into());
    let numbers = (FIRST..=u16::MAX).cycle().skip(start).take(span.into());
    let mut free = numbers.filter(|number| !is_other(*number));
    free.next().unwrap_or(FIRST)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Hands out what is not taken; random numbers are always the first.
    #[derive(Default)]
    pub struct Fake {
        pub taken: Vec<u16>,
        pub services: u16,
    }

    impl Supply for Fake {
        fn take(&mut self, port: u16, _: Protocol) -> Result<bool, Fault> {
            let is_free = !self.taken.contains(&port);
            self.taken.push(port);
            Ok(is_free)
        }

        fn service(&mut self, range: &Ranges) -> Result<u16, Fault> {
            self.services += 1;
            Ok(range.numbers()[usize::from(self.services) - 1])
        }

        fn said_service(&mut self, _: u16) -> Result<(), Fault> {
            Ok(())
        }

        fn random(&mut self, _: usize) -> usize {
            5
        }
    }

    fn offer() -> Offer {
        Offer {
            ports: Ranges::default(),
            is_said: false,
            services: Ranges::of_services(),
        }
    }

    fn port(declared: u16, host: HostPort) -> Wanted {
        Wanted {
            declared,
            host,
            service: 0,
            protocol: Protocol::Tcp,
        }
    }

    #[test]
    fn ranges() {
        for (text, written) in [
            ("31000-32000", "31000-32000"),
            ("8000-9000,31000-32000", "8000-9000,31000-32000"),
            ("ports(*):[8000-9000, 31000-32000]", "8000-9000,31000-32000"),
            ("ports:[80-80]", "80-80"),
            ("80", "80-80"),
        ] {
            assert_eq!(text.parse::<Ranges>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "0-5",
            "9-8",
            "x",
            "1-70000",
            "ports(*):8000-9000",
            "80,",
        ] {
            assert!(text.parse::<Ranges>().is_err(), "{text}");
        }
        let overlapping: Ranges = "1-3,2-5".parse().unwrap();
        assert_eq!(overlapping.numbers(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn dynamic_ports_follow_each_other_and_pass_over_what_is_taken() {
        let mut supply = Fake {
            taken: vec![31006],
            ..Fake::default()
        };
        let wanted = [
            port(80, HostPort::Dynamic),
            port(81, HostPort::Fixed(31007)),
            port(82, HostPort::Dynamic),
            port(83, HostPort::Unpublished),
            port(0, HostPort::Unpublished),
        ];
        let assigned = assign(&wanted, &offer(), &mut supply).unwrap();
        let hosts: Vec<_> = assigned.iter().map(|it| it.host).collect();
        assert_eq!(hosts, [Some(31005), Some(31007), Some(31008), None, None]);
        assert_eq!(assigned[4].generated, Some(1030));
        let services: Vec<_> = assigned.iter().map(|it| it.service).collect();
        assert_eq!(services, [10000, 10001, 10002, 10003, 10004]);
    }

    #[test]
    fn the_range_is_a_circle_and_ends() {
        let mut offer = offer();
        offer.ports = "40000-40006".parse().unwrap();
        let wanted = [port(0, HostPort::Dynamic); 7];
        let assigned = assign(&wanted, &offer, &mut Fake::default()).unwrap();
        let hosts: Vec<_> = assigned.iter().filter_map(|it| it.host).collect();
        assert_eq!(hosts, [40005, 40006, 40000, 40001, 40002, 40003, 40004]);
        let wanted = [port(0, HostPort::Dynamic); 8];
        let fault = assign(&wanted, &offer, &mut Fake::default()).unwrap_err();
        assert!(fault.to_string().contains("E:ports-exhausted"), "{fault}");
    }

    #[test]
    fn fixed_ports_are_had_or_refused() {
        let mut supply = Fake {
            taken: vec![8080],
            ..Fake::default()
        };
        let wanted = [port(80, HostPort::Fixed(8080))];
        let fault = assign(&wanted, &offer(), &mut supply).unwrap_err();
        assert!(fault.to_string().contains("8080"), "{fault}");
        assert!(fault.to_string().contains("E:port-in-use"), "{fault}");
        let mut offer = offer();
        offer.is_said = true;
        let fault = assign(&wanted, &offer, &mut Fake::default()).unwrap_err();
        assert!(fault.to_string().contains("E:port-not-offered"), "{fault}");
    }
}
