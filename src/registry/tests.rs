//! What cannot be shown on loopback: public hosts, https realms, redirects between them.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::transport::{Body, Broken, How, Pending, Request};
use super::*;
use crate::error::{hint, kind, render};

/// Status, headers, body.
type Scripted = (u16, Vec<(&'static str, String)>, &'static str);

/// Answers by URL without its query; everything else is a refused connection.
#[derive(Default)]
struct Fake {
    answers: HashMap<String, Vec<Scripted>>,
    /// URL and `Authorization`.
    asked: Mutex<Vec<(String, Option<String>)>>,
    /// How far each request's name may lead.
    within: Mutex<Vec<Reach>>,
}

struct Whole(Option<Bytes>);

impl Body for Whole {
    fn chunk(&mut self) -> Pending<'_, Result<Option<Bytes>, Broken>> {
        Box::pin(async move { Ok(self.0.take()) })
    }
}

impl Transport for Fake {
    fn send(&self, request: Request) -> Pending<'_, Result<Response, Broken>> {
        Box::pin(async move {
            let shown = request.headers.get(AUTHORIZATION);
            let shown = shown.and_then(|v| v.to_str().ok()).map(str::to_owned);
            self.within.lock().unwrap().push(request.within);
            let mut asked = self.asked.lock().unwrap();
            let text = request.url.to_string();
            let key = text.split('?').next().unwrap_or_default().to_owned();
            let times = asked
                .iter()
                .filter(|(url, _)| url.starts_with(&key))
                .count();
            asked.push((text, shown));
            let answers = self.answers.get(&key).ok_or(Broken {
                how: How::Connect,
                why: "refused".into(),
            })?;
            let (status, headers, body) = &answers[times.min(answers.len() - 1)];
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect();
            Ok(Response {
                status: StatusCode::from_u16(*status).unwrap(),
                headers,
                body: Box::new(Whole(Some(Bytes::from_static(body.as_bytes())))),
                moved_to: None,
            })
        })
    }
}

fn fake(answers: &[(&str, &[Scripted])]) -> Arc<Fake> {
    let answers = answers
        .iter()
        .map(|(url, list)| ((*url).to_owned(), list.to_vec()));
    Arc::new(Fake {
        answers: answers.collect(),
        asked: Mutex::default(),
        within: Mutex::default(),
    })
}

fn connect(name: &str, transport: &Arc<Fake>) -> Registry {
    let options = Options {
        credentials: Sources {
            creds: Some(("u".into(), "p".into())),
            ..Sources::default()
        },
        timing: Timing {
            tries: 1,
            ..Timing::default()
        },
        ..Options::default()
    };
    let reference = name.parse().unwrap();
    Registry::with_transport(&reference, options, transport.clone()).unwrap()
}

fn challenge(realm: &str) -> Scripted {
    let value = format!("Bearer realm=\"{realm}\",service=\"s\"");
    (401, vec![("www-authenticate", value)], "")
}

const HUB: &str = "https://registry-1.docker.io/v2/library/x/manifests/latest";

