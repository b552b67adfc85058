//! A container's cgroups in a place that was asked for. Pure.

use std::path::PathBuf;

use super::plan::{CgroupPlan, Group, Preparation};
use super::{Controller, Host};

impl CgroupPlan {
    /// Puts all groups below this path, from the top of each tree; what is missing on the way is
    /// made and stays, as with docker.
    pub(super) fn move_below(&mut self, path: &str, host: &Host, id: &str) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        self.outer = None;
        self.preparation.clear();
        self.below = Some(path.to_owned());
        for group in &mut self.groups {
            let Some(top) = top(group, host) else {
                continue;
            };
            let limits: Vec<Controller> = match group.v2 {
                true => group.controllers.clone(),
                false => Vec::new(),
            };
            let limits = limits.into_iter().filter(|it| it.v2_name().is_some());
            let limits: Vec<Controller> = limits.collect();
            let mut directory = top;
            let enable = |directory: &PathBuf| {
                (!limits.is_empty()).then(|| Preparation::Enable {
                    directory: directory.clone(),
                    controllers: limits.clone(),
                })
            };
            for part in &parts {
                self.preparation.extend(enable(&directory));
                self.preparation.push(Preparation::Make {
                    directory: directory.clone(),
                    name: (*part).to_owned(),
                });
                directory.push(part);
            }
            self.preparation.extend(enable(&directory));
            group.parent = directory;
            group.name = format!("ucr-{id}");
        }
    }
}

/// Where the tree of a group is mounted.
fn top(group: &Group, host: &Host) -> Option<PathBuf> {
    if group.v2 {
        return host.v2.as_ref().map(|v2| v2.top.clone());
    }
    let mut trees = host.v1.iter();
    let tree = trees.find(|tree| tree.directory == group.parent);
    tree.map(|tree| tree.top.clone())
}
