//! Samples with volumes, devices, filters and artifacts.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::json;

use super::super::field::{Field, small};
use super::{archive, script};
use crate::lan::alone;

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
