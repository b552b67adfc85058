//! What CDI devices change in one container. Everything is checked here, for the devices that were
//! asked for: paths, numbers, mount options. Later edits replace earlier ones in the same place.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::File;
use super::catalog::{Catalog, Described};
use super::document::{self, ContainerEdits, DeviceNode};
use crate::error::{Fault, Kind};
use crate::runtime::native::host::DeviceFact;
use crate::spec::mount::{Access, Bind, Propagation, Recursive, Source};
use crate::spec::{ContainerSpec, Mount, check_device_place, check_inside};

/// Linux has 12 bits for the major number of a device and 20 for the minor one.
const MAX_MAJOR: u32 = (1 << 12) - 1;
const MAX_MINOR: u32 = (1 << 20) - 1;

/// What runc and crun make a node with whose mode a file does not say.
const DEFAULT_MODE: u32 = 0o666;

/// All that the devices change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Where they come from.
    pub origins: Vec<Origin>,
    /// Variables; they win over all others, as they do elsewhere.
    pub env: Vec<String>,
    /// Device nodes.
    pub devices: Vec<DeviceEdit>,
    /// Files and directories of the host.
    pub mounts: Vec<Mount>,
    /// Groups of the container's user.
    pub groups: Vec<u32>,
    /// Programs to run, in this order.
    pub hooks: Vec<Hook>,
    /// Files that could not be used.
    pub notes: Vec<String>,
}

/// Which file describes a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The device's full name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEdit {
    /// What it is, and which mode and owner it has inside.
    pub fact: DeviceFact,
    /// Where it is inside.
    pub target: PathBuf,
    /// What the device cgroup allows; perhaps nothing.
    pub access: String,
}

/// A program of the host that changes the finished root filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// The device whose file wants it.
    pub device: String,
    /// The program; absolute.
    pub path: PathBuf,
    /// Its arguments, its own name first; empty stands for the path alone.
    pub args: Vec<String>,
    /// Variables beside a fixed `PATH`.
    pub env: Vec<String>,
    /// When it is killed; never if unset.
    pub timeout_seconds: Option<u32>,
}

impl Edits {
    /// Adds what is not a device node to a description.
    pub fn describe(&self, spec: &mut ContainerSpec) {
        spec.env.extend(self.env.iter().cloned());
        spec.mounts.extend(self.mounts.iter().cloned());
        let groups = self.groups.iter().map(u32::to_string);
        let new: Vec<String> = groups.filter(|it| !spec.groups.contains(it)).collect();
        spec.groups.extend(new);
    }
}

/// Tells of a path of the host which device is there, if one is.
pub type Look<'a> = &'a dyn Fn(&Path) -> io::Result<Option<DeviceFact>>;

/// What the devices of these names change. A file's own edits are made once, before those of its
/// first device.
pub fn resolve(names: &[&str], files: &[File], look: Look) -> Result<Edits, Fault> {
    let catalog = Catalog::new(files);
    let mut edits = Edits {
        notes: catalog
            .broken
            .iter()
            .map(|why| format!("CDI file {why}"))
            .collect(),
        ..Edits::default()
    };
    let mut used: Vec<*const Described> = Vec::new();
    for name in names {
        let found = catalog.find(name)?;
        let mut maker = Maker {
            name,
            file: found.file.path,
            look,
            edits: &mut edits,
        };
        if !used.iter().any(|file| std::ptr::eq(*file, found.file)) {
            used.push(found.file);
            maker.make("containerEdits", &found.file.document.container_edits)?;
        }
        let path = format!("devices[{}].containerEdits", found.place);
        maker.make(&path, &found.entry.container_edits)?;
        edits.origins.push(Origin {
            name: (*name).to_owned(),
            file: found.file.path.to_owned(),
        });
    }
    Ok(edits)
}

struct Maker<'a> {
    name: &'a str,
    file: &'a Path,
    look: Look<'a>,
    edits: &'a mut Edits,
}

/// What is wrong in a value.
type Made<T> = Result<T, Wrong>;

struct Wrong {
    key: String,
    kind: Kind,
    why: String,
}

fn wrong<T>(key: impl Into<String>, why: impl Into<String>) -> Made<T> {
    let (key, why) = (key.into(), why.into());
    let kind = Kind::Spec;
    Err(Wrong { key, kind, why })
}

fn unsupported<T>(key: impl Into<String>, what: &str) -> Made<T> {
    let (key, why) = (key.into(), format!("{what} not supported"));
    let kind = Kind::Unsupported;
    Err(Wrong { key, kind, why })
}

