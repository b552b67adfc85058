//! The samples of `tests/data/apps`, each as its INDEX.md says. Images are stand-ins under the names
//! that the samples say, in a registry on loopback; what is below `/srv` or at an example's host is
//! in a copy of the sample put below the test's own directory or at a server on loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::field::{Field, LIMIT, small};
use crate::lan::{alone, eventually, ip};
use crate::support::engine::Engine;
use crate::support::layer::Layer;
use crate::support::process::{Running, spawn, tool};
use crate::support::registry::{Registry, Request};
use crate::support::samples;
use crate::support::ucr::children;

/// A program that is a shell script.
fn script(path: &str, text: &str) -> Layer {
    Layer::new().program(path, format!("#!/bin/sh\n{text}\n"))
}

/// What a server says to a request for this path.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Ends what waits for it.
#[track_caller]
fn end(running: Running) {
    running.signal(Signal::SIGTERM);
    let done = running.finish(LIMIT);
    assert!(
        [0, 137, 143].contains(&done.code),
        "{}: {}",
        done.code,
        done.stderr
    );
}

fn loopback(port: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()))
}

#[test]
fn s01_args_are_the_whole_command() {
    alone(|| {
        let field = Field::new();
        field.push("library/busybox:1.36", &small());
        let file = field.sample("01-ucr-args.json", &[]);
        let done = field.run(&[], &file).ok();
        assert_eq!(done.stdout, "hello from two words\n");
        let file = field.sample(
            "01-ucr-args.json",
            &[
                ("\"echo\"", "\"env\""),
                ("\"hello from\",", ""),
                ("\"two words\"", "\"A=1\""),
            ],
        );
        let seen = field.run(&[], &file).ok().stdout;
        assert!(seen.contains("MARATHON_APP_ID=/greeter\n"), "{seen}");
        let document = field
            .cmd(&["inspect", "--app"])
            .arg(field.sample("01-ucr-args.json", &[]));
        let argv = &document.run().ok().json()["argv"];
        assert_eq!(*argv, json!(["echo", "hello from", "two words"]));
        field.assert_clean();
    });
}

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

/// The registry's address on loopback is in the place of the example's.
#[test]
fn s04_a_private_registry_and_a_secret() {
    alone(|| {
        let registry = Registry::basic("puller", "pa55word");
        let field = Field::with(registry);
        let image = small()
            .layer(script("bin/api", "echo api \"$@\""))
            .entrypoint(&["api"]);
        field.push("billing/api:3.2", &image);
        let address = field.registry.address().to_owned();
        let file = field.sample(
            "04-ucr-private-registry.json",
            &[("registry.example.test:5000", &address)],
        );
        let secrets = field.ucr.scratch().dir("secrets/billing");
        let directory = secrets.parent().unwrap().to_str().unwrap();
        let flags = ["--secrets-dir", directory];
        field.run(&flags, &file).refused(&[
            "E:secret-unresolved",
            "registryLogin",
            "billing/registry-login",
        ]);
        // base64 of puller:pa55word.
        let config = json!({ "auths": { address: { "auth": "cHVsbGVyOnBhNTV3b3Jk" } } });
        fs::write(secrets.join("registry-login"), config.to_string()).unwrap();
        let done = field.run(&flags, &file).ok();
        assert_eq!(done.stdout, "api serve --quiet\n");
        field.assert_clean();
        let requests = field.registry.stop();
        assert!(requests.iter().any(|it| it.status == 200), "{requests:?}");
    });
}

/// The same without its secret: nobody is asked for anything.
#[test]
fn s04_without_its_secret_no_request_is_made() {
    alone(|| {
        let field = Field::with(Registry::basic("puller", "pa55word"));
        let address = field.registry.address().to_owned();
        let file = field.sample(
            "04-ucr-private-registry.json",
            &[("registry.example.test:5000", &address)],
        );
        let directory = field.ucr.scratch().dir("secrets");
        let flags = ["--secrets-dir", directory.to_str().unwrap()];
        field.run(&flags, &file).refused(&["E:secret-unresolved"]);
        assert_eq!(field.registry.stop(), []);
    });
}

