//! Which cgroup filesystems there are and where in them ucr is: `/proc/self/cgroup` and mountinfo,
//! read once, and a few files of version 2 where it has controllers to offer.
//!
//! A mount counts if it is writable, not hidden below another one, and shows the cgroup we are in.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::Controller;
use super::place::LEAF;
use crate::sys;
use crate::sys::cgroup::Directory;
use crate::sys::proc::{Proc, unescape};

/// What a plan needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Version 1, one entry for each tree that has a controller of ours.
    pub v1: Vec<Hierarchy>,
    /// Version 2, where it has what version 1 lacks.
    pub v2: Option<Unified>,
    /// Processors that we may use.
    pub processors: u32,
    /// Whether we are root of the machine.
    pub is_root: bool,
    /// Trees of version 1 where we may make nothing, because the cgroup that we are in is root's.
    pub refused_v1: Vec<Hierarchy>,
    /// The cgroup of version 2 that we are in, if it is root's.
    pub refused_v2: Option<PathBuf>,
}

/// One tree of version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hierarchy {
    /// What it controls.
    pub controllers: Vec<Controller>,
    /// Where it is mounted.
    pub top: PathBuf,
    /// The cgroup that we are in.
    pub directory: PathBuf,
    /// `major:minor`: whose directory it has to be when it is opened.
    pub device: String,
}

/// The tree of version 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unified {
    /// Where it is mounted.
    pub top: PathBuf,
    /// The cgroup that we are in.
    pub directory: PathBuf,
    /// `major:minor`.
    pub device: String,
    /// What can be enabled below the cgroup that we are in.
    pub controllers: Vec<Controller>,
    /// What can be enabled below the top.
    pub top_controllers: Vec<Controller>,
    /// The top is the root of all cgroups, which alone may have processes and limits below it.
    pub top_is_root: bool,
    /// Nobody else is in the cgroup that we are in.
    pub alone: bool,
    /// We are in a leaf that ucr made; `directory` is the cgroup around it.
    pub in_leaf: bool,
}

impl Host {
    /// Looks. A machine without any cgroups is a machine with none, not an error.
    pub fn detect(proc: &Proc) -> Result<Self> {
        // Absent in a kernel without cgroups.
        let own = proc.read("self/cgroup").unwrap_or_default();
        let mounts = proc.read("self/mountinfo").context("read mountinfo")?;
        let mut host = Self::parse(&own, &mounts);
        host.processors = sys::cgroup::processors().unwrap_or(u32::MAX);
        let are_mapped = sys::users::are_mapped();
        host.is_root = sys::is_root() && !are_mapped;
        if are_mapped {
            host.leave_out_foreign();
        }
        let known = |controller: &Controller| host.v1_of(*controller).is_some();
        let wanted = !Controller::ALL.iter().all(known);
        // Programs decide over devices wherever there is a cgroup.
        let anywhere = !known(&Controller::Devices);
        let v2 = host.v2.filter(|_| wanted).and_then(Unified::look);
        host.v2 = v2.filter(|v2| anywhere || v2.has_controllers());
        Ok(host)
    }

    /// Forgets cgroups that are not the user's.
    fn leave_out_foreign(&mut self) {
        use rustix::fs::{Access, access};
        let may_write = |directory: &Path| access(directory, Access::WRITE_OK).is_ok();
        let v1 = std::mem::take(&mut self.v1).into_iter();
        (self.v1, self.refused_v1) = v1.partition(|tree| may_write(&tree.directory));
        let foreign = self.v2.take_if(|v2| !may_write(&v2.directory));
        self.refused_v2 = foreign.map(|v2| v2.directory);
    }

    /// Why nothing of a controller can be limited, of those that no tree here has.
    pub fn why_none(&self, controller: Controller) -> String {
        let mut v1 = self.refused_v1.iter();
        if let Some(tree) = v1.find(|tree| tree.controllers.contains(&controller)) {
            let own = tree.directory.display();
            return format!(
                "the cgroup {own} is root's, and version 1 has none for users: run ucr as root, or \
                 boot with systemd.unified_cgroup_hierarchy=1"
            );
        }
        match &self.refused_v2 {
            None => "this machine shows no such cgroup controller".to_owned(),
            Some(own) => format!(
                "the cgroup {} is root's: run ucr in one of yours, by systemd-run --user --scope \
                 --property Delegate=yes ucr …",
                own.display()
            ),
        }
    }

