//! Networks that plugins make: CNI configuration lists, specification 0.3 to 1.1.
//!
//! ```text
//! before the clone    find the list and its plugins, bind the ports of the host
//! after it            ADD, plugin by plugin, while the stage waits for the names and addresses that
//!                     it shows inside
//! at its end          DEL, in reverse, with what ADD said; in a killed ucr's place by the next
//!                     command
//! ```
//!
//! Neither plugins nor lists are trusted to be well: what they say and how long they take is bounded
//! (`answer`, `plugin`). They are the machine's own programs, though, and run as root on the host.

mod answer;
mod cache;
mod list;
mod plugin;
mod request;
mod version;
mod work;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ports::{self, Bound};
use super::{Addresses, Forwarder, PublishedPort, has_v6, namespace_of};
use crate::error::{Fault, Kind};
use crate::runtime::State;
use crate::runtime::native::plan::ByPlugins;
use crate::spec::{Mac, Naming};
use crate::sys::process::Child;
use answer::Answer;
use cache::{Attachment, Written};
use plugin::Patience;
use request::Wishes;
use work::Work;

pub use answer::{Dns, Given};
pub(in crate::runtime) use cache::{Rooms, heal};
pub use list::List;
pub use version::Version;

/// What the container's end is called inside, before the number.
const DEVICES: &str = "eth";
/// The first one.
const DEVICE: &str = super::link::INSIDE;

/// Where lists and plugins are, and how long a plugin may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Directories of lists.
    pub lists: Vec<PathBuf>,
    /// Directories of plugins.
    pub plugins: Vec<PathBuf>,
    /// Where plugins find other programs.
    pub path: String,
    /// For each plugin.
    pub time: Duration,
}

/// Where lists are unless something else is said.
pub const LISTS: &str = "/etc/cni/net.d";
/// Where plugins are: the specification's place, and Debian's.
pub const PLUGINS: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];
/// How long a plugin may take: one that asks a DHCP server needs some.
pub const TIME: Duration = Duration::from_secs(60);

/// How a container is connected, for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The network, as it was asked for.
    pub network: String,
    /// Its first address of version 4.
    pub ip: Option<Ipv4Addr>,
    /// Its first address of version 6.
    pub ip6: Option<Ipv6Addr>,
    /// Its device's.
    pub mac_address: Option<Mac>,
    /// Ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
    /// All its addresses.
    pub addresses: Vec<Given>,
    /// Who knows names there, if the network says so.
    pub dns: Dns,
    /// How it is connected to further networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Attached>,
}

/// A container's place on such a network.
#[derive(Debug)]
pub(in crate::runtime::native) struct Cni {
    rooms: Rooms,
    written: Written,
    asked: (Option<IpAddr>, Option<IpAddr>, Option<Mac>),
    ports: Vec<PublishedPort>,
    bound: RefCell<Vec<Bound>>,
    attachment: RefCell<Option<Attachment>>,
}

impl Cni {
    /// Takes what can be taken beforehand, for one of a container's networks: the first has number
    /// 0.
    pub(in crate::runtime::native) fn prepare(
        (number, plan): (usize, &ByPlugins),
        naming: &Naming,
        state: &State,
        places: &Places,
        container: &str,
    ) -> Result<Self> {
        let list = List::find(&plan.list, &places.lists)?;
        for plugin in &list.plugins {
            plugin::find(&plugin.program, &places.plugins)
                .with_context(|| format!("network cni:{}", list.name))?;
        }
        let patience = Patience {
            time: places.time,
            is_over: &|| Ok(false),
        };
        let version = work::version(&list, places, &patience)?;
        let endpoint = &plan.endpoint;
        let bound = ports::bind_all(&endpoint.publish, has_v6())?;
        let ports: Vec<_> = bound.iter().map(|bound| bound.port).collect();
        let rooms = state.cni_rooms();
        let wishes = Wishes::new(&list, endpoint, &ports, naming)?;
        let room = cache::room(container, number);
        Ok(Self {
            written: Written {
                container: container.to_owned(),
                namespace: rooms.namespaces.join(&room),
                room,
                device: format!("{DEVICES}{number}"),
                list,
                version,
                wishes,
                plugins: places.plugins.clone(),
                path: places.path.clone(),
                seconds: places.time.as_secs(),
            },
            rooms,
            asked: (
                endpoint.ip.map(IpAddr::V4),
                endpoint.ip6.map(IpAddr::V6),
                endpoint.mac_address,
            ),
            ports,
            bound: RefCell::new(bound),
            attachment: RefCell::default(),
        })
    }

    /// Connects the container, whose first process is another's business meanwhile. `is_over` says
    /// when nobody wants it any more.
    pub(in crate::runtime::native) fn connect(
        &self,
        child: &Child,
        is_over: &dyn Fn() -> Result<bool>,
    ) -> Result<Attached> {
        let namespace = namespace_of(child).context("reach the container's network")?;
        let mut attachment = Attachment::begin(&self.rooms, self.written.clone(), namespace)
            .with_context(|| format!("network cni:{}", self.written.list.name))?;
        let mut done = 0;
        let added = self.add(&mut attachment, is_over, &mut done);
        match added {
            Ok(answer) => {
                *self.attachment.borrow_mut() = Some(attachment);
                Ok(self.attached(answer))
            }
            Err(error) => {
                // That it cannot be undone either is tried again, and said, later.
                let _ = attachment.undo(self.written.patience(), done);
                Err(error)
            }
        }
    }

