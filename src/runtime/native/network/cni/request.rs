//! What a plugin is told: its part of the list, what only ucr knows, and what the plugins before it
//! made.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::list::{List, PluginConfig};
use super::version::Version;
use crate::error::{Fault, Kind};
use crate::runtime::native::network::PublishedPort;
use crate::spec::{Endpoint, Naming};

/// What ucr wants of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wishes {
    /// By capability, for the plugins that have it.
    pub(super) capabilities: Map<String, Value>,
    /// `CNI_ARGS`, for plugins that do not.
    pub(super) args: String,
}

impl Wishes {
    /// Fails with [`Kind::Usage`] if nothing in the list would heed them.
    pub(super) fn new(
        list: &List,
        endpoint: &Endpoint,
        ports: &[PublishedPort],
        naming: &Naming,
    ) -> Result<Self, Fault> {
        let mut wishes = Self {
            capabilities: Map::new(),
            args: "IgnoreUnknown=1".to_owned(),
        };
        wishes.ask_for_ports(list, ports)?;
        wishes.ask_for_addresses(list, endpoint)?;
        if let Some(mac) = endpoint.mac_address {
            match list.is_capable("mac") {
                true => wishes.add("mac", json!(mac)),
                false => wishes.args.push_str(&format!(";MAC={mac}")),
            }
        }
        let dns = json!({
            "servers": naming.dns,
            "searches": naming.dns_search,
            "options": naming.dns_options,
        });
        let is_asked = !(naming.dns.is_empty()
            && naming.dns_search.is_empty()
            && naming.dns_options.is_empty());
        if is_asked && list.is_capable("dns") {
            wishes.add("dns", dns);
        }
        Ok(wishes)
    }

    fn add(&mut self, capability: &str, value: Value) {
        self.capabilities.insert(capability.to_owned(), value);
    }

    fn ask_for_ports(&mut self, list: &List, ports: &[PublishedPort]) -> Result<(), Fault> {
        if ports.is_empty() {
            return Ok(());
        }
        if !list.is_capable("portMappings") {
            let name = &list.name;
            let message = format!("--publish does not go with --network cni:{name}");
            return Err(Fault::new(Kind::Usage, message).hint(format!(
                "no plugin in {} has the capability portMappings: add portmap",
                list.file.display()
            )));
        }
        let mapping = |port: &PublishedPort| {
            let mut mapping = json!({
                "hostPort": port.host.port(),
                "containerPort": port.container,
                "protocol": port.protocol,
            });
            if !port.host.ip().is_unspecified() {
                mapping["hostIP"] = json!(port.host.ip());
            }
            mapping
        };
        let mut mappings: Vec<Value> = Vec::new();
        for mapping in ports.iter().map(mapping) {
            // Without an address it is for both versions.
            if !mappings.contains(&mapping) {
                mappings.push(mapping);
            }
        }
        self.add("portMappings", mappings.into());
        Ok(())
    }

    fn ask_for_addresses(&mut self, list: &List, endpoint: &Endpoint) -> Result<(), Fault> {
        let ip = endpoint.ip.map(|ip| ip.to_string());
        let ips: Vec<_> = ip
            .into_iter()
            .chain(endpoint.ip6.map(|ip| ip.to_string()))
            .collect();
        match (&ips[..], list.is_capable("ips")) {
            ([], _) => Ok(()),
            (_, true) => {
                self.add("ips", json!(ips));
                Ok(())
            }
            ([one], false) => {
                self.args.push_str(&format!(";IP={one}"));
                Ok(())
            }
            _ => {
                let name = &list.name;
                let message = format!("--ip with --ip6 does not go with --network cni:{name}");
                Err(Fault::new(Kind::Usage, message).hint(format!(
                    "no plugin in {} has the capability ips",
                    list.file.display()
                )))
            }
        }
    }

    /// The document for one plugin (CNI specification, section 3, deriving it from a list).
    pub(super) fn request(
        &self,
        list: &List,
        version: Version,
        plugin: &PluginConfig,
        result: Option<&Value>,
    ) -> Value {
        let mut request = plugin.config.clone();
        request.remove("capabilities");
        request.remove("cniVersions");
        request.retain(|key, _| !key.starts_with("cni.dev/"));
        request.insert("cniVersion".into(), json!(version));
        request.insert("name".into(), json!(list.name));
        let own = self.capabilities.iter();
        let own = own.filter(|(capability, _)| plugin.is_capable(capability));
        let own: Map<_, _> = own
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !own.is_empty() {
            request.insert("runtimeConfig".into(), own.into());
        }
        if let Some(result) = result {
            request.insert("prevResult".into(), result.clone());
        }
        request.into()
    }
}
