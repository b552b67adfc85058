//! Pulls of the Engine's from a registry that wants a password.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::host::{ENGINE, Host, SERVES};
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::samples::{self, TAG};

#[test]
fn forced_pulls_with_every_credential() {
    let engine = &*ENGINE;
    let host = Host::new();
    let (registry, image) = engine.on_its_machine(|| {
        let registry = Registry::basic("ada", "engine!9");
        let image = registry.push(&Layout::of(TAG, &samples::small()), TAG, "life/locked:1");
        (registry, image)
    });
    let auths = |password: &str| {
        use base64::Engine as _;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("ada:{password}"));
        json!({"auths": {registry.address(): {"auth": auth}}}).to_string()
    };
    let scratch = host.ucr.scratch();
    for (name, password) in [("right.json", "engine!9"), ("wrong.json", "wrong!9")] {
        let file = scratch.file(name, auths(password));
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let run = |flags: &[&str]| {
        let words = [
            &["run", "--policy", "always"],
            flags,
            &[&image, "echo", "ran"],
        ]
        .concat();
        host.run(&words)
    };
    for flags in [
        ["--creds", "ada:engine!9"],
        ["--pull-secret", "right.json"],
        ["--auth-file", "right.json"],
    ] {
        assert_eq!(run(&flags).ok().stdout, "ran\n", "{flags:?}");
    }
    // The image is there, but a forced pull that is refused is refused.
    for flags in [
        &["--creds", "ada:wrong!9"][..],
        &["--pull-secret", "wrong.json"],
        &["--auth-file", "wrong.json"],
        &[],
    ] {
        let done = run(flags).refused(&["docker pull: ", "hint: say --creds or --pull-secret"]);
        assert!(!done.stderr.contains("wrong!9"), "{}", done.stderr);
    }
    assert_eq!(host.private().len(), 0);
    let digest = host.run(&["pull", "--creds", "ada:engine!9", &image]).ok();
    assert!(digest.stdout.starts_with("sha256:"), "{}", digest.stdout);
    let document = host.inspect(&image);
    assert_eq!(document["kind"], "image");
    assert_eq!(document["manifest_digest"], digest.text());
    host.run(&["rm", &image]).ok();
    host.run(&["inspect", &image])
        .refused(&["no container of ucr's and no image"]);
}

/// It is in the Engine; a bundle is made of what the Engine saves.
#[test]
fn an_image_is_provisioned() {
    let host = Host::new();
    let id = host.run(&["provision", &host.image]).ok();
    assert!(id.stdout.starts_with("sha256:"), "{}", id.stdout);
    let bundle = host.ucr.scratch().join("bundle");
    let path = bundle.to_str().unwrap();
    let printed = host.run(&["provision", "--bundle", path, &host.image]).ok();
    assert_eq!(printed.text(), path);
    assert!(bundle.join("config.json").is_file());
    assert!(bundle.join("rootfs/bin/busybox").is_file());
    host.ucr.run(["rm", path]).ok();
    host.run(&["provision", &host.image, "/elsewhere"])
        .refused(&["DIR: Docker Engine keeps root filesystems", "--bundle DIR"]);
    host.run(&["provision", &host.image, "--", "args"])
        .refused(&["arguments without --bundle"]);
}

/// As people and as programs read it.
#[test]
fn forms_of_output() {
    let host = Host::new();
    let text = |name: &str| {
        let words = ["--format", "text", "inspect", name];
        host.run(&words).ok().stdout
    };
    let image = text(&host.image);
    assert!(
        image.contains("Platform") && image.contains("linux/"),
        "{image}"
    );
    let id = host.background(&["--name", "forms"], SERVES);
    let container = text("forms");
    assert!(
        container.contains(&id) && container.contains("running"),
        "{container}"
    );
    let words = [
        "--format",
        "json",
        "rm",
        "-f",
        "forms",
        "nothing-of-the-kind",
    ];
    let removed = host.run(&words).ok().json();
    assert_eq!(removed, json!([{ "kind": "container", "name": "forms" }]));
}
