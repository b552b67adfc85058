//! Blobs over bad lines: whatever happens, the right bytes or a clear fault, in bounded time.

use std::io::Read;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ucr::error::{Kind, kind, render};
use ucr::image::OCI_MANIFEST;
use ucr::registry::{BlobReader, Event};

use crate::basics::{bytes, connect, descriptor, fetch, listening, options};
use crate::scripted_registry::{Answer, Misbehaviour, ScriptedRegistry};

const SIZE: usize = 200_000;

fn ranges(server: &ScriptedRegistry) -> Vec<Option<String>> {
    let blobs = server.asked("/blobs/");
    blobs
        .iter()
        .map(|r| r.header("range").map(str::to_owned))
        .collect()
}

#[test]
fn a_cut_blob_is_resumed_where_it_ended() {
    let rows: [(Misbehaviour, &[Option<&str>]); 3] = [
        (
            Misbehaviour::CutAfter(SIZE / 2),
            &[None, Some("bytes=100000-")],
        ),
        (
            Misbehaviour::StallAfter(SIZE / 2),
            &[None, Some("bytes=100000-")],
        ),
        (Misbehaviour::CutAfter(0), &[None, None]),
    ];
    for (trouble, expected) in rows {
        let server = ScriptedRegistry::start();
        let content = bytes(SIZE);
        let digest = server.blob(&content);
        server.script("/blobs/", 1, trouble.clone());
        let registry = connect(&server, options(None));
        assert_eq!(
            fetch(&registry, &digest, SIZE).unwrap(),
            content,
            "{trouble:?}"
        );
        let found = ranges(&server);
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, expected, "{trouble:?}");
    }
}

#[test]
fn a_server_that_ignores_or_garbles_ranges_does_no_harm() {
    for trouble in [Misbehaviour::IgnoreRange, Misbehaviour::WrongContentRange] {
        let server = ScriptedRegistry::start();
        let content = bytes(SIZE);
        let digest = server.blob(&content);
        server.script("/blobs/", 1, Misbehaviour::CutAfter(70_000));
        server.script("/blobs/", 1, trouble.clone());
        let registry = connect(&server, options(None));
        assert_eq!(
            fetch(&registry, &digest, SIZE).unwrap(),
            content,
            "{trouble:?}"
        );
    }
}

#[test]
fn reading_may_begin_in_the_middle() {
    let server = ScriptedRegistry::start();
    let content = bytes(SIZE);
    let digest = server.blob(&content);
    let registry = connect(&server, options(None));
    for offset in [1, SIZE - 1, SIZE] {
        let mut rest = Vec::new();
        let mut reader = registry
            .blob(&descriptor(&digest, SIZE), offset as u64)
            .unwrap();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, content[offset..], "{offset}");
    }
    assert_eq!(
        ranges(&server).len(),
        2,
        "nothing is left to ask for at the end"
    );
}

#[test]
fn cuts_without_progress_end_the_pull() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(&bytes(SIZE));
    server.script("/blobs/", usize::MAX, Misbehaviour::CutAfter(10));
    let registry = connect(&server, options(None));
    let error = fetch(&registry, &digest, SIZE).unwrap_err();
    assert_eq!(kind(&error), Kind::Network);
    let text = render(&error);
    assert!(
        text.contains("cut short after 40 of 200000 bytes"),
        "{text}"
    );
    assert_eq!(server.asked("/blobs/").len(), 4);
}

#[test]
fn a_blob_shorter_than_the_manifest_says_is_refused() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(&bytes(SIZE));
    let registry = connect(&server, options(None));
    let error = fetch(&registry, &digest, SIZE + 1).unwrap_err();
    let text = render(&error);
    assert!(
        text.contains("cut short after 200000 of 200001 bytes"),
        "{text}"
    );
    assert!(server.asked("/blobs/").len() <= 4);
}

