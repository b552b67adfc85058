//! Artifacts from servers on loopback, with and without the cache.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ucr::error::Kind;
use ucr::spec::Artifact;

use super::World;
use crate::support::raw_tar::RawTar;
use crate::support::scripted_registry::{Answer, Misbehaviour, Refusing, ScriptedRegistry};

fn cached(uri: String) -> Artifact {
    let mut artifact = Artifact::new(uri);
    artifact.cache = true;
    artifact
}

fn impatient(world: &mut World) {
    world.options.timing.idle = Duration::from_millis(300);
}

#[test]
fn a_file_by_its_name() {
    let world = World::new();
    let server = ScriptedRegistry::start();
    server.file("/x.txt", None, b"served");
    server.file("/x.tgz", None, b"no archive by its name");
    let url = server.url();
    world
        .fetch(&Artifact::new(format!("{url}/a/x.txt")))
        .unwrap();
    let notes = world
        .fetch(&Artifact::new(format!("{url}/x.tgz?sig=hunter2")))
        .unwrap();
    assert!(
        notes[0].contains("not one of an archive") && !notes[0].contains("hunter2"),
        "{notes:?}"
    );
    let mut executable = Artifact::new(format!("{url}/x.txt"));
    (executable.executable, executable.dest_path) = (true, Some("bin/x".into()));
    world.fetch(&executable).unwrap();
    assert_eq!(
        world.names(),
        ["bin", "bin/x", "x.tgz?sig=hunter2", "x.txt"]
    );
    assert_eq!(
        (world.text("x.txt"), world.mode("x.txt")),
        ("served".into(), 0o644)
    );
    assert_eq!(world.mode("bin/x"), 0o755);
}

