//! Token authentication: who gets the credential, how often, and what is said when it fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use ucr::credentials::Sources;
use ucr::error::{Kind, hint, kind, render};
use ucr::image::OCI_MANIFEST;
use ucr::registry::Registry;

use crate::basics::{bytes, connect, fetch, options};
use crate::scripted_registry::{Answer, Misbehaviour, Recorded, ScriptedRegistry};

/// A registry that wants the token `good`, and its token server.
fn guarded(token: &str) -> ScriptedRegistry {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", server.url());
    server.guard(&format!("Bearer {token}"), &[challenge]);
    server
}

fn with_config(server: &ScriptedRegistry, entry: &str) -> Registry {
    let mut options = options(None);
    let text = format!(r#"{{"auths":{{"{}":{entry}}}}}"#, server.host());
    options.credentials = Sources {
        pull_secret: Some(text.into_bytes()),
        ..Sources::default()
    };
    connect(server, options)
}

#[test]
fn one_token_serves_all_blobs_at_once() {
    let server = guarded("good");
    let content = bytes(50_000);
    let digest = server.blob(&content);
    server.on("/token", |_| Some(Answer::new(200, r#"{"token":"good"}"#)));
    let registry = connect(&server, options(None));
    let together = Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                together.wait();
                assert_eq!(fetch(&registry, &digest, content.len()).unwrap(), content);
            });
        }
    });
    assert_eq!(server.asked("/token").len(), 1);
}