#[test]
fn progress_makes_up_for_cuts() {
    let server = ScriptedRegistry::start();
    let content = bytes(8 << 20);
    let digest = server.blob(&content);
    // Seven cuts, more than the four tries: each came after a MiB of news.
    server.script("/blobs/", 7, Misbehaviour::CutAfter(1 << 20));
    let registry = connect(&server, options(None));
    assert_eq!(fetch(&registry, &digest, content.len()).unwrap(), content);
}

#[test]
fn a_blob_that_is_too_long_stops_at_its_size() {
    let server = ScriptedRegistry::start();
    let content = bytes(SIZE);
    let digest = server.blob(&content);
    server.script("/blobs/", 1, Misbehaviour::Append(vec![7; 1000]));
    let registry = connect(&server, options(None));
    let mut reader = registry.blob(&descriptor(&digest, SIZE), 0).unwrap();
    let mut read = Vec::new();
    let error = BlobReader::recover(reader.read_to_end(&mut read).unwrap_err());
    assert_eq!(kind(&error), Kind::Integrity);
    assert!(read.len() <= SIZE);
    assert!(
        render(&error).contains("longer than the 200000 bytes"),
        "{error:#}"
    );
}

#[test]
fn too_many_requests_wait_as_long_as_asked() {
    for as_date in [false, true] {
        let server = ScriptedRegistry::start();
        server.manifest("1", OCI_MANIFEST, b"{}");
        let asked = if as_date {
            http_date(SystemTime::now() + Duration::from_secs(2))
        } else {
            "1".to_owned()
        };
        let refusal = Answer::error(429, "TOOMANYREQUESTS", "slow").with("Retry-After", &asked);
        server.script("/manifests/", 1, Misbehaviour::Instead(refusal));
        let (options, told) = listening(options(None));
        let begin = Instant::now();
        connect(&server, options).manifest("1").unwrap();
        // A date has whole seconds, so up to one of the two may be lost.
        assert!(begin.elapsed() >= Duration::from_millis(900), "{asked}");
        let told = told.lock().unwrap();
        let waited = told.iter().any(|event| {
            matches!(event, Event::Waiting(text)
                if text.contains(&server.host()) && text.contains("asks us to slow down"))
        });
        assert!(waited, "{told:?}");
    }
}

/// The form that servers send; `date` knows the calendar.
fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let output = std::process::Command::new("date")
        .args([
            "-u",
            "-d",
            &format!("@{seconds}"),
            "+%a, %d %b %Y %H:%M:%S GMT",
        ])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn passing_trouble_is_asked_again_and_lasting_trouble_ends() {
    for status in [500, 502, 503, 504, 408] {
        let server = ScriptedRegistry::start();
        server.manifest("1", OCI_MANIFEST, b"{}");
        let trouble = Misbehaviour::Instead(Answer::error(status, "X", "the disk is full"));
        server.script("/manifests/", 2, trouble.clone());
        connect(&server, options(None)).manifest("1").unwrap();
        assert_eq!(server.asked("/manifests/").len(), 3, "{status}");
        server.script("/manifests/", usize::MAX, trouble);
        let error = connect(&server, options(None)).manifest("1").unwrap_err();
        assert!(render(&error).contains("the disk is full"), "{error:#}");
        assert_eq!(server.asked("/manifests/").len(), 3 + 4, "{status}");
    }
}

#[test]
fn the_deadline_ends_everything() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(&bytes(SIZE));
    server.script(
        "/blobs/",
        usize::MAX,
        Misbehaviour::Slow(100, Duration::from_millis(20)),
    );
    let mut options = options(None);
    options.deadline = Some(Instant::now() + Duration::from_millis(700));
    let begin = Instant::now();
    let error = fetch(&connect(&server, options), &digest, SIZE).unwrap_err();
    assert!(render(&error).contains("longer than allowed"), "{error:#}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn slow_but_steady_is_no_stall() {
    let server = ScriptedRegistry::start();
    let content = bytes(1000);
    let digest = server.blob(&content);
    // Twice the idle time in all, a twentieth of it between two pieces.
    server.script(
        "/blobs/",
        1,
        Misbehaviour::Slow(25, Duration::from_millis(50)),
    );
    let registry = connect(&server, options(None));
    assert_eq!(fetch(&registry, &digest, 1000).unwrap(), content);
    assert_eq!(server.asked("/blobs/").len(), 1);
}

