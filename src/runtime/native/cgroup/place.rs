//! Where in the tree of version 2 a container goes. Pure.
//!
//! A cgroup there holds processes or has limits below it, never both; only the root of all may do
//! both. So ucr alone in its cgroup moves itself to a leaf of it; with others beside it, whom it
//! must not move, or at the root, containers go to `/ucr`, which only root can make.

use std::path::PathBuf;

use super::host::Unified;
use super::plan::Preparation;
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
    /// What can be limited there.
    pub(super) controllers: Vec<Controller>,
    /// Where controllers have to be enabled, from the top, and what comes before.
    pub(super) preparation: Vec<Preparation>,
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
            controllers: v2.controllers.clone(),
            preparation: leaf.into_iter().chain([enable]).collect(),
        });
    }
    if host.is_root && (at_root || v2.directory != v2.top) {
        let parent = v2.top.join(DELEGATED);
        return Ok(Place {
            name: id.to_owned(),
            controllers: v2.top_controllers.clone(),
            preparation: vec![
                enable(v2.top.clone()),
                Preparation::Make {
                    directory: v2.top.clone(),
                    name: DELEGATED,
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

    #[test]
    fn started_anywhere() {
        let leaf = Unified {
            in_leaf: true,
            ..unified("/cg/a", true, false)
        };
        let rows = [
            ("alone", unified("/cg/a", true, true), true, "/cg/a/ucr-x"),
            (
                "alone as a user",
                unified("/cg/a", true, true),
                false,
                "/cg/a/ucr-x",
            ),
            ("in our leaf", leaf, true, "/cg/a/ucr-x"),
            (
                "at the root",
                unified("/cg", true, false),
                true,
                "/cg/ucr/x",
            ),
            (
                "at the root, alone",
                unified("/cg", true, true),
                true,
                "/cg/ucr/x",
            ),
            (
                "at a namespace's root",
                unified("/cg", false, true),
                true,
                "/cg/ucr-x",
            ),
            (
                "beside others",
                unified("/cg/a", true, false),
                true,
                "/cg/ucr/x",
            ),
            (
                "beside others in a container",
                unified("/cg/a", false, false),
                true,
                "/cg/ucr/x",
            ),
        ];
        for (name, v2, is_root, expected) in rows {
            let host = Host {
                is_root,
                ..Host::default()
            };
            let place = place(&host, &v2, "x").unwrap();
            let below = if expected.starts_with("/cg/ucr/") {
                Controller::Memory
            } else {
                Controller::Pids
            };
            assert_eq!(place.controllers, [below], "{name}");
            assert_eq!(
                place.parent.join(place.name),
                PathBuf::from(expected),
                "{name}"
            );
            let moves = matches!(place.preparation[0], Preparation::MoveSelf { .. });
            assert_eq!(
                moves,
                v2.alone && !expected.starts_with("/cg/ucr/"),
                "{name}"
            );
        }
        for (name, v2, is_root) in [
            (
                "at a namespace's root, beside others",
                unified("/cg", false, false),
                true,
            ),
            (
                "beside others as a user",
                unified("/cg/a", true, false),
                false,
            ),
            ("at the root as a user", unified("/cg", true, true), false),
        ] {
            let host = Host {
                is_root,
                ..Host::default()
            };
            let why = place(&host, &v2, "x").unwrap_err();
            assert!(why.contains("/cg"), "{name}: {why}");
        }
    }
}
