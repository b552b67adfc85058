//! What will be made and written, decided before anything is. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Not;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Serialize, Serializer};

use super::host::Unified;
use super::place::{Place, bare, place};
use super::settings::settings;
use super::{Controller, DeviceList, DeviceRule, Host};
use crate::error::{Fault, Kind};
use crate::runtime::IGNORED;
use crate::spec::{CgroupPolicy, Resources};
use crate::sys::cgroup::Version;

/// What goes into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// This.
    Text(String),
    /// What the same file says in the cgroup above.
    Parents,
    /// A program that allows this.
    Devices(Vec<DeviceRule>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Parents => f.write_str("<the parent's>"),
            Self::Devices(rules) => {
                let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
                f.write_str(&rules.join(", "))
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// One file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The flag that it is about.
    pub flag: &'static str,
    /// Whether the flag was given; a default may be missing.
    pub asked: bool,
    /// The file, or what a program is attached as.
    pub file: &'static str,
    /// What goes into it.
    pub value: Value,
    /// File and value to use where there is no such file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub or: Option<(&'static str, String)>,
}

impl Setting {
    pub(super) fn asked(flag: &'static str, file: &'static str, value: impl ToString) -> Self {
        Self {
            flag,
            asked: true,
            file,
            value: Value::Text(value.to_string()),
            or: None,
        }
    }

    pub(super) fn default_of(flag: &'static str, file: &'static str, value: impl ToString) -> Self {
        Self {
            asked: false,
            ..Self::asked(flag, file, value)
        }
    }
}

/// A cgroup to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The cgroup above, which exists or is prepared.
    pub parent: PathBuf,
    /// Its name.
    pub name: String,
    /// `major:minor` of the filesystem that it has to be in.
    pub device: String,
    /// Whether it is of version 2.
    pub v2: bool,
    /// What it limits.
    pub controllers: Vec<Controller>,
    /// Its limits, in the order of writing.
    pub settings: Vec<Setting>,
}

impl Group {
    /// The flags that were given for it, once each.
    pub(super) fn asked(&self) -> Vec<&'static str> {
        asked(&self.settings)
    }

    /// Where it will be.
    pub fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }
}

fn asked(settings: &[Setting]) -> Vec<&'static str> {
    let mut flags: Vec<_> = settings
        .iter()
        .filter(|s| s.asked)
        .map(|s| s.flag)
        .collect();
    flags.dedup();
    flags
}

/// What a cgroup of version 2 needs before it can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Preparation {
    /// ucr itself leaves a cgroup for a leaf in it.
    MoveSelf {
        /// The cgroup.
        directory: PathBuf,
        /// Name of the leaf.
        leaf: &'static str,
    },
    /// Make a cgroup that stays, if it is not there.
    Make {
        /// The cgroup above.
        directory: PathBuf,
        /// Its name.
        name: String,
    },
    /// Allow limits below a cgroup.
    Enable {
        /// The cgroup.
        directory: PathBuf,
        /// For what.
        controllers: Vec<Controller>,
    },
}

/// A decided set of cgroups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CgroupPlan {
    /// What happens first.
    pub preparation: Vec<Preparation>,
    /// What is made.
    pub groups: Vec<Group>,
    /// Version 2: the cgroup that ucr left, or leaves now, for a leaf in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<PathBuf>,
    /// What cannot be had and was not asked for, or may be missing.
    pub notes: Vec<String>,
    /// A limit that was asked for may be missing.
    pub best_effort: bool,
    /// The path of cgroups that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<String>,
    /// Without any of the groups nothing can be started.
    #[serde(skip_serializing_if = "Not::not")]
    pub holds_all: bool,
}

/// The numbers of disks, by the paths of their nodes.
pub type Disks = BTreeMap<PathBuf, (u32, u32)>;

/// What cgroups are wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Limits.
    pub resources: &'a Resources,
    /// What may be opened; `None` is everything.
    pub devices: Option<DeviceList<'a>>,
    /// The disks that limits name.
    pub disks: &'a Disks,
    /// Only by its cgroup all of the container's processes can be found, and ended.
    pub holds_all: bool,
}