#[test]
fn a_document_may_not_drip_in_for_ever() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, &bytes(1000));
    let drip = Misbehaviour::Slow(1, Duration::from_millis(50));
    server.script("/manifests/", usize::MAX, drip);
    let mut options = options(None);
    options.timing.idle = Duration::from_millis(500);
    options.timing.tries = 1;
    let begin = Instant::now();
    let error = connect(&server, options).manifest("1").unwrap_err();
    assert!(render(&error).contains("comes too slowly"), "{error:#}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_expired_download_address_is_fetched_anew() {
    let cdn = ScriptedRegistry::start();
    let server = ScriptedRegistry::start();
    let digest = cdn.blob(&bytes(SIZE));
    server.script("/blobs/", usize::MAX, Misbehaviour::Redirect(cdn.url()));
    let expired = Misbehaviour::Instead(Answer::new(403, "<Error>Request has expired</Error>"));
    cdn.script("/blobs/", 1, expired);
    let registry = connect(&server, options(Some(("u", "p"))));
    assert_eq!(fetch(&registry, &digest, SIZE).unwrap(), bytes(SIZE));
    assert_eq!(server.asked("/blobs/").len(), 2);
}

#[test]
fn dropping_the_client_ends_its_readers() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(&bytes(SIZE));
    server.script("/blobs/", 1, Misbehaviour::StallAfter(10));
    let registry = connect(&server, options(None));
    let mut reader = registry.blob(&descriptor(&digest, SIZE), 0).unwrap();
    let mut first = [0; 10];
    reader.read_exact(&mut first).unwrap();
    drop(registry);
    let error = reader.read_exact(&mut first).unwrap_err();
    assert_eq!(
        kind(&ucr::registry::BlobReader::recover(error)),
        Kind::Interrupted
    );
}

#[test]
fn encoded_blobs_are_refused() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(&bytes(SIZE));
    let header = Misbehaviour::Header("Content-Encoding".into(), "gzip".into());
    server.script("/blobs/", usize::MAX, header);
    let error = fetch(&connect(&server, options(None)), &digest, SIZE).unwrap_err();
    assert!(render(&error).contains("encoded it once more"), "{error:#}");
}

#[test]
fn manifests_are_capped_and_checked() {
    let server = ScriptedRegistry::start();
    let largest = server.manifest("largest", OCI_MANIFEST, &bytes(4 << 20));
    server.manifest("big", OCI_MANIFEST, &bytes((4 << 20) + 1));
    let registry = connect(&server, options(None));
    assert_eq!(registry.manifest("largest").unwrap().digest(), &largest);
    let error = registry.manifest("big").unwrap_err();
    assert_eq!(kind(&error), Kind::Limit);
    assert!(render(&error).contains("larger than 4 MiB"), "{error:#}");

    let digest = server.manifest("1", OCI_MANIFEST, b"{\"a\":1}").to_string();
    server.script("/manifests/sha256", 1, Misbehaviour::FlipByte(3));
    let error = registry.manifest(&digest).unwrap_err();
    assert_eq!(kind(&error), Kind::Integrity);
    registry.manifest(&digest).unwrap();

    server.script("/manifests/", 2, Misbehaviour::CutAfter(2));
    registry.manifest(&digest).unwrap();

    let error = registry.manifest("absent").unwrap_err();
    assert_eq!(kind(&error), Kind::NotFound);
    let text = render(&error);
    for part in [
        "manifest absent",
        "not found, or not allowed",
        "without a credential",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// Whatever has no length of its own is read as far as it may be long, and no further.
#[test]
fn what_never_ends_is_cut_off() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let content = bytes(SIZE);
    let digest = server.blob(&content);
    server.script("/v2/", usize::MAX, Misbehaviour::Endless);
    let begin = Instant::now();
    let registry = connect(&server, options(None));

    let error = registry.manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::Limit, "{error:#}");
    assert!(render(&error).contains("larger than 4 MiB"), "{error:#}");
    let error = fetch(&registry, &digest, SIZE).unwrap_err();
    assert_eq!(kind(&error), Kind::Integrity, "{error:#}");
    let error = registry
        .small_blob(&descriptor(&digest, SIZE), 1 << 20)
        .unwrap_err();
    assert_eq!(kind(&error), Kind::Integrity, "{error:#}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(
        server.asked("/v2/team").len(),
        3,
        "nothing is asked for twice"
    );
}

