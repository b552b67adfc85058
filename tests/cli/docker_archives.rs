//! `docker-archive:FILE[:TAG]`: what docker, podman, skopeo and crane write, and what nobody should.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::docker_archive::{DockerArchive, FORMS, Form};
use crate::support::image::Image;
use crate::support::layer::{Blob, Layer, Packing};
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::ucr::Ucr;
use crate::support::{digest, need, process, samples};

/// Three layers, the first and the last being the same, as docker's links are for.
fn image(packing: Packing) -> Image {
    let first = Layer::new().file("a", "a").packed(packing);
    let second = Layer::new().file("b", "b").whiteout("a").packed(packing);
    Image::new()
        .layer(first.clone())
        .layer(second)
        .layer(first)
        .cmd(&["/b"])
}

fn one(text: &str) -> Image {
    Image::new().layer(Layer::new().file("name", text).packed(Packing::Plain))
}

/// Names a file of the world's.
fn named(ucr: &Ucr, name: &str, bytes: &[u8]) -> String {
    let path = ucr.scratch().file(name, bytes);
    format!("docker-archive:{}", path.display())
}

#[test]
fn every_form_and_packing_is_the_image() {
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let layout = Layout::of("x", &image(packing));
        let ucr = Ucr::new();
        ucr.pull(&layout.reference("x"));
        let layers = ucr.entries(&["layers"]);
        assert_eq!(layers.len(), 3);
        let of_layout = ucr.run(["inspect", &layout.reference("x")]).ok().json();
        let mut digests = Vec::new();
        for form in FORMS {
            let archive = DockerArchive::of(form, "x:1", &image(packing));
            let reference = named(&ucr, "image.tar", &archive);
            let pulled = ucr.pull(&reference);
            assert_eq!(ucr.entries(&["layers"]), layers, "{form:?} {packing:?}");
            let manifest = ucr.run(["inspect", "--raw", "manifest", &reference]).ok();
            assert_eq!(pulled, digest(manifest.stdout.as_bytes()));
            let inspected = ucr.run(["inspect", &reference]).ok().json();
            assert_eq!(inspected["config_digest"], of_layout["config_digest"]);
            assert_eq!(Ucr::new().pull(&reference), pulled, "it is always the same");
            digests.push(pulled);
            // Unpacked from the archive, not found.
            let alone = Ucr::new();
            alone.pull(&reference);
            assert_eq!(alone.entries(&["layers"]).len(), 3, "{form:?} {packing:?}");
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{packing:?}: the same layers, one image");
    }
}

#[test]
fn a_tag_selects() {
    let ucr = Ucr::new();
    let archive = DockerArchive::new()
        .add(Form::Docker20, &["one:1", "one:latest"], &one("one"))
        .add(Form::Docker20, &["docker.io/library/two:2"], &one("two"))
        .add(Form::Docker20, &[], &one("three"));
    let all = named(&ucr, "all.tar", &archive.bytes());
    let name = |tag: &str| format!("{all}:{tag}");
    let refused = ucr.run(["pull", &all]).refused(&["it holds 3 images"]);
    let listed = "one:1, one:latest, docker.io/library/two:2, @2";
    assert!(refused.stderr.contains(listed), "{}", refused.stderr);
    ucr.run(["pull", &name("four")])
        .refused(&["no image 'four'", listed]);
    let pulled = |tag: &str| ucr.pull(&name(tag));
    assert_eq!(pulled("one:1"), pulled("one"));
    assert_eq!(pulled("one:1"), pulled("@0"));
    assert_eq!(pulled("two:2"), pulled("docker.io/library/two:2"));
    assert_ne!(pulled("two:2"), pulled("@2"));

    let listed = ucr.run(["images", "--format", "json"]).ok().json();
    let names: Vec<_> = listed.as_array().unwrap().iter().collect();
    let names: Vec<_> = names.iter().map(|image| &image["name"]).collect();
    assert!(names.contains(&&json!(name("one:1"))), "{names:?}");
    for tag in [
        "one:1",
        "one",
        "@0",
        "two:2",
        "docker.io/library/two:2",
        "@2",
    ] {
        ucr.run(["rm", &name(tag)]).ok();
    }
    ucr.run(["prune"]).ok();
    assert!(ucr.entries(&["layers", "refs"]).is_empty());
}

