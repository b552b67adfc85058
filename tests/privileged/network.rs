//! Networks as they are seen inside, and what is left of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::lan::{
    CLIENT, HOST, LIMIT, Waiting, alone, assert_no_traces, eventually, inside, ip, nft, outside,
    spawn,
};
use super::world::World;

const SEEN: &str =
    "ip -o addr; ip route; ip -6 route; cat /etc/hosts; cat /sys/class/net/eth0/address";

#[test]
fn a_bridge_seen_from_inside() {
    alone(|| {
        let world = World::small();
        for flags in [
            &["--network", "bridge"][..],
            &["--network=bridge", "--userns=auto"],
            &["-p", "80"],
        ] {
            let waiting = Waiting::start(&world, &[flags, &["--hostname", "me"]].concat());
            let (v4, v6) = (waiting.ip(true), waiting.ip(false));
            let shared = format!("container:{}", waiting.id());
            let seen = match flags.contains(&"--userns=auto") {
                false => world.script(&["--network", &shared], SEEN),
                true => world.script(flags, SEEN),
            };
            for expected in [
                "default via 10.87.0.1 dev eth0",
                "default via fd75:6372::1 dev eth0",
                "inet 10.87.0.",
                "inet6 fd75:6372::",
                "02:75:0a:57:00:",
            ] {
                assert!(
                    seen.contains(expected),
                    "{flags:?}: no {expected} in\n{seen}"
                );
            }
            if !flags.contains(&"--userns=auto") {
                for expected in [format!("{v4}\tme"), format!("{v6}\tme")] {
                    assert!(
                        seen.contains(&expected),
                        "{flags:?}: no {expected} in\n{seen}"
                    );
                }
            }
            waiting.end();
        }
        world.assert_clean();
        assert_no_traces(&world);
    });
}

#[test]
fn without_a_network_there_is_only_loopback() {
    let world = World::small();
    assert_eq!(
        world.script(&["--network", "none"], "ls /sys/class/net"),
        "lo"
    );
}

#[test]
fn an_address_that_is_asked_for() {
    alone(|| {
        let world = World::small();
        let flags = [
            "--network=bridge",
            "--ip=10.87.0.77",
            "--ip6=fd75:6372::abcd",
            "--mac-address=02:00:00:00:00:09",
        ];
        // One after the other: it is free when the one before has ended.
        for _ in 0..10 {
            world.run(&flags, &["true"]).ok();
        }
        let seen = world.script(&flags, SEEN);
        for expected in ["10.87.0.77/24", "fd75:6372::abcd/64", "02:00:00:00:00:09"] {
            assert!(seen.contains(expected), "no {expected} in\n{seen}");
        }
        let waiting = Waiting::start(&world, &flags);
        let other = ["--network=bridge", "--ip6=fd75:6372::abcd"];
        for (flags, words) in [
            (&flags[..2], &["10.87.0.77", "taken"][..]),
            (&other[..], &["fd75:6372::abcd", "taken"]),
            (
                &["--network=bridge", "--ip=10.87.0.1"],
                &["10.87.0.1", "10.87.0.0/24"],
            ),
            (&["--network=bridge", "--ip=10.88.0.9"], &["10.88.0.9"]),
            (&["--ip=10.87.0.9"], &["--ip", "--network bridge"]),
            (
                &["--network=none", "-p80"],
                &["--publish", "--network none"],
            ),
            (
                &["--network=host", "-P"],
                &["--publish-all", "--network host"],
            ),
        ] {
            world.run(flags, &["true"]).refused(words);
        }
        waiting.end();
        assert_no_traces(&world);
    });
}