#[test]
fn s05_a_command_on_the_host() {
    alone(|| {
        let field = Field::new();
        let file = field.sample("05-host-imageless-cmd.json", &[]);
        let stdout = field.run(&[], &file).ok().stdout;
        let times: Vec<u64> = stdout.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(times.len(), 3);
        assert!(times[0] < times[2]);
        let file = field.sample(
            "05-host-imageless-cmd.json",
            &[("for i in 1 2 3; do date +%s; sleep 1; done", "env")],
        );
        let seen = field.run(&[], &file).ok().stdout;
        assert!(!seen.contains("PORT"), "{seen}");
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

#[test]
fn s10_volumes() {
    alone(|| {
        let field = Field::new();
        field.push("library/alpine:3.19", &small());
        let srv = field.ucr.scratch().dir("srv");
        let to = srv.to_str().unwrap();
        let file = field.sample("10-ucr-volumes.json", &[("/srv", to)]);
        field.run(&[], &file).refused(&[
            "E:host-path-missing",
            "/container/volumes(0)/hostPath",
            "encoder/conf",
        ]);
        for name in ["encoder/conf", "encoder/out"] {
            fs::create_dir_all(srv.join(name)).unwrap();
        }
        fs::write(srv.join("encoder/conf/settings.ini"), "quality=9\n").unwrap();
        let done = field.run(&[], &file).ok();
        assert_eq!(done.stdout, "quality=9\n/scratch/y\n");
        assert!(
            done.stderr.contains("Read-only file system"),
            "{}",
            done.stderr
        );
        assert!(srv.join("encoder/out/done").exists());
        assert!(!srv.join("encoder/conf/x").exists());
        field.assert_clean();
    });
}

#[test]
fn s11_data_that_is_kept() {
    alone(|| {
        let field = Field::new();
        field.push("library/alpine:3.19", &small());
        let file = field.sample("11-ucr-persistent-db.json", &[]);
        for count in ["1\n", "2\n", "3\n"] {
            assert_eq!(field.run(&[], &file).ok().stdout, count);
        }
        field.assert_clean();
        assert!(
            field
                .ucr
                .root()
                .join("persistent/data_ledger/ledger/count")
                .exists()
        );
    });
}

#[test]
fn s12_a_filter_and_shared_memory() {
    alone(|| {
        let field = Field::new();
        field.push("library/debian:12-slim", &small());
        let directory = field.ucr.scratch().dir("seccomp");
        let flags = ["--seccomp-dir", directory.to_str().unwrap()];
        let words = [(
            "sleep 5",
            "grep ^Seccomp: /proc/self/status; mkdir /tmp/x || echo refused",
        )];
        let file = field.sample("12-ucr-seccomp-ipc.json", &words);
        let refusal = ["E:seccomp-profile", "tight.json"];
        field.run(&flags, &file).refused(&refusal);
        let tight = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }],
        });
        fs::write(directory.join("tight.json"), tight.to_string()).unwrap();
        let seen = field.run(&flags, &file).ok().stdout;
        let shm = seen
            .lines()
            .find(|line| line.ends_with("/dev/shm"))
            .unwrap();
        assert_eq!(shm.split_whitespace().nth(1), Some("32"), "{seen}");
        assert!(
            seen.contains("Seccomp:\t2\n") && seen.contains("refused\n"),
            "{seen}"
        );
        field.assert_clean();
    });
}

/// The device is `/dev/zero`; without one it is refused. The image's nvidia-smi lists what is there.
#[test]
fn s14_a_gpu() {
    alone(|| {
        let field = Field::new();
        let smi = script("bin/nvidia-smi", "echo \"$*\"; ls /dev | grep nvidia");
        let name = "nvidia/cuda:12.4.0-base-ubuntu22.04";
        field.push(name, &small().layer(smi));
        let file = field.sample("14-ucr-gpu.json", &[]);
        let directory = field.ucr.scratch().dir("cdi");
        let run = || {
            let command = field.command(&[], &file);
            command.env("UCR_CDI_DIRS", &directory).run()
        };
        run().refused(&["E:gpu-unavailable", "/gpus"]);
        let device = |number: &str| {
            let path = format!("/dev/nvidia{number}");
            let nodes = json!([{ "path": path, "hostPath": "/dev/zero" }]);
            json!({ "name": number, "containerEdits": { "deviceNodes": nodes } })
        };
        let devices = json!({
            "cdiVersion": "0.5.0",
            "kind": "nvidia.com/gpu",
            "devices": [device("0"), device("1")],
        });
        fs::write(directory.join("nvidia.json"), devices.to_string()).unwrap();
        assert_eq!(run().ok().stdout, "-L\nnvidia0\n");
        field.assert_clean();
    });
}

