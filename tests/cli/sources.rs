//! Images from files: `oci:DIR[:TAG]` and `oci-archive:FILE[:TAG]`, in every packing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::process;
use crate::support::scratch::Scratch;
use crate::support::ucr::Ucr;

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/images");

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

/// One tiny image for arm64 in three packings, made by others; where they are not, the test above stands in.
#[test]
fn archives_made_by_others() {
    for packing in ["gzip", "zstd", "uncompressed"] {
        let file = format!("{SHARED}/tiny-{packing}.oci-archive.tar");
        if Path::new(&file).exists() {
            let ucr = Ucr::new();
            let archive = format!("oci-archive:{file}");
            ucr.run(["pull", "--platform", "linux/arm64", &archive])
                .ok();
            assert_eq!(ucr.entries(&["layers"]).len(), 1, "{packing}");
        }
    }
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
