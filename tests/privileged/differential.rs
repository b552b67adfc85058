//! The trees that umoci and podman make of real images, beside ours. What may differ is a table
//! with the reason of each row; a row that nothing needs any more fails the test, too.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::layer::Packing;
use crate::support::layout::Layout;
use crate::support::samples::{self, TAG};
use crate::support::scratch::Scratch;
use crate::support::tree::{Node, Tree};
use crate::support::ucr::Ucr;
use crate::support::{buildah, need, process};

/// One thing that may differ: with whom, at which path, in what, and why.
#[derive(Debug)]
struct Allowed {
    tool: &'static str,
    path: &'static str,
    what: &'static str,
    #[expect(dead_code, reason = "for those who read the table, or a failure")]
    why: &'static str,
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        tool: "podman",
        path: "",
        what: "mode",
        why: "containers/storage makes the root 0555 and ignores its entry; we apply it, or 0755",
    },
    Allowed {
        tool: "podman",
        path: "",
        what: "mtime",
        why: "that of its own mount; ours is the entry's, or 0 if no layer has one",
    },
];

/// An object or an attribute of it that two trees do not share.
struct Difference {
    path: PathBuf,
    what: &'static str,
    ours: String,
    theirs: String,
}

impl Difference {
    fn is_allowed(&self, tool: &str, row: &Allowed) -> bool {
        row.tool == tool && row.what == self.what && Path::new(row.path) == self.path
    }

    fn shown(&self, tool: &str) -> String {
        let (path, what) = (self.path.display(), self.what);
        format!("/{path}: {what}: ucr {}, {tool} {}", self.ours, self.theirs)
    }
}

fn differences(ours: &Tree, theirs: &Tree) -> Vec<Difference> {
    let paths = ours.0.keys().chain(theirs.0.keys());
    let mut paths: Vec<&PathBuf> = paths.collect();
    paths.sort();
    paths.dedup();
    let each = paths.into_iter().flat_map(|path| {
        let found = match (ours.0.get(path), theirs.0.get(path)) {
            (Some(ours), Some(theirs)) => attributes(ours, theirs),
            (ours, theirs) => {
                let there = |node: Option<&Node>| node.map_or("absent", |node| node.kind).into();
                vec![("object", there(ours), there(theirs))]
            }
        };
        found.into_iter().map(|(what, ours, theirs)| Difference {
            path: path.clone(),
            what,
            ours,
            theirs,
        })
    });
    each.collect()
}

/// All that differs between two objects of one name.
fn attributes(ours: &Node, theirs: &Node) -> Vec<(&'static str, String, String)> {
    let text = |node: &Node| {
        [
            ("type", node.kind.to_owned()),
            ("mode", format!("{:04o}", node.mode)),
            ("owner", format!("{}:{}", node.uid, node.gid)),
            ("mtime", format!("{}.{:09}", node.mtime.0, node.mtime.1)),
            ("device", format!("{:?}", node.rdev)),
            ("target", format!("{:?}", node.target)),
            ("xattrs", format!("{:?}", node.xattrs)),
            ("content", format!("{:?}", node.sha256)),
            ("hard links", format!("{:?}", node.same_as)),
        ]
    };
    let pairs = text(ours).into_iter().zip(text(theirs));
    let pairs = pairs.map(|((what, ours), (_, theirs))| (what, ours, theirs));
    pairs.filter(|(_, ours, theirs)| ours != theirs).collect()
}

/// Unpacks an image and reads its tree.
type Unpack = fn(&Layout, &Scratch) -> Tree;

const TOOLS: [(&str, Unpack); 2] = [("umoci", umoci), ("podman", podman)];

/// The tree that umoci unpacks.
fn umoci(layout: &Layout, scratch: &Scratch) -> Tree {
    let bundle = scratch.join("umoci");
    let image = format!("{}:{TAG}", layout.path().display());
    let program = need::program("umoci", "umoci");
    process::tool(
        Command::new(program)
            .args(["unpack", "--image", &image])
            .arg(&bundle),
    );
    Tree::read(&bundle.join("rootfs"))
}

/// The tree that podman mounts, from a store of its own.
fn podman(layout: &Layout, scratch: &Scratch) -> Tree {
    // It makes a name of the path, in which it takes no capitals.
    let place = layout.path().parent().expect("a parent");
    let name = layout.path().file_name().expect("a name");
    let reference = format!("oci:{}:{TAG}", name.display());
    let run = |words: &[&str]| {
        let mut command = Command::new(need::program("podman", "podman"));
        command
            .current_dir(place)
            .arg("--root")
            .arg(scratch.join("podman/root"))
            .arg("--runroot")
            .arg(scratch.join("podman/run"))
            .args([
                "--storage-driver",
                "overlay",
                "--cgroup-manager",
                "cgroupfs",
            ])
            .args(words);
        process::tool(&mut command).trim().to_owned()
    };
    let image = run(&["pull", "--quiet", &reference]);
    let tree = Tree::read(Path::new(&run(&["image", "mount", &image])));
    run(&["image", "umount", &image]);
    run(&["image", "rm", "--force", &image]);
    tree
}

fn ours(layout: &Layout) -> Tree {
    let ucr = Ucr::new();
    let place = ucr.scratch().join("place");
    let path = place.to_str().unwrap();
    ucr.run(["provision", &layout.reference(TAG), path]).ok();
    let tree = Tree::read(&place);
    ucr.run(["rm", path]).ok();
    tree
}

#[test]
fn trees_are_those_of_other_tools() {
    let scratches = [(); 3].map(|()| Scratch::new());
    let debian = samples::debian_image(Packing::Gzip);
    let images = [
        ("alpine", samples::alpine()),
        ("debian", Layout::of(TAG, &debian)),
        ("busybox", samples::busybox_14_layers(&scratches[0])),
        ("rich", buildah::rich(&scratches[1])),
        ("history", buildah::history(&scratches[2])),
    ];
    let mut used = vec![false; ALLOWED.len()];
    let mut report = String::new();
    for (image, layout) in images {
        let ours = ours(&layout);
        assert!(ours.0.len() > 20, "{image}: too small to show anything");
        for (tool, read) in TOOLS {
            for found in differences(&ours, &read(&layout, &Scratch::new())) {
                match ALLOWED.iter().position(|row| found.is_allowed(tool, row)) {
                    Some(row) => used[row] = true,
                    None => report += &format!("{image}: {}\n", found.shown(tool)),
                }
            }
        }
    }
    assert!(report.is_empty(), "the trees differ:\n{report}");
    let stale: Vec<_> = ALLOWED.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(stale.is_empty(), "nothing needs these rows: {stale:#?}");
}
