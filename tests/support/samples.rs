//! Real images: those of `../shared/images`, or stand-ins made of Debian's busybox-static.
//!
//! `./tests/all` says at its beginning which of the two it is.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::image::Image;
use super::layer::{Layer, Packing};
use super::layout::Layout;
use super::scratch::Scratch;
use super::{need, process};

/// The applets that the tests call.
const APPLETS: &[&str] = &[
    "cat", "chmod", "cp", "date", "df", "echo", "env", "false", "find", "grep", "head", "hostname",
    "id", "ip", "kill", "ln", "ls", "mkdir", "mount", "ps", "pwd", "readlink", "rm", "sh", "sleep",
    "stat", "tail", "test", "touch", "tr", "true", "tty", "umount", "uname", "wc", "whoami",
];

/// The tag under which the layouts of this module carry their image.
pub const TAG: &str = "sample";

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/images")
        .join(name);
    path.exists().then_some(path)
}

/// The busybox image for linux/amd64, `CMD ["sh"]`.
pub fn busybox() -> Layout {
    match shared("busybox-1.38-glibc-amd64.oci") {
        Some(path) => retag(&path),
        None => Layout::of(TAG, &small()),
    }
}

/// The busybox image for linux/arm64/v8. The stand-in is one by name only: nothing runs it.
pub fn busybox_arm64() -> Layout {
    match shared("busybox-1.38-musl-arm64.oci") {
        Some(path) => retag(&path),
        None => Layout::of(TAG, &small().on("arm64", Some("v8"))),
    }
}

/// One index over the two busybox images, under [`TAG`]; then the digests of the manifests for
/// amd64 and arm64.
pub fn busybox_pair() -> (Layout, String, String) {
    let layout = Layout::new();
    let entry = |other: &Layout| {
        let mut found = layout.copy_from(other).pop().expect("one manifest");
        found
            .as_object_mut()
            .expect("an object")
            .remove("annotations");
        let manifest = layout.json(found["digest"].as_str().expect("a digest"));
        let config = layout.json(manifest["config"]["digest"].as_str().expect("a digest"));
        found["platform"] =
            serde_json::json!({"os": "linux", "architecture": config["architecture"]});
        if config["variant"].is_string() {
            found["platform"]["variant"] = config["variant"].clone();
        }
        found
    };
    let (amd64, arm64) = (entry(&busybox()), entry(&busybox_arm64()));
    let digest = |found: &serde_json::Value| found["digest"].as_str().expect("text").to_owned();
    let digests = (digest(&amd64), digest(&arm64));
    layout.add_index_of(TAG, vec![arm64, amd64]);
    (layout, digests.0, digests.1)
}

/// A small image to build on: busybox-static in one layer, `CMD ["sh"]`.
pub fn small() -> Image {
    Image::new().layer(busybox_layer()).cmd(&["sh"])
}

/// A layer with busybox, its applets, and the usual directories and accounts.
pub fn busybox_layer() -> Layer {
    let program = need::program("busybox", "busybox-static");
    let busybox = fs::read(&program).expect("read busybox");
    assert!(
        !busybox
            .windows(14)
            .any(|window| window == b"/lib64/ld-linu"),
        "{} is not static: apt-get install busybox-static",
        program.display()
    );
    let directories = [
        ("bin", 0o755),
        ("etc", 0o755),
        ("root", 0o700),
        ("tmp", 0o1777),
    ];
    let layer = directories
        .iter()
        .fold(Layer::new(), |layer, (name, mode)| layer.dir(name, *mode));
    let layer = layer
        .program("bin/busybox", busybox)
        .file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nada:x:1815:1816::/home/ada:/bin/sh\n",
        )
        .file("etc/group", "root:x:0:\nada:x:1816:\nengines:x:1843:ada\n");
    APPLETS.iter().fold(layer, |layer, name| {
        layer.hardlink(&format!("bin/{name}"), "bin/busybox")
    })
}

/// Alpine's minirootfs as an image without a default command, which it is not given; the
/// stand-in is busybox with an `/etc/alpine-release`.
pub fn alpine() -> Layout {
    let image = match shared("alpine-minirootfs-3.20.3-x86_64.tar.gz") {
        Some(path) => Image::new().layer(Layer::from_tar(gunzip(&path))),
        None => {
            let layer = Layer::new().dir("etc", 0o755);
            small().layer(layer.file("etc/alpine-release", "3.20.3\n"))
        }
    };
    Layout::of(TAG, &image)
}

/// A Debian root filesystem, as mmdebstrap makes it, in one zstd layer.
pub fn debian() -> Layout {
    Layout::of(TAG, &debian_image(Packing::Zstd))
}

/// The same with another packing. The tree is kept in cargo's directory for test data, because it
/// takes half a minute.
pub fn debian_image(packing: Packing) -> Image {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-bookworm.tar");
    if !cache.exists() {
        let fresh = cache.with_extension(format!("{}.tar", std::process::id()));
        let program = need::program("mmdebstrap", "mmdebstrap");
        process::tool(
            Command::new(program)
                .args(["--quiet", "--mode=root", "--variant=minbase", "bookworm"])
                .arg(&fresh),
        );
        fs::rename(fresh, &cache).expect("keep the Debian tree");
    }
    let tar = fs::read(cache).expect("the Debian tree");
    Image::new()
        .layer(Layer::from_tar(tar).packed(packing))
        .cmd(&["bash"])
}

