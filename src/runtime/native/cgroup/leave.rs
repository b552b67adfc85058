//! The way out for a process that outlives whoever started it: whoever ends that one by its cgroups
//! must not find it there. A Mesos agent which finds a process in a cgroup of memory or of processors
//! that it was about to remove waits for a minute and reports nothing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::fs::fstat;

use super::host::visible;
use crate::error::{Fault, Kind};
use crate::sys::cgroup::{Directory, Version};
use crate::sys::proc::Proc;

/// The inode of the first namespace of cgroups (PROC_CGROUP_INIT_INO).
const FIRST: u64 = 0xefff_fffb;

/// Moves the calling process, which must have one thread, to the top of every tree that there is.
/// After a fault it may be at the top of some, and should end.
pub fn leave_all() -> Result<()> {
    let proc = Proc::open().context("reach /proc")?;
    // A kernel without cgroups has neither file.
    let Ok(own) = proc.read("self/cgroup") else {
        return Ok(());
    };
    let namespace = proc.open_file("self/ns/cgroup")?;
    if fstat(&namespace)?.st_ino != FIRST {
        return Err(unsupported("a cgroup namespace hides which ones it is in").into());
    }
    let mounts = proc.read("self/mountinfo").context("read mountinfo")?;
    for top in ways_out(&own, &mounts)? {
        let enter = || {
            let directory = Directory::open(&top)?;
            match directory.version() {
                // Of one thread only, which waits for nobody.
                Version::V1 => directory.write("tasks", "0"),
                Version::V2 => directory.write("cgroup.procs", "0"),
            }
        };
        enter().with_context(|| format!("enter cgroup {}", top.display()))?;
    }
    match inside(&proc.read("self/cgroup")?).next() {
        None => Ok(()),
        Some((_, path)) => Err(unsupported(&format!("it is still in {path}")).into()),
    }
}

/// The tops of the trees that a process is somewhere below the top of. Pure.
fn ways_out(own: &str, mountinfo: &str) -> Result<Vec<PathBuf>, Fault> {
    let mounts = visible(mountinfo);
    let top = |(names, path): (&str, &str)| {
        let names: Vec<&str> = names.split(',').collect();
        let mut tops = mounts.iter().filter_map(|it| it.directory(&names, "/"));
        tops.next().map(|(_, top)| top).ok_or_else(|| {
            let message = format!("there is no way out of cgroup {path}: its top is not mounted");
            unsupported(&message)
        })
    };
    inside(own).map(top).collect()
}

/// The names and the path of each cgroup of `/proc/PID/cgroup` that is not the top of its tree.
fn inside(own: &str) -> impl Iterator<Item = (&str, &str)> {
    // HIERARCHY:CONTROLLERS:PATH; a path may contain colons.
    let fields = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    fields.filter(|(_, path)| *path != "/")
}

fn unsupported(why: &str) -> Fault {
    Fault::new(Kind::Unsupported, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        1 0 0:1 / /cg/freezer rw - cgroup cgroup rw,freezer\n\
        2 0 0:2 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        3 0 0:3 / /cg/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        4 0 0:4 / /cg/pids ro - cgroup cgroup rw,pids\n\
        5 0 0:5 /part /cg/memory rw - cgroup cgroup rw,memory\n\
        6 0 0:6 / /cg/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn tops_of_trees() {
        let rows: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("9:freezer:/\n8:pids:/\n7:memory:/\n0::/", Some(&[])),
            ("9:freezer:/mesos/a:b", Some(&["/cg/freezer"])),
            (
                "9:freezer:/\n2:cpu,cpuacct:/mesos/a\n3:name=systemd:/s\n0::/x",
                Some(&["/cg/cpu,cpuacct", "/cg/systemd", "/cg/unified"]),
            ),
            // Nothing may be written there, the top is not shown, or nothing is mounted.
            ("8:pids:/mesos/a", None),
            ("7:memory:/part/a", None),
            ("5:devices:/mesos/a", None),
            ("9:freezer:/mesos/a\n5:devices:/mesos/a", None),
        ];
        for (own, expected) in rows {
            let found = ways_out(own, MOUNTS).ok();
            let expected = expected.map(|it| it.iter().map(PathBuf::from).collect::<Vec<_>>());
            assert_eq!(found, expected, "{own}");
        }
    }
}