#[test]
fn the_password_goes_to_the_https_realm_only() {
    let transport = fake(&[
        (
            HUB,
            &[
                challenge("https://auth.docker.io/token"),
                (200, vec![], "{}"),
            ],
        ),
        (
            "https://auth.docker.io/token",
            &[(200, vec![], r#"{"token":"t"}"#)],
        ),
    ]);
    connect("x", &transport).manifest("latest").unwrap();
    let asked = transport.asked.lock().unwrap();
    let shown: Vec<Option<&str>> = asked.iter().map(|(_, shown)| shown.as_deref()).collect();
    assert_eq!(shown, [None, Some("Basic dTpw"), Some("Bearer t")]);
    assert!(
        asked[1].0.contains("scope=repository%3Alibrary%2Fx%3Apull"),
        "{asked:?}"
    );
}

#[test]
fn realms_that_would_get_a_password_in_the_clear_or_inside_are_refused() {
    for realm in [
        "http://auth.docker.io/token",
        "https://127.0.0.1/token",
        "https://169.254.169.254/t",
    ] {
        let transport = fake(&[(HUB, &[challenge(realm)])]);
        let error = connect("x", &transport).manifest("latest").unwrap_err();
        assert_eq!(kind(&error), Kind::Denied, "{realm}");
        assert_eq!(transport.asked.lock().unwrap().len(), 1, "{realm}");
    }
}

#[test]
fn redirects_of_public_registries_stay_public_and_https() {
    let blob = Digest::of(b"content");
    let url = format!("https://r.io/v2/x/blobs/{blob}");
    let rows = [
        ("https://cdn.io/b?sig=s3cret", None),
        ("http://cdn.io/b?sig=s3cret", Some("https to plain http")),
        ("https://127.0.0.1/b?sig=s3cret", Some("loopback")),
        ("https://u:s3cret@cdn.io/b", Some("user name")),
    ];
    for (to, refused) in rows {
        let redirect = (307, vec![("location", to.to_owned())], "");
        let transport = fake(&[
            (&url, &[redirect]),
            ("https://cdn.io/b", &[(200, vec![], "content")]),
        ]);
        let registry = connect("r.io/x", &transport);
        let wanted = descriptor(&blob, 7, &[]);
        match (registry.small_blob(&wanted, 7), refused) {
            (Ok(bytes), None) => assert_eq!(bytes, b"content"),
            (Err(error), Some(why)) => {
                let text = render(&error);
                assert!(text.contains(why), "{text}");
                assert!(!text.contains("s3cret"), "{text}");
            }
            (found, _) => panic!("{to}: {found:?}"),
        }
    }
}

/// A public name may stand for a private address; only the registry's own may stand for any.
#[test]
fn names_that_a_server_gives_lead_less_far() {
    let blob = Digest::of(b"content");
    let url = format!("https://r.io/v2/x/blobs/{blob}");
    let moved = |to: &str| (307, vec![("location", to.to_owned())], "");
    let token = (200, vec![], r#"{"token":"t"}"#);
    let transport = fake(&[
        (
            &url,
            &[
                challenge("https://auth.io/t"),
                moved("https://cdn.io/b"),
                (404, vec![], ""),
            ],
        ),
        ("https://auth.io/t", &[token]),
        ("https://cdn.io/b", &[(200, vec![], "content")]),
        ("https://far.io/l", &[moved("https://near.io/l")]),
        ("https://near.io/l", &[(200, vec![], "content")]),
    ]);
    let registry = connect("r.io/x", &transport);
    for _ in 0..2 {
        let foreign = descriptor(&blob, 7, &["https://far.io/l"]);
        registry.small_blob(&foreign, 7).unwrap();
    }
    let asked = transport.asked.lock().unwrap();
    let hosts = asked.iter().map(|(url, _)| url.split('/').nth(2).unwrap());
    let found: Vec<_> = hosts
        .zip(transport.within.lock().unwrap().clone())
        .collect();
    let expected = [
        ("r.io", Reach::LinkLocal),
        ("auth.io", Reach::Loopback),
        ("r.io", Reach::LinkLocal),
        ("cdn.io", Reach::Loopback),
        ("r.io", Reach::LinkLocal),
        ("far.io", Reach::Public),
        ("near.io", Reach::Public),
    ];
    assert_eq!(found, expected);
}

fn descriptor(digest: &Digest, size: u64, urls: &[&str]) -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".into(),
        digest: digest.clone(),
        size,
        platform: None,
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        data: None,
        is_attestation: false,
    }
}

#[test]
fn foreign_layers_come_from_https_without_a_credential() {
    let blob = Digest::of(b"content");
    let url = format!("https://r.io/v2/x/blobs/{blob}");
    let transport = fake(&[
        (
            &url,
            &[
                (401, vec![("www-authenticate", "Basic".into())], ""),
                (404, vec![], ""),
            ],
        ),
        ("http://plain.io/l", &[(200, vec![], "content")]),
        ("https://10.0.0.1/l", &[(200, vec![], "content")]),
        ("https://far.io/l", &[(200, vec![], "content")]),
    ]);
    let registry = connect("r.io/x", &transport);
    let refused = ["http://plain.io/l", "https://10.0.0.1/l", "nonsense"];
    let error = registry
        .small_blob(&descriptor(&blob, 7, &refused), 7)
        .unwrap_err();
    assert_eq!(kind(&error), Kind::NotFound);
    assert!(
        !transport
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|(url, _)| url.contains("/l"))
    );
    let urls = ["http://plain.io/l", "https://far.io/l"];
    let bytes = registry
        .small_blob(&descriptor(&blob, 7, &urls), 7)
        .unwrap();
    assert_eq!(bytes, b"content");
    let asked = transport.asked.lock().unwrap();
    assert_eq!(
        asked.last().unwrap(),
        &("https://far.io/l".to_owned(), None)
    );
}

#[test]
fn a_layer_has_four_foreign_urls_at_most() {
    let blob = Digest::of(b"content");
    let transport = fake(&[("https://five.io/l", &[(200, vec![], "content")])]);
    let urls = [
        "https://one.io/l",
        "https://two.io/l",
        "https://three.io/l",
        "https://four.io/l",
        "https://five.io/l",
    ];
    let registry = connect("r.io/x", &transport);
    let small_blob = |urls: &[&str]| registry.small_blob(&descriptor(&blob, 7, urls), 7);
    small_blob(&urls).unwrap_err();
    let asked = transport.asked.lock().unwrap().len();
    assert_eq!(asked, 1 + 4, "the registry, and four others");
    assert_eq!(small_blob(&urls[1..]).unwrap(), b"content");
}