/// What leaves comes from the host's own address, and answers find back.
#[test]
fn the_way_out() {
    alone(|| {
        let world = World::small();
        let outside = outside();
        let waiting = Waiting::start(&world, &["--network", "bridge"]);
        for (from, to) in HOST.iter().zip(CLIENT) {
            let address = SocketAddr::new(to.parse().unwrap(), 7000);
            let server = inside(&outside, || TcpListener::bind(address).unwrap());
            let client = inside(&waiting.namespace(), || {
                TcpStream::connect_timeout(&address, LIMIT).unwrap()
            });
            let (mut accepted, peer) = server.accept().unwrap();
            assert_eq!(peer.ip().to_string(), *from);
            accepted.write_all(b"answer").unwrap();
            drop(accepted);
            let mut answer = String::new();
            (&client).read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "answer");
        }
        // Nobody comes in who was not asked, even one who knows the way.
        let (address, server) = (SocketAddr::new(waiting.ip(true), 7001), "10.87.0.0/24");
        let _server = inside(&waiting.namespace(), || TcpListener::bind(address).unwrap());
        inside(&outside, || {
            ip(&format!("route add {server} via {}", HOST[0]))
        });
        let reached = inside(&outside, || {
            TcpStream::connect_timeout(&address, Duration::from_millis(300))
        });
        assert!(reached.is_err());
        TcpStream::connect_timeout(&address, LIMIT).expect("the host itself gets there");
        waiting.end();
    });
}

#[test]
fn networks_are_apart() {
    alone(|| {
        let world = World::small();
        for name in ["one", "two"] {
            let made = world.ucr.run(["network", "create", "--ipv6", name]).ok();
            assert_eq!(made.text(), name);
        }
        let server = Waiting::start(&world, &["--network", "one"]);
        let neighbour = Waiting::start(&world, &["--network", "one"]);
        let stranger = Waiting::start(&world, &["--network", "two"]);
        for v4 in [true, false] {
            let address = SocketAddr::new(server.ip(v4), 7000);
            let _listening = inside(&server.namespace(), || TcpListener::bind(address).unwrap());
            let connect = |from: &Waiting, limit| {
                inside(&from.namespace(), || {
                    TcpStream::connect_timeout(&address, limit).is_ok()
                })
            };
            assert!(connect(&neighbour, LIMIT));
            assert!(!connect(&stranger, Duration::from_millis(300)));
        }
        world
            .ucr
            .run(["network", "rm", "one"])
            .refused(&["network one", "in use"]);
        let known = world.ucr.run(["network", "inspect", "one"]).ok().json();
        assert_eq!(known[0]["containers"].as_array().unwrap().len(), 2);
        for waiting in [server, neighbour, stranger] {
            waiting.end();
        }
        world.ucr.run(["network", "rm", "one", "two"]).ok();
        let left = ip("-br link");
        assert!(!left.contains("ucr-"), "{left}");
        let rules = nft("list ruleset");
        assert!(!rules.contains("ucr-"), "{rules}");
        world.assert_clean();
    });
}

#[test]
fn networks_that_are_made_and_refused() {
    alone(|| {
        let world = World::small();
        let create = |words: &[&str]| world.ucr.run([&["network", "create"][..], words].concat());
        ip("link add cable type veth peer name other");
        ip("addr add 10.87.1.1/24 dev cable");
        ip("link set cable up");
        create(&[
            "--subnet=10.99.0.0/24",
            "--gateway=10.99.0.9",
            "--ip-range=10.99.0.128/25",
            "--opt=mtu=1400",
            "own",
        ])
        .ok();
        let seen = world.script(
            &["--network", "own"],
            &format!("{SEEN}; cat /sys/class/net/eth0/mtu"),
        );
        for expected in ["10.99.0.128/24", "default via 10.99.0.9", "1400"] {
            assert!(seen.contains(expected), "no {expected} in\n{seen}");
        }
        create(&["--internal", "closed"]).ok();
        let closed = world.script(&["--network", "closed"], "ip route");
        assert!(!closed.contains("default"), "{closed}");
        world
            .run(&["--network=closed", "-p80"], &["true"])
            .refused(&["internal", "closed"]);
        let listed = world
            .ucr
            .cmd(["network", "ls", "--format", "json"])
            .env("UCR_CNI_CONFIG_DIR", "/nowhere")
            .run()
            .ok()
            .json();
        let names: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].clone())
            .collect();
        assert_eq!(names, ["bridge", "closed", "own"]);
        assert_eq!(
            listed[1]["subnet"], "10.87.2.0/24",
            "10.87.1.0/24 is on a cable"
        );
        for (words, why) in [
            (&["own"][..], "network own"),
            (&["bridge"], "bridge"),
            (&["../x"], "../x"),
            (&["--subnet=10.99.0.0/25", "x"], "network own"),
            (&["--subnet=10.87.1.128/25", "x"], "route"),
            (&["--subnet=10.98.0.1/24", "x"], "10.98.0.1/24"),
            (
                &["--subnet=10.98.0.0/24", "--subnet=10.97.0.0/24", "x"],
                "one of each",
            ),
            (
                &["--subnet=10.98.0.0/24", "--gateway=10.97.0.1", "x"],
                "10.97.0.1",
            ),
            (&["--opt=color=red", "x"], "color=red"),
            (&["--opt=mtu=12", "x"], "mtu 12"),
        ] {
            create(words).refused(&[why]);
        }
        world
            .run(&["--network", "nowhere"], &["true"])
            .refused(&["nowhere", "ucr network"]);
        let file = world.ucr.root().join("networks/own.json");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("ucr-", "eth0")).unwrap();
        world
            .run(&["--network", "own"], &["true"])
            .refused(&["own.json"]);
        std::fs::write(&file, "{").unwrap();
        world
            .run(&["--network", "own"], &["true"])
            .refused(&["own.json"]);
    });
}

