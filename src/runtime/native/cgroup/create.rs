//! Carries a plan out: makes the cgroups, sets their limits, lets a process into them, tells what
//! they killed, and removes them.
//!
//! Everything is done by ucr's parent process but [`Cgroups::attach_self`], which the container's
//! first process calls before it mounts anything. Dropped, cgroups are destroyed: only the parent may.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Controller;
use super::place::LEAF;
use super::plan::{CgroupPlan, Group, Preparation, Setting, Value};
use super::program::program;
use crate::error::{Fault, Kind};
use crate::sys::bpf::decide_devices;
use crate::sys::cgroup::{Directory, Version, write};
use crate::sys::process::kill_stranger;

/// How long processes that were killed may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// The cgroups of one container.
#[derive(Debug)]
pub struct Cgroups {
    made: Vec<Made>,
    notes: Vec<String>,
    /// The container's processes outlive its first one.
    holds_all: bool,
    /// Version 2: the cgroup that ucr left for a leaf in it.
    outer: Option<Directory>,
}

#[derive(Debug)]
struct Made {
    path: PathBuf,
    name: String,
    parent: Directory,
    own: Directory,
    controllers: Vec<Controller>,
    /// Version 1: where a thread lets itself in.
    tasks: Option<OwnedFd>,
}

impl CgroupPlan {
    /// Makes the cgroups and sets all limits. On a fault nothing is left.
    pub fn create(&self) -> Result<Cgroups> {
        let mut plan = Self {
            notes: Vec::new(),
            ..self.clone()
        };
        let mut cgroups = Cgroups {
            made: Vec::new(),
            notes: Vec::new(),
            holds_all: false,
            outer: self.outer.as_deref().and_then(|o| Directory::open(o).ok()),
        };
        // Until our cgroup is made, nobody may take the others for the last ones.
        let lock = cgroups.outer.as_ref().map(Directory::lock).transpose();
        let lock = lock.context("lock a cgroup")?;
        let prepared = self.preparation.iter().try_for_each(prepare);
        if let (Err(why), Some(path)) = (&prepared, &self.below) {
            let message = format!("--cgroup-parent {path}: {why:#}");
            let fault = Fault::new(Kind::Unsupported, message);
            plan.missing(&["--cgroup-parent"], fault)?;
        }
        for group in &self.groups {
            let made = match &prepared {
                Err(why) if group.v2 => Err(format!("{why:#}")),
                _ => Made::new(group).map_err(|why| format!("{why:#}")),
            };
            match made {
                Ok(made) => {
                    // In the list before its limits are set, so that a fault removes it.
                    cgroups.made.push(made);
                    plan.set_limits(group, cgroups.made.last())?;
                }
                Err(why) => plan.not_made(group, &why)?,
            }
        }
        drop(lock);
        if self.holds_all && cgroups.made.is_empty() {
            let message = "--pid: no cgroup could be made by which all of its processes are ended";
            return Err(Fault::new(Kind::Unsupported, message)
                .hint("leave --pid out on this machine")
                .into());
        }
        cgroups.holds_all = self.holds_all;
        cgroups.notes = plan.notes;
        Ok(cgroups)
    }

    fn not_made(&mut self, group: &Group, why: &str) -> Result<()> {
        let flags = group.asked();
        let path = group.path();
        if flags.is_empty() {
            let names: Vec<_> = group.controllers.iter().map(|c| c.v1_name()).collect();
            self.notes
                .push(format!("no default limit of {}: {why}", names.join(", ")));
            return Ok(());
        }
        let message = format!(
            "{}: make cgroup {}: {why}",
            flags.join(", "),
            path.display()
        );
        self.missing(&flags, Fault::new(Kind::Unsupported, message))
    }

    fn set_limits(&mut self, group: &Group, made: Option<&Made>) -> Result<()> {
        let Some(made) = made else {
            return Ok(());
        };
        let mut last = None;
        for setting in &group.settings {
            let Err(error) = made.set(setting, &mut last) else {
                continue;
            };
            let why = refusal(setting, &error);
            if setting.asked {
                let message = format!("{}: {why}", setting.flag);
                self.missing(&[setting.flag], Fault::new(Kind::Unsupported, message))?;
            } else {
                self.notes
                    .push(format!("default of {}: {why}", setting.flag));
            }
        }
        Ok(())
    }
}

fn prepare(step: &Preparation) -> Result<()> {
    match step {
        Preparation::MoveSelf { directory, leaf } => {
            let own = Directory::open(directory)
                .with_context(|| format!("open {}", directory.display()))?;
            let leaf = match own.make(*leaf) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => own.enter(*leaf),
                made => made,
            };
            leaf.and_then(|leaf| leaf.write("cgroup.procs", "0"))
                .with_context(|| format!("move ucr to a leaf of {}", directory.display()))
        }
        Preparation::Make { directory, name } => {
            let made = Directory::open(directory).and_then(|above| {
                let made = above.make(name.as_str())?;
                inherit_processors(&above, &made)
            });
            match made {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                made => made.with_context(|| format!("make {name} in {}", directory.display())),
            }
        }
        Preparation::Enable {
            directory,
            controllers,
        } => {
            let names = controllers.iter().filter_map(|c| c.v2_name());
            let words: Vec<_> = names.map(|name| format!("+{name}")).collect();
            Directory::open(directory)
                .and_then(|own| own.write("cgroup.subtree_control", &words.join(" ")))
                .with_context(|| format!("enable {} in {}", words.join(" "), directory.display()))
        }
    }
}

