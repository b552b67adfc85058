//! Images that lie, and bytes that are not what they should be: refused, and nothing is kept.

use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::{Registry, cut, damage};
use crate::support::samples::TAG;
use crate::support::scripted_registry::{Answer, Misbehaviour, ScriptedRegistry};
use crate::support::ucr::Ucr;

/// Two layers, so that one of them may be good.
fn image() -> Image {
    let text = "all work and no play ".repeat(4000);
    Image::new()
        .layer(Layer::new().file("good", "good"))
        .layer(Layer::new().file("text", text))
}

/// Nothing is listed, and nothing is in the store that a later pull could take for good.
#[track_caller]
fn assert_nothing_kept(ucr: &Ucr) {
    assert_eq!(
        ucr.run(["images", "--format", "json"]).ok().json(),
        serde_json::json!([])
    );
    let kept = ucr.entries(&["refs", "ingest", "tmp", "layers", "blobs/sha256"]);
    assert!(kept.is_empty(), "left in the store: {kept:#?}");
}

#[test]
fn a_damaged_blob() {
    let layout = Layout::of("x", &image());
    let manifest = layout.resolve("x");
    let config = layout.json(&manifest)["config"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let blob = layout.layer_digests(&manifest).pop().unwrap();
    for digest in [&blob, &config] {
        let registry = Registry::open();
        let reference = registry.push(&layout, "x", "demo/damaged:1");
        damage(&registry.blob_file(digest));
        let ucr = Ucr::new();
        ucr.run(["pull", &reference]).refused(&[digest, "digest"]);
        assert_nothing_kept(&ucr);
    }
}

#[test]
fn a_blob_that_is_too_short() {
    let layout = Layout::of("x", &image());
    let blob = layout.layer_digests(&layout.resolve("x")).pop().unwrap();
    let registry = Registry::open();
    let reference = registry.push(&layout, "x", "demo/short:1");
    cut(&registry.blob_file(&blob));
    let ucr = Ucr::new();
    ucr.run(["pull", &reference]).refused(&[&blob]);
    assert_nothing_kept(&ucr);
}

/// From a layout as from a registry.
#[test]
fn damage_in_a_layout() {
    for spoil in [damage, cut] {
        let layout = Layout::of("x", &image());
        let blob = layout.layer_digests(&layout.resolve("x")).pop().unwrap();
        spoil(&layout.blob_path(&blob));
        let ucr = Ucr::new();
        ucr.run(["pull", &layout.reference("x")]).refused(&[&blob]);
        assert_nothing_kept(&ucr);
    }
}

/// Overlay takes 500; what could never be mounted is not fetched either.
#[test]
fn too_many_layers() {
    let layer = Layer::new().file("a", "a");
    let image = (0..501).fold(Image::new(), |image, _| image.layer(layer.clone()));
    let ucr = Ucr::new();
    let done = ucr.run(["pull", &Layout::of("x", &image).reference("x")]);
    done.refused(&["501 layers", "stacks 500"]);
    assert_nothing_kept(&ucr);
}

/// Nobody checks the size of a layer that is here already; sums of lies must not wrap around.
#[test]
fn sizes_without_end() {
    let layout = Layout::of("x", &image());
    let ucr = Ucr::new();
    ucr.pull(&layout.reference("x"));
    let mut manifest = layout.json(&layout.resolve("x"));
    for layer in manifest["layers"].as_array_mut().unwrap() {
        layer["size"] = u64::MAX.into();
    }
    let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
    let lying = layout.put(manifest.to_string().as_bytes(), &media_type);
    layout.tag("huge", lying);
    let huge = layout.reference("huge");
    ucr.pull(&huge);
    let listed = ucr.run(["inspect", &huge]).ok().json();
    assert_eq!(listed["size"], u64::MAX);
}

#[test]
fn a_wrong_diff_id() {
    let wrong = format!("sha256:{}", "5".repeat(64));
    let image = image().layer(Layer::new().file("a", "a").claiming(&wrong));
    let layout = Layout::of("x", &image);
    let registry = Registry::open();
    let pushed = registry.push(&layout, "x", "demo/lie:1");
    for reference in [pushed, layout.reference("x")] {
        let ucr = Ucr::new();
        ucr.run(["pull", &reference]).refused(&[&wrong]);
        assert_nothing_kept(&ucr);
    }
}

/// A disk that forgets: the next pull replaces what is wrong, and until then it is said what is.
#[test]
fn damage_in_the_store() {
    let layout = Layout::new();
    layout.add_index("x", &[image()]);
    let ucr = Ucr::new();
    let reference = layout.reference("x");
    ucr.pull(&reference);
    let documents = ucr.entries(&["blobs/sha256"]);
    assert_eq!(documents.len(), 3, "index, manifest, configuration");
    for (number, file) in documents.iter().enumerate() {
        let right = std::fs::read(file).unwrap();
        [damage, cut][number % 2](file);
        let digest = file.file_name().unwrap().to_str().unwrap();
        let never = ["pull", "--policy", "never", &reference];
        ucr.run(never).refused(&["not in the store"]);
        ucr.pull(&reference);
        assert_eq!(std::fs::read(file).unwrap(), right, "{digest}");
        ucr.run(never).ok();
    }
}

/// A manifest that is missing, as registries say it.
#[test]
fn nothing_under_this_name() {
    let registry = Registry::open();
    registry.push(&Layout::of("x", &image()), "x", "demo/there:1");
    let ucr = Ucr::new();
    for name in ["demo/there:2", "demo/nosuch:1"] {
        let reference = registry.reference(name);
        ucr.run(["pull", &reference]).refused(&[&reference]);
    }
    assert_nothing_kept(&ucr);
}

/// A registry of ours with an image, and the digests of its layers.
pub fn scripted(image: &Image) -> (ScriptedRegistry, String, Vec<String>) {
    let layout = Layout::of(TAG, image);
    let server = layout.serve(TAG);
    let reference = format!("{}/demo/scripted:{TAG}", server.host());
    let layers = layout.layer_digests(&layout.resolve(TAG));
    (server, reference, layers)
}

/// A registry that is bad for good: the pull gives up, and says what about.
#[test]
fn a_registry_that_never_gets_it_right() {
    let unavailable = Answer::error(503, "UNAVAILABLE", "come back later");
    let rows: [(&str, Misbehaviour); 7] = [
        ("endless", Misbehaviour::Endless),
        ("cut", Misbehaviour::CutAfter(100)),
        ("flipped", Misbehaviour::FlipByte(50)),
        ("longer", Misbehaviour::Append(b"more".to_vec())),
        (
            "other",
            Misbehaviour::Instead(Answer::new(200, "not the blob at all")),
        ),
        ("empty", Misbehaviour::Instead(Answer::new(200, ""))),
        ("down", Misbehaviour::Instead(unavailable)),
    ];
    for (name, misbehaviour) in rows {
        let (server, reference, layers) = scripted(&image());
        server.script(&format!("/blobs/{}", layers[1]), 1000, misbehaviour);
        let ucr = Ucr::new();
        let pull = ucr
            .cmd(["pull", &reference])
            .limit(Duration::from_secs(120));
        let done = pull.run();
        assert!(done.stderr.contains(&layers[1]), "{name}: {}", done.stderr);
        done.refused(&[]);
        assert_nothing_kept(&ucr);
        let asked = server.asked(&layers[1]).len();
        assert!(asked <= 20, "{name}: asked {asked} times");
    }
}

/// Passing trouble is not the user's: a cut connection, a busy or broken server, once or twice.
#[test]
fn a_registry_with_a_bad_minute() {
    let busy = Answer::error(429, "TOOMANYREQUESTS", "slow down").with("Retry-After", "1");
    let broken = Answer::error(500, "UNKNOWN", "oops");
    let rows: [(&str, Misbehaviour); 4] = [
        ("cut", Misbehaviour::CutAfter(100)),
        ("dead", Misbehaviour::CutAfter(0)),
        ("busy", Misbehaviour::Instead(busy)),
        ("broken", Misbehaviour::Instead(broken)),
    ];
    for (name, misbehaviour) in rows {
        let (server, reference, layers) = scripted(&image());
        server.script(&layers[1], 2, misbehaviour.clone());
        server.script("/manifests/", 1, misbehaviour);
        let ucr = Ucr::new();
        let done = ucr.run(["pull", &reference]);
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        assert_eq!(ucr.entries(&["layers"]).len(), 2, "{name}");
    }
}

/// Manifests are capped before they are parsed, whatever length is announced, or none.
#[test]
fn a_manifest_of_5_mib() {
    let (server, reference, _) = scripted(&image());
    let ucr = Ucr::new();
    let refused = || {
        let pull = ucr.cmd(["pull", &reference]);
        let done = pull.limit(Duration::from_secs(20)).run();
        done.refused(&["manifest", "4 MiB"]);
        assert_nothing_kept(&ucr);
    };
    server.script("/manifests/", 1, Misbehaviour::Endless);
    refused();
    let padding = "x".repeat(5 << 20);
    let manifest = format!(r#"{{"schemaVersion":2,"annotations":{{"a":"{padding}"}}}}"#);
    server.manifest(TAG, image().manifest_type(), manifest.as_bytes());
    refused();
}

/// A manifest asked for by digest must have that digest.
#[test]
fn a_manifest_that_is_another() {
    let layout = Layout::of(TAG, &image());
    let (server, ..) = scripted(&image());
    let digest = layout.resolve(TAG);
    let other = Answer::new(200, r#"{"schemaVersion":2,"layers":[]}"#)
        .with("Content-Type", image().manifest_type());
    server.script("/manifests/", 1000, Misbehaviour::Instead(other));
    let ucr = Ucr::new();
    let reference = format!("{}/demo/scripted@{digest}", server.host());
    ucr.run(["pull", &reference]).refused(&[&digest]);
    assert_nothing_kept(&ucr);
}

/// A server that falls silent is given up after `--pull-timeout`.
#[test]
fn a_silent_server() {
    let (server, reference, layers) = scripted(&image());
    server.script(&layers[1], 1000, Misbehaviour::StallAfter(10));
    let ucr = Ucr::new();
    let pull = ucr.cmd(["pull", "--pull-timeout", "3", &reference]);
    pull.limit(Duration::from_secs(20))
        .run()
        .refused(&["longer than allowed"]);
    assert_nothing_kept(&ucr);
}

/// Text of a server is text, not commands for a terminal.
#[test]
fn escapes_in_messages() {
    let (server, reference, _) = scripted(&image());
    let message = "\u{1b}]0;owned\u{7}\u{1b}[2J";
    let answer = Answer::error(403, "DENIED", message);
    server.script("/manifests/", 1000, Misbehaviour::Instead(answer));
    let ucr = Ucr::new();
    let done = ucr.run(["pull", &reference]).refused(&[&server.host()]);
    assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
}

/// A password is in no core file, because there is none, wherever this machine puts them.
#[test]
fn no_core_file_of_a_process_with_a_password() {
    let (server, reference, layers) = scripted(&image());
    server.script(&layers[1], 1000, Misbehaviour::StallAfter(10));
    let ucr = Ucr::new();
    let script = "ulimit -c unlimited && cd \"$HOME\" && exec \"$@\"";
    let mut command = ucr.by_shell(script);
    command.args(["pull", "--creds", "ada:secret-61f0", &reference]);
    command.env("HOME", ucr.home());
    let pull = crate::support::process::spawn(&mut command, b"");
    pull.wait_until("the stalled layer", Duration::from_secs(20), || {
        server
            .requests()
            .iter()
            .any(|asked| asked.path.contains(&layers[1]))
    });
    pull.signal(nix::sys::signal::Signal::SIGABRT);
    pull.finish(Duration::from_secs(20))
        .expect_code(-libc::SIGABRT);
    let left = crate::support::ucr::children(&ucr.home());
    assert!(left.is_empty(), "{left:?}");
}