/// Addresses that the host sends elsewhere are not taken from it.
#[test]
fn a_bridge_takes_no_route_away() {
    alone(|| {
        let world = World::small();
        ip("link add cable type veth peer name other");
        ip("addr add 10.87.0.200/25 dev cable");
        ip("link set cable up");
        world
            .run(&["--network=bridge"], &["true"])
            .refused(&["10.87.0.0/24", "10.87.0.128/25"]);
        assert_no_traces(&world);
        world.assert_clean();
    });
}

/// Others' tables stay, ours comes back, with the ports of containers that run.
#[test]
fn rules_that_somebody_flushed_are_made_again() {
    alone(|| {
        let world = World::small();
        nft("add table inet theirs");
        let waiting = Waiting::start(&world, &["-p", "80"]);
        let before = nft("list ruleset");
        for words in ["flush chain inet ucr0 forward", "delete table inet ucr0"] {
            nft(words);
            assert_ne!(nft("list ruleset"), before);
            world.run(&["--network=bridge"], &["true"]).ok();
            let (mut now, mut then): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
            let rules = nft("list ruleset");
            now.extend(rules.lines());
            then.extend(before.lines());
            now.sort_unstable();
            then.sort_unstable();
            assert_eq!(now, then, "{words}");
        }
        waiting.end();
        let removed = world.ucr.run(["network", "rm", "bridge"]).ok();
        assert_eq!(removed.text(), "bridge");
        assert_eq!(nft("list ruleset").trim(), "table inet theirs {\n}");
        assert!(!ip("-br link").contains("ucr0"));
    });
}

#[test]
fn a_killed_ucr_leaves_no_network_behind() {
    alone(|| {
        let world = World::small();
        for flags in [
            &["--network=bridge"][..],
            &["-p", "8080:80", "-p", "53:53/udp"],
        ] {
            Waiting::start(&world, flags).kill();
            world.ucr.run(["ps"]).ok();
            assert_no_traces(&world);
            world.assert_clean();
        }
    });
}

