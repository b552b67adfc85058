//! What becomes of an app: its description, and what is recorded of it.

use std::path::PathBuf;

use super::super::container::{Machine, Places, container};
use super::environment::{assigned, task};
use super::*;
use crate::image::ImageConfig;
use crate::spec::mount::Source;
use crate::spec::{CgroupPolicy, ContainerSpec, Network, process};

fn made_on(text: &str, machine: &Machine) -> ContainerSpec {
    let (app, ports) = assigned(text, &Settings::default());
    let places = Places {
        image: "i".into(),
        sandbox: Path::new("/sandbox"),
        persistent: &|path| Path::new("/kept").join(path),
        network: &|name| name.parse(),
        seccomp: Path::new("/profiles"),
    };
    container(&app, &task(), &ports, &places, machine).unwrap()
}

fn made(to: Base, says: &str) -> ContainerSpec {
    made_on(&document(to, says), &Machine::default())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Section 1.15: what the app says, the image's entry point and command, and what is executed.
#[test]
fn commands() {
    for (says, entry, cmd, expected) in [
        ("{}", "", "", None),
        ("{}", "", "c d", Some("c d")),
        ("{}", "e f", "", Some("e f")),
        ("{}", "e f", "c d", Some("e f c d")),
        (r#"{"args":["a","b"]}"#, "", "", Some("a b")),
        (r#"{"args":["a","b"]}"#, "", "c d", Some("a b")),
        (r#"{"args":["a","b"]}"#, "e f", "", Some("e f a b")),
        (r#"{"args":["a","b"]}"#, "e f", "c d", Some("e f a b")),
        (r#"{"cmd":"x"}"#, "", "", Some("/bin/sh -c x")),
        (r#"{"cmd":"x"}"#, "", "c d", Some("/bin/sh -c x")),
        (r#"{"cmd":"x"}"#, "e f", "", Some("/bin/sh -c x")),
        (r#"{"cmd":"x"}"#, "e f", "c d", Some("/bin/sh -c x")),
    ] {
        let image = ImageConfig {
            entrypoint: words(entry),
            cmd: words(cmd),
            ..ImageConfig::none()
        };
        for base in [BM, BD] {
            let found = process(&made(base, says), &image, "here");
            match expected {
                Some(expected) => {
                    assert_eq!(found.unwrap().argv, words(expected), "{says} {entry} {cmd}")
                }
                None => {
                    let error = found.unwrap_err().to_string();
                    assert!(error.contains("E:no-command"), "{error}");
                }
            }
        }
    }
    // One item each, whatever is in it.
    let spec = made(BM, r#"{"args":["a b","$X","--c=\"d\""]}"#);
    assert_eq!(spec.args, ["a b", "$X", "--c=\"d\""]);
}

/// Section 1.12: what the app says, and shares, nanoseconds of processors per second, memory,
/// reservation in MiB.
#[test]
fn resources() {
    const MIB: u64 = 1 << 20;
    for (says, shares, cpus, memory, reservation) in [
        ("{}", None, None, Some(128), None),
        (r#"{"cpus":0.2,"mem":16}"#, Some(204), None, Some(32), None),
        (r#"{"cpus":0.001,"mem":0}"#, Some(2), None, Some(32), None),
        (r#"{"cpus":1000}"#, Some(262_144), None, Some(128), None),
        (r#"{"mem":33.5}"#, None, None, Some(33), None),
        (
            r#"{"cpus":0.5,"resourceLimits":{"cpus":1.5}}"#,
            Some(512),
            Some(1_500_000_000),
            Some(128),
            None,
        ),
        (
            r#"{"cpus":0.001,"resourceLimits":{"cpus":0.001}}"#,
            Some(2),
            Some(10_000_000),
            Some(128),
            None,
        ),
        (
            r#"{"resourceLimits":{"cpus":"unlimited"}}"#,
            None,
            None,
            Some(128),
            None,
        ),
        (
            r#"{"mem":64,"resourceLimits":{"mem":256}}"#,
            None,
            None,
            Some(256),
            Some(64),
        ),
        (
            r#"{"mem":16,"resourceLimits":{"mem":"unlimited"}}"#,
            None,
            None,
            None,
            Some(32),
        ),
    ] {
        let found = made(B0, says).resources;
        assert_eq!(found.cpu_shares, shares, "{says}");
        assert_eq!(found.cpus.map(|it| it.nanos()), cpus, "{says}");
        assert_eq!(found.memory.map(|it| it / MIB), memory, "{says}");
        let kept = found.memory_reservation.map(|it| it / MIB);
        assert_eq!(kept, reservation, "{says}");
        let is_first_to_go = found.oom_score_adj.is_some_and(|it| it > 0);
        assert_eq!(is_first_to_go, reservation.is_some(), "{says}");
    }
}

#[test]
fn resources_of_an_operator() {
    let machine = |limit_cpus, cgroups| Machine {
        memory: 1 << 30,
        limit_cpus,
        cgroups,
    };
    let limits = |says: &str, machine: &Machine| made_on(&document(B0, says), machine).resources;
    let held = limits(r#"{"cpus":0.5}"#, &machine(true, None));
    assert_eq!(held.cpus.map(|it| it.nanos()), Some(500_000_000));
    let free = limits(
        r#"{"resourceLimits":{"cpus":"unlimited"}}"#,
        &machine(true, None),
    );
    assert_eq!(free.cpus, None);
    // A quarter of the memory is asked for.
    let more = limits(
        r#"{"mem":256,"resourceLimits":{"mem":512}}"#,
        &machine(false, None),
    );
    assert_eq!(more.oom_score_adj, Some(750));
    // What nobody has asked for may be missing.
    let said = Some(CgroupPolicy::BestEffort);
    for (says, operator, expected) in [
        ("{}", None, said),
        (r#"{"cpus":1}"#, None, None),
        (r#"{"mem":128}"#, None, None),
        (r#"{"resourceLimits":{"cpus":2}}"#, None, None),
        (r#"{"mem":128}"#, said, said),
    ] {
        let found = limits(says, &machine(false, operator)).cgroups;
        assert_eq!(found, expected, "{says}");
    }
}

/// On the host, what of it, inside, whether it is read-only.
type Seen = (String, Option<String>, String, Option<bool>);

fn mounts(spec: &ContainerSpec) -> Vec<Seen> {
    let one = |mount: &crate::spec::Mount| {
        let Source::Bind(bind) = &mount.source else {
            panic!("{mount:?}");
        };
        let text = |path: &PathBuf| path.display().to_string();
        let part = bind.subpath.as_ref().map(text);
        let read_only = mount.access.read_only;
        (text(&bind.path), part, text(&mount.target), read_only)
    };
    spec.mounts.iter().map(one).collect()
}

/// Section 1.5.
#[test]
fn volumes() {
    let says = r#"{"container":{"volumes":[
        {"containerPath":"/etc/a","hostPath":"/srv/a","mode":"RO"},
        {"containerPath":"b","hostPath":"/srv/b","mode":"RW"},
        {"containerPath":"/c","hostPath":"c/d","mode":"RW"},
        {"containerPath":"data","mode":"RW","persistent":{"size":1}},
        {"containerPath":"/var/lib/x","hostPath":"data","mode":"RW"},
        {"containerPath":"/var/lib/y","hostPath":"data/y","mode":"RO"},
        {"containerPath":"/run/pw","secret":"s"},
        {"containerPath":"creds/pw","secret":"s"}]},
        "secrets":{"s":{"source":"s"}}}"#;
    let spec = made(BM, says);
    let row = |host: &str, part: &str, inside: &str, is_read_only: Option<bool>| {
        let part = Some(part.to_owned()).filter(|it| !it.is_empty());
        (host.to_owned(), part, inside.to_owned(), is_read_only)
    };
    assert_eq!(
        mounts(&spec),
        [
            row("/srv/a", "", "/etc/a", Some(true)),
            row("/srv/b", "", "b", None),
            row("/sandbox", "c/d", "/c", None),
            row("/kept/data", "", "data", None),
            row("/kept/data", "", "/var/lib/x", None),
            row("/kept/data", "y", "/var/lib/y", Some(true)),
        ]
    );
    let secrets = serde_json::to_value(&spec.secrets).unwrap();
    assert_eq!(
        secrets,
        json!([
            { "source": { "given": "s" }, "target": { "file": "/run/pw" } },
            { "source": { "given": "s" }, "target": { "file": "/mnt/mesos/sandbox/creds/pw" } },
        ])
    );
    assert_eq!(spec.sandbox, Some(PathBuf::from("/sandbox")));
}

/// Docker's own parameters, in their order; the first that names a network is it.
#[test]
fn parameters() {
    let of = |parameters: &str| {
        let says = format!(r#"{{"container":{{"docker":{{"parameters":{parameters}}}}}}}"#);
        let spec = made(BDNet, &says);
        let all = spec.docker_parameters.iter();
        let all: Vec<String> = all.map(|it| format!("{}={}", it.key, it.value)).collect();
        (spec.network, all.join("|"))
    };
    assert_eq!(
        of(r#"[{"key":"hostname","value":"h1"},{"key":"env","value":"A=b c"}]"#),
        (Some(Network::Bridge), "hostname=h1|env=A=b c".to_owned())
    );
    assert_eq!(
        of(
            r#"[{"key":"a","value":"1"},{"key":"network","value":"mynet"},{"key":"net","value":"x"},
               {"key":"a","value":"2"}]"#
        ),
        (
            Some(Network::Named("mynet".into())),
            "a=1|net=x|a=2".to_owned()
        )
    );
    let (network, all) = of(r#"[{"key":"net","value":"container:box"}]"#);
    assert!(network == Some(Network::Container("box".into())) || all == "net=container:box");
}

/// Who may not have a publication has none, and each protocol one of its own.
#[test]
fn what_is_published() {
    let published = |to: Base, says: &str| {
        let spec = made(to, says);
        let further = spec.more_networks.iter().map(|it| &it.endpoint);
        let all = std::iter::once(&spec.endpoint).chain(further);
        let texts = |it: &crate::spec::Endpoint| serde_json::to_value(&it.publish).unwrap();
        Value::from(all.map(texts).collect::<Vec<_>>())
    };
    assert_eq!(published(B0, "{}"), json!([[]]));
    assert_eq!(
        published(
            BMNet,
            r#"{"container":{"portMappings":[{"containerPort":53,"hostPort":5353,
                "protocol":"udp,tcp"},{"containerPort":0}]}}"#
        ),
        json!([["5353:53/udp", "5353:53/tcp", "31005:31005/tcp"]])
    );
    let two = r#"{"networks":[{"name":"front"},{"name":"back"}],"container":{"portMappings":[
        {"containerPort":80,"hostPort":0,"networkNames":["back"]},
        {"containerPort":81,"networkNames":["front"]}]}}"#;
    assert_eq!(published(BM, two), json!([[], ["31005:80/tcp"]]));
}

/// Section 2.4.
#[test]
fn records() {
    let record = |to: Base, says: &str| serde_json::to_value(made(to, says).app.unwrap()).unwrap();
    let bridged = record(
        BMNet,
        r#"{"id":"/shop/db","labels":{"a":"b"},"container":{"portMappings":[
            {"containerPort":53,"name":"dns","protocol":"udp,tcp","labels":{"VIP_0":"/x:1"}}]}}"#,
    );
    let port = |protocol: &str| {
        json!({
            "index": 0,
            "number": 31005,
            "container_port": 53,
            "host_port": 31005,
            "service_port": 10000,
            "protocol": protocol,
            "name": "dns",
            "labels": { "VIP_0": "/x:1" },
            "network_scope": "host",
        })
    };
    assert_eq!(
        bridged,
        json!({
            "id": "/shop/db",
            "task": "t.instance-1._app.1",
            "version": "2020-05-06T07:08:09.010Z",
            "discovery_name": "db.shop",
            "labels": { "a": "b" },
            "ports": [port("udp"), port("tcp")],
        })
    );
    let inner = record(
        BM,
        r#"{"networks":[{"name":"front"},{"name":"back"}],
            "container":{"portMappings":[{"containerPort":80,"networkNames":["back"]}]}}"#,
    );
    let port = &inner["ports"][0];
    assert_eq!(port["number"], 80);
    assert_eq!(port["host_port"], Value::Null);
    assert_eq!(
        (&port["network_scope"], &port["network_name"]),
        (&json!("container"), &json!("back"))
    );
    let own = record(B0, r#"{"portDefinitions":[{"port":8080,"name":"http"}]}"#);
    assert_eq!(own["ports"][0]["container_port"], 31005, "it listens there");
    assert_eq!(own["ports"][0]["service_port"], 8080);
}
