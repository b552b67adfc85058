//! The JSON of `inspect` and `images`: what programs rely on. A key that disappears or changes its
//! type fails here; a new key is added to the table, and to the man page.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::ucr::Ucr;

/// Path of a key (`[]` for the members of a list) and its type when there is something to say.
///
/// `config` is the image's own configuration as it is, so nothing below it is listed.
const IMAGE: &[(&str, &str)] = &[
    ("chain_id", "string"),
    ("config", "object"),
    ("config_digest", "string"),
    ("index_digest", "string"),
    ("kind", "string"),
    ("layers", "list"),
    ("layers[]", "object"),
    ("layers[].chain_id", "string"),
    ("layers[].diff_id", "string"),
    ("layers[].digest", "string"),
    ("layers[].media_type", "string"),
    ("layers[].size", "number"),
    ("layers[].unpacked_size", "number"),
    ("manifest_digest", "string"),
    ("name", "string"),
    ("platform", "string"),
    ("pulled_at", "string"),
    ("run", "object"),
    ("run.argv", "list"),
    ("run.argv[]", "string"),
    ("run.env", "list"),
    ("run.env[]", "string"),
    ("run.user", "string"),
    ("run.workdir", "string"),
    ("size", "number"),
    ("source", "string"),
];

/// Each of `images`.
const IMAGES: &[(&str, &str)] = &[
    ("[]", "object"),
    ("[].config_digest", "string"),
    ("[].index_digest", "string"),
    ("[].kind", "string"),
    ("[].manifest_digest", "string"),
    ("[].name", "string"),
    ("[].platform", "string"),
    ("[].pulled_at", "string"),
    ("[].size", "number"),
    ("[].source", "string"),
];

/// A provisioned root filesystem, as `inspect` shows it.
const ROOTFS: &[(&str, &str)] = &[
    ("backend", "string"),
    ("bundle", "string"),
    ("created_at", "string"),
    ("id", "string"),
    ("image", "string"),
    ("kind", "string"),
    ("manifest_digest", "string"),
    ("path", "string"),
    ("status", "string"),
];

/// What `prune` has removed.
const PRUNED: &[(&str, &str)] = &[
    ("blobs", "number"),
    ("bytes", "number"),
    ("layers", "number"),
    ("partial", "number"),
];

/// An image that has something under every key.
fn full() -> Layout {
    let image = Image::new()
        .layer(Layer::new().file("a", "a"))
        .layer(Layer::new().file("b", "b").packed(Packing::Zstd))
        .entrypoint(&["/a", "x"])
        .cmd(&["y"])
        .env(&["PATH=/bin", "A=1"])
        .user("7:8")
        .workdir("/w")
        .set("Labels", json!({"org.example": "label"}))
        .set("ExposedPorts", json!({"80/tcp": {}}))
        .set("Volumes", json!({"/data": {}}))
        .set("StopSignal", json!("SIGUSR1"));
    let layout = Layout::new();
    layout.add_index("full", &[image]);
    layout
}

fn world() -> (Registry, Ucr, String) {
    let registry = Registry::open();
    let reference = registry.push(&full(), "full", "demo/full:1");
    let ucr = Ucr::new();
    ucr.pull(&reference);
    (registry, ucr, reference)
}

fn types(value: &Value, path: &str, found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    if !path.is_empty() {
        found.insert(path.into(), kind);
    }
    match value {
        Value::Array(items) => {
            items
                .iter()
                .for_each(|item| types(item, &format!("{path}[]"), found));
        }
        Value::Object(members) if path != "config" => {
            for (key, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                types(member, &format!("{path}{dot}{key}"), found);
            }
        }
        _ => {}
    }
}