/// What `docker save` wrote, as a layout: 14 layers with deletes, made by others. The stand-in has
/// as many.
pub fn busybox_14_layers(scratch: &Scratch) -> Layout {
    match shared("busybox-14-layers.docker-save.tar") {
        Some(path) => converted(&format!("docker-archive:{}", path.display()), scratch),
        None => Layout::of(TAG, &(1..14).fold(small(), history)),
    }
}

/// One step of an image's history: it adds, deletes and replaces.
fn history(image: Image, step: u32) -> Image {
    let name = |step: u32| format!("steps/{step}/file");
    // Real layers list the directories above what changed.
    let layer = Layer::new()
        .dir("./", 0o755)
        .dir("steps", 0o755)
        .dir(&format!("steps/{step}"), 0o750)
        .file(&name(step), step.to_string())
        .file("steps/last", step.to_string());
    image.layer(match step {
        1..=3 => layer,
        _ if step.is_multiple_of(3) => layer.whiteout(&name(step - 2)),
        _ if step.is_multiple_of(2) => layer.whiteout(&format!("steps/{}", step - 3)),
        _ => layer.opaque("steps").file("steps/after", "x"),
    })
}

/// The other images of `../shared/images`, with the platform that each is for; none where they are
/// absent.
pub fn others(scratch: &Scratch) -> Vec<(&'static str, &'static str, Layout)> {
    let files = [
        (
            "alpine 3.10",
            "linux/amd64",
            "docker-archive:",
            "alpine-3.10.docker-save.tar.gz",
        ),
        (
            "hello-world",
            "linux/arm64",
            "docker-archive:",
            "hello-world.docker25-save.tar",
        ),
        (
            "tiny, gzip",
            "linux/arm64",
            "oci-archive:",
            "tiny-gzip.oci-archive.tar",
        ),
        (
            "tiny, zstd",
            "linux/arm64",
            "oci-archive:",
            "tiny-zstd.oci-archive.tar",
        ),
        (
            "tiny, plain",
            "linux/arm64",
            "oci-archive:",
            "tiny-uncompressed.oci-archive.tar",
        ),
    ];
    let there = files
        .into_iter()
        .filter_map(|(name, platform, transport, file)| {
            let mut path = shared(file)?;
            if file.ends_with(".gz") {
                path = scratch.file("unpacked.tar", gunzip(&path));
            }
            let layout = converted(&format!("{transport}{}", path.display()), scratch);
            Some((name, platform, layout))
        });
    there.collect()
}

/// A copy, by skopeo, of an image in one of the forms that it reads.
fn converted(source: &str, scratch: &Scratch) -> Layout {
    let number = fs::read_dir(scratch.path()).expect("readdir").count();
    let layout = Layout::at(scratch.join(format!("converted{number}")));
    let program = need::program("skopeo", "skopeo");
    process::tool(
        Command::new(program)
            .args(["--insecure-policy", "--override-os", "linux"])
            .args(["copy", "--quiet", source, &layout.reference(TAG)]),
    );
    layout
}

/// Unpacks a gzip file.
pub fn gunzip(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut tar)
        .expect("gunzip");
    tar
}

/// A copy of a foreign layout of one image, under [`TAG`].
fn retag(path: &Path) -> Layout {
    let layout = Layout::new();
    let mut found = layout.copy_from(&Layout::at(path));
    let mut descriptor = found.pop().expect("one manifest");
    descriptor
        .as_object_mut()
        .expect("an object")
        .remove("platform");
    layout.tag(TAG, descriptor);
    layout
}

/// An image of three layers with deletes, built by umoci: unpack, change, repack.
///
/// The tree at the end: `/kept`, `/dir/new`, a symbolic link where a directory was (`/turned`),
/// and neither `/gone`, `/dir/old` nor `/turned/inside`.
pub fn umoci(scratch: &Scratch) -> Layout {
    let image = format!("{}:{TAG}", scratch.join("layout").display());
    let bundle = scratch.join("bundle");
    let umoci = |words: &[&str]| {
        let mut command = Command::new(need::program("umoci", "umoci"));
        command.args(words).arg("--image").arg(&image);
        process::tool(&mut command)
    };
    let layout = scratch.join("layout");
    let init = need::program("umoci", "umoci");
    process::tool(Command::new(init).args(["init", "--layout"]).arg(&layout));
    umoci(&["new"]);
    let bundle = bundle.to_str().expect("a path of ours is text");
    let step = |change: &dyn Fn(&Path)| {
        process::tool(Command::new("rm").args(["-rf", bundle]));
        let program = need::program("umoci", "umoci");
        process::tool(Command::new(&program).args(["unpack", "--image", &image, bundle]));
        change(&Path::new(bundle).join("rootfs"));
        process::tool(Command::new(&program).args(["repack", "--image", &image, bundle]));
    };
    step(&|root| {
        for directory in ["dir", "turned"] {
            fs::create_dir(root.join(directory)).expect("mkdir");
        }
        for name in ["kept", "gone", "dir/old", "turned/inside"] {
            fs::write(root.join(name), name).expect("write");
        }
    });
    step(&|root| {
        fs::remove_file(root.join("gone")).expect("rm");
        fs::remove_file(root.join("dir/old")).expect("rm");
        fs::write(root.join("dir/new"), "dir/new").expect("write");
    });
    step(&|root| {
        fs::remove_dir_all(root.join("turned")).expect("rm");
        std::os::unix::fs::symlink("dir", root.join("turned")).expect("symlink");
    });
    Layout::at(layout)
}