#[test]
fn after_the_deadline_nobody_is_asked() {
    let blob = Digest::of(b"content");
    let transport = fake(&[("https://one.io/l", &[(200, vec![], "content")])]);
    let options = Options {
        deadline: Some(std::time::Instant::now()),
        mirrors: vec!["r.io=https://mirror.io".parse().unwrap()],
        ..Options::default()
    };
    let reference = "r.io/x".parse().unwrap();
    let registry = Registry::with_transport(&reference, options, transport.clone()).unwrap();
    let wanted = descriptor(&blob, 7, &["https://one.io/l"]);
    let errors = [
        registry.manifest("1").unwrap_err(),
        registry.head("1").unwrap_err(),
        registry.small_blob(&wanted, 7).unwrap_err(),
    ];
    for error in errors {
        assert!(render(&error).contains("longer than allowed"), "{error:#}");
    }
    assert_eq!(transport.asked.lock().unwrap().len(), 0);
}

#[test]
fn plain_http_off_loopback_needs_the_flag() {
    let transport = fake(&[("http://r.io/v2/x/manifests/1", &[(200, vec![], "{}")])]);
    let error = connect("r.io/x", &transport).manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::Network);
    assert!(hint(&error).unwrap().contains("--plain-http"));
    assert!(
        transport
            .asked
            .lock()
            .unwrap()
            .iter()
            .all(|(url, _)| url.starts_with("https:"))
    );

    let options = Options {
        plain_http: true,
        ..Options::default()
    };
    let reference = "r.io/x".parse().unwrap();
    let registry = Registry::with_transport(&reference, options, transport.clone()).unwrap();
    registry.manifest("1").unwrap();
}

#[test]
fn an_untrusted_certificate_hints_at_the_flag() {
    struct Untrusted;
    impl Transport for Untrusted {
        fn send(&self, _: Request) -> Pending<'_, Result<Response, Broken>> {
            let broken = Broken {
                how: How::Certificate,
                why: "invalid peer certificate: UnknownIssuer".into(),
            };
            Box::pin(async move { Err(broken) })
        }
    }
    let reference = "127.0.0.1:1/x".parse().unwrap();
    let registry =
        Registry::with_transport(&reference, Options::default(), Arc::new(Untrusted)).unwrap();
    let error = registry.manifest("1").unwrap_err();
    assert!(render(&error).contains("UnknownIssuer"), "{error:#}");
    assert!(hint(&error).unwrap().contains("--tls-ca"));
}

#[test]
fn where_registries_are_spoken_to() {
    let rows = [
        ("x", false, &["https://registry-1.docker.io/"][..]),
        ("r.io:444/x", false, &["https://r.io:444/"]),
        ("r.io/x", true, &["http://r.io/"]),
        ("10.0.0.1:5000/x", false, &["https://10.0.0.1:5000/"]),
        (
            "localhost:5000/x",
            false,
            &["https://localhost:5000/", "http://localhost:5000/"],
        ),
        (
            "127.1.1.1/x",
            false,
            &["https://127.1.1.1/", "http://127.1.1.1/"],
        ),
        (
            "[::1]:5000/x",
            false,
            &["https://[::1]:5000/", "http://[::1]:5000/"],
        ),
        ("[::1]:5000/x", true, &["http://[::1]:5000/"]),
    ];
    for (name, plain_http, expected) in rows {
        let options = Options {
            plain_http,
            ..Options::default()
        };
        let found = bases(&name.parse().unwrap(), &options).unwrap();
        let found: Vec<&str> = found.iter().map(Url::as_str).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_download_host_cannot_ask_for_the_credential() {
    let blob = Digest::of(b"content");
    let url = format!("https://r.io/v2/x/blobs/{blob}");
    let redirect = (307, vec![("location", "https://cdn.io/b".to_owned())], "");
    let transport = fake(&[
        (&url, &[redirect]),
        ("https://cdn.io/b", &[challenge("https://thief.io/token")]),
        (
            "https://thief.io/token",
            &[(200, vec![], r#"{"token":"t"}"#)],
        ),
    ]);
    let registry = connect("r.io/x", &transport);
    let error = registry
        .small_blob(&descriptor(&blob, 7, &[]), 7)
        .unwrap_err();
    let text = render(&error);
    assert!(text.contains("sent us to cdn.io"), "{text}");
    let asked = transport.asked.lock().unwrap();
    assert!(
        asked
            .iter()
            .all(|(url, shown)| !url.contains("thief") && shown.is_none()),
        "{asked:?}"
    );
}