#[test]
fn credentials_go_to_their_host_only() {
    let world = World::new();
    let (server, other) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    other.file("/x", None, b"elsewhere");
    server.script("/x", 1, Misbehaviour::Redirect(other.url()));
    let uri = format!("http://me:hunter%32@{}/x", server.host());
    world.fetch(&Artifact::new(&uri)).unwrap();
    assert_eq!(world.text("x"), "elsewhere");
    let sent = server.asked("/x");
    assert_eq!(
        sent[0].header("authorization"),
        Some("Basic bWU6aHVudGVyMg==")
    );
    assert_eq!(other.asked("/x")[0].header("authorization"), None);
    fs::remove_file(world.sandbox.join("x")).unwrap();
    let (kind, text) = world.refused(&Artifact::new(format!("{uri}y?sig=hunter2")));
    assert_eq!(kind, Kind::NotFound, "{text}");
    assert!(
        text.contains("/xy?…: the server answers with status 404"),
        "{text}"
    );
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn what_a_server_does_wrong_is_an_error() {
    let mut world = World::new();
    impatient(&mut world);
    world.options.max_bytes = 100_000;
    let server = ScriptedRegistry::start();
    let body = vec![b'x'; 100_000];
    let loop_to = server.url();
    let fail = |status| Misbehaviour::Instead(Answer::new(status, "why"));
    for (what, wrong, kind, expected) in [
        ("cut", Misbehaviour::CutAfter(50_000), Kind::Network, ""),
        (
            "stall",
            Misbehaviour::StallAfter(50_000),
            Kind::Network,
            "no data for 0.3 s",
        ),
        (
            "endless",
            Misbehaviour::Endless,
            Kind::Limit,
            "more than 100000 bytes",
        ),
        ("500", fail(500), Kind::Network, "status 500"),
        ("403", fail(403), Kind::Denied, "status 403"),
        ("204", fail(204), Kind::Network, "status 204"),
        ("206", fail(206), Kind::Network, "status 206"),
        ("304", fail(304), Kind::Network, "status 304"),
        (
            "loop",
            Misbehaviour::Redirect(loop_to),
            Kind::Registry,
            "more than 10 redirects",
        ),
        (
            "file",
            Misbehaviour::Redirect("file:///etc/passwd?".into()),
            Kind::Registry,
            "not http",
        ),
        (
            "inside",
            Misbehaviour::Redirect("http://169.254.169.254".into()),
            Kind::Registry,
            "link-local",
        ),
    ] {
        let path = format!("/{what}/x.tar");
        server.file(&path, None, &body);
        server.script(&path, 20, wrong);
        let uri = format!("{}{path}", server.url());
        let (found, text) = world.refused(&Artifact::new(&uri));
        assert!(
            found == kind && text.contains(expected),
            "{what}: {found:?} {text}"
        );
        assert!(text.contains(&uri), "{what}: {text}");
    }
    server.file("/large", None, &[body, vec![b'x']].concat());
    let (kind, _) = world.refused(&Artifact::new(format!("{}/large", server.url())));
    assert_eq!(kind, Kind::Limit);
    let nobody = Refusing::new();
    let (kind, text) = world.refused(&Artifact::new(format!("http://{}/x", nobody.host())));
    assert!(kind == Kind::Network && text.contains("refused"), "{text}");
}

#[test]
fn a_deadline_ends_a_drip() {
    let mut world = World::new();
    let server = ScriptedRegistry::start();
    server.file("/x", None, &[b'x'; 1000]);
    server.script("/x", 1, Misbehaviour::Slow(1, Duration::from_millis(50)));
    let start = Instant::now();
    world.options.deadline = Some(start + Duration::from_millis(500));
    let (kind, text) = world.refused(&Artifact::new(format!("{}/x", server.url())));
    assert!(
        kind == Kind::Network && text.contains("longer than allowed"),
        "{text}"
    );
    assert!(
        !text.contains("pull") && start.elapsed() < Duration::from_secs(10),
        "{text}"
    );
}

/// Whenever a process is killed, what has the name of an artifact is all of it.
#[test]
fn nothing_is_seen_before_it_is_whole() {
    let world = World::new();
    let server = ScriptedRegistry::start();
    let tar = RawTar::new().file("inside", vec![b'y'; 20_000]).bytes();
    server.file("/x.tar", None, &tar);
    server.script(
        "/x.tar",
        1,
        Misbehaviour::Slow(2000, Duration::from_millis(10)),
    );
    let over = AtomicBool::new(false);
    let looked = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut early = 0;
            while !over.load(Ordering::SeqCst) {
                let size = |name: &str| fs::metadata(world.sandbox.join(name)).map(|it| it.len());
                let (archive, inside) = (size("x.tar"), size("inside"));
                early += u32::from(archive.is_err());
                assert!(archive.is_err() || archive.is_ok_and(|it| it == tar.len() as u64));
                assert!(inside.is_err() || inside.is_ok_and(|it| it == 20_000));
            }
            early
        });
        world
            .fetch(&Artifact::new(format!("{}/x.tar", server.url())))
            .unwrap();
        over.store(true, Ordering::SeqCst);
        watcher.join().unwrap()
    });
    assert!(looked > 0);
    assert_eq!(world.names(), ["inside", "x.tar"]);
}

#[test]
fn the_cache_asks_whether_it_is_current() {
    let mut world = World::new();
    let cache = world.scratch.join("cache/of/user");
    world.options.cache = Some(cache.clone());
    let server = ScriptedRegistry::start();
    let first = RawTar::new().file("f", "first").bytes();
    let second = RawTar::new().file("f", "second").bytes();
    server.file("/x.tar", None, &first);
    let tag = |server: &ScriptedRegistry, tag: &str| {
        server.script("/x.tar", 1, Misbehaviour::Header("ETag".into(), tag.into()));
    };
    let artifact = cached(format!("http://me:hunter2@{}/x.tar", server.host()));
    tag(&server, "\"one\"");
    world.fetch(&artifact).unwrap();
    assert_eq!(
        (world.names(), world.text("f")),
        (vec!["f".to_owned()], "first".to_owned())
    );
    server.script("/x.tar", 1, Misbehaviour::Instead(Answer::new(304, "")));
    fs::remove_file(world.sandbox.join("f")).unwrap();
    world.fetch(&artifact).unwrap();
    assert_eq!(world.text("f"), "first");
    server.file("/x.tar", None, &second);
    world.fetch(&artifact).unwrap();
    assert_eq!(world.text("f"), "second");
    // That one came without a validator: nobody can tell whether it is current.
    world.fetch(&artifact).unwrap();
    let asked = server.asked("/x.tar");
    let asked: Vec<_> = asked.iter().map(|it| it.header("if-none-match")).collect();
    assert_eq!(asked, [None, Some("\"one\""), Some("\"one\""), None]);
    // Kept once, for this user alone, and without what is in the URI.
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for entry in fs::read_dir(&cache).unwrap() {
        let path = entry.unwrap().path();
        assert!(!path.to_str().unwrap().contains("hunter2"));
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes.windows(7).any(|window| window == b"hunter2"),
            "{}",
            path.display()
        );
    }
    let mut plain = cached(artifact.uri.clone());
    plain.extract = false;
    world.fetch(&plain).unwrap();
    assert_eq!(fs::read(world.sandbox.join("x.tar")).unwrap(), second);
    assert_eq!(world.mode("x.tar"), 0o644);
}