#[test]
fn a_rebuilt_file_is_seen_and_a_lost_one_is_not_missed() {
    let ucr = Ucr::new();
    let write = |text: &str| {
        named(
            &ucr,
            "x.tar",
            &DockerArchive::of(Form::Podman, "x", &one(text)),
        )
    };
    let reference = write("old");
    let old = ucr.pull(&reference);
    let target = |name: &str| ucr.scratch().join(name).display().to_string();
    let provision = |words: &[&str]| {
        let line = [&["provision", "--backend", "copy"], words].concat();
        ucr.run(line)
    };
    provision(&["--policy", "never", &reference, &target("1")]).ok();
    write("new");
    provision(&["--policy", "missing", &reference, &target("2")]).ok();
    provision(&[&reference, &target("3")]).ok();
    let content = |name: &str| fs::read_to_string(Path::new(&target(name)).join("name")).unwrap();
    assert_eq!(
        [content("1"), content("2"), content("3")],
        ["old", "old", "new"]
    );
    let new = ucr.pull(&reference);
    assert_ne!(old, new);
    fs::remove_file(ucr.scratch().join("x.tar")).unwrap();
    let done = provision(&[&reference, &target("4")]).ok();
    assert!(
        done.stderr.contains("the image of the store is used"),
        "{}",
        done.stderr
    );
    ucr.run(["pull", "--policy", "always", &reference])
        .refused(&["no such file", "x.tar"]);
    // A relative path is one from here.
    assert_eq!(
        ucr.run(["pull", "--policy", "never", "docker-archive:x.tar"])
            .ok()
            .text(),
        new
    );
}

/// Docker's own archives of `../shared/images`, beside what skopeo makes of them.
#[test]
fn real_archives() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/images");
    for (file, platform, layers) in [
        ("busybox-14-layers.docker-save.tar", "linux/amd64", 14),
        ("hello-world.docker25-save.tar", "linux/arm64", 1),
        ("alpine-3.10.docker-save.tar.gz", "linux/amd64", 1),
    ] {
        let mut path = shared.join(file);
        if !path.exists() {
            continue;
        }
        let ucr = Ucr::new();
        if file.ends_with(".gz") {
            ucr.run(["pull", &format!("docker-archive:{}", path.display())])
                .refused(&["compressed with gzip", "gzip -d"]);
            path = ucr.scratch().file("x.tar", samples::gunzip(&path));
        }
        let reference = format!("docker-archive:{}", path.display());
        ucr.run(["pull", "--platform", "linux/s390x", &reference])
            .refused(&[platform, "linux/s390x"]);
        ucr.run(["pull", "--platform", platform, &reference]).ok();
        let there = ucr.entries(&["layers"]);
        assert_eq!(there.len(), layers, "{file}");
        let layout = ucr.scratch().join("layout");
        process::tool(
            Command::new(need::program("skopeo", "skopeo"))
                .args(["--insecure-policy", "copy", "--quiet", &reference])
                .arg(format!("oci:{}:x", layout.display())),
        );
        let converted = format!("oci:{}:x", layout.display());
        ucr.run(["pull", "--platform", platform, &converted]).ok();
        assert_eq!(ucr.entries(&["layers"]), there, "{file}");
    }
}

