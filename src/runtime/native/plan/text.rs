//! A plan in words, one step a line, in the order in which they are taken.

use std::fmt;

use super::{Filtering, Plan, Users};
use crate::error::escape;
use crate::spec::{SecretSource, SecretTarget};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (verb, object) in self.steps() {
            writeln!(f, "{verb:<12} {}", escape(&object))?;
        }
        Ok(())
    }
}

type Step = (&'static str, String);

impl Plan {
    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![("namespaces", self.namespaces.names().join(" "))];
        steps.extend(self.network());
        let joins = [("pid", &self.joins.pid), ("ipc", &self.joins.ipc)];
        let joins = joins
            .into_iter()
            .filter_map(|(name, id)| Some((name, id.as_ref()?)));
        steps.extend(joins.map(|(name, id)| ("join", format!("{name} of container {id}"))));
        steps.extend(self.limits());
        steps.extend(self.identity());
        steps.push((
            "root",
            format!(
                "{} nodev{}",
                match &self.rootfs {
                    Some(directory) => format!("directory {}", directory.display()),
                    None => "overlay".to_owned(),
                },
                if self.read_only { ",ro" } else { "" }
            ),
        ));
        steps.extend(self.cdi.iter().map(|origin| {
            let (name, file) = (&origin.name, origin.file.display());
            ("cdi", format!("{name} from {file}"))
        }));
        steps.extend(self.filesystems());
        steps.extend(self.shown());
        steps.extend(self.hooks.iter().map(|hook| {
            let args = hook.args.iter().skip(1).map(|arg| format!(" {arg}"));
            let path = hook.path.display();
            ("hook", format!("{path}{}", args.collect::<String>()))
        }));
        steps.extend(self.masked_paths.iter().map(|path| ("mask", path.clone())));
        let read_only = self.read_only_paths.iter();
        steps.extend(read_only.map(|path| ("read-only", path.clone())));
        let sysctls = self.sysctls.iter();
        steps.extend(sysctls.map(|(path, value)| ("sysctl", format!("{path} = {value}"))));
        steps.extend(self.confined());
        steps.push(("directory", self.process.working_dir.clone()));
        steps.extend(
            self.process
                .env
                .iter()
                .map(|variable| ("env", variable.clone())),
        );
        steps.push(("exec", self.command()));
        steps.extend(self.health.iter().map(|check| {
            let (argv, interval) = (check.argv.join(" "), check.interval);
            ("health", format!("every {interval}: {argv}"))
        }));
        steps.extend(self.notes.iter().map(|note| ("note", note.clone())));
        steps
    }

    fn network(&self) -> Vec<Step> {
        let bridged = self.bridged.iter();
        let bridged = bridged.map(|it| (it.network.to_string(), &it.endpoint));
        let plugged = self.plugged.iter();
        let plugged = plugged.map(|it| (format!("cni:{}", it.list), &it.endpoint));
        let way_out = self.bridged.as_ref().and_then(|it| it.way_out.as_ref());
        let by = way_out.map(|it| format!(" by {}", it.carrier.program().display()));
        let by = by.unwrap_or_default();
        let steps = bridged.chain(plugged).flat_map(|(network, endpoint)| {
            let addresses = [
                endpoint.ip.map(|ip| ip.to_string()),
                endpoint.ip6.map(|ip| ip.to_string()),
                endpoint.mac_address.map(|mac| mac.to_string()),
            ];
            let addresses = addresses.into_iter().flatten();
            let addresses: String = addresses.map(|text| format!(" {text}")).collect();
            let ports = endpoint.publish.iter();
            let ports = ports.map(|port| ("publish", port.to_string()));
            std::iter::once(("network", format!("{network}{addresses}{by}"))).chain(ports)
        });
        steps.collect()
    }

    fn limits(&self) -> Vec<Step> {
        let groups = self.cgroups.groups.iter().flat_map(|group| {
            let settings = group.settings.iter();
            let set = settings.map(|setting| format!("{} = {}", setting.file, setting.value));
            let path = group.path();
            set.map(move |set| ("cgroup", format!("{}: {set}", path.display())))
        });
        let ulimits = self.ulimits.iter().map(|limit| {
            let value = |value: u64| match value {
                u64::MAX => "unlimited".to_owned(),
                value => value.to_string(),
            };
            let (soft, hard) = (value(limit.soft), value(limit.hard));
            ("ulimit", format!("{} {soft}:{hard}", limit.name))
        });
        let oom = self
            .oom_score_adj
            .map(|score| ("oom-score", score.to_string()));
        groups.chain(ulimits).chain(oom).collect()
    }

    fn identity(&self) -> Vec<Step> {
        let users = match &self.users {
            None => None,
            Some(Users::Auto) => Some("a free range of 65536".to_owned()),
            Some(Users::Map(ids)) => Some(
                ids.iter()
                    .map(|ids| format!("{}:{}:{}", ids.inside, ids.outside, ids.count))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        };
        let users = users.map(|map| ("users", map));
        let hostname = self.hostname.clone().map(|name| ("hostname", name));
        users.into_iter().chain(hostname).collect()
    }

    fn filesystems(&self) -> Vec<Step> {
        let flags = |flags: &[(bool, &str)]| {
            let set = flags.iter().filter(|(set, _)| *set);
            set.map(|(_, name)| format!(",{name}")).collect::<String>()
        };
        let mounts = self.filesystems.iter().map(|mount| {
            let flags = flags(&[
                (mount.no_exec, "noexec"),
                (mount.no_dev, "nodev"),
                (mount.read_only, "ro"),
            ]);
            let options: String = mount
                .options
                .iter()
                .map(|text| format!(",{text}"))
                .collect();
            let target = mount.target.display();
            (
                "mount",
                format!("{target} {} nosuid{flags}{options}", mount.kind),
            )
        });
        let devices = self.devices.iter().map(|node| {
            let kind = if node.is_block { 'b' } else { 'c' };
            let (target, major, minor) = (node.target.display(), node.major, node.minor);
            let owner = format!("{}:{}", node.uid, node.gid);
            let device = format!("{target} {kind} {major}:{minor} {:04o} {owner}", node.mode);
            ("device", format!("{device} {}", node.access))
        });
        mounts.chain(devices).collect()
    }

    fn shown(&self) -> Vec<Step> {
        let files = self.files.iter().map(|file| {
            let size = file.content.len();
            ("file", format!("{} ({size} bytes)", file.target.display()))
        });
        let mounts = self
            .mounts
            .iter()
            .map(|mount| ("volume", mount.to_string()));
        let secrets = self.secrets.iter().map(|secret| {
            let source = match &secret.source {
                SecretSource::File(path) => format!("file {}", path.display()),
                SecretSource::Environment(name) => format!("variable {name}"),
                SecretSource::Given(name) => format!("given value {name}"),
            };
            let target = match &secret.target {
                SecretTarget::Environment(name) => format!("variable {name}"),
                SecretTarget::File(path) => format!("file {}", path.display()),
            };
            ("secret", format!("{target} from {source}"))
        });
        files.chain(mounts).chain(secrets).collect()
    }

    fn confined(&self) -> Vec<Step> {
        let names = |list: &[caps::Capability]| {
            let names = list.iter().map(|name| {
                let name = name.to_string();
                name.trim_start_matches("CAP_").to_owned()
            });
            match names.collect::<Vec<_>>().join(" ") {
                none if none.is_empty() => "none".to_owned(),
                names => names,
            }
        };
        let confinement = &self.confinement;
        let mut steps = vec![("capabilities", names(&confinement.capabilities))];
        if !confinement.ambient.is_empty() {
            steps.push(("ambient", names(&confinement.ambient)));
        }
        if confinement.no_new_privileges {
            steps.push(("no-new-privs", "set-user-ID bits have no effect".to_owned()));
        }
        if let Some(profile) = &confinement.apparmor {
            steps.push(("apparmor", profile.clone()));
        }
        let user = self.process.user.as_deref().unwrap_or("0");
        let groups: String = self
            .groups
            .iter()
            .map(|group| format!(" +{group}"))
            .collect();
        steps.push(("user", format!("{user}{groups}")));
        let filter = match confinement.seccomp {
            Filtering::BuiltIn => "built-in",
            Filtering::Unconfined => "none",
            Filtering::Profile => "from the profile",
        };
        let length = self.filter.as_ref().map(|filter| filter.instructions());
        let length = length.map(|length| format!(", {length} instructions"));
        steps.push(("seccomp", format!("{filter}{}", length.unwrap_or_default())));
        steps
    }

    fn command(&self) -> String {
        let words = self.process.argv.iter().map(|word| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
            match !word.is_empty() && word.chars().all(is_plain) {
                true => word.clone(),
                false => format!("'{}'", word.replace('\'', "'\\''")),
            }
        });
        let init = self.init.then(|| "[init]".to_owned());
        init.into_iter().chain(words).collect::<Vec<_>>().join(" ")
    }
}