impl Maker<'_> {
    fn make(&mut self, path: &str, edits: &ContainerEdits) -> Result<(), Fault> {
        let (name, file) = (self.name, self.file.display());
        self.try_make(edits).map_err(|Wrong { key, kind, why }| {
            let fault = Fault::new(
                kind,
                format!("device '{name}': {file}: {path}.{key}: {why}"),
            );
            match kind {
                Kind::Unsupported => fault.hint(
                    "a copy of the file without it, in a directory for --cdi-spec-dir, can be used",
                ),
                _ => fault,
            }
        })
    }

    fn try_make(&mut self, edits: &ContainerEdits) -> Made<()> {
        if edits.intel_rdt.is_some() {
            return unsupported("intelRdt", "it is");
        }
        if !edits.net_devices.is_empty() {
            return unsupported("netDevices[0]", "moving network devices is");
        }
        check_variables(&edits.env)?;
        self.edits.env.extend(edits.env.iter().cloned());
        for (place, node) in edits.device_nodes.iter().enumerate() {
            let made = self
                .device(node)
                .map_err(|wrong| wrong.below("deviceNodes", place))?;
            self.edits.devices.retain(|it| it.target != made.target);
            self.edits.devices.push(made);
        }
        for (place, mount) in edits.mounts.iter().enumerate() {
            let made = bind(mount).map_err(|wrong| wrong.below("mounts", place))?;
            self.edits.mounts.retain(|it| it.target != made.target);
            self.edits.mounts.push(made);
        }
        for (place, hook) in edits.hooks.iter().enumerate() {
            let made = self
                .hook(hook)
                .map_err(|wrong| wrong.below("hooks", place))?;
            self.edits.hooks.push(made);
        }
        // The specification: "Values of 0 are ignored."
        let groups = edits.additional_gids.iter().filter(|&&gid| gid != 0);
        self.edits.groups.extend(groups);
        Ok(())
    }

    /// The reference implementation looks at the host only for what the file does not say.
    fn device(&self, node: &DeviceNode) -> Made<DeviceEdit> {
        let target = inside("path", &node.path, check_device_place)?;
        let source = match &node.host_path {
            Some(path) => host("hostPath", path)?,
            None => target.clone(),
        };
        let is_block = match node.kind.as_deref() {
            None | Some("") => None,
            Some("b") => Some(true),
            Some("c" | "u") => Some(false),
            Some("p") => return unsupported("type", "a named pipe is"),
            Some(other) => return wrong("type", format!("'{other}' is none of b, c, u and p")),
        };
        // Major 0 is no device's: it stands for "not said".
        let major = node.major.filter(|&major| major != 0);
        let (is_block, major, minor) = match (is_block, major) {
            (Some(is_block), Some(major)) => (is_block, major, node.minor.unwrap_or(0)),
            _ => {
                let found = self.look(&source)?;
                if is_block.is_some_and(|asked| asked != found.is_block) {
                    let message = format!("{} is of another type", source.display());
                    return wrong("type", message);
                }
                match major {
                    Some(major) => (found.is_block, major, node.minor.unwrap_or(0)),
                    None => (found.is_block, found.major, found.minor),
                }
            }
        };
        in_range("major", major, MAX_MAJOR)?;
        in_range("minor", minor, MAX_MINOR)?;
        let mode = node.file_mode.unwrap_or(DEFAULT_MODE);
        in_range("fileMode", mode, 0o777)?;
        Ok(DeviceEdit {
            fact: DeviceFact {
                path: source,
                is_block,
                major,
                minor,
                mode,
                uid: node.uid.unwrap_or(0),
                gid: node.gid.unwrap_or(0),
            },
            target,
            access: access(node.permissions.as_deref().unwrap_or_default())?,
        })
    }

    /// Those of other names run outside the container, or are programs of the image's.
    fn hook(&self, hook: &document::Hook) -> Made<Hook> {
        match hook.hook_name.as_str() {
            "createContainer" => (),
            name => return unsupported("hookName", &format!("'{name}' is")),
        }
        let path = host("path", &hook.path)?;
        check_variables(&hook.env)?;
        if let Some(place) = hook.args.iter().position(|arg| arg.contains('\0')) {
            return wrong(format!("args[{place}]"), "it has a NUL in it");
        }
        if hook.timeout == Some(0) {
            return wrong("timeout", "0 seconds are not enough");
        }
        Ok(Hook {
            device: self.name.to_owned(),
            path,
            args: hook.args.clone(),
            env: hook.env.clone(),
            timeout_seconds: hook.timeout,
        })
    }

    fn look(&self, source: &Path) -> Made<DeviceFact> {
        match (self.look)(source) {
            Ok(Some(fact)) => Ok(fact),
            Ok(None) => wrong("path", format!("{} is not a device", source.display())),
            Err(error) => wrong("path", format!("{}: {error}", source.display())),
        }
    }
}

