//! What is decided without running anything.

use serde_json::{Value, json};

use super::answer::Answer;
use super::list::List;
use super::request::Wishes;
use super::version::Version;
use crate::spec::Endpoint;

fn list(capabilities: &Value) -> List {
    let directory = tempfile::tempdir().unwrap();
    let list = json!({
        "name": "n", "cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.1.0", "x"],
        "plugins": [{ "type": "one", "capabilities": capabilities, "cni.dev/x": 1 }, { "type": "two" }],
    });
    std::fs::write(directory.path().join("a.conflist"), list.to_string()).unwrap();
    List::find("n", &[directory.path().to_owned()]).unwrap()
}

#[test]
fn lists_come_before_single_files_and_the_first_name_wins() {
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, plugin: &str, name: &str| {
        let text = match file.ends_with("conflist") {
            true => json!({"name": name, "cniVersion": "1.0.0", "plugins": [{ "type": plugin }]}),
            false => json!({"name": name, "cniVersion": "1.0.0", "type": plugin}),
        };
        std::fs::write(directory.path().join(file), text.to_string()).unwrap();
    };
    write("00.conf", "single", "n");
    write("20.conflist", "second", "n");
    write("10.conflist", "first", "n");
    write("30.json", "json", "m");
    write("40.txt", "text", "t");
    let places = [directory.path().to_owned()];
    let program = |name: &str| {
        List::find(name, &places).unwrap().plugins[0]
            .program
            .clone()
    };
    assert_eq!(
        (program("n"), program("m")),
        ("first".into(), "json".into())
    );
    assert!(List::find("t", &places).is_err());
    let all = List::all(&places).unwrap();
    let names: Vec<_> = all.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["m", "n"]);
}

#[test]
fn versions_are_sorted_and_unknown_ones_left_out() {
    let found = list(&json!({}));
    assert_eq!(
        found.versions,
        [Version::V1_1_0, Version::V1_0_0, Version::V0_4_0]
    );
    assert!(!Version::V0_3_1.has_check() && Version::V0_4_0.has_check());
}

#[test]
fn wishes_go_to_those_that_can() {
    let endpoint = Endpoint {
        ip: Some("10.0.0.9".parse().unwrap()),
        mac_address: Some("02:00:00:00:00:09".parse().unwrap()),
        ..Endpoint::default()
    };
    let naming = serde_json::from_str(r#"{"dns": ["192.0.2.1"]}"#).unwrap();
    let able = list(&json!({ "ips": true, "mac": true, "dns": true, "portMappings": false }));
    let wishes = Wishes::new(&able, &endpoint, &[], &naming).unwrap();
    assert_eq!(wishes.args, "IgnoreUnknown=1");
    let request =
        |plugin: usize| wishes.request(&able, Version::V1_0_0, &able.plugins[plugin], None);
    assert_eq!(
        request(0),
        json!({
            "type": "one", "name": "n", "cniVersion": "1.0.0",
            "runtimeConfig": {
                "ips": ["10.0.0.9"], "mac": "02:00:00:00:00:09",
                "dns": { "servers": ["192.0.2.1"], "searches": [], "options": [] },
            },
        })
    );
    assert_eq!(
        request(1),
        json!({ "type": "two", "name": "n", "cniVersion": "1.0.0" })
    );
    let unable = list(&json!({ "ips": false }));
    let wishes = Wishes::new(&unable, &endpoint, &[], &naming).unwrap();
    assert_eq!(
        wishes.args,
        "IgnoreUnknown=1;IP=10.0.0.9;MAC=02:00:00:00:00:09"
    );
    assert!(wishes.capabilities.is_empty());
}

#[test]
fn results_of_all_versions() {
    let interfaces = json!([
        { "name": "cni0", "mac": "02:00:00:00:00:01" },
        { "name": "lo", "sandbox": "/x" },
        { "name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/x" },
    ]);
    let rows = [
        (
            json!({"address": "10.1.0.2/16", "gateway": "10.1.0.1", "interface": 2}),
            Some("10.1.0.2"),
        ),
        (
            json!({"version": "4", "address": "10.1.0.2/16"}),
            Some("10.1.0.2"),
        ),
        (
            json!({"version": "6", "address": "fd00::2/64", "interface": 9}),
            Some("fd00::2"),
        ),
        (json!({"address": "10.1.0.3/16", "interface": 0}), None),
        (json!({"address": "127.0.0.1/8", "interface": 1}), None),
    ];
    for (ip, expected) in rows {
        let result = json!({ "cniVersion": "0.3.1", "interfaces": interfaces, "ips": [ip] });
        let answer = Answer::parse(&result, "eth0").unwrap();
        let found: Vec<_> = answer
            .addresses
            .iter()
            .map(|it| it.address.to_string())
            .collect();
        assert_eq!(found.first().map(String::as_str), expected, "{ip}");
        assert_eq!(answer.mac.unwrap().to_string(), "02:00:00:00:00:02");
    }
}

#[test]
fn results_that_are_none() {
    let with = |key: &str, value: Value| {
        let mut result = json!({ "cniVersion": "1.0.0" });
        result[key] = value;
        result
    };
    let ip = |address: &str| with("ips", json!([{ "address": address }]));
    let many: Vec<_> = (0..65)
        .map(|_| json!({ "address": "10.0.0.1/8" }))
        .collect();
    for result in [
        json!(null),
        json!("x"),
        json!({}),
        with("ips", json!({})),
        with("ips", many.into()),
        with(
            "ips",
            json!([{ "address": "10.0.0.1/8", "gateway": "here" }]),
        ),
        ip("10.0.0.1"),
        ip("10.0.0.1/33"),
        ip("0.0.0.0/0"),
        ip("224.0.0.1/4"),
        ip("10.0.0.1/8\n6.6.6.6 evil"),
        with("dns", json!({ "domain": "a b" })),
        with("dns", json!({ "options": ["a\nnameserver 1.1.1.1"] })),
        with("dns", json!({ "search": ["x".repeat(300)] })),
        with("dns", json!({ "nameservers": ["fe80::1%eth0"] })),
    ] {
        assert!(Answer::parse(&result, "eth0").is_err(), "{result}");
    }
}
