//! Tasks and what becomes of them: one row for each field that is mapped or refused.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::definition::{Containerizer, HttpScheme, Place, ProbeCommand, Question};
use super::{TaskDefinition, read};
use crate::frontend::marathon::Findings;
use crate::frontend::marathon::container::Machine;
use crate::image::ImageConfig;
use crate::spec::SecretTarget;
use crate::spec::{Network, SANDBOX, SecretSource, process};

/// As an agent sent it (reference/mesos-live.md, section 2), but for its `data`.
const RECORDED: &str = r#"{"name":"normal","task_id":{"value":"t-normal"},"agent_id":{"value":"a-S0"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.2},"allocation_info":{"role":"*"}},{"name":"mem","type":"SCALAR","scalar":{"value":64.0},"allocation_info":{"role":"*"}},{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31001}]},"allocation_info":{"role":"*"}}],"executor":{"type":"CUSTOM","executor_id":{"value":"e-normal"},"framework_id":{"value":"f"},"command":{"environment":{"variables":[{"name":"EXECVAR","type":"VALUE","value":"v1"}]},"shell":true,"value":"exec ucr executor"},"resources":[],"name":"x","source":"s","data":"ZXhlY2RhdGE="},"container":{"type":"MESOS","volumes":[{"mode":"RW","container_path":"data","host_path":"/srv/out"}],"mesos":{"image":{"type":"DOCKER","docker":{"name":"busybox"},"cached":true}}},"kill_policy":{"grace_period":{"nanoseconds":3000000000}},"labels":{"labels":[{"key":"k","value":"v"}]},"discovery":{"visibility":"FRAMEWORK","name":"disc"}}"#;

fn try_read(info: &Value, words: &[&str]) -> Result<(TaskDefinition, Findings), Findings> {
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    let place = Place {
        sandbox: Path::new("/sandbox"),
        seccomp: Path::new("/etc/seccomp"),
        network: &|name| Ok(Network::Named(name.to_owned())),
        machine: Machine::default(),
        words: &words,
    };
    read(info, &place)
}

fn accept(info: &Value) -> TaskDefinition {
    match try_read(info, &[]) {
        Ok((found, _)) => found,
        Err(findings) => panic!("{findings:?} in {info}"),
    }
}

/// A task with an image and these fields instead.
fn task(changes: &Value) -> Value {
    let mut task: Value = serde_json::from_str(RECORDED).unwrap();
    merge(&mut task, changes);
    task
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

fn data(value: &Value) -> Value {
    json!({ "data": STANDARD.encode(value.to_string()) })
}

fn command(command: &Value) -> Value {
    task(&data(&json!({ "ucr": 1, "command": command })))
}

fn labels(all: &[(&str, &str)]) -> Value {
    let all = all
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }));
    json!({ "labels": { "labels": all.collect::<Vec<_>>() } })
}

/// Every path with what is wrong there.
fn refused(info: &Value) -> Vec<String> {
    match try_read(info, &[]) {
        Ok((found, _)) => panic!("{info} is accepted: {found:?}"),
        Err(findings) => {
            let errors = findings.0.iter().filter(|it| it.is_error());
            errors.map(|it| format!("{} {}", it.path, it.id)).collect()
        }
    }
}

#[test]
fn a_recorded_task() {
    let found = accept(&task(&json!({})));
    let spec = &found.spec;
    assert_eq!(spec.image, "docker.io/library/busybox:latest");
    assert_eq!(spec.env, ["EXECVAR=v1"]);
    assert_eq!(spec.labels["k"], "v");
    assert_eq!(spec.labels["MESOS_TASK_ID"], "t-normal");
    assert_eq!(spec.resources.cpu_shares, Some(204));
    assert_eq!(spec.resources.cpus, None);
    assert_eq!(spec.resources.memory, Some(64 << 20));
    assert_eq!(spec.mounts.len(), 1);
    assert_eq!(spec.mounts[0].to_string(), "/srv/out on data");
    assert_eq!(spec.stop_timeout, Some(3));
    assert_eq!(found.grace, Some(Duration::from_secs(3)));
    assert_eq!(found.ports, [(31000, 31001)]);
    assert_eq!(found.containerizer, Containerizer::Mesos);
    assert!(!found.force_pull && spec.args.is_empty() && spec.entrypoint.is_none());
    spec.check().unwrap();
    let words = try_read(&task(&json!({})), &["a", "b"]).unwrap().0;
    assert_eq!(words.spec.args, ["a", "b"]);
}