#[test]
fn the_network_of_another() {
    alone(|| {
        let world = World::small();
        let other = Waiting::start(&world, &["--network=bridge", "--hostname=other"]);
        let shared = format!("container:{}", &other.id()[..6]);
        let flags = ["--network", shared.as_str()];
        let seen = world.script(
            &flags,
            "hostname; cat /etc/hostname /etc/hosts; ls /sys/class/net",
        );
        let expected = [
            "other\nother\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback"
                .to_owned(),
            format!(
                "{}\tother\n{}\tother\neth0\nlo",
                other.ip(true),
                other.ip(false)
            ),
        ];
        assert_eq!(seen, expected.join("\n"));
        let listening = inside(&other.namespace(), || {
            TcpListener::bind("127.0.0.1:7000").unwrap()
        });
        let script = "echo shared | nc 127.0.0.1 7000";
        let client = world.command(&flags, &["sh", "-c", script]).spawn();
        let mut said = String::new();
        listening
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "shared\n");
        client.finish(LIMIT).ok();
        for (option, why) in [
            ("-p80", "--publish"),
            ("--hostname=x", "--hostname"),
            ("--userns=auto", "--userns"),
            ("--ip=10.87.0.9", "--ip"),
        ] {
            let flags = [&flags[..], &[option]].concat();
            world.run(&flags, &["true"]).refused(&[why, &shared]);
        }
        other.end();
        world
            .run(&flags, &["true"])
            .refused(&["there is no container"]);
    });
}

/// 50 at once, each with its own address and a free port.
#[test]
fn fifty_at_once() {
    alone(|| {
        let world = World::small();
        let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.2; done";
        let flags = ["-p", "80", "-p", "53/udp"];
        let start = |_| world.command(&flags, &["sh", "-c", script]).spawn();
        let all: Vec<_> = (0..50).map(start).collect();
        for running in &all {
            running.wait_until("line 'ready'", LIMIT, || {
                running.stdout_so_far().contains("ready")
            });
        }
        let listed = world.ucr.run(["ps", "--format", "json"]).ok().json();
        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), 50);
        let mut addresses = std::collections::BTreeSet::new();
        let mut ports = std::collections::BTreeSet::new();
        for container in listed {
            let connection = &container["connection"];
            addresses.insert(connection["ip"].to_string());
            addresses.insert(connection["ip6"].to_string());
            for port in connection["ports"].as_array().unwrap() {
                ports.insert(format!("{} {}", port["protocol"], port["host"]));
            }
        }
        assert_eq!((addresses.len(), ports.len()), (100, 200));
        for running in &all {
            running.signal(nix::sys::signal::Signal::SIGTERM);
        }
        for running in all {
            running.finish(LIMIT).ok();
        }
        assert_no_traces(&world);
        world.assert_clean();
    });
}

/// Each start has a network namespace of its own, with the same address.
#[test]
fn a_container_that_is_started_again() {
    alone(|| {
        let world = World::small();
        let flags = ["--restart=on-failure:2", "-p", "8080:80"];
        let script = "ip -o -4 addr show eth0 | grep -o 10.87.0.*/; exit 3";
        let done = world.run(&flags, &["sh", "-c", script]).expect_code(3);
        assert_eq!(done.text(), ["10.87.0.2/"; 3].join("\n"));
        assert_no_traces(&world);
    });
}

/// The one that watches it passes on what the host sends.
#[test]
fn a_container_in_the_background() {
    alone(|| {
        let world = World::small();
        let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
        let started = world
            .run(&["-d", "--rm", "-p", "8080:80"], &["sh", "-c", script])
            .ok();
        let document = world.ucr.run(["inspect", started.text()]).ok().json();
        let path = format!("/proc/{}/ns/net", document["pid"]);
        let namespace = std::fs::File::open(path).unwrap();
        let listening = inside(&namespace, || TcpListener::bind("0.0.0.0:80").unwrap());
        let mut client = TcpStream::connect("127.0.0.1:8080").unwrap();
        listening.accept().unwrap().0.write_all(b"answer").unwrap();
        let mut answer = String::new();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        drop((listening, namespace));
        world.ucr.run(["stop", started.text()]).ok();
        assert_no_traces(&world);
    });
}

/// A container that cannot start takes nothing.
#[test]
fn a_failed_start_gives_everything_back() {
    alone(|| {
        let world = World::small();
        let done = world.run(&["-p", "8080:80"], &["/no/such/program"]);
        done.expect_code(127);
        assert_no_traces(&world);
        world.assert_clean();
        let running = spawn(&world, &["-p", "8080:80"]);
        running.signal(nix::sys::signal::Signal::SIGTERM);
        running.finish(LIMIT).ok();
        eventually("no device is left", || !ip("-br link").contains("uc0a57"));
    });
}