/// An archive and what its refusal has to say.
type Case = (&'static str, Vec<u8>, &'static [&'static str]);

/// An image in docker's form with `more` in the archive, and its list changed.
fn changed(
    more: impl FnOnce(RawTar) -> RawTar,
    list: impl FnOnce(&mut Vec<serde_json::Value>),
) -> Vec<u8> {
    DockerArchive::new()
        .add(Form::Docker20, &["x:1"], &one("x"))
        .with(more)
        .listing(list)
        .bytes()
}

fn listing(list: impl FnOnce(&mut Vec<serde_json::Value>)) -> Vec<u8> {
    changed(|tar| tar, list)
}

/// With a layer that is a member which `more` makes.
fn layer_at(name: &'static str, more: impl FnOnce(RawTar) -> RawTar) -> Vec<u8> {
    changed(more, |list| list[0]["Layers"] = json!([name]))
}

/// A layer as it is in an archive.
fn bytes_of(layer: &Layer) -> Vec<u8> {
    match layer.pack().blob {
        Blob::Bytes(bytes) => bytes,
        Blob::File(_) => panic!("a layer in memory"),
    }
}

/// Archives without a list, or with a bad one.
fn bad_lists() -> Vec<Case> {
    vec![
        ("nothing", RawTar::new().bytes(), &["no manifest.json"]),
        ("no tar", b"what else".repeat(99), &["not a tar file"]),
        (
            "a list that is none",
            RawTar::new().file("manifest.json", "{}").bytes(),
            &["manifest.json: ", "expected a sequence"],
        ),
        (
            "a list without end",
            RawTar::new()
                .file("manifest.json", vec![b' '; (4 << 20) + 1])
                .bytes(),
            &["manifest.json is larger than 4 MiB"],
        ),
        (
            "keys that stand twice",
            RawTar::new()
                .file("manifest.json", r#"[{"Config":"a","Config":"b"}]"#)
                .bytes(),
            &["manifest.json: ", "duplicate field"],
        ),
        ("an empty list", listing(Vec::clear), &["it holds no image"]),
        (
            "two lists",
            changed(|tar| tar.file("./manifest.json", "[]"), |_| ()),
            &["'manifest.json' in it stands there twice"],
        ),
    ]
}

/// Configurations that are not there, or not what they should be.
fn bad_configurations() -> Vec<Case> {
    let config = serde_json::to_vec(&one("x").config(&one("x").pack())).unwrap();
    let config_name = digest(&config).replace("sha256:", "") + ".json";
    vec![
        (
            "no configuration",
            listing(|list| list[0]["Config"] = json!("nosuch.json")),
            &["lists 'nosuch.json', which is not in it"],
        ),
        (
            "a configuration that is said to be nowhere",
            listing(|list| drop(list[0].as_object_mut().unwrap().remove("Config"))),
            &["missing field `Config`"],
        ),
        (
            "a configuration that is none",
            changed(
                |tar| tar.file("c", "[]"),
                |list| list[0]["Config"] = json!("c"),
            ),
            &["image configuration"],
        ),
        (
            "a configuration without end",
            changed(
                |tar| tar.file("c", vec![b' '; (4 << 20) + 1]),
                |list| list[0]["Config"] = json!("c"),
            ),
            &["image configuration c is larger than 4 MiB"],
        ),
        (
            "a configuration under another's name",
            changed(
                |tar| tar.file(&format!("{}.json", "0".repeat(64)), &config),
                |list| list[0]["Config"] = json!(format!("{}.json", "0".repeat(64))),
            ),
            &["image configuration", "digest is"],
        ),
        (
            "a configuration that stands there twice",
            changed(|tar| tar.file(&config_name, &config), |_| ()),
            &[".json' in it stands there twice"],
        ),
    ]
}

/// Layers that are not the configuration's.
fn bad_layers() -> Vec<Case> {
    vec![
        (
            "more layers than the configuration has",
            listing(|list| {
                let layer = list[0]["Layers"][0].clone();
                list[0]["Layers"] = json!([layer, layer]);
            }),
            &["lists 2 layers of the image, its configuration 1"],
        ),
        (
            "fewer layers than the configuration has",
            listing(|list| list[0]["Layers"] = json!(null)),
            &["lists 0 layers of the image, its configuration 1"],
        ),
        (
            "another layer than the configuration's",
            layer_at("evil.tar", |tar| {
                tar.file("evil.tar", RawTar::new().file("evil", "").bytes())
            }),
            &["layer sha256:", "has the digest"],
        ),
        (
            "another compressed layer than the configuration's",
            layer_at("evil.tar", |tar| {
                let evil = RawTar::new().file("evil", "").layer();
                tar.file("evil.tar", bytes_of(&evil.packed(Packing::Gzip)))
            }),
            &["layer sha256:", "has the diff ID"],
        ),
        (
            "a blob under another's name",
            layer_at(
                "blobs/sha256/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                |tar| {
                    let name = format!("blobs/sha256/{}", "a".repeat(64));
                    let evil = RawTar::new().layer().packed(Packing::Zstd);
                    tar.file(&name, bytes_of(&evil))
                },
            ),
            &["layer sha256:aaaa", "has the digest"],
        ),
        (
            "a packer that OCI does not know",
            layer_at("l", |tar| tar.file("l", b"\xfd7zXZ\0...")),
            &["layer l is compressed with xz"],
        ),
    ]
}

/// Names and links that lead elsewhere.
fn bad_names() -> Vec<Case> {
    vec![
        (
            "a name that leads out",
            layer_at("../../../etc/passwd", |tar| tar),
            &["'../../../etc/passwd' in it leads out"],
        ),
        (
            "a name of the host's",
            layer_at("/etc/passwd", |tar| tar),
            &["lists '/etc/passwd', which is not in it"],
        ),
        (
            "a link to the host",
            layer_at("l", |tar| tar.symlink("l", "/etc/passwd")),
            &["'l' in it leads out"],
        ),
        (
            "a link that leads out",
            layer_at("a/l", |tar| tar.symlink("a/l", "../../etc/passwd")),
            &["'a/l' in it leads out"],
        ),
        (
            "a hard link that leads out",
            layer_at("a/l", |tar| tar.hardlink("a/l", "../etc/passwd")),
            &["'a/l' in it leads out"],
        ),
        (
            "links in a circle",
            layer_at("a/l", |tar| {
                tar.symlink("a/l", "../b/l").symlink("b/l", "../a/l")
            }),
            &["'a/l' in it is a link that leads nowhere"],
        ),
        (
            "a link to itself",
            layer_at("l", |tar| tar.hardlink("l", "l")),
            &["'l' in it is a link that leads nowhere"],
        ),
        (
            "a link to nothing",
            layer_at("l", |tar| tar.symlink("l", "nosuch")),
            &["lists 'l', which is not in it"],
        ),
        (
            "a directory",
            layer_at("l", |tar| tar.dir("l")),
            &["lists 'l', which is not in it"],
        ),
        (
            "a pipe",
            layer_at("l", |tar| tar.header(b'6', "l", "")),
            &["lists 'l', which is not in it"],
        ),
    ]
}

/// Members that two readers read in two ways, or that are not all there.
fn bad_members() -> Vec<Case> {
    let layer = bytes_of(&RawTar::new().file("x", "x").layer().packed(Packing::Plain));
    let size = layer.len() as u64;
    vec![
        (
            "a layer that stands there twice",
            layer_at("l", |tar| tar.file("l", &layer).file("l", "")),
            &["'l' in it stands there twice"],
        ),
        (
            "a sparse layer",
            layer_at("l", |tar| {
                let sparse = tar.file("GNUSparseFile.0/l", &layer);
                sparse
                    .pax("GNU.sparse.major", "1")
                    .pax("GNU.sparse.minor", "0")
                    .pax("GNU.sparse.name", "l")
                    .pax("GNU.sparse.realsize", "10000000000")
            }),
            &["'l' in it is a sparse file"],
        ),
        (
            "a sparse layer of old",
            layer_at("l", |tar| {
                // One region of one block at the start of a file of 8 GiB less a byte.
                tar.header(b'S', "l", [0; 512])
                    .field(257, "ustar  \0")
                    .field(386, "00000000000\0")
                    .field(398, "00000001000\0")
                    .field(410, "77777777777\0")
                    .field(422, "00000000000\0")
                    .field(483, "77777777777\0")
            }),
            &["'l' in it is a sparse file"],
        ),
        (
            "two sizes",
            layer_at("l", |tar| {
                let tar = tar.file("l", &layer).size(size - 1);
                tar.pax("size", size.to_string())
            }),
            &["'l' in it has two sizes"],
        ),
        (
            "a size beyond the end",
            layer_at("l", |tar| tar.file("l", &layer).size(0o7_777_777_777)),
            &["the archive is cut short"],
        ),
        (
            "a size beyond all",
            layer_at("l", |tar| {
                tar.file("l", &layer).pax("size", "18446744073709551615")
            }),
            &[],
        ),
        (
            "a size that is less",
            layer_at("l", |tar| tar.file("l", &layer).size(512)),
            &["not a tar file"],
        ),
    ]
}

#[test]
fn hostile_archives_are_refused() {
    let ucr = Ucr::new();
    let all = [
        bad_lists(),
        bad_configurations(),
        bad_layers(),
        bad_names(),
        bad_members(),
    ];
    for (what, archive, words) in all.into_iter().flatten() {
        let reference = named(&ucr, "x.tar", &archive);
        let refused = ucr
            .cmd(["pull", &reference])
            .limit(Duration::from_secs(20))
            .run();
        assert_eq!(refused.code, 125, "{what}: {}", refused.stderr);
        let refused = refused.refused(words);
        eprintln!("{what}: {}", refused.stderr.trim());
    }
    assert!(ucr.entries(&["layers", "refs", "tmp", "ingest"]).is_empty());
}

#[test]
fn more_members_than_any_image_has() {
    let ucr = Ucr::new();
    let block = RawTar::new().file("x", "").bytes();
    let archive = block[..512].repeat(1_000_000);
    let reference = named(&ucr, "x.tar", &archive);
    let pull = ucr.cmd(["pull", &reference]).limit(Duration::from_secs(20));
    pull.run().refused(&["more than 100000 members"]);
}

#[test]
fn the_other_kind_of_archive_is_named() {
    let ucr = Ucr::new();
    let docker = named(
        &ucr,
        "d.tar",
        &DockerArchive::of(Form::Podman, "x", &one("x")),
    );
    ucr.run(["pull", &docker.replace("docker-archive", "oci-archive")])
        .refused(&["no index.json", "docker-archive:FILE"]);
    let oci = named(
        &ucr,
        "o.tar",
        &RawTar::new().file("index.json", "{}").bytes(),
    );
    ucr.run(["pull", &oci])
        .refused(&["no manifest.json", "oci-archive:FILE"]);
    let old = named(
        &ucr,
        "r.tar",
        &RawTar::new().file("repositories", "{}").bytes(),
    );
    ucr.run(["pull", &old])
        .refused(&["no manifest.json", "1.10"]);
    let zstd = named(&ucr, "z.tar", b"\x28\xb5\x2f\xfd...");
    ucr.run(["pull", &zstd]).refused(&["zstd -d"]);
}

/// A file of 8 GB before everything else is passed over.
#[test]
fn a_huge_archive_is_not_read_to_find_its_images() {
    let ucr = Ucr::new();
    let huge = RawTar::new().header(b'0', "huge", "").size(8_000_000_000);
    let small = DockerArchive::of(Form::Docker25, "x", &one("x"));
    let path = ucr.scratch().file("x.tar", &huge.bytes()[..512]);
    let file = File::options().write(true).open(&path).unwrap();
    let end = 512 + 8_000_000_000_u64.next_multiple_of(512);
    std::os::unix::fs::FileExt::write_all_at(&file, &small, end).unwrap();
    let reference = format!("docker-archive:{}", path.display());
    let pull = ucr.cmd(["pull", &reference]).limit(Duration::from_secs(10));
    pull.run().ok();
}
