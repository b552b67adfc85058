//! Where the store and the tree are: odd paths, a file system without attributes, the mount.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{BACKENDS, Range, seen};
use crate::support::image::Image;
use crate::support::layout::Layout;
use crate::support::process::{self, Finished};
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;
use crate::support::ucr::Ucr;

const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// ucr with its store and state in `parent`.
fn ucr_in(parent: &Path, words: &[&str]) -> Finished {
    let mut command = Command::new(Ucr::binary());
    command.arg("--root").arg(parent.join("root"));
    command.arg("--state").arg(parent.join("state")).args(words);
    process::run(&mut command, b"", Duration::from_secs(60))
}

fn two_layers() -> Layout {
    let low = RawTar::new().file("d/gone", "").file("d/kept", "1");
    let high = RawTar::new().file("d/.wh.gone", "").file("d/new", "2");
    let image = Image::new().layer(low.layer()).layer(high.layer());
    Layout::of(TAG, &image)
}

/// Colons, commas and backslashes mean something among the options of an overlay mount.
#[test]
fn odd_paths() {
    let range = Range::new("odd paths of the store and the tree");
    let layout = two_layers();
    for name in ["a:b", "a,b", "a\\b", "a b", "a\nb", "a=b", "\u{e9}", "-o"] {
        let parent = range.ucr.scratch().dir(name);
        let place = parent.join("rootfs");
        let path = place.to_str().unwrap();
        for backend in BACKENDS {
            let words = [
                "provision",
                "--backend",
                backend,
                &layout.reference(TAG),
                path,
            ];
            ucr_in(&parent, &words).ok();
            let expected = ["d/ @0", "d/kept=1", "d/new=2"].map(String::from);
            seen::assert_same(name, &seen::listing(&place), &expected);
            ucr_in(&parent, &["rm", path]).ok();
        }
        let result = "`d/ @0, d/kept=1, d/new=2`";
        range.row(None, &format!("`{}`", name.escape_debug()), result);
    }
}

/// Marks that came into a layer by mistake would not be followed either.
#[test]
fn the_mount() {
    let range = Range::new("the mount");
    let layout = two_layers();
    let place = range.ucr.scratch().join("place");
    let path = place.to_str().unwrap();
    range
        .ucr
        .run(["provision", &layout.reference(TAG), path])
        .ok();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(4) == Some(path));
    let (mount, overlay) = line
        .expect("the mount")
        .rsplit_once(" - ")
        .expect("two halves");
    for option in [
        "redirect_dir=on",
        "redirect_dir=follow",
        "metacopy=on",
        "index=on",
    ] {
        assert!(!overlay.contains(option), "{overlay}");
    }
    let flags = mount.split(' ').nth(5).expect("the flags");
    assert!(flags.split(',').any(|flag| flag == "nodev"), "{flags}");
    range.ucr.run(["rm", path]).ok();
    let result = "`nodev`, `redirect_dir` and `metacopy` off";
    range.row(None, "options", result);
}

/// ramfs takes no attributes at all.
#[test]
fn without_attributes() {
    let range = Range::new("a file system without extended attributes");
    let parent = range.ucr.scratch().dir("ramfs");
    mount("none", &parent, "ramfs", MountFlags::empty(), None).expect("mount ramfs");
    let place = parent.join("place");
    let path = place.to_str().unwrap();
    let with = |key: &str, value: &[u8]| {
        let tar = RawTar::new()
            .file("f", "x")
            .pax(&format!("SCHILY.xattr.{key}"), value);
        Layout::of(TAG, &Image::new().layer(tar.layer()))
    };
    for (key, value) in [("user.a", &b"1"[..]), ("trusted.a", b"1")] {
        let layout = with(key, value);
        let words = [
            "provision",
            "--backend",
            "copy",
            &layout.reference(TAG),
            path,
        ];
        let done = ucr_in(&parent, &words).ok();
        let warned = format!("attribute {key} of 'f' left out");
        assert!(done.stderr.contains(&warned), "{}", done.stderr);
        seen::assert_same(key, &seen::listing(&place), &["f=x".into()]);
        ucr_in(&parent, &["rm", path]).ok();
        range.row(None, key, "`f=x`; *warning*: it is left out");
    }
    let layout = with("security.capability", &CAPABILITY);
    let done = ucr_in(&parent, &["pull", &layout.reference(TAG)]);
    let words = ["'f'", "set attribute security.capability"];
    let result = range.refused("security.capability", &done, words);
    range.row(None, "security.capability", &result);
    unmount(&parent, UnmountFlags::empty()).expect("unmount ramfs");
}