/// A server of files that ends with its test.
fn serve(files: Vec<(&'static str, Vec<u8>)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &files);
        }
    });
    address
}

fn answer(mut stream: TcpStream, files: &[(&str, Vec<u8>)]) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let found = files.iter().find(|(name, _)| *name == path);
    let (status, body) = found.map_or(("404 Not Found", &[][..]), |(_, body)| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Whoever goes away early has what he wanted.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// A tar.gz with one file.
fn archive(name: &str, content: &str) -> Vec<u8> {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = directory.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
    let packed = directory.path().join("packed.tgz");
    let first = Path::new(name).iter().next().unwrap();
    tool(
        Command::new("tar")
            .arg("-czf")
            .arg(&packed)
            .arg("-C")
            .arg(directory.path())
            .arg(first),
    );
    fs::read(packed).unwrap()
}

/// Two files of the host, and one from a server on loopback in place of the example's.
#[test]
fn s15_artifacts() {
    alone(|| {
        let field = Field::new();
        let srv = field.ucr.scratch().dir("srv");
        let bundle = archive("bundle/inside.txt", "x");
        let run_me = b"#!/bin/sh\necho run\n".to_vec();
        let server = serve(vec![
            ("/run-me.sh", run_me.clone()),
            ("/bundle.tgz", bundle.clone()),
            ("/keep.tar.gz?sig=abc", archive("kept", "y")),
        ]);
        let root = format!("http://{server}");
        let remote = [
            ("file:///srv/artifacts", root.as_str()),
            ("https://files.example.test", &root),
        ];
        let from = format!("file://{}", srv.display());
        let local = [("file:///srv/artifacts", from.as_str()), remote[1]];
        fs::write(srv.join("run-me.sh"), run_me).unwrap();
        fs::write(srv.join("bundle.tgz"), bundle).unwrap();
        for replaced in [remote, local] {
            let file = field.sample("15-ucr-fetch.json", &replaced);
            let done = field.run(&[], &file).ok();
            assert_eq!(done.stdout, "run\ninside.txt\n");
        }
        let look = [
            remote[0],
            remote[1],
            (
                "./run-me.sh && ls bundle",
                "stat -c '%a %n' run-me.sh bundle.tgz; ls raw; pwd; echo $MESOS_SANDBOX",
            ),
        ];
        let seen = field
            .run(&[], &field.sample("15-ucr-fetch.json", &look))
            .ok()
            .stdout;
        assert!(
            seen.starts_with("755 run-me.sh\n644 bundle.tgz\nkeep.tar.gz\n"),
            "{seen}"
        );
        let last: Vec<_> = seen.lines().rev().take(2).collect();
        assert_eq!(last[0], last[1]);
        let missing = [("file:///srv/artifacts", "file:///nowhere"), remote[1]];
        let file = field.sample("15-ucr-fetch.json", &missing);
        field
            .run(&[], &file)
            .refused(&["nothing was started", "/nowhere/run-me.sh"]);
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

/// The registry's address on loopback is in the place of the example's.
#[test]
fn s18_an_old_credential() {
    alone(|| {
        let field = Field::with(Registry::basic("puller", "s3same"));
        let image = small()
            .layer(script("bin/work", "echo work \"$@\""))
            .entrypoint(&["work"]);
        field.push("old/worker:1", &image);
        let address = field.registry.address().to_owned();
        let file = field.sample(
            "18-ucr-credential-deprecated.json",
            &[("registry.example.test:5000", &address)],
        );
        let done = field.run(&[], &file).ok();
        assert_eq!(done.stdout, "work once\n");
        assert!(
            done.stderr.contains("W:credential-deprecated"),
            "{}",
            done.stderr
        );
        let shown = field.cmd(&["inspect", "--app"]).arg(&file).run().ok();
        for text in [done.stderr, shown.stdout, shown.stderr] {
            assert!(!text.contains("s3same"), "{text}");
        }
        field.assert_clean();
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

#[test]
fn s22_arguments_follow_the_entry_point_in_docker() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let field = Field::beside(engine);
        let image = samples::small().entrypoint(&["echo"]).cmd(&["other"]);
        field.tag(engine, "example/entrypoint-echo:1", &image);
        let file = field.sample("22-docker-entrypoint-args.json", &[]);
        assert_eq!(field.run(&[], &file).ok().stdout, "good morning\n");
        field.assert_clean();
    });
}

/// The image's name is that of the registry on loopback: the Engine is to ask it at every run. What
/// runs is not privileged: where tests run, there may not be all that an Engine gives then.
#[test]
fn s24_options_for_docker() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let field = Field::beside(engine);
        let name = field.push("library/busybox:1.36", &small());
        let named = ("busybox:1.36", name.as_str());
        let file = field.sample("24-docker-privileged-parameters.json", &[named]);
        let shown = field.command(&["--dry-run"], &file).run().ok().stdout;
        let words = [
            "--privileged",
            "--hostname=probe.corp.example",
            "--cap-add=NET_ADMIN",
            "--env=NOTE=a b; c",
            "--log-driver=none",
        ];
        let places = words.map(|word| {
            let place = shown.find(word);
            place.unwrap_or_else(|| panic!("no {word}: {shown}"))
        });
        assert!(places.is_sorted(), "{places:?}: {shown}");
        let plain = ("\"privileged\": true", "\"privileged\": false");
        let file = field.sample("24-docker-privileged-parameters.json", &[named, plain]);
        for _ in 0..2 {
            let done = field.run(&[], &file).ok();
            assert_eq!(done.stdout, "probe.corp.example\n");
        }
        field.assert_clean();
        let requests = field.registry.stop();
        let is_asked = |it: &&Request| it.path.contains("/manifests/");
        let count = requests.iter().filter(is_asked).count();
        assert!(count >= 2, "{requests:?}");
    });
}

/// The image's nginx is busybox's httpd.
#[test]
fn s25_an_old_bridge() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let field = Field::beside(engine);
        let nginx = script(
            "bin/nginx",
            "test \"$*\" = '-g daemon off;' || exit 9\ncd $MESOS_SANDBOX; ls -1 . site; echo ready; exec httpd -f -p 80 -h site",
        );
        field.tag(engine, "nginx:1.25", &small().layer(nginx));
        let srv = field.ucr.scratch().dir("srv");
        fs::write(srv.join("site.tar.gz"), archive("site/index.html", "welcome")).unwrap();
        fs::write(srv.join("notes.txt"), "notes").unwrap();
        let to = format!("file://{}", srv.display());
        let file = field.sample("25-docker-old-bridge.json", &[("file:///srv/artifacts", &to)]);
        let running = field.start(&[], &file, "ready");
        let seen = running.stdout_so_far();
        for name in ["notes.txt", "site.tar.gz", "index.html"] {
            assert!(seen.contains(name), "{seen}");
        }
        let port = field.only()["spec"]["app"]["ports"][0].clone();
        assert_eq!(port["service_port"], 9080, "{port}");
        assert_eq!(port["container_port"], 80);
        let number = port["host_port"].as_u64().unwrap();
        assert!((31000..=32000).contains(&number));
        eventually("it is reached", || {
            get(loopback(number), "/index.html").is_some_and(|page| page.contains("welcome"))
        });
        end(running);
        field.assert_clean();
    });
}

