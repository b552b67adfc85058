//! Samples of type DOCKER, in an Engine.

use std::fs;

use serde_json::json;

use super::super::field::{Field, small};
use super::{archive, end, get, loopback, script};
use crate::lan::eventually;
use crate::support::engine::Engine;
use crate::support::registry::{Registry, Request};
use crate::support::samples;

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