#[test]
fn a_cache_is_not_trusted_blindly() {
    let mut world = World::new();
    let cache = world.scratch.join("cache");
    world.options.cache = Some(cache.clone());
    impatient(&mut world);
    let server = ScriptedRegistry::start();
    server.file("/x", None, b"content");
    server.script(
        "/x",
        9,
        Misbehaviour::Header("Last-Modified".into(), "then".into()),
    );
    let artifact = cached(format!("{}/x", server.url()));
    world.fetch(&artifact).unwrap();
    let content = |cache: &Path| {
        let files = fs::read_dir(cache)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .into_iter()
            .find(|path| path.extension().is_none())
            .unwrap()
    };
    // Cut by somebody: it does not belong to its record any more.
    fs::write(content(&cache), "cut").unwrap();
    fs::write(
        content(&cache).with_extension("new"),
        "left by one that was killed",
    )
    .unwrap();
    world.fetch(&artifact).unwrap();
    assert_eq!(world.text("x"), "content");
    let asked = server.asked("/x");
    assert!(
        asked
            .iter()
            .all(|it| it.header("if-modified-since").is_none()),
        "{asked:?}"
    );
    // A download that fails leaves what is kept, and the cache does not stand in for the server.
    fs::remove_file(world.sandbox.join("x")).unwrap();
    let broken = ScriptedRegistry::start();
    broken.file("/y", None, &[b'y'; 5000]);
    broken.script("/y", 1, Misbehaviour::CutAfter(100));
    let other = cached(format!("{}/y", broken.url()));
    world.refused(&other);
    world.fetch(&other).unwrap();
    assert_eq!(world.text("y").len(), 5000);
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let (kind, text) = world.refused(&artifact);
    assert!(kind == Kind::Store && text.contains("only user"), "{text}");
    world.options.cache = None;
    let notes = world.fetch(&artifact).unwrap().join("\n");
    assert!(notes.contains("no cache"), "{notes}");
}

#[test]
fn one_of_several_downloads() {
    let mut world = World::new();
    world.options.cache = Some(world.scratch.join("cache"));
    let server = ScriptedRegistry::start();
    server.file("/x", None, &[b'x'; 4000]);
    let tag = |value: &str| ("ETag".to_owned(), value.to_owned());
    server.on("/x", move |request| match request.header("if-none-match") {
        Some("\"v\"") => Some(Answer::new(304, "")),
        _ => {
            std::thread::sleep(Duration::from_millis(200));
            let (name, value) = tag("\"v\"");
            Some(Answer::new(200, [b'x'; 4000]).with(&name, value))
        }
    });
    std::thread::scope(|scope| {
        for number in 0..4 {
            let mut artifact = cached(format!("{}/x", server.url()));
            artifact.dest_path = Some(format!("x{number}"));
            let world = &world;
            scope.spawn(move || world.fetch(&artifact).unwrap());
        }
    });
    assert_eq!(world.names(), ["x0", "x1", "x2", "x3"]);
    let asked = server.asked("/x");
    let whole = asked
        .iter()
        .filter(|it| it.header("if-none-match").is_none());
    assert_eq!((asked.len(), whole.count()), (4, 1));
}