#[test]
fn s26_the_old_host_network_and_volumes() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let field = Field::beside(engine);
        let agent = script(
            "bin/agent",
            "echo $PORT0 $PORT1 $PORTS; cat /etc/agent/conf; touch /etc/agent/x || echo refused; touch /var/agent/done; readlink /proc/self/ns/net",
        );
        field.tag(engine, "example/agent:2", &small().layer(agent).cmd(&["agent"]));
        let srv = field.ucr.scratch().dir("srv");
        for name in ["agent/etc", "agent/var"] {
            fs::create_dir_all(srv.join(name)).unwrap();
        }
        fs::write(srv.join("agent/etc/conf"), "conf\n").unwrap();
        let file = field.sample("26-docker-old-host-volumes.json", &[("/srv", srv.to_str().unwrap())]);
        let seen = field.run(&[], &file).ok().stdout;
        let lines: Vec<&str> = seen.lines().collect();
        let words: Vec<&str> = lines[0].split(' ').collect();
        assert_ne!(words[0], words[1]);
        assert_eq!(words[2], format!("{},{}", words[0], words[1]));
        for word in &words[..2] {
            assert!((31000..=32000).contains(&word.parse::<u16>().unwrap()));
        }
        assert_eq!(lines[1..3], ["conf", "refused"]);
        let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
        assert_eq!(lines[3], here.to_str().unwrap());
        assert!(srv.join("agent/var/done").exists());
        field.assert_clean();
    });
}

