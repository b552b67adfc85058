//! Samples with ports and networks.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::field::{Field, LIMIT, small};
use super::{end, get, loopback, script};
use crate::lan::{alone, eventually, ip};
use crate::support::process::{spawn, tool};

#[test]
fn s02_image_defaults_on_a_bridge() {
    alone(|| {
        let field = Field::new();
        let serve = script(
            "bin/serve",
            "env | grep ^PORT; echo \"$@\"; echo ready; exec sleep 600",
        );
        let image = small()
            .layer(serve)
            .entrypoint(&["serve"])
            .cmd(&["by", "default"]);
        field.push("library/nginx:1.25-alpine", &image);
        let file = field.sample("02-ucr-image-defaults.json", &[]);
        let running = field.start(&[], &file, "ready");
        let seen = running.stdout_so_far();
        assert!(seen.contains("by default\n"), "{seen}");
        let port = &field.only()["spec"]["app"]["ports"][0];
        let number = port["host_port"].as_u64().unwrap();
        assert_eq!(port["container_port"], number);
        assert!((31000..=32000).contains(&number));
        for name in ["PORT", "PORT0", "PORT_DEFAULT", &format!("PORT_{number}")] {
            assert!(
                seen.contains(&format!("{name}={number}\n")),
                "{name}: {seen}"
            );
        }
        end(running);
        field.assert_clean();
    });
}

/// The image has a python3 that is busybox's httpd. Shorter times of the check, by words of its own.
#[test]
fn s06_a_web_server_on_a_bridge() {
    alone(|| {
        let field = Field::new();
        let python = script(
            "bin/python3",
            "test \"$*\" = '-m http.server 9000 --bind 0.0.0.0' || exit 9\n\
             mkdir /www; echo welcome >/www/index.html; echo ready\nexec httpd -f -p 9000 -h /www",
        );
        field.push("library/python:3.12-slim", &small().layer(python));
        let file = field.sample(
            "06-ucr-bridge-web.json",
            &[("\"intervalSeconds\": 5", "\"intervalSeconds\": 1")],
        );
        let running = field.start(&[], &file, "ready");
        eventually("it is healthy", || {
            field.only()["health"]["status"] == "healthy"
        });
        let port = field.only()["spec"]["app"]["ports"][0].clone();
        assert_eq!(port["service_port"], 10080);
        assert_eq!(port["container_port"], 9000);
        assert_eq!(port["labels"]["VIP_0"], "/front:80");
        let number = port["host_port"].as_u64().unwrap();
        assert!((31000..=32000).contains(&number));
        let page = get(loopback(number), "/").unwrap();
        assert!(
            page.contains("200 OK") && page.contains("welcome"),
            "{page}"
        );
        let warned = running.stderr_so_far();
        assert!(warned.contains("W:one-instance"), "{warned}");
        assert_eq!(field.listed().len(), 1);
        end(running);
        field.assert_clean();
    });
}

#[test]
fn s08_ports_that_are_equal_inside_and_outside() {
    alone(|| {
        let field = Field::new();
        field.push("library/busybox:1.36", &small());
        let file = field.sample("08-ucr-p2p-zero-ports.json", &[]);
        let running = field.start(&[], &file, "advertise");
        let ports = field.only()["spec"]["app"]["ports"].clone();
        let number = |index: usize| ports[index]["host_port"].as_u64().unwrap();
        assert_ne!(number(0), number(1));
        assert_eq!(ports[0]["container_port"], ports[0]["host_port"]);
        let host = tool(&mut Command::new("hostname"));
        let expected = format!("advertise {}:{}\n", host.trim(), number(0));
        assert_eq!(running.stdout_so_far(), expected);
        eventually("it answers", || {
            let stream = TcpStream::connect(loopback(number(0)));
            stream.is_ok_and(|mut stream| stream.write_all(b"hello\n").is_ok())
                && running.stdout_so_far().contains("hello")
        });
        end(running);
        field.assert_clean();
    });
}

