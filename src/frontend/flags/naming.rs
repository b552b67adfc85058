//! The flags about names: the container's own, and how it finds others.

use std::net::IpAddr;

use clap::Args;

use crate::spec::{HostEntry, Naming};

/// Names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Naming options")]
pub struct NamingFlags {
    /// Host name inside
    // Docker's short name, in the place of that of --help.
    #[arg(long, short = 'h', value_name = "NAME")]
    pub(super) hostname: Option<String>,
    /// NIS domain name inside, and the rest of the own name in /etc/hosts
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// A line of /etc/hosts; host-gateway is the host's address; repeatable
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<HostEntry>,
    /// A name server, instead of the host's; repeatable
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// A domain to look names up in, instead of the host's; '.' is none; repeatable
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// An option of resolv.conf(5), instead of the host's; repeatable
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
}

impl NamingFlags {
    pub(super) fn naming(&self) -> Naming {
        Naming {
            dns: self.dns.clone(),
            dns_search: self.dns_search.clone(),
            dns_options: self.dns_option.clone(),
            hosts: self.add_host.clone(),
            domain: self.domainname.clone(),
        }
    }
}
