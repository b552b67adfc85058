//! `ucr network`: bridged networks.

use std::net::IpAddr;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::cni::CniOptions;
use super::context::Context;
use super::{Format, document, output};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::native::network;
use crate::runtime::native::network::cni::List;
use crate::runtime::{Container, ContainerRecord};
use crate::spec::{Definition, Network as On, Subnet, network_name};
use crate::store::Store;

/// List, make, show and remove networks
///
/// Containers on the same network reach each other, those of different networks do not. 'ucr run
/// --network NAME' puts one on a network; the network named bridge is always there.
#[derive(Debug, Args)]
pub(super) struct Network {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the networks, and the lists of CNI plugins that --network cni:NAME takes
    Ls,
    /// Make a network. Prints its name
    Create(Create),
    /// Show all that is known of networks
    Inspect {
        /// The networks
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Ask the CNI plugins of a running container whether its network is as they made it
    Check {
        /// Its name, ID or beginning of an ID
        container: String,
    },
    /// Remove networks that no container is on. Prints what was removed. Of the network named
    /// bridge, the devices and rules go, until the next container needs them
    Rm {
        /// The networks
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// The network
    #[arg(value_parser = network_name)]
    name: String,
    /// Its addresses; a free subnet where none is said; once for IPv4, once for IPv6
    #[arg(long, value_name = "ADDRESS/BITS")]
    subnet: Vec<Subnet>,
    /// The host's address on it; the first one where none is said; once for IPv4, once for IPv6
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<IpAddr>,
    /// Give only these addresses to containers that do not ask for one
    #[arg(long, value_name = "ADDRESS/BITS")]
    ip_range: Option<Subnet>,
    /// IPv6 addresses, too
    #[arg(long)]
    ipv6: bool,
    /// No way out of the network, and none in
    #[arg(long)]
    internal: bool,
    /// Options of the bridge: mtu=BYTES; repeatable
    #[arg(long, short, value_name = "KEY=VALUE")]
    opt: Vec<String>,
}

/// The network that a definition names: one that was made here, or else one of CNI's.
pub(super) fn named(store: &Store, name: &str) -> Result<On, Fault> {
    let is_made = network_name(name).is_ok_and(|name| {
        let found = store.network(&name);
        found.is_ok_and(|found| found.is_some())
    });
    match is_made {
        true => name.parse(),
        false => format!("cni:{name}").parse(),
    }
}

impl Network {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        context.heal()?;
        match self.verb {
            Verb::Ls => list(context)?,
            Verb::Create(create) => {
                let store = context.store()?;
                let made = network::create(&store, &create.asked()?)?;
                names(context, &[made.name])?;
            }
            Verb::Inspect { names } => inspect(context, &names)?,
            Verb::Check { container } => {
                let (store, state) = (context.store()?, context.state()?);
                let found = state.find_running(&store, &container)?;
                network::cni::check(&state, &found.record.id)?;
            }
            Verb::Rm { names } => return remove(context, &names),
        }
        Ok(Outcome::Done)
    }
}

impl Create {
    fn asked(self) -> Result<network::Asked, Fault> {
        let mut mtu = None;
        for option in &self.opt {
            mtu = match option.split_once('=') {
                Some(("mtu" | "com.docker.network.driver.mtu", bytes)) => {
                    let bytes = bytes.parse().map_err(|_| {
                        let message = format!("--opt {option}: it is not a number of bytes");
                        Fault::new(Kind::Usage, message)
                    })?;
                    Some(bytes)
                }
                _ => {
                    let message = format!("--opt {option} is not supported");
                    return Err(Fault::new(Kind::Usage, message).hint("there is mtu=BYTES"));
                }
            };
        }
        Ok(network::Asked {
            name: self.name,
            subnets: self.subnet,
            gateways: self.gateway,
            ip_range: self.ip_range,
            ipv6: self.ipv6,
            internal: self.internal,
            mtu,
        })
    }
}

/// Networks, and the containers that are on them.
struct Known {
    networks: Vec<Definition>,
    containers: Vec<Container>,
}

impl Known {
    fn read(context: &Context) -> Result<Self> {
        let store = context.store()?;
        let running = context.state()?.running(&store)?;
        let mut networks = vec![Definition::built_in()];
        networks.extend(store.networks()?);
        Ok(Self {
            networks,
            containers: running,
        })
    }

    fn used_by(&self, network: &Definition) -> Vec<&ContainerRecord> {
        let is_on = |container: &&ContainerRecord| match container.spec.network() {
            On::Bridge => network.name == "bridge",
            On::Named(name) => network.name == name,
            _ => false,
        };
        let all = self.containers.iter().map(|it| &it.record);
        all.filter(is_on).collect()
    }