impl Wrong {
    fn below(mut self, list: &str, place: usize) -> Self {
        self.key = format!("{list}[{place}].{}", self.key);
        self
    }
}

fn check_variables(list: &[String]) -> Made<()> {
    let is_one = |it: &String| it.find('=').unwrap_or(0) > 0 && !it.contains('\0');
    match list.iter().position(|variable| !is_one(variable)) {
        Some(place) => wrong(format!("env[{place}]"), "it is not NAME=VALUE"),
        None => Ok(()),
    }
}

fn in_range(key: &str, number: u32, max: u32) -> Made<()> {
    match number <= max {
        true => Ok(()),
        false => wrong(key, format!("{number} is more than {max}")),
    }
}

/// Empty is everything, as in the specification's programs, and their `none` is nothing.
fn access(permissions: &str) -> Made<String> {
    match permissions {
        "" => Ok("rwm".to_owned()),
        "none" => Ok(String::new()),
        some if some.bytes().all(|letter| b"rwm".contains(&letter)) => Ok(some.to_owned()),
        other => wrong(
            "permissions",
            format!("'{other}' is not made of 'r', 'w' and 'm'"),
        ),
    }
}

type CheckPath = fn(&Path) -> Result<(), &'static str>;

/// A path in the container, without what `starts_with` and messages do not expect.
fn inside(key: &str, path: &str, check: CheckPath) -> Made<PathBuf> {
    match check(Path::new(path)) {
        Ok(()) => Ok(Path::new(path).components().collect()),
        Err(why) => wrong(key, format!("'{path}' {why}")),
    }
}

fn host(key: &str, path: &str) -> Made<PathBuf> {
    match path.starts_with('/') && !path.contains('\0') {
        true => Ok(path.into()),
        false => wrong(key, format!("'{path}' is not absolute")),
    }
}

fn bind(mount: &document::Mount) -> Made<Mount> {
    let path = host("hostPath", &mount.host_path)?;
    let target = inside("containerPath", &mount.container_path, check_inside)?;
    if let Some(kind) = &mount.kind
        && !["", "none", "bind"].contains(&kind.as_str())
    {
        return unsupported("type", &format!("'{kind}' is"));
    }
    let (mut bind, mut access) = (Bind::default(), Access::default());
    bind.path = path;
    for (place, option) in mount.options.iter().enumerate() {
        if !apply(option, &mut bind, &mut access) {
            return unsupported(format!("options[{place}]"), &format!("'{option}' is"));
        }
    }
    Ok(Mount {
        target,
        access,
        source: Source::Bind(bind),
    })
}

