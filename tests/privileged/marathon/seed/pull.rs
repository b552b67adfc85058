//! Private registries of the Engine's, and forced pulls.

use std::fs;
use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use super::place::{LIMIT, Place, docker, docker_of, image, native, push, snippet};
use crate::support::engine::Engine;
use crate::support::image::Image;
use crate::support::raw_tar::RawTar;
use crate::support::registry::Registry;

/// Docker's configuration comes as an artifact, as the page on private registries has it.
#[test]
fn private_registry_by_archive() {
    docker(|place| {
        use base64::Engine as _;
        let registry = Registry::basic("ada", "engine!9");
        let name = push(&registry, "seed/private", &image("mesosphere/inky"));
        let auth = base64::engine::general_purpose::STANDARD.encode("ada:engine!9");
        let config = json!({"auths": {registry.address(): {"auth": auth}}});
        let tar = RawTar::new()
            .dir(".docker")
            .file(".docker/config.json", config.to_string());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar.bytes()).unwrap();
        let archive = place
            .ucr
            .scratch()
            .file("docker.tar.gz", gzip.finish().unwrap());
        let mut app = snippet("inky.json");
        app["container"]["docker"]["image"] = json!(name);
        let done = place.app(&[], &app).run().refused(&["docker pull"]);
        assert!(!done.stderr.contains("!9"), "{}", done.stderr);
        for key in ["uris", "fetch"] {
            let uri = format!("file://{}", archive.display());
            app.as_object_mut().unwrap().remove("uris");
            app[key] = match key {
                "uris" => json!([uri]),
                _ => json!([{ "uri": uri }]),
            };
            app["container"]["docker"]["forcePullImage"] = json!(true);
            let done = place.app(&[], &app).run().ok();
            assert_eq!(done.stdout, "hello\n");
            assert!(!done.stderr.contains("!9"), "{}", done.stderr);
        }
    });
}

/// The seed's fragment is the container of an app.
fn app(is_forced: bool) -> Value {
    let mut container = snippet("force-pull.json");
    if !is_forced {
        container["docker"]["forcePullImage"] = json!(false);
    }
    json!({"id": "force", "container": container})
}

fn says(word: &str) -> Image {
    image("seed/bare").cmd(&["echo", word])
}

/// A tag that has moved is noticed when it is forced; what is there is used without a word to the
/// registry when it is not.
fn assert_forces(place: &Place, registry: &Registry) {
    push(registry, "group/image", &says("first"));
    let run = |is_forced| place.run(&app(is_forced)).ok().stdout;
    let asked = || {
        let all = registry.requests();
        all.iter()
            .filter(|it| it.path.contains("/group/image/"))
            .count()
    };
    let wait_for_more = |before: usize| {
        let begin = Instant::now();
        while asked() == before {
            assert!(begin.elapsed() < LIMIT, "no traffic");
        }
    };
    assert_eq!(run(false), "first\n");
    wait_for_more(0);
    push(registry, "group/image", &says("second"));
    let before = asked();
    assert_eq!(run(false), "first\n");
    assert_eq!(run(false), "first\n");
    assert_eq!(asked(), before);
    assert_eq!(run(true), "second\n");
    wait_for_more(before);
    let before = asked();
    assert_eq!(run(true), "second\n");
    wait_for_more(before);
    let before = asked();
    assert_eq!(run(false), "second\n");
    assert_eq!(asked(), before);
}

#[test]
fn forced_pulls_of_our_own() {
    native(|place| assert_forces(place, place.registry()));
}

/// Through the Engine's own `registry-mirrors`.
#[test]
fn forced_pulls_of_the_engine() {
    let engine = Engine::new();
    docker_of(&engine, |place| {
        let registry = Registry::open();
        let url = format!("http://{}", registry.address());
        let config = json!({"registry-mirrors": [url]}).to_string();
        fs::write(engine.directory().join("daemon.json"), config).unwrap();
        kill(engine.pid(), Signal::SIGHUP).unwrap();
        let begin = Instant::now();
        let mirrors = ["info", "--format", "{{json .RegistryConfig.Mirrors}}"];
        while !engine.ask(mirrors).contains(registry.address()) {
            assert!(
                begin.elapsed() < LIMIT,
                "the Engine reads its configuration"
            );
        }
        assert_forces(place, &registry);
    });
}
