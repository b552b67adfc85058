//! Manifests and blobs, anonymous, with Basic and with Bearer.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ucr::credentials::Sources;
use ucr::error::{Kind, kind, render};
use ucr::image::{Descriptor, Digest, OCI_MANIFEST};
use ucr::registry::{Event, Options, Registry, Timing};

use crate::scripted_registry::{Answer, ScriptedRegistry};

/// Short waits, and no credential but the one given.
pub fn options(creds: Option<(&str, &str)>) -> Options {
    Options {
        credentials: Sources {
            creds: creds.map(|(user, password)| (user.into(), password.into())),
            ..Sources::default()
        },
        timing: Timing {
            idle: Duration::from_secs(1),
            backoff: Duration::from_millis(5),
            tries: 4,
            ..Timing::default()
        },
        ..Options::default()
    }
}

pub type Told = Arc<Mutex<Vec<Event>>>;

/// Remembers what the user would be told.
pub fn listening(mut options: Options) -> (Options, Told) {
    let told = Told::default();
    let copy = told.clone();
    options.on_event = Arc::new(move |event| copy.lock().unwrap().push(event));
    (options, told)
}

/// What everybody would be told.
pub fn warnings(told: &Told) -> Vec<String> {
    let told = told.lock().unwrap();
    let warning = |event: &Event| match event {
        Event::Warning(text) => Some(text.clone()),
        _ => None,
    };
    told.iter().filter_map(warning).collect()
}

pub fn connect(server: &ScriptedRegistry, options: Options) -> Registry {
    let reference = format!("{}/team/app:1", server.host()).parse().unwrap();
    Registry::connect(&reference, options).unwrap()
}

pub fn descriptor(digest: &Digest, size: usize) -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".into(),
        digest: digest.clone(),
        size: size as u64,
        platform: None,
        urls: Vec::new(),
        data: None,
        is_attestation: false,
    }
}

/// Bytes that differ from place to place.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// The whole blob, or the fault that ended it.
pub fn fetch(registry: &Registry, digest: &Digest, size: usize) -> Result<Vec<u8>, anyhow::Error> {
    let mut reader = registry.blob(&descriptor(digest, size), 0)?;
    let mut all = Vec::new();
    match reader.read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) => Err(ucr::registry::BlobReader::recover(error)),
    }
}

#[test]
fn anonymous_manifest_and_blob() {
    let server = ScriptedRegistry::start();
    let content = bytes(300_000);
    let digest = server.blob(&content);
    let named = server.manifest("1", OCI_MANIFEST, b"{\"x\":1}");
    let registry = connect(&server, options(None));
    assert_eq!(registry.manifest("1").unwrap().digest(), &named);
    assert_eq!(
        registry.manifest(&named.to_string()).unwrap().bytes(),
        b"{\"x\":1}"
    );
    assert_eq!(registry.head("1").unwrap(), Some(named));
    assert_eq!(registry.head("2").unwrap(), None);
    assert_eq!(fetch(&registry, &digest, content.len()).unwrap(), content);
    let accept = server.asked("manifests/1")[0]
        .header("accept")
        .unwrap()
        .to_owned();
    for media_type in ucr::image::MANIFEST_TYPES {
        assert!(accept.contains(media_type), "{accept}");
    }
}

#[test]
fn basic_is_sent_only_when_asked_for() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    server.guard("Basic dTpw", &["Basic realm=\"r\"".into()]);
    let registry = connect(&server, options(Some(("u", "p"))));
    registry.manifest("1").unwrap();
    registry.manifest("1").unwrap();
    let sent: Vec<bool> = server
        .asked("manifests")
        .iter()
        .map(|request| request.header("authorization").is_some())
        .collect();
    assert_eq!(sent, [false, true, true]);
}

#[test]
fn bearer_token_is_fetched_with_the_password_and_kept() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let realm = format!("Bearer realm=\"{}/token?a=b\",service=\"s\"", server.url());
    server.guard("Bearer t0", &["Basic realm=\"no\"".into(), realm]);
    server.on("/token", |request| {
        let known = request.header("authorization") == Some("Basic dTpw");
        let answer = if known {
            r#"{"access_token":"t0"}"#
        } else {
            "{}"
        };
        Some(Answer::new(200, answer))
    });
    let registry = connect(&server, options(Some(("u", "p"))));
    registry.manifest("1").unwrap();
    registry.manifest("1").unwrap();
    let tokens = server.asked("/token");
    assert_eq!(tokens.len(), 1);
    assert!(
        tokens[0]
            .path
            .contains("a=b&service=s&scope=repository%3Ateam%2Fapp%3Apull")
    );
    let shown = server
        .asked("/v2/")
        .iter()
        .any(|r| r.header("authorization") == Some("Basic dTpw"));
    assert!(!shown, "the password went to the registry itself");
}

#[test]
fn refusals_name_the_registry_the_realm_and_the_credential() {
    let server = ScriptedRegistry::start();
    server.guard("Basic nobody", &["Basic realm=\"the realm\"".into()]);
    let host = server.host();
    let error = connect(&server, options(None)).manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    let text = render(&error);
    for part in [
        &host,
        "the realm",
        "no credential was found; looked in",
        "authentication required",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let error = connect(&server, options(Some(("u", "hunter2"))))
        .manifest("1")
        .unwrap_err();
    let text = render(&error);
    for part in [
        &host,
        "the realm",
        "the credential of user 'u' from --creds was refused",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn head_falls_back_to_get() {
    let bare = Answer::new(200, "{}");
    for answer in [Answer::new(405, ""), Answer::new(404, ""), bare] {
        let server = ScriptedRegistry::start();
        let digest = server.manifest("1", OCI_MANIFEST, b"{}");
        server.on("/manifests/", move |request| {
            (request.method == "HEAD").then(|| answer.clone())
        });
        let registry = connect(&server, options(None));
        assert_eq!(registry.head("1").unwrap(), Some(digest));
    }
}