/// The table of reference/mesos-ucr.md, section 3.1, for an image with a command and no entrypoint.
#[test]
fn what_is_executed() {
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
        "config":{"Cmd":["c","d"]}}"#;
    let config = ImageConfig::parse(config.as_bytes()).unwrap();
    let rows = [
        (json!({"shell": false}), &["c", "d"][..]),
        (json!({"shell": false, "arguments": ["a"]}), &["c", "a"]),
        (json!({"shell": false, "arguments": [""]}), &["c", ""]),
        (json!({"shell": false, "value": "/bin/ls"}), &["/bin/ls"]),
        (
            json!({"shell": false, "value": "/bin/ls", "arguments": ["ls", "-l"]}),
            &["/bin/ls", "-l"],
        ),
        (json!({"value": "a b"}), &["/bin/sh", "-c", "a b"]),
        (
            json!({"shell": true, "value": "a", "arguments": ["x"]}),
            &["/bin/sh", "-c", "a"],
        ),
    ];
    for (given, expected) in rows {
        let found = accept(&command(&given));
        let process = process(&found.spec, &config, "h").unwrap();
        assert_eq!(process.argv, expected, "{given}");
    }
    for given in [json!({}), json!({"shell": true, "arguments": ["a"]})] {
        assert_eq!(refused(&command(&given)), ["/data/command E:command"]);
    }
    let applet = json!({"shell": false, "value": "/bin/busybox", "arguments": ["ls"]});
    assert_eq!(
        refused(&command(&applet)),
        ["/data/command/arguments E:command-name"]
    );
}