/// The options of a bind mount in the OCI runtime specification, as far as ucr's mounts have them.
fn apply(option: &str, bind: &mut Bind, access: &mut Access) -> bool {
    match option {
        "bind" => bind.recursive = Some(Recursive::Disabled),
        "rbind" => bind.recursive = None,
        "ro" | "rro" => access.read_only = Some(true),
        "rw" => access.read_only = Some(false),
        "nosuid" => access.no_suid = Some(true),
        "suid" => access.no_suid = Some(false),
        "nodev" => access.no_dev = Some(true),
        "dev" => access.no_dev = Some(false),
        "noexec" => access.no_exec = Some(true),
        "exec" => access.no_exec = Some(false),
        "private" | "rprivate" => bind.propagation = Some(Propagation::Rprivate),
        "slave" | "rslave" => bind.propagation = Some(Propagation::Rslave),
        "shared" | "rshared" => bind.propagation = Some(Propagation::Rshared),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(path: &Path) -> DeviceFact {
        DeviceFact {
            path: path.to_owned(),
            is_block: path.starts_with("/dev/disk"),
            major: 10,
            minor: 229,
            mode: 0o600,
            uid: 7,
            gid: 8,
        }
    }

    fn look(path: &Path) -> io::Result<Option<DeviceFact>> {
        match path.to_str() {
            Some("/dev/none") => Err(io::ErrorKind::NotFound.into()),
            Some("/dev/file") => Ok(None),
            _ => Ok(Some(fact(path))),
        }
    }

    fn file(devices: &str, edits: &str) -> File {
        let text = format!(
            r#"{{"cdiVersion":"1.1.0","kind":"v.com/c","devices":[{devices}],"containerEdits":{edits}}}"#
        );
        File {
            rank: 0,
            path: "/v.json".into(),
            content: Ok(text.into_bytes()),
        }
    }

    fn made(edits: &str) -> Result<Edits, Fault> {
        let device = format!(r#"{{"name":"x","containerEdits":{edits}}}"#);
        resolve(&["v.com/c=x"], &[file(&device, "{}")], &look)
    }

    fn node(node: &str) -> Result<DeviceEdit, Fault> {
        let edits = made(&format!(r#"{{"deviceNodes":[{node}]}}"#))?;
        Ok(edits.devices.into_iter().next().unwrap())
    }

    #[test]
    fn what_a_file_does_not_say_the_host_does() {
        let rows = [
            (r#"{"path":"/dev/x"}"#, "/dev/x c 10:229 666 0:0 rwm /dev/x"),
            (
                r#"{"path":"/dev//x/","hostPath":"/dev/y"}"#,
                "/dev/x c 10:229 666 0:0 rwm /dev/y",
            ),
            (
                r#"{"path":"/dev/disk","type":"b"}"#,
                "/dev/disk b 10:229 666 0:0 rwm /dev/disk",
            ),
            (
                r#"{"path":"/x","type":"u","major":195,"minor":255,"fileMode":432,"uid":1,"gid":2,"permissions":"rw"}"#,
                "/x c 195:255 660 1:2 rw /x",
            ),
            // Not looked at: it may not be there yet.
            (
                r#"{"path":"/dev/none","type":"c","major":1}"#,
                "/dev/none c 1:0 666 0:0 rwm /dev/none",
            ),
            (
                r#"{"path":"/dev/x","major":1,"minor":3}"#,
                "/dev/x c 1:3 666 0:0 rwm /dev/x",
            ),
            (
                r#"{"path":"/dev/x","permissions":"none"}"#,
                "/dev/x c 10:229 666 0:0  /dev/x",
            ),
        ];
        for (text, expected) in rows {
            let DeviceEdit {
                fact,
                target,
                access,
            } = node(text).unwrap();
            let kind = if fact.is_block { 'b' } else { 'c' };
            let found = format!(
                "{} {kind} {}:{} {:o} {}:{} {access} {}",
                target.display(),
                fact.major,
                fact.minor,
                fact.mode,
                fact.uid,
                fact.gid,
                fact.path.display()
            );
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn nodes_that_cannot_be_are_named() {
        let nodes = [
            (r#"{"path":""}"#, "deviceNodes[0].path: '' is not absolute"),
            (r#"{"path":"dev/x"}"#, "path: 'dev/x' is not absolute"),
            (
                r#"{"path":"/dev/../etc/x"}"#,
                "path: '/dev/../etc/x' has '..' in it",
            ),
            (r#"{"path":"/"}"#, "path: '/' is the root"),
            (r#"{"path":"/dev"}"#, "path: '/dev' is"),
            (r#"{"path":"/dev/pts/0"}"#, "path: '/dev/pts/0' is"),
            (r#"{"path":"/dev/fd/7"}"#, "path: '/dev/fd/7' is"),
            (r#"{"path":"/proc/x"}"#, "path: '/proc/x' is"),
            (r#"{"path":"/dev/a\u0000b"}"#, "path: '/dev/a\0b' has a NUL"),
            (
                r#"{"path":"/dev/x","hostPath":"y"}"#,
                "hostPath: 'y' is not absolute",
            ),
            (
                r#"{"path":"/dev/none"}"#,
                "path: /dev/none: entity not found",
            ),
            (r#"{"path":"/dev/file"}"#, "path: /dev/file is not a device"),
            (
                r#"{"path":"/dev/x","type":"b"}"#,
                "type: /dev/x is of another type",
            ),
            (
                r#"{"path":"/dev/x","type":"p"}"#,
                "type: a named pipe is not supported",
            ),
            (
                r#"{"path":"/dev/x","type":"block"}"#,
                "type: 'block' is none of",
            ),
            (
                r#"{"path":"/dev/x","type":"c","major":4096}"#,
                "major: 4096 is more than 4095",
            ),
            (
                r#"{"path":"/dev/x","type":"c","major":1,"minor":1048576}"#,
                "minor: 1048576",
            ),
            (
                r#"{"path":"/dev/x","fileMode":2541}"#,
                "fileMode: 2541 is more than 511",
            ),
            (
                r#"{"path":"/dev/x","permissions":"rx"}"#,
                "permissions: 'rx' is not",
            ),
        ];
        for (text, words) in nodes {
            let fault = node(text).unwrap_err().to_string();
            assert!(fault.contains(words), "{text}: {fault}");
            assert!(
                fault.starts_with("device 'v.com/c=x': /v.json: devices[0]."),
                "{fault}"
            );
        }
    }

    #[test]
    fn other_edits_that_cannot_be_are_named() {
        let hook = |rest: &str| format!(r#"{{"hooks":[{{{rest}}}]}}"#);
        let mount = |rest: &str| format!(r#"{{"mounts":[{{"hostPath":"/a",{rest}}}]}}"#);
        let rows = [
            (
                mount(r#""containerPath":"x""#),
                "mounts[0].containerPath: 'x' is not absolute",
            ),
            (
                mount(r#""containerPath":"/x/../y""#),
                "containerPath: '/x/../y' has '..'",
            ),
            (mount(r#""containerPath":"/""#), "containerPath: '/' is"),
            (
                mount(r#""containerPath":"/x","type":"tmpfs""#),
                "type: 'tmpfs' is not supported",
            ),
            (
                mount(r#""containerPath":"/x","options":["ro","uid=0"]"#),
                "mounts[0].options[1]: 'uid=0' is not supported",
            ),
            (
                r#"{"mounts":[{"hostPath":"a","containerPath":"/x"}]}"#.into(),
                "mounts[0].hostPath: 'a'",
            ),
            (
                r#"{"env":["A=1","=2"]}"#.into(),
                "env[1]: it is not NAME=VALUE",
            ),
            (r#"{"env":["A"]}"#.into(), "env[0]:"),
            (r#"{"env":["A=\u0000"]}"#.into(), "env[0]:"),
            (
                hook(r#""hookName":"startContainer","path":"/x""#),
                "hooks[0].hookName: 'startContainer' is not supported",
            ),
            (
                hook(r#""hookName":"createContainer","path":"x""#),
                "hooks[0].path: 'x' is not absolute",
            ),
            (
                hook(r#""hookName":"createContainer","path":"/x","env":["A"]"#),
                "hooks[0].env[0]: it is not",
            ),
            (
                hook(r#""hookName":"createContainer","path":"/x","args":["a","\u0000"]"#),
                "hooks[0].args[1]: it has a NUL",
            ),
            (
                hook(r#""hookName":"createContainer","path":"/x","timeout":0"#),
                "hooks[0].timeout: 0 seconds",
            ),
            (
                r#"{"intelRdt":{"closID":"x"}}"#.into(),
                "intelRdt: it is not supported",
            ),
            (
                r#"{"netDevices":[{"hostInterfaceName":"a","name":"b"}]}"#.into(),
                "netDevices[0]",
            ),
        ];
        for (text, words) in rows {
            let fault = made(&text).unwrap_err().to_string();
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }

    #[test]
    fn a_files_own_edits_are_made_once_and_later_ones_replace() {
        let device = |name: &str, own: &str| {
            format!(
                r#"{{"name":"{name}","containerEdits":{{"env":["D={name}"],
                "deviceNodes":[{{"path":"/dev/x","hostPath":"{own}"}}],"additionalGids":[0,44],
                "mounts":[{{"hostPath":"{own}","containerPath":"/m/","options":["ro","nosuid","rbind","rprivate"]}}]}}}}"#
            )
        };
        let devices = [device("a", "/dev/a"), device("b", "/dev/b")].join(",");
        let files = [file(&devices, r#"{"env":["F=1"],"additionalGids":[39]}"#)];
        let found = resolve(&["v.com/c=b", "v.com/c=a"], &files, &look).unwrap();
        assert_eq!(found.env, ["F=1", "D=b", "D=a"]);
        assert_eq!(found.groups, [39, 44, 44]);
        assert_eq!(found.devices.len(), 1);
        assert_eq!(found.devices[0].fact.path, Path::new("/dev/a"));
        assert_eq!(found.mounts.len(), 1);
        assert_eq!(found.mounts[0].to_string(), "/dev/a on /m");
        assert_eq!(found.mounts[0].access.read_only, Some(true));
        assert_eq!(found.mounts[0].access.no_suid, Some(true));
        assert_eq!(found.origins.len(), 2);
        let mut spec = ContainerSpec {
            groups: vec!["39".into()],
            ..ContainerSpec::default()
        };
        found.describe(&mut spec);
        assert_eq!(spec.groups, ["39", "44", "44"]);
    }

    #[test]
    fn what_is_broken_elsewhere_is_a_note() {
        let mut files = vec![file(r#"{"name":"x"}"#, "{}"), file(r#"{"name":"y"}"#, "{}")];
        files[1].content = Err("no".into());
        let found = resolve(&["v.com/c=x"], &files, &look).unwrap();
        assert_eq!(found.notes, ["CDI file /v.json: no"]);
        assert!(resolve(&["v.com/c=y"], &files, &look).is_err());
    }
}
