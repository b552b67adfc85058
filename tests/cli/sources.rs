//! Images from files: `oci:DIR[:TAG]` and `oci-archive:FILE[:TAG]`, in every packing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::scratch::Scratch;
use crate::support::ucr::Ucr;
use crate::support::{need, process};

#[test]
fn a_layout_with_one_image_needs_no_tag() {
    let layout = Layout::of("only", &Image::new().layer(Layer::new().file("a", "a")));
    let ucr = Ucr::new();
    let bare = format!("oci:{}", layout.path().display());
    assert_eq!(ucr.pull(&bare), layout.resolve("only"));
    assert_eq!(ucr.pull(&layout.reference("only")), layout.resolve("only"));
    ucr.run(["pull", &layout.reference("other")])
        .refused(&["other", "only"]);
    layout.add("second", &Image::new());
    ucr.run(["pull", "--policy", "always", &bare])
        .refused(&["only", "second"]);
}

#[test]
fn an_archive_of_every_packing() {
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Plain] {
        let image = Image::new().layer(Layer::new().file("a", "a").packed(packing));
        let layout = Layout::of("a", &image);
        let scratch = Scratch::new();
        let archive = scratch.join("image.tar");
        process::tool(
            Command::new("tar")
                .arg("-C")
                .arg(layout.path())
                .arg("-cf")
                .args([
                    archive.as_os_str(),
                    "blobs".as_ref(),
                    "index.json".as_ref(),
                    "oci-layout".as_ref(),
                ]),
        );
        let ucr = Ucr::new();
        let reference = format!("oci-archive:{}:a", archive.display());
        assert_eq!(ucr.pull(&reference), layout.resolve("a"), "{packing:?}");
    }
}

/// skopeo writes an image of ours as it writes every other.
#[test]
fn archives_made_by_skopeo() {
    let layout = Layout::of("x", &Image::new().layer(Layer::new().file("a", "a")));
    let scratch = Scratch::new();
    let copy = |from: &str, to: &str| {
        let mut skopeo = Command::new(need::program("skopeo", "skopeo"));
        process::tool(skopeo.args(["--insecure-policy", "copy", "--quiet", from, to]));
    };
    let archive =
        |transport: &str, file: &str| format!("{transport}:{}", scratch.join(file).display());
    let (oci, docker) = (
        archive("oci-archive", "oci"),
        archive("docker-archive", "docker"),
    );
    copy(&layout.reference("x"), &oci);
    let ucr = Ucr::new();
    assert_eq!(ucr.pull(&oci), layout.resolve("x"));

    // The other form has the layer as it is.
    copy(&layout.reference("x"), &docker);
    ucr.pull(&docker);
    let back = archive("oci-archive", "image.tar");
    copy(&docker, &back);
    ucr.pull(&back);
    assert_eq!(ucr.entries(&["layers"]).len(), 1, "one layer, three times");
}

/// Opening a FIFO waits for a writer, who never comes.
#[test]
fn a_fifo_is_no_image() {
    let fifo = |path: &Path| drop(process::tool(Command::new("mkfifo").arg(path)));
    let layout = Layout::of("x", &Image::new().layer(Layer::new().file("a", "a")));
    let manifest = layout.resolve("x");
    let blob = layout.blob_path(&layout.layer_digests(&manifest)[0]);
    let (index, here) = (layout.path().join("index.json"), layout.reference("x"));
    let ucr = Ucr::new();
    let pull = |reference: &str| {
        let pull = ucr.cmd(["pull", reference]).limit(Duration::from_secs(10));
        pull.run()
    };
    for path in [&blob, &layout.blob_path(&manifest), &index] {
        std::fs::remove_file(path).unwrap();
        fifo(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        pull(&here).refused(&[name, "not a regular file"]);
    }
    let itself = ucr.scratch().join("fifo");
    fifo(&itself);
    pull(&format!("oci:{}", itself.display())).refused(&["Not a directory"]);
    pull(&format!("oci-archive:{}", itself.display())).refused(&["not a regular file"]);
}

#[test]
fn what_is_not_there() {
    let ucr = Ucr::new();
    ucr.run(["pull", "oci:/nosuch/dir:1"])
        .refused(&["/nosuch/dir"]);
    ucr.run(["pull", "oci-archive:/nosuch/file"])
        .refused(&["/nosuch/file"]);
    let empty = ucr.scratch().dir("empty");
    ucr.run(["pull", &format!("oci:{}", empty.display())])
        .refused(&["empty"]);
}
