//! A container's place on the network of an ordinary user: a program carries what it sends, and ucr
//! itself passes on what comes to published ports, by a process that has entered the container's
//! network with the machine's sockets in its hands.
//!
//! That one connects to the container's address, never to its loopback, where servers take everybody
//! for a neighbour (CVE-2021-20199); they see that address as their client's.

use std::cell::RefCell;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::carrier::{Carried, WayOut};
use super::lease::Addresses;
use super::ports::{self, Bound};
use super::{ConnectionRecord, Forwarder, has_v6, join};
use crate::error::render;
use crate::runtime::native::plan::Bridged;
use crate::spec::Mac;
use crate::sys::process::{Child, Namespaces, close_all_but, die_with_parent, spawn};

/// What a container has for as long as this lives, one start after the other.
#[derive(Debug)]
pub(in crate::runtime::native) struct Carriage {
    network: String,
    way_out: WayOut,
    mac: Mac,
    bound: RefCell<Vec<Bound>>,
}

/// A connected container, until this is dropped.
#[derive(Debug)]
pub(in crate::runtime::native) struct Carrying {
    // In this order they end.
    _passing: Option<Passing>,
    _carried: Carried,
}

impl Carriage {
    /// Takes the ports, where a container is to be carried.
    pub(in crate::runtime::native) fn prepare(plan: Option<&Bridged>) -> Result<Option<Self>> {
        let Some((plan, way_out)) = plan.and_then(|it| Some((it, it.way_out.clone()?))) else {
            return Ok(None);
        };
        let endpoint = &plan.endpoint;
        let bound = ports::bind_all(&endpoint.publish, has_v6())?;
        let mac = Mac::of(way_out.addresses().ip);
        Ok(Some(Self {
            network: plan.network.to_string(),
            way_out,
            mac: endpoint.mac_address.unwrap_or(mac),
            bound: RefCell::new(bound),
        }))
    }

    /// The container's addresses.
    pub(in crate::runtime::native) fn addresses(&self) -> Addresses {
        self.way_out.addresses()
    }

    /// What a record says.
    pub(in crate::runtime::native) fn record(&self) -> ConnectionRecord {
        let bound = self.bound.borrow();
        ConnectionRecord {
            network: self.network.clone(),
            addresses: self.addresses(),
            mac_address: self.mac,
            ports: bound.iter().map(|bound| bound.port).collect(),
        }
    }

    /// Connects the network namespace of the container, which has `directory` for itself.
    pub(in crate::runtime::native) fn start(
        &self,
        namespace: &OwnedFd,
        directory: &Path,
    ) -> Result<Carrying> {
        let carried = self.way_out.start(namespace.as_fd(), directory, self.mac)?;
        let has_ports = !self.bound.borrow().is_empty();
        let passing = has_ports.then(|| self.pass_on(namespace));
        Ok(Carrying {
            _passing: passing.transpose().context("pass on ports")?,
            _carried: carried,
        })
    }

    fn pass_on(&self, namespace: &OwnedFd) -> Result<Passing> {
        let (mut said, say) = io::pipe()?;
        let body = move || match self.enter(namespace, &say) {
            Ok(forwarder) => {
                drop(say);
                pass_on_for_ever(&forwarder)
            }
            Err(error) => {
                // If nobody reads it, nobody needs it.
                let _ = (&say).write_all(render(&error).as_bytes());
                1
            }
        };
        let passing = Passing(spawn(Namespaces::default(), body)?);
        let mut message = String::new();
        said.read_to_string(&mut message)?;
        match message.is_empty() {
            true => Ok(passing),
            false => bail!(message),
        }
    }

    /// In the process that passes on: its sockets belong to the network in which they are opened.
    fn enter(&self, namespace: &OwnedFd, say: &PipeWriter) -> Result<Forwarder> {
        die_with_parent()?;
        // Ctrl-C is for the container to hear of.
        rustix::process::setsid()?;
        let bound = self.bound.take();
        let sockets = bound.iter().map(|bound| bound.socket.as_fd());
        close_all_but(sockets.chain([namespace.as_fd(), say.as_fd()]))?;
        join(namespace).context("enter the container's network")?;
        Forwarder::new(bound, &self.addresses())
    }
}

fn pass_on_for_ever(forwarder: &Forwarder) -> u8 {
    loop {
        let mut fds = [PollFd::new(forwarder, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) => forwarder.step(),
            Err(Errno::INTR) => (),
            Err(_) => return 1,
        }
    }
}

/// The process that passes on.
#[derive(Debug)]
struct Passing(Child);

impl Drop for Passing {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.signal(libc::SIGKILL);
        let _ = self.0.wait();
    }
}