#[test]
fn small_blobs_are_checked_and_may_be_embedded() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(b"config");
    let registry = connect(&server, options(None));
    let plain = descriptor(&digest, 6);
    assert_eq!(registry.small_blob(&plain, 6).unwrap(), b"config");
    assert_eq!(
        kind(&registry.small_blob(&plain, 5).unwrap_err()),
        Kind::Limit
    );
    server.script("/blobs/", 1, Misbehaviour::FlipByte(0));
    let error = registry.small_blob(&plain, 6).unwrap_err();
    assert_eq!(kind(&error), Kind::Integrity);

    let asked = server.asked("/blobs/").len();
    let embedded = |data: &str| ucr::image::Descriptor {
        data: Some(data.into()),
        ..plain.clone()
    };
    assert_eq!(
        registry.small_blob(&embedded("Y29uZmln"), 6).unwrap(),
        b"config"
    );
    for wrong in ["Y29uZmlo", "Y29u", "%"] {
        registry.small_blob(&embedded(wrong), 6).unwrap_err();
    }
    assert_eq!(server.asked("/blobs/").len(), asked);
}

#[test]
fn redirects_are_followed_ten_times_without_the_credential() {
    let cdn = ScriptedRegistry::start();
    let server = ScriptedRegistry::start();
    let content = bytes(SIZE);
    let digest = cdn.blob(&content);
    server.guard("Basic dTpw", &["Basic realm=\"r\"".into()]);
    server.script("/blobs/", usize::MAX, Misbehaviour::Redirect(cdn.url()));
    cdn.script("/blobs/", 1, Misbehaviour::CutAfter(1000));
    let registry = connect(&server, options(Some(("u", "p"))));
    assert_eq!(fetch(&registry, &digest, SIZE).unwrap(), content);
    let asked = cdn.asked("/blobs/");
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert!(asked[1].header("range").is_some(), "the range goes along");

    // A loop: the first request and ten redirects.
    let before = server.asked("/manifests/").len();
    server.script(
        "/manifests/",
        usize::MAX,
        Misbehaviour::Redirect(server.url()),
    );
    let error = registry.manifest("1").unwrap_err();
    assert!(
        render(&error).contains("more than 10 redirects"),
        "{error:#}"
    );
    assert_eq!(server.asked("/manifests/").len() - before, 11);
}

#[test]
fn redirects_to_the_metadata_service_are_refused() {
    let server = ScriptedRegistry::start();
    let digest = server.blob(&bytes(10));
    let secret = "http://169.254.169.254/latest?X-Amz-Signature=s3cret";
    server.script("/blobs/", usize::MAX, Misbehaviour::Redirect(secret.into()));
    let error = fetch(&connect(&server, options(None)), &digest, 10).unwrap_err();
    let text = render(&error);
    assert!(
        text.contains("link-local address 169.254.169.254"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}
