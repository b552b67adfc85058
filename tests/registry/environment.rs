//! What the machine gives: names, proxies, certificates or none.
//!
//! The environment of a process cannot be changed safely while threads run, so these tests start
//! this very binary again, for one test, with another environment.

use std::process::Command;

use ucr::error::render;
use ucr::image::OCI_MANIFEST;
use ucr::registry::Registry;

use crate::basics::options;
use crate::scripted_registry::{Refusing, ScriptedRegistry};

/// Runs one ignored test of this binary with these variables.
fn child(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("1 passed"), "no such test: {text}");
}

#[test]
fn proxies_of_the_environment_serve_all_but_loopback() {
    let (proxy, server) = (ScriptedRegistry::start(), ScriptedRegistry::start());
    proxy.manifest("proxied", OCI_MANIFEST, b"{}");
    server.manifest("direct", OCI_MANIFEST, b"{}");
    let variables = [("http_proxy", proxy.url()), ("TEST_HOST", server.host())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
    child("environment::child_behind_a_proxy", &variables);
    let asked = proxy.asked("manifests");
    assert_eq!(asked[0].path, "http://registry.test/v2/x/manifests/proxied");
    assert_eq!((asked.len(), server.asked("direct").len()), (1, 1));
}

#[test]
#[ignore = "run by proxies_of_the_environment_serve_all_but_loopback"]
fn child_behind_a_proxy() {
    let mut plain = options(None);
    plain.plain_http = true;
    let reference = "registry.test/x".parse().unwrap();
    let registry = Registry::connect(&reference, plain).unwrap();
    registry.manifest("proxied").unwrap();

    let host = std::env::var("TEST_HOST").unwrap();
    let reference = format!("{host}/x").parse().unwrap();
    let registry = Registry::connect(&reference, options(None)).unwrap();
    registry.manifest("direct").unwrap();
}

#[test]
fn a_machine_without_certificates_still_speaks_plain_http() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let variables = [
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
        ("TEST_HOST", &server.host()),
    ];
    child("environment::child_without_certificates", &variables);
    assert_eq!(server.asked("manifests").len(), 1);
}

#[test]
#[ignore = "run by a_machine_without_certificates_still_speaks_plain_http"]
fn child_without_certificates() {
    let host = std::env::var("TEST_HOST").unwrap();
    let reference = format!("{host}/x").parse().unwrap();
    let registry = Registry::connect(&reference, options(None)).unwrap();
    registry.manifest("1").unwrap();
}

#[test]
fn localhost_needs_no_resolver() {
    let server = ScriptedRegistry::start();
    server.manifest("1", OCI_MANIFEST, b"{}");
    let port = server.host().rsplit(':').next().unwrap().to_owned();
    for host in ["localhost", "registry.localhost", "LOCALHOST"] {
        let reference = format!("{host}:{port}/x").parse().unwrap();
        let registry = Registry::connect(&reference, options(None)).unwrap();
        registry.manifest("1").unwrap();
    }
}

#[test]
fn unreachable_places_are_named() {
    let nobody = Refusing::new();
    let host = nobody.host();
    let reference = format!("{host}/x").parse().unwrap();
    let registry = Registry::connect(&reference, options(None)).unwrap();
    let error = registry.manifest("1").unwrap_err();
    let text = render(&error);
    assert!(text.contains(&format!("registry {host}: ")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}