/// A new cgroup of version 1 has no processors and no memory nodes, and nothing below it can.
fn inherit_processors(above: &Directory, made: &Directory) -> std::io::Result<()> {
    if made.version() == Version::V1 && made.has("cpuset.cpus") {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            made.write(file, above.read(file)?.trim())?;
        }
    }
    Ok(())
}

/// Why a file does not take a value, for people.
fn refusal(setting: &Setting, error: &std::io::Error) -> String {
    let Setting { file, value, .. } = setting;
    match error.raw_os_error() {
        _ if matches!(value, Value::Devices(_)) => {
            format!("the kernel takes no program that decides over devices: {error}")
        }
        Some(libc::ENOENT) => format!("this kernel has no {file}"),
        Some(libc::EINVAL) if file.starts_with("cpu.") => {
            format!("{file} does not take {value}: a cgroup above may allow less: {error}")
        }
        _ => format!("{file} does not take {value}: {error}"),
    }
}

impl Made {
    fn new(group: &Group) -> Result<Self> {
        let parent = Directory::open(&group.parent)
            .with_context(|| format!("open {}", group.parent.display()))?;
        // Something may have been mounted there since mountinfo was read.
        if parent.device()? != group.device {
            let message = format!("{} is another filesystem now", group.parent.display());
            return Err(Fault::new(Kind::Kernel, message).into());
        }
        let own = parent.make(group.name.as_str())?;
        let mut made = Self {
            path: group.path(),
            name: group.name.clone(),
            parent,
            own,
            controllers: group.controllers.clone(),
            tasks: None,
        };
        if made.own.version() == Version::V1 {
            made.tasks = match made.own.writer("tasks") {
                Ok(tasks) => Some(tasks),
                Err(error) => {
                    let _ = made.parent.remove(made.name.as_str());
                    return Err(error.into());
                }
            };
        }
        Ok(made)
    }

    /// `last` is the file that was written last: a list of devices is written line by line.
    fn set(&self, setting: &Setting, last: &mut Last) -> std::io::Result<()> {
        let value = match &setting.value {
            Value::Text(text) => text.clone(),
            Value::Parents => self.parent.read(setting.file)?.trim().to_owned(),
            Value::Devices(rules) => return decide_devices(self.own.as_fd(), &program(rules)),
        };
        match (self.write(setting.file, &value, last), &setting.or) {
            (Err(error), Some((file, value))) if error.raw_os_error() == Some(libc::ENOENT) => {
                self.own.write(file, value)
            }
            (result, _) => result,
        }
    }

    fn write(&self, file: &'static str, value: &str, last: &mut Last) -> std::io::Result<()> {
        let writer = match last.take() {
            Some((name, writer)) if name == file => writer,
            _ => self.own.writer(file)?,
        };
        let (_, writer) = last.insert((file, writer));
        write(writer.as_fd(), value)
    }
}

/// A file of a cgroup, open for writing.
type Last = Option<(&'static str, OwnedFd)>;

impl Cgroups {
    /// Handles of them, in the order of [`Self::paths`].
    pub fn directories(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.made.iter().map(|made| made.own.as_fd())
    }

    /// What the kernel refuses although it is the default, or was asked for at best effort; the
    /// plan's notes are not repeated.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Version 2: the directory for CLONE_INTO_CGROUP.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        let of_v2 = self.made.iter().find(|made| made.tasks.is_none())?;
        Some(of_v2.own.as_fd())
    }

    /// Version 1: lets the calling process in, which must have one thread. A thread that moves
    /// itself waits for nobody (Linux 5.5); any other way costs 15 ms on an idle machine.
    pub fn attach_self(&self) -> Result<()> {
        for made in &self.made {
            if let Some(tasks) = &made.tasks {
                write(tasks.as_fd(), "0")
                    .with_context(|| format!("enter cgroup {}", made.path.display()))?;
            }
        }
        Ok(())
    }

    /// How many processes the kernel killed because the container's memory was used up; `None`
    /// without a limit of memory. To be asked before the cgroups are destroyed.
    pub fn oom_kills(&self) -> Option<u64> {
        let has_memory = |made: &&Made| made.controllers.contains(&Controller::Memory);
        let made = self.made.iter().find(has_memory)?;
        let text = match made.own.version() {
            Version::V1 => made.own.read("memory.oom_control"),
            Version::V2 => made.own.read("memory.events"),
        };
        let text = text.ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?;
        line.parse().ok()
    }

    /// Kills everything inside, at most for some seconds. ucr itself is never inside.
    pub fn kill_all(&self) {
        // What may not fork cannot outrun us; which of them counts processes does not matter.
        for made in &self.made {
            let _ = made.own.write("pids.max", "0");
        }
        for made in &self.made {
            kill(&made.own);
        }
    }

    /// Where they are, for whoever has to destroy them if we cannot.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.made.iter().map(|made| made.path.clone()).collect()
    }

    /// Kills what is left inside and removes them.
    pub fn destroy(mut self) -> Result<()> {
        if self.holds_all {
            self.kill_all();
        }
        let made = std::mem::take(&mut self.made);
        let mut result = Ok(());
        for made in made {
            let destroyed = destroy(&made.parent, &made.name);
            result = result.and(destroyed.with_context(|| removing(&made.path)));
        }
        result
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for made in &self.made {
            // On a fault, which is reported. A process inside may just be ending.
            let _ = destroy(&made.parent, &made.name);
        }
        if let Some(outer) = &self.outer {
            // What stays is an empty cgroup, and a later ucr in it knows it again.
            let _ = tidy(outer);
        }
    }
}