#[track_caller]
fn assert_schema(value: &Value, expected: &[(&str, &'static str)]) {
    let mut found = BTreeMap::new();
    types(value, "", &mut found);
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(k, t)| ((*k).to_owned(), *t))
        .collect();
    assert_eq!(found, expected, "{value:#}");
}

#[test]
fn the_keys_of_an_image() {
    let (_registry, ucr, reference) = world();
    assert_schema(
        &ucr.run(["inspect", "--format", "json", &reference])
            .ok()
            .json(),
        IMAGE,
    );
    assert_schema(&ucr.run(["images", "--format", "json"]).ok().json(), IMAGES);
}

#[test]
fn the_keys_of_a_rootfs() {
    let (_registry, ucr, reference) = world();
    let bundle = ucr.scratch().join("bundle");
    let path = bundle.to_str().unwrap();
    ucr.run(["provision", "--bundle", path, &reference]).ok();
    let all = ucr.run(["ps", "--format", "json"]).ok().json();
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_schema(&all[0], ROOTFS);
    let id = all[0]["id"].as_str().unwrap();
    assert_schema(
        &ucr.run(["inspect", "--format", "json", id]).ok().json(),
        ROOTFS,
    );
    ucr.run(["rm", id]).ok();
    assert_schema(&ucr.run(["prune", "--format", "json"]).ok().json(), PRUNED);
}

/// `inspect` prints JSON by itself: design.md section 4.
#[test]
fn json_is_the_form_of_inspect() {
    let (_registry, ucr, reference) = world();
    let plain = ucr.run(["inspect", &reference]).ok().json();
    assert_eq!(
        plain,
        ucr.run(["inspect", "--format", "json", &reference])
            .ok()
            .json()
    );
    let text = ucr
        .run(["inspect", "--format", "text", &reference])
        .ok()
        .stdout;
    assert!(
        serde_json::from_str::<Value>(&text).is_err(),
        "text is for people:\n{text}"
    );
    assert!(
        text.contains("linux/amd64") && text.contains(&reference),
        "{text}"
    );
}

#[test]
fn the_values_of_an_image() {
    let (_registry, ucr, reference) = world();
    let layout = full();
    let index = layout.resolve("full");
    let manifest = layout.json(&index)["manifests"][0]["digest"].clone();
    let image = ucr
        .run(["inspect", "--format", "json", &reference])
        .ok()
        .json();
    assert_eq!(image["kind"], "image");
    assert_eq!(image["name"], reference.as_str());
    assert_eq!(image["index_digest"], index.as_str());
    assert_eq!(image["manifest_digest"], manifest);
    let raw = layout.json(manifest.as_str().unwrap());
    assert_eq!(image["config_digest"], raw["config"]["digest"]);
    let config = layout.json(raw["config"]["digest"].as_str().unwrap());
    assert_eq!(image["config"], config);
    for (at, layer) in image["layers"].as_array().unwrap().iter().enumerate() {
        assert_eq!(layer["digest"], raw["layers"][at]["digest"]);
        assert_eq!(layer["size"], raw["layers"][at]["size"]);
        assert_eq!(layer["media_type"], raw["layers"][at]["mediaType"]);
        assert_eq!(layer["diff_id"], config["rootfs"]["diff_ids"][at]);
    }
    let run = &image["run"];
    assert_eq!(run["argv"], json!(["/a", "x", "y"]));
    let env = run["env"].as_array().unwrap();
    assert!(
        env.contains(&"A=1".into()) && env.contains(&"PATH=/bin".into()),
        "{env:?}"
    );
    assert_eq!(
        (&run["user"], &run["workdir"]),
        (&"7:8".into(), &"/w".into())
    );
}

/// `--raw` gives the bytes whose digest is known, not a rendering of them.
#[test]
fn raw_documents_are_byte_for_byte() {
    let (_registry, ucr, reference) = world();
    let image = ucr
        .run(["inspect", "--format", "json", &reference])
        .ok()
        .json();
    for (part, digest) in [
        ("index", &image["index_digest"]),
        ("manifest", &image["manifest_digest"]),
        ("config", &image["config_digest"]),
    ] {
        let raw = ucr.run(["inspect", "--raw", part, &reference]).ok().stdout;
        assert_eq!(
            digest,
            crate::support::digest(raw.as_bytes()).as_str(),
            "{part}"
        );
    }
}
