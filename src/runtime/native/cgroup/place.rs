//! Where in the tree of version 2 a container goes. Pure.
//!
//! A cgroup there holds processes or has limits below it, never both; only the root of all may do
//! both. So ucr alone in its cgroup moves itself to a leaf of it; with others beside it, whom it
//! must not move, or at the root, containers go to `/ucr`, which only root can make.

use std::path::PathBuf;

use super::host::Unified;
use super::plan::{Group, Preparation};
use super::{Controller, Host};

/// Where ucr moves itself: a name that it knows again.
pub(super) const LEAF: &str = "ucr-leaf";

/// Below the top, for containers that cannot stay below ucr's own cgroup.
const DELEGATED: &str = "ucr";

/// A decided place.
#[derive(Debug)]
pub(super) struct Place {
    /// The cgroup below which the container's own is made.
    pub(super) parent: PathBuf,
    /// The container's own in it.
    pub(super) name: String,
    /// It is below the cgroup that ucr was started in.
    pub(super) below_own: bool,
    /// What can be limited there.
    pub(super) controllers: Vec<Controller>,
    /// Where controllers have to be enabled, from the top, and what comes before.
    pub(super) preparation: Vec<Preparation>,
}

impl Place {
    /// The container's own cgroup, without limits yet.
    pub(super) fn group(&self, v2: &Unified) -> Group {
        Group {
            parent: self.parent.clone(),
            name: self.name.clone(),
            device: v2.device.clone(),
            v2: true,
            controllers: Vec::new(),
            settings: Vec::new(),
        }
    }
}

/// Where nothing is limited: a cgroup for which nothing has to be enabled may be anywhere.
pub(super) fn bare(v2: &Unified, id: &str) -> Place {
    Place {
        parent: v2.directory.clone(),
        name: format!("ucr-{id}"),
        below_own: true,
        controllers: Vec::new(),
        preparation: Vec::new(),
    }
}

/// Decides, or says why there is no place.
pub(super) fn place(host: &Host, v2: &Unified, id: &str) -> Result<Place, String> {
    let at_root = v2.directory == v2.top && v2.top_is_root;
    let enable = |directory: PathBuf| Preparation::Enable {
        directory,
        controllers: Vec::new(),
    };
    if v2.in_leaf || (v2.alone && !at_root) {
        let leaf = (!v2.in_leaf).then(|| Preparation::MoveSelf {
            directory: v2.directory.clone(),
            leaf: LEAF,
        });
        let enable = enable(v2.directory.clone());
        return Ok(Place {
            parent: v2.directory.clone(),
            name: format!("ucr-{id}"),
            below_own: true,
            controllers: v2.controllers.clone(),
            preparation: leaf.into_iter().chain([enable]).collect(),
        });
    }
    if host.is_root && (at_root || v2.directory != v2.top) {
        let parent = v2.top.join(DELEGATED);
        return Ok(Place {
            name: id.to_owned(),
            below_own: false,
            controllers: v2.top_controllers.clone(),
            preparation: vec![
                enable(v2.top.clone()),
                Preparation::Make {
                    directory: v2.top.clone(),
                    name: DELEGATED.to_owned(),
                },
                enable(parent.clone()),
            ],
            parent,
        });
    }
    let own = v2.directory.display();
    Err(format!(
        "other processes are in ucr's cgroup {own}, so it can have no limits below it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unified(directory: &str, top_is_root: bool, alone: bool) -> Unified {
        Unified {
            top: "/cg".into(),
            directory: directory.into(),
            controllers: vec![Controller::Pids],
            top_controllers: vec![Controller::Memory],
            top_is_root,
            alone,
            ..Unified::default()
        }
    }

    /// In the words of the table: where, and whether ucr moves.
    fn placed(v2: &Unified, is_root: bool) -> Result<(String, bool), String> {
        let host = Host {
            is_root,
            ..Host::default()
        };
        let place = place(&host, v2, "x")?;
        let own = [Controller::Pids];
        assert_eq!(place.below_own, place.controllers == own, "{place:?}");
        let moves = matches!(place.preparation[0], Preparation::MoveSelf { .. });
        let path = place.parent.join(place.name);
        Ok((path.display().to_string(), moves))
    }

    #[test]
    fn started_anywhere() {
        let leaf = Unified {
            in_leaf: true,
            ..unified("/cg/a", true, false)
        };
        let alone = unified("/cg/a", true, true);
        let rows = [
            ("alone", alone.clone(), true, "/cg/a/ucr-x", true),
            ("alone as a user", alone, false, "/cg/a/ucr-x", true),
            ("in our leaf", leaf, true, "/cg/a/ucr-x", false),
            (
                "at the root",
                unified("/cg", true, false),
                true,
                "/cg/ucr/x",
                false,
            ),
            (
                "alone there",
                unified("/cg", true, true),
                true,
                "/cg/ucr/x",
                false,
            ),
            (
                "a namespace's root",
                unified("/cg", false, true),
                true,
                "/cg/ucr-x",
                true,
            ),
            (
                "beside",
                unified("/cg/a", true, false),
                true,
                "/cg/ucr/x",
                false,
            ),
            (
                "beside in one",
                unified("/cg/a", false, false),
                true,
                "/cg/ucr/x",
                false,
            ),
        ];
        for (name, v2, is_root, path, moves) in rows {
            let expected = (path.to_owned(), moves);
            assert_eq!(placed(&v2, is_root).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn nowhere() {
        for (v2, is_root) in [
            (unified("/cg", false, false), true),
            (unified("/cg/a", true, false), false),
            (unified("/cg", true, true), false),
        ] {
            let why = placed(&v2, is_root).unwrap_err();
            assert!(why.contains("/cg"), "{v2:?}: {why}");
        }
    }
}