#[test]
fn a_token_that_ended_is_renewed_once() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let url = server.url();
    let issued = Arc::new(AtomicUsize::new(0));
    // Only the newest token is good, and the registry forgets it after the first use.
    let (newest, used) = (issued.clone(), Arc::new(AtomicUsize::new(0)));
    server.on("/token", move |_| {
        let number = newest.fetch_add(1, Ordering::SeqCst) + 1;
        Some(Answer::new(200, format!(r#"{{"token":"t{number}"}}"#)))
    });
    server.on("/v2/team", move |request| {
        let number = used.load(Ordering::SeqCst) + 1;
        if request.header("authorization") == Some(&format!("Bearer t{number}")) {
            used.store(number, Ordering::SeqCst);
            return None;
        }
        let challenge = format!("Bearer realm=\"{url}/token\",error=\"invalid_token\"");
        Some(Answer::error(401, "UNAUTHORIZED", "expired").with("WWW-Authenticate", challenge))
    });
    let registry = connect(&server, options(None));
    for _ in 0..3 {
        registry.manifest("1").unwrap();
    }
    assert_eq!(issued.load(Ordering::SeqCst), 3);
}

#[test]
fn a_token_without_rights_is_not_asked_for_again_and_again() {
    let server = guarded("never given");
    server.on("/token", |_| Some(Answer::new(200, r#"{"token":"weak"}"#)));
    let error = connect(&server, options(Some(("u", "p"))))
        .manifest("1")
        .unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    let text = render(&error);
    let realm = format!("realm {}/token", server.url());
    for part in [&server.host(), &realm, "user 'u' from --creds was refused"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(server.asked("/token").len(), 1);
}

#[test]
fn the_token_servers_reason_reaches_the_user() {
    let server = guarded("x");
    server.on("/token", |_| {
        let reason = r#"{"details":"incorrect username or password"}"#;
        Some(Answer::new(401, reason))
    });
    let error = connect(&server, options(Some(("u", "hunter2"))))
        .manifest("1")
        .unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    let text = render(&error);
    assert!(text.contains("incorrect username or password"), "{text}");
    assert!(text.contains("user 'u' from --creds"), "{text}");
    assert!(hint(&error).unwrap().contains("--creds"));
    assert!(!text.contains("hunter2"), "{text}");
}

/// What a busy token server says is no judgement of the credential, and may be different later.
#[test]
fn trouble_of_the_token_server_is_no_refusal() {
    for status in [429, 500, 501, 503] {
        let server = guarded("x");
        server.on("/token", move |_| {
            Some(Answer::error(status, "X", "too busy"))
        });
        let mut options = options(Some(("u", "p")));
        options.timing.tries = 1;
        let error = connect(&server, options).manifest("1").unwrap_err();
        assert_eq!(kind(&error), Kind::Network, "{status}: {error:#}");
        let text = render(&error);
        assert!(text.contains("too busy"), "{text}");
        assert!(!text.contains("refused"), "{text}");
        assert!(!hint(&error).unwrap().contains("credential"), "{error:#}");
    }
}

#[test]
fn a_credential_that_was_not_sent_was_not_refused() {
    let rows = [
        (403, None, "no entry"),
        (401, None, "no entry"),
        (401, Some("Negotiate"), "no entry"),
        (404, None, "asked without a credential"),
    ];
    for (status, challenge, said) in rows {
        let server = ScriptedRegistry::start();
        server.on("/v2/team", move |_| {
            let answer = Answer::error(status, "DENIED", "no entry");
            Some(match challenge {
                Some(challenge) => answer.with("WWW-Authenticate", challenge),
                None => answer,
            })
        });
        let registry = connect(&server, options(Some(("u", "p"))));
        let text = render(&registry.manifest("1").unwrap_err());
        assert!(text.contains(said), "{text}");
        assert!(!text.contains("was refused"), "{text}");
        assert_eq!(
            status != 404,
            text.contains("from --creds was not asked for")
        );
    }
}

#[test]
fn answers_that_are_no_tokens() {
    let rows = [
        ("{}", "no token"),
        (r#"{"token":""}"#, "no token"),
        ("<html>", "no token"),
        (r#"{"token":"a\nb"}"#, "no token"),
    ];
    for (body, why) in rows {
        let server = guarded("x");
        server.on("/token", move |_| Some(Answer::new(200, body)));
        let error = connect(&server, options(None)).manifest("1").unwrap_err();
        assert_eq!(kind(&error), Kind::Registry, "{body}");
        assert!(render(&error).contains(why), "{error:#}");
    }
    let server = guarded("x");
    server.on("/token", |_| Some(Answer::new(200, bytes((1 << 20) + 1))));
    let error = connect(&server, options(None)).manifest("1").unwrap_err();
    assert!(render(&error).contains("larger than 1 MiB"), "{error:#}");
}

/// Grants `good` to the right POST, else answers as told.
fn oauth(refusal: u16) -> impl Fn(&Recorded) -> Option<Answer> {
    move |request| {
        let good = Answer::new(200, r#"{"access_token":"good"}"#);
        let asked = "grant_type=refresh_token&client_id=ucr&scope=repository%3Ateam%2Fapp%3Apull\
                     &refresh_token=id&service=s";
        match request.method.as_str() {
            "POST" if refusal == 0 && request.body == asked => Some(good),
            "POST" => Some(Answer::new(refusal, "")),
            // "<token>:id"
            _ if request.header("authorization") == Some("Basic PHRva2VuPjppZA==") => Some(good),
            _ => Some(Answer::new(401, "")),
        }
    }
}

#[test]
fn identity_tokens_are_exchanged_by_post_else_by_get() {
    for (refusal, methods) in [
        (0, &["POST"][..]),
        (404, &["POST", "GET"]),
        (405, &["POST", "GET"]),
    ] {
        let server = guarded("good");
        server.on("/token", oauth(refusal));
        let registry = with_config(&server, r#"{"identitytoken":"id"}"#);
        registry.manifest("1").unwrap();
        let asked = server.asked("/token");
        let found: Vec<&str> = asked
            .iter()
            .map(|request| request.method.as_str())
            .collect();
        assert_eq!(found, methods, "{refusal}");
    }
}

#[test]
fn a_registry_token_is_shown_as_it_is() {
    let server = guarded("mine");
    with_config(&server, r#"{"registrytoken":"mine"}"#)
        .manifest("1")
        .unwrap();
    assert_eq!(server.asked("/token").len(), 0);
    let error = with_config(&server, r#"{"registrytoken":"wrong"}"#)
        .manifest("1")
        .unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
}

#[test]
fn no_credential_goes_to_a_realm_that_policy_refuses() {
    for realm in [
        "http://token.example/x?s3cret=1",
        "http://10.0.0.1/token",
        "/token",
        "",
    ] {
        let server = ScriptedRegistry::start();
        server.guard("x", &[format!("Bearer realm=\"{realm}\"")]);
        let error = connect(&server, options(Some(("u", "p"))))
            .manifest("1")
            .unwrap_err();
        assert_eq!(kind(&error), Kind::Denied, "{realm}");
        let text = render(&error);
        assert!(text.contains("is refused"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_redirected_token_request_does_not_carry_the_password() {
    let thief = ScriptedRegistry::start();
    thief.on("/token", |_| Some(Answer::new(200, r#"{"token":"good"}"#)));
    let server = guarded("good");
    server.script("/token", 1, Misbehaviour::Redirect(thief.url()));
    connect(&server, options(Some(("u", "p"))))
        .manifest("1")
        .unwrap();
    assert_eq!(thief.requests().len(), 1);
    assert!(thief.requests()[0].header("authorization").is_none());
}

/// A registry that asks for more than it needs would get a token that pushes in our name.
#[test]
fn a_token_is_for_pulling_from_this_repository_alone() {
    let scopes = [
        "repository:all:pull,push",
        "repository:team/app:pull,push",
        "repository:team/app:* registry:catalog:*",
        "repository:team/app:pull",
        "",
    ];
    for scope in scopes {
        for entry in ["{}", r#"{"identitytoken":"id"}"#] {
            let server = ScriptedRegistry::start();
            server.manifest("1", OCI_MANIFEST, b"{}");
            let realm = format!("Bearer realm=\"{}/token\"", server.url());
            let challenge = format!("{realm},error=\"insufficient_scope\",scope=\"{scope}\"");
            server.guard("Bearer good", &[challenge]);
            server.on("/token", |_| Some(Answer::new(200, r#"{"token":"good"}"#)));
            with_config(&server, entry).manifest("1").unwrap();
            let asked = &server.asked("/token")[0];
            let sent = format!("{}&{}", asked.path, asked.body);
            let scopes: Vec<&str> = sent
                .split(['?', '&'])
                .filter(|pair| pair.starts_with("scope="))
                .collect();
            assert_eq!(scopes, ["scope=repository%3Ateam%2Fapp%3Apull"], "{scope}");
        }
    }
}