    /// What the two files alone tell. Pure.
    pub fn parse(own: &str, mountinfo: &str) -> Self {
        let mounts = visible(mountinfo);
        let mut host = Self::default();
        // HIERARCHY:CONTROLLERS:PATH; a path may contain colons.
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(names), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            let names: Vec<&str> = names.split(',').collect();
            let found = mounts
                .iter()
                .find_map(|mount| mount.directory(&names, path));
            let Some((mount, directory)) = found else {
                continue;
            };
            let device = mount.device.to_owned();
            if mount.is_v2 {
                host.v2 = Some(Unified {
                    top: mount.point.clone(),
                    directory,
                    device,
                    ..Unified::default()
                });
                continue;
            }
            let mut controllers = Controller::ALL.to_vec();
            controllers.retain(|controller| names.contains(&controller.v1_name()));
            if !controllers.is_empty() {
                host.v1.push(Hierarchy {
                    controllers,
                    top: mount.point.clone(),
                    directory,
                    device,
                });
            }
        }
        host
    }

    /// The tree of version 1 that has a controller.
    pub fn v1_of(&self, controller: Controller) -> Option<&Hierarchy> {
        self.v1
            .iter()
            .find(|hierarchy| hierarchy.controllers.contains(&controller))
    }
}

impl Unified {
    /// What only the files in it tell; `None` if it cannot be read.
    fn look(mut self) -> Option<Self> {
        let top = Directory::open(&self.top).ok()?;
        let (outer, name) = (self.directory.parent(), self.directory.file_name());
        if let (Some(outer), Some(name)) = (outer, name)
            && name == LEAF
        {
            self.in_leaf = true;
            self.directory = outer.to_owned();
        }
        let own = Directory::open(&self.directory).ok()?;
        self.controllers = controllers(&own);
        self.top_controllers = controllers(&top);
        // Every cgroup but the root of all has a type, whatever a namespace shows as its root.
        self.top_is_root = !top.has("cgroup.type");
        let ourselves = std::process::id().to_string();
        // Processes of other pid namespaces are listed as 0.
        let inside = own.read("cgroup.procs").unwrap_or_default();
        self.alone = inside.lines().all(|pid| pid == ourselves);
        Some(self)
    }

    fn has_controllers(&self) -> bool {
        !(self.controllers.is_empty() && self.top_controllers.is_empty())
    }
}

fn controllers(directory: &Directory) -> Vec<Controller> {
    let text = directory.read("cgroup.controllers").unwrap_or_default();
    let names: Vec<&str> = text.split_whitespace().collect();
    let mut found = Controller::ALL.to_vec();
    found.retain(|controller| {
        controller
            .v2_name()
            .is_some_and(|name| names.contains(&name))
    });
    found
}

/// A cgroup mount.
pub(super) struct Mount<'a> {
    is_v2: bool,
    device: &'a str,
    /// The cgroup that is shown at the mount point.
    root: PathBuf,
    point: PathBuf,
    options: Vec<&'a str>,
}

impl Mount<'_> {
    /// Where the cgroup with a path is seen, if this is the mount of these controllers.
    pub(super) fn directory(&self, names: &[&str], path: &str) -> Option<(&Self, PathBuf)> {
        let is_v2 = names == [""];
        if is_v2 != self.is_v2 || !(is_v2 || names.iter().all(|n| self.options.contains(n))) {
            return None;
        }
        // "/../x" is outside of our cgroup namespace.
        let path = Path::new(path);
        if path.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let below = path.strip_prefix(&self.root).ok()?;
        // Joining nothing would append a slash.
        match below.as_os_str().is_empty() {
            true => Some((self, self.point.clone())),
            false => Some((self, self.point.join(below))),
        }
    }
}

/// The cgroup mounts that can be written to and are not hidden, the one mounted last first.
pub(super) fn visible(mountinfo: &str) -> Vec<Mount<'_>> {
    let lines: Vec<Line> = mountinfo.lines().filter_map(Line::parse).collect();
    let parents: HashMap<&str, &str> = lines.iter().map(|line| (line.id, line.parent)).collect();
    let is_hidden = |line: &Line| {
        let mut over = lines
            .iter()
            .filter(|other| is_below(line.point, other.point));
        over.any(|other| !is_or_is_above(other.id, line.id, &parents))
    };
    let cgroups = lines.iter().rev().filter(|line| line.is_writable_cgroup());
    cgroups
        .filter(|line| !is_hidden(line))
        .map(|line| Mount {
            is_v2: line.kind == "cgroup2",
            device: line.device,
            root: unescape(line.root),
            point: unescape(line.point),
            options: line.options.split(',').collect(),
        })
        .collect()
}

/// One line of mountinfo (proc_pid_mountinfo(5)), as it is written there.
struct Line<'a> {
    id: &'a str,
    parent: &'a str,
    device: &'a str,
    root: &'a str,
    point: &'a str,
    flags: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(' ');
        let [id, parent, device, root, point, flags] =
            std::array::from_fn(|_| fields.next().unwrap_or_default());
        // Any number of tags, then a dash.
        fields.find(|field| *field == "-")?;
        let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self {
            id,
            parent,
            device,
            root,
            point,
            flags,
            kind,
            options,
        })
    }

    fn is_writable_cgroup(&self) -> bool {
        let is_cgroup = matches!(self.kind, "cgroup" | "cgroup2");
        is_cgroup && self.flags.split(',').any(|flag| flag == "rw")
    }
}

