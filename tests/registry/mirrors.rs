//! Mirrors: asked first, in order, with their own credentials, and passed over when they fail.

use std::io::Read;
use std::time::{Duration, Instant};

use ucr::credentials::Sources;
use ucr::error::{Kind, kind, render};
use ucr::image::{OCI_INDEX, OCI_MANIFEST};
use ucr::registry::{Mirror, Options};

use crate::basics::{bytes, connect, descriptor, fetch, listening, options, warnings};
use crate::scripted_registry::{Answer, Misbehaviour, Refusing, ScriptedRegistry};

/// The least that is an image's document.
const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

fn mirrored(server: &ScriptedRegistry, urls: &[String], mut options: Options) -> Options {
    let mirror = |url: &String| {
        format!("{}={url}", server.host())
            .parse::<Mirror>()
            .unwrap()
    };
    options.mirrors = urls.iter().map(mirror).collect();
    options
}

#[test]
fn the_mirror_serves_and_the_registry_is_left_alone() {
    let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    mirror.manifest("1", OCI_INDEX, INDEX);
    let url = format!("{}/hub/", mirror.url());
    let registry = connect(&server, mirrored(&server, &[url], options(None)));
    registry.manifest("1").unwrap();
    assert_eq!(server.requests().len(), 0);
    let asked = &mirror.asked("/manifests/")[0];
    assert_eq!(asked.path, "/v2/hub/team/app/manifests/1");
}

#[test]
fn a_failing_mirror_is_passed_over_with_a_warning() {
    for status in [401, 403, 404, 429, 500, 503] {
        let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
        let content = bytes(5000);
        let digest = server.blob(&content);
        server.manifest("1", OCI_MANIFEST, b"{}");
        let refusal = Answer::error(status, "X", "not me");
        mirror.script("/v2/", usize::MAX, Misbehaviour::Instead(refusal));
        let (options, told) = listening(mirrored(&server, &[mirror.url()], options(None)));
        let registry = connect(&server, options);
        registry.manifest("1").unwrap();
        assert_eq!(fetch(&registry, &digest, 5000).unwrap(), content);
        assert_eq!(mirror.asked("/manifests/").len(), 1, "{status}");
        let told = warnings(&told);
        assert!(told.iter().any(|text| text.contains("not me")), "{told:?}");
    }
}

/// A captive portal, or a proxy's own page: 200, and no manifest.
#[test]
fn garbage_from_a_mirror_is_passed_over() {
    for garbage in ["<html>log in</html>", "{}", "", r#"{"schemaVersion":1}"#] {
        let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
        let digest = server.manifest("1", OCI_INDEX, INDEX);
        let page = Answer::new(200, garbage).with("Content-Type", "text/html");
        mirror.script("/v2/", usize::MAX, Misbehaviour::Instead(page));
        let (options, told) = listening(mirrored(&server, &[mirror.url()], options(None)));
        let registry = connect(&server, options);
        assert_eq!(
            registry.manifest("1").unwrap().digest(),
            &digest,
            "{garbage}"
        );
        let told = warnings(&told);
        assert!(told[0].contains("passed over"), "{told:?}");
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

#[test]
fn a_dead_mirror_is_asked_once() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let nobody = Refusing::new();
    let url = format!("http://{}", nobody.host());
    let (options, told) = listening(mirrored(&server, &[url], options(None)));
    let registry = connect(&server, options);
    for _ in 0..3 {
        registry.manifest("1").unwrap();
    }
    assert_eq!(warnings(&told).len(), 1, "{told:?}");
}

/// A stalled mirror that eats all the time leaves none for the registry.
#[test]
fn the_deadline_is_not_passed_over() {
    let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    server.manifest("1", OCI_MANIFEST, b"{}");
    mirror.manifest("1", OCI_MANIFEST, b"{}");
    for stalled_after in [0, 1] {
        mirror.script("/v2/", usize::MAX, Misbehaviour::StallAfter(stalled_after));
        let (mut options, told) = listening(mirrored(&server, &[mirror.url()], options(None)));
        options.timing.idle = Duration::from_secs(10);
        options.deadline = Some(Instant::now() + Duration::from_millis(300));
        let error = connect(&server, options).manifest("1").unwrap_err();
        assert!(render(&error).contains("longer than allowed"), "{error:#}");
        assert_eq!(server.requests().len(), 0);
        assert_eq!(warnings(&told), [""; 0], "no mirror was passed over");
    }
}

#[test]
fn a_mirror_that_lies_is_passed_over() {
    let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    for place in [&server, &mirror] {
        place.blob(b"config");
    }
    let blob = ucr::image::Digest::of(b"config");
    let digest = server.manifest("1", OCI_MANIFEST, b"{\"a\":1}").to_string();
    mirror.manifest("1", OCI_MANIFEST, b"{\"a\":1}");
    mirror.script("/v2/", usize::MAX, Misbehaviour::FlipByte(1));
    let (options, told) = listening(mirrored(&server, &[mirror.url()], options(None)));
    let registry = connect(&server, options);
    assert_eq!(registry.manifest(&digest).unwrap().bytes(), b"{\"a\":1}");
    assert_eq!(
        registry.small_blob(&descriptor(&blob, 6), 6).unwrap(),
        b"config"
    );
    // A stream is for the caller to check, and to ask for again.
    assert_ne!(fetch(&registry, &blob, 6).unwrap(), b"config");
    assert!(registry.has_mirrors());
    let mut right = Vec::new();
    let mut reader = registry.blob_past_mirrors(&descriptor(&blob, 6)).unwrap();
    reader.read_to_end(&mut right).unwrap();
    assert_eq!(right, b"config");
    assert_eq!(warnings(&told).len(), 2, "{told:?}");
}

#[test]
fn each_gets_its_own_credential() {
    let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    server.manifest("1", OCI_MANIFEST, b"{}");
    let refuse = |_: &_| {
        let answer = Answer::error(401, "UNAUTHORIZED", "no");
        Some(answer.with("WWW-Authenticate", "Basic realm=\"m\""))
    };
    mirror.on("/v2/", refuse);
    server.guard("Basic dTpw", &["Basic realm=\"r\"".into()]);

    // --creds belong to the registry alone.
    let urls = [mirror.url()];
    let registry = connect(&server, mirrored(&server, &urls, options(Some(("u", "p")))));
    registry.manifest("1").unwrap();
    assert!(
        mirror
            .requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );

    // A file may hold one for each.
    let text = format!(
        r#"{{"auths":{{"{}":{{"auth":"dTpw"}},"{}":{{"auth":"bTpt"}}}}}}"#,
        server.host(),
        mirror.host()
    );
    let mut both = options(None);
    both.credentials = Sources {
        pull_secret: Some(text.into_bytes()),
        ..Sources::default()
    };
    connect(&server, mirrored(&server, &urls, both))
        .manifest("1")
        .unwrap();
    let shown: Vec<String> = mirror
        .requests()
        .iter()
        .filter_map(|r| r.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(shown, ["Basic bTpt"]);
}

#[test]
fn when_all_fail_the_registry_has_the_last_word() {
    let (server, mirror) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    let registry = connect(&server, mirrored(&server, &[mirror.url()], options(None)));
    let error = registry.manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::NotFound);
    assert!(render(&error).contains(&server.host()), "{error:#}");
}