    fn plugged_by(&self, list: &List) -> Vec<&Container> {
        let on = On::Cni(list.name.clone());
        let is_on = |container: &&Container| {
            let spec = &container.record.spec;
            spec.network() == on || spec.more_networks.iter().any(|it| it.network == on)
        };
        self.containers.iter().filter(is_on).collect()
    }

    fn plugged(&self, list: &List) -> Value {
        let containers = self.plugged_by(list).into_iter().map(|container| {
            let name = format!("cni:{}", list.name);
            let attached = container.life.attached.as_ref();
            let attached = attached.and_then(|it| it.all().find(|it| it.network == name));
            json!({
                "id": container.record.id,
                "ip": attached.and_then(|it| it.ip),
                "ip6": attached.and_then(|it| it.ip6),
            })
        });
        json!({
            "kind": "cni-network",
            "name": format!("cni:{}", list.name),
            "file": list.file,
            "versions": list.versions,
            "plugins": programs(list),
            "containers": containers.collect::<Vec<_>>(),
        })
    }

    fn document(&self, network: &Definition) -> Value {
        let containers = self.used_by(network).into_iter().map(|container| {
            let connection = container.connection.as_ref();
            json!({
                "id": container.id,
                "ip": connection.map(|it| it.addresses.ip),
                "ip6": connection.and_then(|it| it.addresses.ip6),
            })
        });
        document::network(network, containers.collect())
    }
}

fn programs(list: &List) -> Vec<&str> {
    let plugins = list.plugins.iter();
    plugins.map(|plugin| plugin.program.as_str()).collect()
}

fn list(context: &Context) -> Result<()> {
    let known = Known::read(context)?;
    let lists = List::all(&CniOptions::default().places(context)?.lists)?;
    if context.wants_json(Format::Text) {
        let own = known.networks.iter().map(|it| known.document(it));
        let plugged = lists.iter().map(|it| known.plugged(it));
        return output::json(&own.chain(plugged).collect::<Vec<_>>());
    }
    let plugged = |list: &List| {
        let users = known.plugged_by(list);
        let users: Vec<_> = users.iter().map(|it| it.record.id.as_str()).collect();
        let (name, plugins) = (format!("cni:{}", list.name), programs(list).join(","));
        [name, plugins, String::new(), users.join(" ")]
    };
    let row = |network: &Definition| {
        let subnets = [Some(network.subnet), network.subnet6];
        let subnets = subnets.iter().flatten().map(Subnet::to_string);
        let users = known.used_by(network);
        let users: Vec<_> = users.iter().map(|it| it.id.as_str()).collect();
        [
            network.name.clone(),
            network.bridge.clone(),
            subnets.collect::<Vec<_>>().join(" "),
            users.join(" "),
        ]
    };
    let own = known.networks.iter().map(row);
    let rows: Vec<_> = own.chain(lists.iter().map(plugged)).collect();
    output::table(["NAME", "BRIDGE", "SUBNETS", "USED BY"], &rows)
}

fn inspect(context: &Context, names: &[String]) -> Result<()> {
    let known = Known::read(context)?;
    let mut documents = Vec::new();
    for name in names {
        let found = known.networks.iter().find(|network| network.name == *name);
        let found = found.ok_or_else(|| {
            Fault::new(Kind::NotFound, format!("there is no network {name}"))
                .hint("'ucr network ls' lists them")
        })?;
        documents.push(known.document(found));
    }
    output::json(&documents)
}

fn remove(context: &Context, asked: &[String]) -> Result<Outcome> {
    let store = context.store()?;
    let mut removed = Vec::new();
    let mut failed = None;
    for name in asked {
        let known = Known::read(context)?;
        let found = known.networks.iter().find(|network| network.name == *name);
        let user = found.and_then(|network| known.used_by(network).first().copied());
        let result = match user {
            Some(container) => Err(in_use(name, container)),
            None if name == "bridge" => network::clear_built_in(&context.state()?),
            None => network_name(name)
                .map_err(Into::into)
                .and_then(|name| store.remove_network(&name, network::clear)),
        };
        match result {
            Ok(()) => removed.push(name.clone()),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    names(context, &removed)?;
    failed.map_or(Ok(Outcome::Done), Err)
}

fn in_use(name: &str, container: &ContainerRecord) -> anyhow::Error {
    let message = format!("network {name} is in use by container {}", container.name());
    let hint = format!("stop it first: ucr stop {}", container.name());
    Fault::new(Kind::Usage, message).hint(hint).into()
}

fn names(context: &Context, names: &[String]) -> Result<()> {
    if context.wants_json(Format::Text) {
        return output::json(&names);
    }
    names.iter().try_for_each(|name| output::line(name))
}