/// The archive and the registry are in the places of the sample's.
#[test]
fn s28_credentials_in_an_archive() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let mut field = Field::beside(engine);
        field.registry = Registry::basic("puller", "pa55word");
        let image = small().cmd(&["sh", "-c", "cat $MESOS_SANDBOX/.docker/config.json"]);
        let name = field.push("ns/app:9", &image);
        let config =
            json!({ "auths": { field.registry.address(): { "auth": "cHVsbGVyOnBhNTV3b3Jk" } } });
        let srv = field.ucr.scratch().dir("srv");
        let packed = srv.join("docker.tar.gz");
        let to = format!("file://{}", packed.display());
        let words = [
            ("registry.example.test/ns/app:9", name.as_str()),
            ("file:///etc/docker.tar.gz", &to),
        ];
        let file = field.sample("28-docker-registry-archive.json", &words);
        fs::write(&packed, archive(".other/config.json", "{}")).unwrap();
        field.run(&[], &file).expect_code(125);
        fs::write(&packed, archive(".docker/config.json", &config.to_string())).unwrap();
        for _ in 0..2 {
            let done = field.run(&[], &file).ok();
            assert_eq!(done.stdout, config.to_string());
        }
        field.assert_clean();
        let requests = field.registry.stop();
        let is_asked = |it: &&Request| it.status == 200 && it.path.contains("/manifests/");
        assert!(
            requests.iter().filter(is_asked).count() >= 2,
            "{requests:?}"
        );
    });
}

/// Of what is refused nothing is started and nobody asked; the identifiers are in
/// tests/cli/app_samples.rs, too, from the reader itself.
#[test]
fn s5x_what_is_refused() {
    alone(|| {
        let field = Field::new();
        for (name, ids) in [
            ("51-bad-syntax.json", &["line 9, column 3", "E:json"][..]),
            ("52-bad-cmd-and-args.json", &["E:cmd-and-args"]),
            (
                "54-bad-pullconfig.json",
                &["E:pullconfig-docker", "E:gpu-docker"],
            ),
            (
                "55-bad-no-image.json",
                &[
                    "E:docker-required",
                    "\"type\": \"MESOS\"",
                    "E:secret-volume-docker",
                ],
            ),
            (
                "57-bad-old-and-new.json",
                &[
                    "E:network-old-and-new",
                    "E:portmappings-twice",
                    "E:uris-and-fetch",
                    "E:ports-and-definitions",
                ],
            ),
            (
                "59-bad-secret-refs.json",
                &[
                    "/env/A: ",
                    "E:env-secret-undefined",
                    "E:secret-source-empty",
                    "E:volume-secret-undefined",
                ],
            ),
            (
                "62-bad-misc-values.json",
                &[
                    "E:id",
                    "/cpus: ",
                    "/gpus: ",
                    "/backoffFactor: ",
                    "/instances: ",
                    "E:limit-below-request",
                    "E:limit-value",
                    "E:executor",
                    "/env/N: ",
                    "E:seccomp-combination",
                    "E:shm-share",
                ],
            ),
        ] {
            let file = field.sample(name, &[]);
            for words in [
                &["run"][..],
                &["run", "-d"],
                &["inspect"],
                &["pull"],
                &["provision"],
            ] {
                let done = field.cmd(words).arg("--app").arg(&file).run();
                done.refused(ids);
            }
            assert_eq!(
                children(&field.ucr.root()),
                Vec::<std::path::PathBuf>::new(),
                "{name}"
            );
        }
        assert_eq!(field.registry.stop(), []);
    });
}