/// A list for a network as CNI's own plugins make it.
fn list(field: &Field, name: &str, subnet: &str) {
    let text = json!({
        "cniVersion": "1.0.0",
        "name": name,
        "plugins": [
            {
                "type": "bridge",
                "bridge": format!("cni{name}"),
                "isGateway": true,
                "ipMasq": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": field.ucr.scratch().join("leases"),
                    "ranges": [[{ "subnet": subnet }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    field.ucr.scratch().dir("lists");
    field
        .ucr
        .scratch()
        .file(format!("lists/{name}.conflist"), text.to_string());
}

#[test]
fn s16_two_networks() {
    crate::support::need::program("iptables", "iptables");
    assert!(
        Path::new("/usr/lib/cni/bridge").exists(),
        "apt-get install containernetworking-plugins"
    );
    alone(|| {
        let field = Field::new();
        field.push("library/alpine:3.19", &small());
        list(&field, "front", "10.223.1.0/24");
        list(&field, "back", "10.223.2.0/24");
        let words = [(
            "ip -o addr; sleep 30",
            "ip -o addr; env | grep ^PORT; echo ready; exec httpd -f -p 80 -h /etc",
        )];
        let file = field.sample("16-ucr-two-networks.json", &words);
        let command = field
            .command(&[], &file)
            .env("UCR_CNI_CONFIG_DIR", field.ucr.scratch().join("lists"));
        let running = command.spawn();
        running.wait_until("ready", LIMIT, || running.stdout_so_far().contains("ready"));
        let seen = running.stdout_so_far();
        assert!(
            seen.contains("inet 10.223.1.") && seen.contains("inet 10.223.2."),
            "{seen}"
        );
        let ports = field.only()["spec"]["app"]["ports"].clone();
        let number = ports[0]["host_port"].as_u64().unwrap();
        assert_eq!(ports[1]["host_port"], Value::Null);
        assert_eq!(ports[1]["network_name"], "back");
        for line in [
            format!("PORT0={number}"),
            format!("PORT_IN={number}"),
            format!("PORTS={number}"),
            "PORT1=9000".into(),
            "PORT_ADMIN=9000".into(),
        ] {
            assert!(seen.contains(&format!("{line}\n")), "{line}: {seen}");
        }
        eventually("its port is reached", || {
            let page = get(loopback(number), "/passwd");
            page.is_some_and(|page| page.contains("root:x:0"))
        });
        end(running);
        field.assert_clean();
        eventually("no device is left", || !ip("-br link").contains("veth"));
    });
}

/// The host's nc is busybox's.
#[test]
fn s19_ports_that_are_required() {
    alone(|| {
        let field = Field::new();
        let nc = [("nc -lk $PORT0", "busybox nc -ll -p $PORT0 -e echo hello")];
        let file = field.sample("19-host-required-ports.json", &nc);
        let running = field.start(&[], &file, "\n");
        assert_eq!(running.stdout_so_far(), "18081 18082 18081,18082\n");
        eventually("it answers", || {
            let mut text = String::new();
            let stream = TcpStream::connect(loopback(18081));
            stream.is_ok_and(|mut stream| stream.read_to_string(&mut text).is_ok())
                && text == "hello\n"
        });
        end(running);
        let _other = TcpListener::bind("127.0.0.1:18082").unwrap();
        field.run(&[], &file).refused(&["E:port-in-use", "18082"]);
        field.assert_clean();
    });
}

#[test]
fn s20_what_marathon_exported() {
    alone(|| {
        let field = Field::new();
        let catalog = script(
            "bin/catalog",
            "mkdir /www; echo yes >/www/ready; env; echo \"argv $*\"; exec httpd -f -p $2 -h /www",
        );
        field.push(
            "shop/catalog:7",
            &small().layer(catalog).entrypoint(&["catalog"]),
        );
        let file = field.sample("20-exported-from-marathon.json", &[]);
        let events = field.ucr.scratch().join("events");
        let script = format!("exec \"$@\" 3>{}", events.display());
        let mut command = field.ucr.by_shell(&script);
        command
            .env(
                "UCR_MIRRORS",
                format!("registry.example.test=http://{}", field.registry.address()),
            )
            .args(["run", "--status-fd=3", "--app"])
            .arg(&file);
        let running = spawn(&mut command, b"");
        let mut text = String::new();
        running.wait_until("it is ready", LIMIT, || {
            text = fs::read_to_string(&events).unwrap_or_default();
            text.contains(r#""event":"ready""#)
        });
        let seen = running.stdout_so_far();
        assert!(seen.contains("argv --port 8080\n"), "{seen}");
        assert!(
            seen.contains("MARATHON_APP_VERSION=2020-05-06T07:08:09.010Z\n"),
            "{seen}"
        );
        assert!(seen.contains("MARATHON_APP_LABEL_TEAM=catalog\n"), "{seen}");
        assert_eq!(
            field.only()["spec"]["app"]["ports"][0]["service_port"],
            10004
        );
        let warned = running.stderr_so_far();
        assert!(
            warned.contains("W:no-effect") && warned.contains("constraints"),
            "{warned}"
        );
        end(running);
        field.assert_clean();
    });
}