#[test]
fn the_nearest_command_counts() {
    let in_data = data(&json!({"ucr": 1, "command": {"value": "of data"}}));
    let in_labels = labels(&[("ucr.command", "of labels")]);
    let own = json!({"command": {"value": "of the task"}});
    let mut info = task(&in_labels);
    let of = |info: &Value| try_read(info, &["words"]).unwrap().0.spec.args;
    assert_eq!(of(&info), ["-c", "of labels"]);
    merge(&mut info, &in_data);
    assert_eq!(of(&info), ["-c", "of data"]);
    merge(&mut info, &own);
    assert_eq!(of(&info), ["-c", "of the task"]);
    let args = accept(&task(&labels(&[("ucr.args", r#"["a","b c"]"#)])));
    assert_eq!(args.spec.args, ["a", "b c"]);
    assert!(!args.spec.keep_first_cmd, "docker's rule");
}

#[test]
fn an_image_may_be_a_label() {
    let only = labels(&[("ucr.image", "alpine:3"), ("ucr.pull-secret", "p.json")]);
    let mut info = task(&only);
    info["container"] = Value::Null;
    let found = accept(&info);
    assert_eq!(found.spec.image, "docker.io/library/alpine:3");
    assert_eq!(found.pull_secret_file.as_deref(), Some("p.json"));
    let directory = |found: TaskDefinition| found.spec.fallback_working_dir;
    assert_eq!(directory(found).as_deref(), Some(SANDBOX));
    info["container"] = json!({"type": "MESOS"});
    assert_eq!(directory(accept(&info)).as_deref(), Some(SANDBOX));
    let twice = ["/container/mesos/image/docker/name E:image"];
    assert_eq!(refused(&task(&only)), twice);
    // Paths inside are those of a container with an image.
    info["container"]["volumes"] = json!([{"mode": "RO", "container_path": "key",
        "source": {"type": "SECRET", "secret": {"type": "VALUE", "value": {"data": "eA=="}}}}]);
    let secret = &accept(&info).spec.secrets[0];
    let file = SecretTarget::File(Path::new(SANDBOX).join("key"));
    assert_eq!(secret.target, file);
    info["container"] = json!({"type": "MESOS"});
    info["labels"] = Value::Null;
    assert_eq!(refused(&info), [" E:command"], "the host has none");
    assert_eq!(try_read(&info, &["true"]).unwrap().0.spec.args, ["true"]);
    let mut none = task(&json!({}));
    none["container"] = Value::Null;
    assert_eq!(refused(&none), ["/container E:no-container"]);
}

#[test]
fn an_app_is_a_task_of_its_own() {
    let app = json!({"id": "/a", "cmd": "true"});
    for changes in [
        data(&json!({"ucr": 1, "app": app})),
        labels(&[("ucr.app", &app.to_string())]),
    ] {
        let mut info = task(&changes);
        assert_eq!(refused(&info), ["/container E:app"]);
        info["container"] = Value::Null;
        assert_eq!(accept(&info).app, Some(app.clone()));
        merge(&mut info, &json!({"limits": {"mem": {"value": 64}}}));
        let (_, findings) = try_read(&info, &[]).unwrap();
        assert!(findings.has("W:no-effect"), "{findings:?}");
    }
}

#[test]
fn an_app_has_its_own_pull_secret() {
    let app = json!({"id": "/a", "cmd": "true"}).to_string();
    let mut info = task(&labels(&[("ucr.app", &app), ("ucr.pull-secret", "p.json")]));
    info["container"] = Value::Null;
    assert_eq!(refused(&info), ["/labels/ucr.pull-secret E:app"]);
}

#[test]
fn data_is_what_we_say_it_is() {
    let rows = [
        (
            json!({"a": 1}),
            vec!["/data/a E:unknown-key", "/data/ucr E:required"],
        ),
        (
            json!({"ucr": 2, "command": {"value": "x"}}),
            vec!["/data/ucr E:range"],
        ),
        (json!({"ucr": 1}), vec!["/data E:command"]),
        (
            json!({"ucr": 1, "command": {"value": "x", "vaule": 1}}),
            vec!["/data/command/vaule E:unknown-key"],
        ),
        (json!([]), vec!["/data E:type"]),
    ];
    for (value, expected) in rows {
        assert_eq!(refused(&task(&data(&value))), expected, "{value}");
    }
    assert_eq!(refused(&task(&json!({"data": "?"}))), ["/data E:type"]);
    let text = json!({"data": STANDARD.encode("no JSON")});
    assert_eq!(refused(&task(&text)), ["/data E:json"]);
    let new = try_read(&task(&json!({"invented": {"x": 1}})), &[]).unwrap();
    assert!(new.1.has("W:unknown-key"), "the agent may say more");
}

#[test]
fn secrets_have_no_value_in_the_description() {
    let variable = |value: Value| {
        command(&json!({"value": "x", "environment": {"variables": [
            {"name": "A", "value": "plain"},
            {"name": "A", "type": "SECRET", "secret": value}]}}))
    };
    let value = STANDARD.encode("hunter2");
    let found = accept(&variable(
        json!({"type": "VALUE", "value": {"data": value}}),
    ));
    let SecretSource::Given(name) = &found.spec.secrets[0].source else {
        panic!("it is given");
    };
    assert_eq!(found.secrets.get(name), Some(&b"hunter2"[..]));
    assert!(!format!("{found:?}").contains("hunter2"));
    let config = json!({"container": {"mesos": {"image": {"docker": {
        "config": {"type": "VALUE", "value": {"data": STANDARD.encode("{}")}}}}}}});
    let found = accept(&task(&config));
    let name = found.pull_secret.clone().unwrap();
    assert_eq!(found.secrets.get(&name), Some(&b"{}"[..]));
    let reference = json!({"type": "REFERENCE", "reference": {"name": "n"}});
    let path = "/data/command/environment/variables(1)/secret/reference E:unsupported";
    assert_eq!(refused(&variable(reference)), [path]);
}

#[test]
fn limits() {
    let changes = json!({"limits": {"cpus": {"value": 0.001}, "mem": {"value": "Infinity"}}});
    let resources = accept(&task(&changes)).spec.resources;
    assert_eq!(resources.cpus.unwrap().to_string(), "0.01");
    assert_eq!(
        (resources.memory, resources.memory_reservation),
        (None, Some(64 << 20))
    );
    assert!(resources.oom_score_adj.is_some());
    let small = json!({"resources": [{"name": "mem", "scalar": {"value": 1}},
        {"name": "cpus", "scalar": {"value": 0.001}}, {"name": "cpus", "scalar": {"value": 0.0}}]});
    let resources = accept(&task(&small)).spec.resources;
    assert_eq!(
        (resources.memory, resources.cpu_shares),
        (Some(32 << 20), Some(2))
    );
}

#[test]
fn docker_containers() {
    let container = json!({"type": "DOCKER", "volumes": [
            {"container_path": "/a", "host_path": "in", "mode": "RO"},
            {"container_path": "/b", "mode": "RW", "source": {"type": "DOCKER_VOLUME",
                "docker_volume": {"driver": "rexray", "name": "v"}}}],
        "docker": {"image": "nginx", "network": "BRIDGE", "privileged": true,
            "force_pull_image": true, "parameters": [{"key": "ulimit", "value": "nofile=9"}],
            "port_mappings": [{"host_port": 31000, "container_port": 80, "protocol": "tcp"}]}});
    let mut info = task(&json!({}));
    info["container"] = container;
    let found = accept(&info);
    assert_eq!(found.containerizer, Containerizer::Docker);
    assert!(found.force_pull && found.spec.security.privileged);
    assert_eq!(found.spec.network, Some(Network::Bridge));
    let publish = &found.spec.endpoint.publish;
    assert_eq!(
        serde_json::to_value(publish).unwrap(),
        json!(["31000:80/tcp"])
    );
    assert_eq!(found.spec.mounts[0].to_string(), "/sandbox/in on /a");
    let keys: Vec<&str> = found
        .spec
        .docker_parameters
        .iter()
        .map(|it| it.key.as_str())
        .collect();
    assert_eq!(keys, ["ulimit", "volume", "volume-driver"]);

    let with = |changes: Value| {
        let mut changed = info.clone();
        merge(&mut changed, &json!({ "container": changes }));
        refused(&changed)
    };
    assert_eq!(
        with(json!({"docker": {"network": "HOST"}})),
        ["/container/docker/port_mappings E:network"]
    );
    assert_eq!(
        with(json!({"docker": {"port_mappings": [{"host_port": 80, "container_port": 80}]}})),
        ["/container/docker/port_mappings(0)/host_port E:port"]
    );
    assert_eq!(
        with(json!({"docker": {"parameters": [{"key": "name", "value": "x"}]}})),
        ["/container/docker/parameters(0)/key E:unsupported"]
    );
    assert_eq!(
        with(json!({"docker": {"network": "USER"}})),
        ["/container/docker/network E:network"]
    );
    assert_eq!(
        with(json!({"linux_info": {}})),
        ["/container/linux_info E:unsupported"]
    );
    let user =
        json!({"container": {"docker": {"network": "USER"}, "network_infos": [{"name": "n1"}]}});
    let mut named = info.clone();
    merge(&mut named, &user);
    assert_eq!(
        accept(&named).spec.network,
        Some(Network::Named("n1".into()))
    );
}

#[test]
fn isolation_and_networks() {
    let container = json!({"container": {"hostname": "h", "tty_info": {},
        "network_infos": [
            {"name": "one", "port_mappings": [{"host_port": 31001, "container_port": 53, "protocol": "udp"}]},
            {"name": "two", "ip_addresses": [{"ip_address": "10.0.0.9"}]}],
        "linux_info": {"effective_capabilities": {"capabilities": ["NET_RAW"]}, "ipc_mode": "PRIVATE",
            "shm_size": 64, "share_pid_namespace": true, "seccomp": {"profile_name": "p.json"}},
        "rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 1, "hard": "2"}, {"type": "RLMT_CORE"}]}}});
    let spec = accept(&task(&container)).spec;
    assert_eq!(spec.network, Some(Network::Named("one".into())));
    assert_eq!(
        spec.more_networks[0].endpoint.ip,
        Some("10.0.0.9".parse().unwrap())
    );
    assert_eq!(spec.security.cap_drop, ["ALL"]);
    assert_eq!(spec.security.cap_add, ["NET_RAW"]);
    assert_eq!(spec.resources.shm_size, Some(64 << 20));
    let limits: Vec<String> = spec
        .resources
        .ulimits
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(limits, ["nofile=1:2", "core=-1:-1"]);
    assert!(spec.tty && spec.sharing.pid.is_some());
    let rows = [
        (
            json!({"linux_info": {"shm_size": 1}}),
            "/container/linux_info/shm_size E:shm-size",
        ),
        (
            json!({"linux_info": {"seccomp": {}}}),
            "/container/linux_info/seccomp E:seccomp",
        ),
        (
            json!({"linux_info": {"seccomp": {"profile_name": "../x"}}}),
            "/container/linux_info/seccomp/profile_name E:seccomp",
        ),
        (
            json!({"rlimit_info": {"rlimits": [{"type": "RLMT_CPU", "soft": 1}]}}),
            "/container/rlimit_info/rlimits(0) E:rlimit",
        ),
        (
            json!({"mesos": {"image": {"docker": {"name": "UPPER CASE"}}}}),
            "/container/mesos/image/docker/name E:image",
        ),
        (json!({"type": "LXC"}), "/container/type E:type"),
    ];
    for (changes, expected) in rows {
        let info = task(&json!({ "container": changes }));
        assert_eq!(refused(&info), [expected], "{changes}");
    }
    let inside = json!({"executor": {"container": {"type": "MESOS"}}});
    assert_eq!(
        refused(&task(&inside)),
        ["/executor/container E:executor-container"]
    );
}

#[test]
fn volumes() {
    let volume = |fields: Value| {
        let mut all = json!({"container_path": "/in", "mode": "RO"});
        merge(&mut all, &fields);
        task(&json!({ "container": { "volumes": [all] } }))
    };
    let rows = [
        (json!({"host_path": "/h"}), "/h on /in"),
        (json!({"host_path": "sub"}), "/sandbox on /in"),
        (json!({"container_path": "own"}), "/sandbox on own"),
        (
            json!({"source": {"type": "HOST_PATH", "host_path": {"path": "/h",
                "mount_propagation": {"mode": "HOST_TO_CONTAINER"}}}}),
            "/h on /in",
        ),
        (
            json!({"source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "x"}}}),
            "/sandbox on /in",
        ),
        (
            json!({"image": {"type": "DOCKER", "docker": {"name": "busybox"}}}),
            "image docker.io/library/busybox:latest on /in",
        ),
    ];
    for (fields, expected) in rows {
        let found = accept(&volume(fields.clone()));
        assert_eq!(found.spec.mounts[0].to_string(), expected, "{fields}");
        assert!(found.spec.mounts[0].is_read_only());
    }
    let fresh =
        json!({"image": {"type": "DOCKER", "docker": {"name": "busybox"}, "cached": false}});
    let (_, findings) = try_read(&volume(fresh), &[]).unwrap();
    assert!(findings.has("W:no-effect"), "{findings:?}");
    let secret = json!({"source": {"type": "SECRET", "secret": {"type": "VALUE",
        "value": {"data": STANDARD.encode("hunter2")}}}});
    let found = accept(&volume(secret));
    assert!(found.spec.mounts.is_empty() && found.spec.secrets.len() == 1);
    let refusals = [
        (
            json!({"container_path": "a/../b"}),
            "/container_path E:range",
        ),
        (json!({"mode": null}), "/mode E:required"),
        (json!({"host_path": "/a", "source": {}}), " E:volume"),
        (
            json!({"image": {"type": "APPC", "docker": {"name": "busybox"}}}),
            "/image/type E:unsupported",
        ),
        (
            json!({"image": {"docker": {"name": "busybox"}}}),
            "/image/type E:required",
        ),
        (
            json!({"source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "../x"}}}),
            "/source/sandbox_path/path E:range",
        ),
        (
            json!({"source": {"type": "DOCKER_VOLUME", "docker_volume": {"name": "v"}}}),
            "/source/docker_volume E:unsupported",
        ),
        (
            json!({"source": {"type": "CSI_VOLUME", "csi_volume": {}}}),
            "/source/csi_volume E:unsupported",
        ),
    ];
    for (fields, expected) in refusals {
        let expected = format!("/container/volumes(0){expected}");
        assert_eq!(refused(&volume(fields.clone())), [expected], "{fields}");
    }
}

#[test]
fn artifacts() {
    let found = accept(&command(&json!({"value": "x", "user": "ada", "uris": [
        {"value": "https://h/a.tgz", "cache": true},
        {"value": "file:///x", "executable": true, "extract": false, "output_file": "bin/x"}]})));
    let [first, second] = &found.artifacts[..] else {
        panic!("there are two");
    };
    assert!(first.extract && first.cache && !first.executable && first.dest_path.is_none());
    assert!(!second.extract && second.executable);
    assert_eq!(second.dest_path.as_deref(), Some("bin/x"));
    assert_eq!(found.spec.user.as_deref(), Some("ada"));
    let bad = command(&json!({"value": "x", "uris": [{"value": "hdfs://n/x"}]}));
    assert_eq!(refused(&bad), ["/data/command/uris(0)/value E:uri-scheme"]);
}

#[test]
fn checks() {
    let found = accept(&task(&json!({
        "health_check": {"type": "HTTP", "http": {"port": 80, "path": "/h", "scheme": "https",
            "protocol": "IPv6"}, "delay_seconds": 0.5, "consecutive_failures": 1},
        "check": {"type": "COMMAND", "command": {"command": {"value": "ls",
            "shell": false, "arguments": ["ls", "/"]}}},
        "max_completion_time": {"nanoseconds": "1500000000"}})));
    let health = found.health.unwrap();
    assert_eq!(
        health.question,
        Question::Http {
            scheme: HttpScheme::Https,
            port: 80,
            path: "/h".into(),
            is_ipv6: true
        }
    );
    let times = [health.delay, health.interval, health.timeout, health.grace];
    assert_eq!(
        times.map(|it| it.as_millis()),
        [500, 10_000, 20_000, 10_000]
    );
    assert_eq!(health.consecutive_failures, 1);
    let argv = ["ls", "/"].map(str::to_owned).to_vec();
    let check = found.check.unwrap();
    assert_eq!(check.question, Question::Command(ProbeCommand::Argv(argv)));
    assert_eq!(found.max_completion, Some(Duration::from_millis(1500)));
    let rows = [
        (json!({"health_check": {}}), "/health_check/type E:required"),
        (
            json!({"health_check": {"type": "TCP"}}),
            "/health_check/tcp E:required",
        ),
        (
            json!({"check": {"type": "TCP", "tcp": {"port": 0}}}),
            "/check/tcp/port E:range",
        ),
        (
            json!({"check": {"type": "HTTP", "http": {"port": 1, "path": "x"}}}),
            "/check/http/path E:range",
        ),
        (
            json!({"check": {"type": "TCP", "tcp": {"port": 1}, "interval_seconds": -1}}),
            "/check/interval_seconds E:range",
        ),
        (
            json!({"health_check": {"type": "COMMAND", "command": {"shell": false}}}),
            "/health_check/command/value E:required",
        ),
        (
            json!({"kill_policy": {"grace_period": {"nanoseconds": -1}}}),
            "/kill_policy/grace_period/nanoseconds E:range",
        ),
    ];
    for (changes, expected) in rows {
        assert_eq!(refused(&task(&changes)), [expected], "{changes}");
    }
}