/// Whether a path is another one or below it; both as mountinfo writes them.
fn is_below(path: &str, upper: &str) -> bool {
    let rest = path.strip_prefix(upper.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a mount is another one, or that one is mounted somewhere in it.
fn is_or_is_above<'a>(
    upper: &str,
    mut lower: &'a str,
    parents: &HashMap<&'a str, &'a str>,
) -> bool {
    // A mount whose parent is not listed is the end; so is the root, its own parent in some kernels.
    for _ in 0..=parents.len() {
        if upper == lower {
            return true;
        }
        match parents.get(lower) {
            Some(parent) => lower = parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_OWN: &str =
        "9:name=systemd:/\n8:pids:/\n4:memory:/api/x:y\n2:cpu,cpuacct:/\n0::/u\n";
    const HYBRID: &str = "\
23 1 0:2 / / rw - ext4 /dev/x rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpuacct,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn directories(host: &Host) -> Vec<(&str, &str)> {
        host.v1
            .iter()
            .map(|h| (h.controllers[0].v1_name(), h.directory.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn both_versions_side_by_side() {
        let host = Host::parse(HYBRID_OWN, HYBRID);
        let expected = [
            ("pids", "/sys/fs/cgroup/pids"),
            ("memory", "/sys/fs/cgroup/memory/api/x:y"),
            ("cpu", "/sys/fs/cgroup/cpu,cpuacct"),
        ];
        assert_eq!(directories(&host), expected);
        assert_eq!(host.v1_of(Controller::Memory).unwrap().device, "0:32");
        assert_eq!(host.v1_of(Controller::Blkio), None);
        let v2 = host.v2.unwrap();
        assert_eq!(v2.top, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(v2.directory, Path::new("/sys/fs/cgroup/unified/u"));
    }

    /// As in the benchmarks: the version 2 tree alone, over what the host had there.
    #[test]
    fn a_mount_below_another_one_is_hidden() {
        let over = "60 31 0:38 / /sys/fs/cgroup rw - cgroup2 none rw\n";
        let host = Host::parse(HYBRID_OWN, &format!("{HYBRID}{over}"));
        assert_eq!(directories(&host), []);
        assert_eq!(host.v2.unwrap().top, Path::new("/sys/fs/cgroup"));
        // The same mounted lower in the tree hides nothing.
        let beside = "60 23 0:38 / /mnt rw - cgroup2 none rw\n";
        let host = Host::parse(HYBRID_OWN, &format!("{HYBRID}{beside}"));
        assert_eq!(directories(&host).len(), 3);
    }

    #[test]
    fn what_cannot_be_used_is_not_there() {
        let rows = [
            ("8:pids:/", "1 0 0:1 / /p ro - cgroup cgroup rw,pids"),
            ("8:pids:/", "1 0 0:1 / /p rw - tmpfs cgroup rw,pids"),
            ("8:pids:/", "1 0 0:1 / /p rw - cgroup cgroup rw,memory"),
            (
                "8:pids:/",
                "1 0 0:1 /docker/a /p rw - cgroup cgroup rw,pids",
            ),
            ("8:pids:/../x", "1 0 0:1 / /p rw - cgroup cgroup rw,pids"),
            ("0::/../x", "1 0 0:1 / /p rw - cgroup2 cgroup rw"),
            ("0::/", "1 0 0:1 / /p rw - cgroup cgroup rw,pids"),
            ("8:pids", "1 0 0:1 / /p rw - cgroup cgroup rw,pids"),
            ("8:pids:/", "1 0 0:1 / /p rw - cgroup cgroup"),
            ("", ""),
        ];
        for (own, mounts) in rows {
            assert_eq!(Host::parse(own, mounts), Host::default(), "{own} {mounts}");
        }
    }

    #[test]
    fn a_container_sees_its_own_part_of_the_tree() {
        let mounts = "1 0 0:1 /docker/a /cg\\040x rw - cgroup cgroup rw,pids";
        let host = Host::parse("8:pids:/docker/a/b", mounts);
        assert_eq!(host.v1[0].directory, Path::new("/cg x/b"));
        let host = Host::parse("8:pids:/docker/a", mounts);
        assert_eq!(host.v1[0].directory.as_os_str(), "/cg x");
    }

    #[test]
    fn this_machine() {
        let host = Host::detect(&Proc::open().unwrap()).unwrap();
        assert!(host.processors > 0);
        assert!(!host.v1.is_empty() || host.v2.is_some(), "{host:?}");
    }
}
