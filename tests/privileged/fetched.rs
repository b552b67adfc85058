//! Artifacts for a task's user: everything is that user's, whatever the archive says.

use std::os::unix::fs::MetadataExt;

use ucr::fetch::{Options, fetch};
use ucr::spec::Artifact;
use ucr::sys::root::Root;

use crate::support::need;
use crate::support::raw_tar::RawTar;
use crate::support::scratch::Scratch;
use crate::support::tree::Tree;

#[test]
fn everything_is_the_users() {
    need::root();
    let scratch = Scratch::new();
    let sandbox = scratch.dir("sandbox");
    let tar = RawTar::new()
        .dir("listed")
        .file("listed/file", "x")
        .owner(7, 8)
        .mode(0o4755)
        .file("implied/deep/file", "x")
        .symlink("link", "/etc/passwd")
        .header(b'6', "fifo", "")
        .device(b'3', "null", 1, 3);
    let file = scratch.file("x.tar", tar.bytes());
    let mut artifact = Artifact::new(file.to_str().unwrap());
    artifact.dest_path = Some("raw/deep/x.tar".into());
    let options = Options {
        owner: Some((1234, 2345)),
        ..Options::default()
    };
    let notes = fetch(&artifact, &Root::open(&sandbox).unwrap(), &options).unwrap();
    assert!(notes.concat().contains("'null' is left out"), "{notes:?}");
    let found = Tree::read(&sandbox);
    for path in [
        "listed",
        "listed/file",
        "implied",
        "implied/deep",
        "implied/deep/file",
        "link",
        "fifo",
        "raw",
        "raw/deep",
        "raw/deep/x.tar",
    ] {
        assert!(found.has(path), "{path}");
        let owner = std::fs::symlink_metadata(sandbox.join(path)).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (1234, 2345), "{path}");
        assert_eq!(owner.mode() & 0o6000, 0, "{path}");
    }
    let passwd = std::fs::metadata("/etc/passwd").unwrap();
    assert_eq!(passwd.uid(), 0);
}
