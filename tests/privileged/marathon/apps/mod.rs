//! The samples of `tests/data/apps`, each as its INDEX.md says. Images are stand-ins under the names
//! that the samples say, in a registry on loopback; what is below `/srv` or at an example's host is
//! in a copy of the sample put below the test's own directory or at a server on loopback.

mod docker;
mod network;
mod things;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use super::field::{Field, LIMIT, small};
use crate::lan::alone;
use crate::support::layer::Layer;
use crate::support::process::{Running, tool};
use crate::support::registry::Registry;
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
            assert_eq!(children(&field.ucr.root()), Vec::<PathBuf>::new(), "{name}");
        }
        assert_eq!(field.registry.stop(), []);
    });
}