/// Decides. Fails with [`Kind::Spec`] where
/// limits contradict each other or the machine, with [`Kind::Unsupported`] where the machine lacks
/// what was asked for, naming the flag.
pub fn plan(all: &Wanted, host: &Host, id: &str) -> Result<CgroupPlan> {
    let resources = all.resources;
    resources.check()?;
    let mut plan = CgroupPlan {
        best_effort: resources.cgroups == Some(CgroupPolicy::BestEffort),
        ..CgroupPlan::default()
    };
    plan.check_processors(resources, host)?;
    let mut v2 = Vec::new();
    for controller in Controller::ALL {
        let (hierarchy, version) = match host.v1_of(controller) {
            Some(hierarchy) => (Some(hierarchy), Version::V1),
            None => (None, Version::V2),
        };
        let wanted = settings(all, controller, version);
        match hierarchy {
            _ if wanted.is_empty() => (),
            None => v2.push((controller, wanted)),
            Some(tree) => plan.add(
                Group {
                    parent: tree.directory.clone(),
                    name: format!("ucr-{id}"),
                    device: tree.device.clone(),
                    v2: false,
                    controllers: Vec::new(),
                    settings: Vec::new(),
                },
                controller,
                wanted,
            ),
        }
    }
    plan.add_v2(host, id, v2)?;
    if let Some(parent) = &resources.cgroup_parent {
        plan.move_below(parent, host, id);
    }
    if all.holds_all && plan.groups.is_empty() {
        let message = "--pid: without a cgroup of its own not all of its processes could be ended";
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("leave --pid out on this machine")
            .into());
    }
    plan.holds_all = all.holds_all;
    Ok(plan)
}

impl CgroupPlan {
    /// What a quota above the machine's processors would mean is nothing at all.
    fn check_processors(&mut self, resources: &Resources, host: &Host) -> Result<()> {
        let Some(cpus) = resources.cpus else {
            return Ok(());
        };
        if cpus.quota(1) < u64::from(host.processors)
            || cpus.quota(1000) <= u64::from(host.processors) * 1000
        {
            return Ok(());
        }
        let message = format!(
            "--cpus {cpus}: there are {} processors here",
            host.processors
        );
        self.missing(&["--cpus"], Fault::new(Kind::Spec, message))
    }

    /// Adds settings to the group at that place.
    fn add(&mut self, group: Group, controller: Controller, wanted: Vec<Setting>) {
        let place = self
            .groups
            .iter()
            .position(|known| known.path() == group.path());
        let place = place.unwrap_or_else(|| {
            self.groups.push(group);
            self.groups.len() - 1
        });
        let group = &mut self.groups[place];
        group.controllers.push(controller);
        group.settings.extend(wanted);
    }

    fn add_v2(
        &mut self,
        host: &Host,
        id: &str,
        wanted: Vec<(Controller, Vec<Setting>)>,
    ) -> Result<()> {
        let Some(v2) = &host.v2 else {
            let mut wanted = wanted.iter();
            return wanted.try_for_each(|(it, settings)| {
                self.unavailable(*it, settings, &host.why_none(*it))
            });
        };
        let place = place(host, v2, id);
        let (limits, devices): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|(controller, _)| controller.v2_name().is_some());
        for (controller, settings) in limits {
            match &place {
                Ok(place) if place.controllers.contains(&controller) => {
                    self.add(place.group(v2), controller, settings);
                }
                Ok(place) => {
                    let why = undelegated(controller, place.below_own, v2);
                    self.unavailable(controller, &settings, &why)?;
                }
                Err(why) => self.unavailable(controller, &settings, why)?,
            }
        }
        let place = match place {
            Ok(place) if self.groups.iter().any(|group| group.v2) => place,
            _ => bare(v2, id),
        };
        for (controller, settings) in devices {
            self.add(place.group(v2), controller, settings);
        }
        self.prepare_v2(place);
        Ok(())
    }

    fn prepare_v2(&mut self, place: Place) {
        let Some(group) = self.groups.iter().find(|group| group.v2) else {
            return;
        };
        self.outer = place.below_own.then_some(place.parent);
        self.preparation = place.preparation;
        for step in &mut self.preparation {
            if let Preparation::Enable { controllers, .. } = step {
                controllers.clone_from(&group.controllers);
                controllers.retain(|controller| controller.v2_name().is_some());
            }
        }
    }

    fn unavailable(&mut self, controller: Controller, wanted: &[Setting], why: &str) -> Result<()> {
        let name = controller.v1_name();
        let flags = asked(wanted);
        if flags.is_empty() {
            self.notes
                .push(format!("no default limit of {name}: {why}"));
            return Ok(());
        }
        let message = format!("{}: no limit of {name} can be set: {why}", flags.join(", "));
        self.missing(&flags, Fault::new(Kind::Unsupported, message))
    }

    /// Something asked for is missing: a note if that may be, else a fault.
    pub(super) fn missing(&mut self, flags: &[&str], fault: Fault) -> Result<()> {
        if self.best_effort {
            self.notes.push(format!("{IGNORED}{fault}"));
            return Ok(());
        }
        let flags = flags.join(" and ");
        Err(fault
            .hint(format!("leave {flags} out, or say --cgroups best-effort"))
            .into())
    }
}

fn undelegated(controller: Controller, below_own: bool, v2: &Unified) -> String {
    let name = controller.v2_name().unwrap_or_default();
    match below_own {
        false => format!(
            "this kernel has no controller '{name}' in {}",
            v2.top.display()
        ),
        true => {
            let own = v2.directory.display();
            format!("the controller '{name}' is not delegated to ucr's cgroup {own}")
        }
    }
}