/// Undoes what the first container below a cgroup needed there, after the last one: else nobody
/// could be put into that cgroup again.
fn tidy(outer: &Directory) -> std::io::Result<()> {
    let _lock = outer.lock()?;
    let others = outer
        .children()?
        .iter()
        .any(|name| name.to_bytes() != LEAF.as_bytes());
    let leaf = outer.enter(LEAF)?;
    let inside = leaf.read("cgroup.procs")?;
    let ourselves = std::process::id().to_string();
    if others || inside.lines().any(|pid| pid != ourselves) {
        return Ok(());
    }
    let enabled = outer.read("cgroup.subtree_control")?;
    let words: Vec<_> = enabled
        .split_whitespace()
        .map(|name| format!("-{name}"))
        .collect();
    outer.write("cgroup.subtree_control", &words.join(" "))?;
    if !inside.is_empty() {
        outer.write("cgroup.procs", "0")?;
    }
    outer.remove(LEAF)
}

fn removing(path: &Path) -> String {
    format!("remove cgroup {}", path.display())
}

/// Destroys the cgroups of a container whose ucr is gone; ones that are gone as well are fine, and
/// so is what is no cgroup any more.
pub fn destroy_left(paths: &[PathBuf]) -> Result<()> {
    // What may not fork cannot outrun us.
    for own in paths.iter().filter_map(|path| Directory::open(path).ok()) {
        let _ = own.write("pids.max", "0");
    }
    for path in paths {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        let (Ok(parent), Some(name)) = (Directory::open(parent), name.to_str()) else {
            continue;
        };
        destroy(&parent, name).with_context(|| removing(path))?;
        if parent.version() == Version::V2 {
            // Where there is no leaf there is nothing to tidy.
            let _ = tidy(&parent);
        }
    }
    Ok(())
}

/// Where a process lets itself into a container's cgroups: the thread that writes there.
pub fn entrances(paths: &[PathBuf]) -> Result<Vec<OwnedFd>> {
    let open = |path: &PathBuf| {
        let directory = Directory::open(path)?;
        directory.writer(match directory.version() {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        })
    };
    let opened = |path| open(path).with_context(|| format!("cgroup {}", path.display()));
    paths.iter().map(opened).collect()
}

/// Removes a cgroup; one that is busy is emptied first. The kernel takes a moment to let go of
/// processes that have ended.
fn destroy(parent: &Directory, name: &str) -> std::io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    loop {
        match parent.remove(name) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() != Some(libc::EBUSY) => return Err(error),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {
                let own = parent.enter(name)?;
                kill(&own);
                remove_below(&own);
            }
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// A container that may write to its cgroups may have made more. As deep as we may open files.
fn remove_below(directory: &Directory) {
    for name in directory.children().unwrap_or_default() {
        if directory.remove(&*name).is_err()
            && let Ok(child) = directory.enter(&*name)
        {
            remove_below(&child);
            let _ = directory.remove(&*name);
        }
    }
}

/// Kills all processes of a cgroup and those below it.
fn kill(directory: &Directory) {
    // Linux 5.14, version 2.
    if directory.write("cgroup.kill", "1").is_ok() {
        return;
    }
    // What may not fork cannot outrun us.
    let _ = directory.write("pids.max", "0");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let inside = processes(directory);
        if inside.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in inside {
            let _ = kill_stranger(pid, || processes(directory).contains(&pid));
        }
    }
}

fn processes(directory: &Directory) -> Vec<i32> {
    let text = directory.read("cgroup.procs").unwrap_or_default();
    let mut found: Vec<i32> = text.lines().filter_map(|pid| pid.parse().ok()).collect();
    for name in directory.children().unwrap_or_default() {
        if let Ok(child) = directory.enter(&*name) {
            found.extend(processes(&child));
        }
    }
    // 0 is a process that our pid namespace does not show, and would be ourselves.
    found.retain(|&pid| pid > 0);
    found
}