    fn add(
        &self,
        attachment: &mut Attachment,
        is_over: &dyn Fn() -> Result<bool>,
        done: &mut usize,
    ) -> Result<Answer> {
        let patience = Patience {
            time: self.written.patience(),
            is_over,
        };
        let work = Work::new(&self.written);
        let (result, answer) = work.add(&patience, &mut |count, result| {
            *done = count;
            attachment.known.result = result.cloned();
        })?;
        attachment.finish(result)?;
        self.check_wishes(&answer)
            .with_context(|| format!("network cni:{}", self.written.list.name))?;
        Ok(answer)
    }

    /// A plugin that does not know a wish may not say so.
    fn check_wishes(&self, answer: &Answer) -> Result<(), Fault> {
        let (ip, ip6, mac) = self.asked;
        let refuse = |option: &str, value: String| {
            let message = format!("{option} {value}: its plugins gave another");
            Err(Fault::new(Kind::Unsupported, message).hint(format!(
                "leave {option} out, or say the capability in the list"
            )))
        };
        let is_given = |ip: IpAddr| answer.addresses.iter().any(|it| it.address == ip);
        if let Some(ip) = ip.filter(|ip| !is_given(*ip)) {
            return refuse("--ip", ip.to_string());
        }
        if let Some(ip) = ip6.filter(|ip| !is_given(*ip)) {
            return refuse("--ip6", ip.to_string());
        }
        match mac {
            Some(mac) if answer.mac != Some(mac) => refuse("--mac-address", mac.to_string()),
            _ => Ok(()),
        }
    }

    fn attached(&self, answer: Answer) -> Attached {
        let all = || answer.addresses.iter().map(|given| given.address);
        let v4 = all().find_map(|ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        });
        let v6 = all().find_map(|ip| match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(ip),
        });
        Attached {
            network: format!("cni:{}", self.written.list.name),
            ip: v4,
            ip6: v6,
            mac_address: answer.mac,
            ports: self.ports.clone(),
            addresses: answer.addresses,
            dns: answer.dns,
            more: Vec::new(),
        }
    }

    /// Passes on what the host itself sends to the ports and no plugin redirects, such as what is
    /// for `::1`.
    pub(in crate::runtime::native) fn forwarder(
        &self,
        attached: &Attached,
    ) -> Result<Option<Forwarder>> {
        let Some(ip) = attached.ip.filter(|_| !self.ports.is_empty()) else {
            return Ok(None);
        };
        let bound = self.bound.borrow();
        let bound = bound.iter().map(Bound::try_clone);
        let addresses = Addresses {
            ip,
            ip6: attached.ip6,
        };
        Ok(Some(Forwarder::new(
            bound.collect::<Result<_, _>>()?,
            &addresses,
        )?))
    }

    /// Undoes it, once. What fails is tried again by a later command.
    pub(in crate::runtime::native) fn disconnect(&self) -> Result<()> {
        match self.attachment.take() {
            None => Ok(()),
            Some(attachment) => {
                attachment.undo(self.written.patience(), self.written.list.plugins.len())
            }
        }
    }
}

impl Attached {
    /// Several networks, in the order of their devices; `None` of none.
    pub(in crate::runtime::native) fn of_all(all: Vec<Self>) -> Option<Self> {
        let mut all = all.into_iter();
        let first = all.next()?;
        Some(Self {
            more: all.collect(),
            ..first
        })
    }

    /// This network and the further ones.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }

    /// What the container's own name stands for.
    pub(in crate::runtime::native) fn own(&self) -> Vec<IpAddr> {
        let own = |it: &Self| [it.ip.map(IpAddr::V4), it.ip6.map(IpAddr::V6)];
        self.all().flat_map(own).flatten().collect()
    }

    /// The `/etc/resolv.conf` of the first network that says one.
    pub(in crate::runtime::native) fn resolv_conf(&self) -> Option<Vec<u8>> {
        self.all().find_map(|it| it.dns.file())
    }
}

/// Asks the plugins of a running container whether its networks are as they made them. Fails with
/// [`Kind::Usage`] if there are none, [`Kind::Unsupported`] if they cannot be asked or find something.
pub fn check(state: &State, container: &str) -> Result<()> {
    let rooms = state.cni_rooms();
    let mut is_any = false;
    for number in 0.. {
        let found = cache::of(&rooms, &cache::room(container, number))?;
        let Some((written, result)) = found.and_then(|it| Some((it.written, it.result?))) else {
            break;
        };
        is_any = true;
        check_one(&written, &result)?;
    }
    if !is_any {
        let message = format!("container {container} is on no CNI network");
        return Err(Fault::new(Kind::Usage, message)
            .hint("'ucr inspect' shows its network")
            .into());
    }
    Ok(())
}

fn check_one(written: &Written, result: &Value) -> Result<()> {
    let name = &written.list.name;
    if !written.version.has_check() || written.list.disable_check {
        let message = format!("network cni:{name} cannot be checked");
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("its list must have cniVersion 0.4.0 or later, and no disableCheck")
            .into());
    }
    let patience = Patience {
        time: written.patience(),
        is_over: &|| Ok(false),
    };
    Work::new(written).check(result, &patience)
}
