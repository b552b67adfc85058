//! A place of its own in the version 1 cgroups of this machine, to see what containers leave there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::need;

/// Controllers that every container uses here.
const USED: &[&str] = &["pids", "devices", "memory", "cpu", "cpuset"];

/// One cgroup in each of these hierarchies; removed when dropped.
#[derive(Debug)]
pub struct Place {
    directories: Vec<PathBuf>,
}

impl Place {
    /// Makes it below the cgroups that we are in. Fails where there are no version 1 cgroups.
    pub fn new() -> Self {
        need::root();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let name = format!("ucr-test-{}-{:p}", std::process::id(), &raw const own);
        let of = |controller: &str| {
            let line = own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers
                    .split(',')
                    .any(|it| it == controller)
                    .then_some(path)
            });
            let path = line.unwrap_or_else(|| panic!("no version 1 cgroups of {controller} here"));
            let path = Path::new("/sys/fs/cgroup")
                .join(controller)
                .join(&path[1..])
                .join(&name);
            fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if controller == "cpuset" {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let above = fs::read(path.parent().unwrap().join(file)).unwrap();
                    fs::write(path.join(file), above).unwrap();
                }
            }
            path
        };
        Self {
            directories: USED.iter().map(|controller| of(controller)).collect(),
        }
    }

    /// A shell that goes there, and then becomes what follows.
    pub fn enter(&self, command: Command) -> Command {
        let go: Vec<String> = self
            .directories
            .iter()
            .map(|directory| format!("echo 0 >{}/tasks", directory.display()))
            .collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{} && exec \"$@\"", go.join(" && ")), "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }

    /// The cgroups that are there.
    pub fn children(&self) -> Vec<PathBuf> {
        let below = |directory: &PathBuf| {
            let entries = fs::read_dir(directory).unwrap().flatten();
            let directories = entries.filter(|entry| entry.path().is_dir());
            directories.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        self.directories.iter().flat_map(below).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for directory in &self.directories {
            let _ = fs::remove_dir(directory);
        }
    }
}
