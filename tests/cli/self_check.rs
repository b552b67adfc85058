//! The support itself: what it builds is what it says, and what it starts it stops.

use std::process::Command;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::registry::{Registry, blob_fetches};
use crate::support::scratch::Scratch;
use crate::support::tree::Tree;
use crate::support::{digest, need, process, samples};

/// umoci, which is not ours, unpacks what our builder made; and our tree dump sees it.
#[test]
fn another_tool_reads_our_layouts() {
    need::root();
    let base = Layer::new()
        .dir("etc", 0o755)
        .file("etc/kept", "kept")
        .file("etc/gone", "gone")
        .hardlink("etc/second", "etc/kept")
        .symlink("etc/link", "kept")
        .fifo("pipe")
        .char_device("null", 1, 3)
        .dir("tmp", 0o1777)
        .file("owned", "x")
        .owner(1815, 1816)
        .mode(0o4711)
        .mtime(1_000_000_000)
        .xattr("user.note", b"hello\0there");
    let long = format!("etc/{}", "n".repeat(180));
    let top = Layer::new()
        .whiteout("etc/gone")
        .file(&long, "long")
        .packed(Packing::Plain);
    let layout = Layout::of("x", &Image::new().layer(base).layer(top));
    let scratch = Scratch::new();
    let bundle = scratch.join("bundle");
    let image = format!("{}:x", layout.path().display());
    process::tool(
        Command::new(need::program("umoci", "umoci"))
            .args(["unpack", "--image", &image])
            .arg(&bundle),
    );
    let tree = Tree::read(&bundle.join("rootfs"));
    assert!(!tree.has("etc/gone"));
    assert_eq!(tree.node(&long).size, 4);
    assert_eq!(
        tree.node("etc/second").same_as,
        tree.node("etc/kept").same_as
    );
    assert!(tree.node("etc/second").same_as.is_some());
    assert_eq!(
        tree.node("etc/link").target.as_deref(),
        Some("kept".as_ref())
    );
    assert_eq!(tree.node("null").rdev, Some((1, 3)));
    assert_eq!(tree.node("pipe").kind, "fifo");
    assert_eq!(tree.node("tmp").mode, 0o1777);
    let owned = tree.node("owned");
    assert_eq!((owned.uid, owned.gid, owned.mode), (1815, 1816, 0o4711));
    assert_eq!(owned.mtime, (1_000_000_000, 0));
    assert_eq!(owned.xattrs["user.note"], b"hello\0there");
}

/// Every form of image survives the way through skopeo and docker-registry byte for byte.
#[test]
fn the_registry_takes_what_we_build() {
    let registry = Registry::basic("ada", "engine");
    let layer = Layer::new().file("a", "a");
    let images = [
        ("oci", Image::new().layer(layer.clone())),
        (
            "zstd",
            Image::new().layer(layer.clone().packed(Packing::Zstd)),
        ),
        ("docker", Image::new().layer(layer.clone()).docker()),
        (
            "lie",
            Image::new().layer(layer.claiming(&format!("sha256:{}", "0".repeat(64)))),
        ),
    ];
    for (tag, image) in images {
        let layout = Layout::of(tag, &image);
        let reference = registry.push(&layout, tag, &format!("forms:{tag}"));
        let raw = raw_manifest(&reference);
        assert_eq!(digest(raw.as_bytes()), layout.resolve(tag), "{tag}");
        for blob in layout.layer_digests(&layout.resolve(tag)) {
            assert!(registry.blob_file(&blob).exists(), "{tag}: {blob}");
        }
    }
    let both = [
        Image::new().docker(),
        Image::new().docker().on("arm64", None),
    ];
    let list = Layout::new();
    list.add_index(samples::TAG, &both);
    for (tag, layout) in [("pair", samples::busybox_pair().0), ("list", list)] {
        let reference = registry.push(&layout, samples::TAG, &format!("forms:{tag}"));
        let raw = raw_manifest(&reference);
        assert_eq!(
            digest(raw.as_bytes()),
            layout.resolve(samples::TAG),
            "{tag}"
        );
        assert_eq!(raw.matches("\"platform\"").count(), 2, "{tag}");
    }
    assert!(blob_fetches(&registry.stop()).is_empty());
}

fn raw_manifest(reference: &str) -> String {
    let skopeo = need::program("skopeo", "skopeo");
    process::tool(
        Command::new(skopeo)
            .args([
                "inspect",
                "--raw",
                "--tls-verify=false",
                "--creds",
                "ada:engine",
            ])
            .arg(format!("docker://{reference}")),
    )
}

/// The samples are there, whether real or stand-ins, and their pair makes an index.
#[test]
fn the_samples_are_complete() {
    let (pair, amd64, arm64) = samples::busybox_pair();
    assert_ne!(amd64, arm64);
    let index = pair.json(&pair.resolve(samples::TAG));
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
    for layout in [samples::alpine(), samples::umoci(&Scratch::new())] {
        let manifest = layout.resolve(samples::TAG);
        assert!(!layout.layer_digests(&manifest).is_empty());
    }
}

/// A process over its limit is killed, and its children with it.
#[test]
fn the_time_limit_is_hard() {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000 & echo $!; wait"]);
    let running = process::spawn(&mut command, b"");
    running.wait_until("the child's pid", Duration::from_secs(10), || {
        running.stdout_so_far().ends_with('\n')
    });
    let child: i32 = running.stdout_so_far().trim().parse().unwrap();
    assert!(!running.ended_within(Duration::from_millis(10)));
    drop(running);
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !gone() {
        assert!(
            std::time::Instant::now() < deadline,
            "sleep {child} still runs"
        );
        std::thread::yield_now();
    }
}
