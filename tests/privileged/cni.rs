//! Networks that CNI plugins make: Debian's own, seen by real clients, and made-up ones that are
//! shell scripts, for their order and for everything that can go wrong.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::lan::{CLIENT, LIMIT, Waiting, alone, eventually, inside, ip, outside, spawn};
use super::world::World;
use crate::support::layout::Layout;
use crate::support::need;
use crate::support::process::{Finished, tool};
use crate::support::samples;
use crate::support::ucr::{Ucr, children};
use crate::support::user::User;

/// A world with lists and plugins of its own.
pub struct Plugged {
    pub world: World,
    name: String,
}

impl Plugged {
    /// With a list of this name that nobody else has: host-local keeps its leases by that.
    pub fn new(plugins: &Value) -> Self {
        Self::of(&json!({ "cniVersion": "1.0.0", "plugins": plugins }))
    }

    fn of(list: &Value) -> Self {
        need::program("iptables", "iptables");
        let bridge = Path::new("/usr/lib/cni/bridge");
        assert!(
            bridge.exists(),
            "apt-get install containernetworking-plugins"
        );
        let world = World::small();
        let directory = world.ucr.scratch().path().file_name().unwrap();
        let name = format!("t{}", directory.to_string_lossy());
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plugged = Self { world, name };
        let scratch = plugged.world.ucr.scratch();
        scratch.dir("lists");
        scratch.dir("plugins");
        plugged.list("50-test.conflist", list);
        plugged
    }

    /// A list in place of the first one.
    fn list(&self, file: &str, list: &Value) {
        let mut list = list.clone();
        if list.get("name").is_none() {
            list["name"] = json!(self.name);
        }
        let path = self.path("lists").join(file);
        fs::write(
            path,
            list.to_string()
                .replace("SCRATCH", &self.path("").to_string_lossy()),
        )
        .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.ucr.scratch().path().join(name)
    }

    /// A plugin that is a shell script. `$CNI_COMMAND` is noted with its name, its input kept.
    fn plugin(&self, name: &str, script: &str) {
        let path = self.path("plugins").join(name);
        let log = self.path("log");
        let text = format!(
            "#!/bin/sh\nLOG={log}\nINPUT=$(cat)\necho \"$CNI_COMMAND {name}\" >>$LOG\n\
             printf '%s' \"$INPUT\" >$LOG.$CNI_COMMAND.{name}\nenv >$LOG.env.$CNI_COMMAND.{name}\n{script}\n",
            log = log.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn input(&self, verb: &str, plugin: &str) -> Value {
        let path = self.path(&format!("log.{verb}.{plugin}"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    pub fn flags(&self) -> Vec<String> {
        vec![
            format!("--network=cni:{}", self.name),
            "--cni-config-dir=lists".to_owned(),
            "--cni-plugin-dir=plugins".to_owned(),
        ]
    }

    fn with<'a>(own: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
        own.iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect()
    }

    fn run(&self, more: &[&str], script: &str) -> Finished {
        let own = self.flags();
        self.world
            .run(&Self::with(&own, more), &["sh", "-c", script])
    }

    fn waiting(&self, more: &[&str]) -> Waiting {
        let own = self.flags();
        Waiting::start(&self.world, &Self::with(&own, more))
    }

    /// Nothing is left of a container, nor of what Debian's plugins did for it.
    #[track_caller]
    pub fn assert_no_traces(&self) {
        self.world.assert_clean();
        assert_eq!(self.traces(), Vec::<String>::new());
    }

    /// What is left of what Debian's plugins did, and of ucr's notes about it.
    pub fn traces(&self) -> Vec<String> {
        let state = self.world.ucr.state();
        let notes = ["cni", "netns"].map(|room| children(&state.join(room)));
        let leases = children(&Path::new("/var/lib/cni/networks").join(&self.name));
        let is_lease = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name != "lock" && !name.starts_with("last_reserved_ip")
        };
        let files = notes.into_iter().flatten();
        let files = files.chain(leases.into_iter().filter(is_lease));
        let mut found: Vec<String> = files.map(|path| path.display().to_string()).collect();
        for program in ["iptables", "ip6tables"] {
            let rules =
                tool(Command::new(need::program(program, "iptables")).args(["-t", "nat", "-S"]));
            let own = rules.lines().filter(|line| line.contains(&self.name));
            found.extend(own.map(str::to_owned));
        }
        found
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new("/var/lib/cni/networks").join(&self.name));
    }
}

/// As podman's package has it, on a bridge of both versions.
pub fn bridge(more: &[Value]) -> Value {
    let range = |subnet: &str| json!([{ "subnet": subnet }]);
    let mut plugins = vec![
        json!({ "type": "loopback" }),
        json!({
            "type": "bridge",
            "bridge": "cnitest0",
            "isGateway": true,
            "ipMasq": true,
            "capabilities": { "mac": true, "ips": true },
            "ipam": {
                "type": "host-local",
                "ranges": [range("10.222.0.0/24"), range("fd00:22::/64")],
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
            },
            "dns": { "nameservers": ["192.0.2.53"], "search": ["cni.example"] },
        }),
        json!({ "type": "portmap", "capabilities": { "portMappings": true } }),
    ];
    plugins.extend(more.iter().cloned());
    plugins.into()
}

/// The name servers that a list for all of them says: Debian's bridge gives its own.
const SEEN: &str = "ip -o addr; ip route; cat /etc/hosts /etc/resolv.conf; \
                    cat /sys/class/net/eth0/address /proc/sys/net/ipv4/conf/eth0/arp_filter";

#[test]
fn debians_plugins_seen_from_inside() {
    alone(|| {
        let tuning =
            json!({ "type": "tuning", "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1" } });
        let plugged = Plugged::new(&bridge(&[tuning]));
        for flags in [&[][..], &["--userns=auto"], &["--init"]] {
            let seen = plugged
                .run(&[flags, &["--hostname=me"]].concat(), SEEN)
                .ok()
                .stdout;
            for expected in [
                "inet 10.222.0.",
                "inet6 fd00:22::",
                "default via 10.222.0.1 dev eth0",
                "\tme\n",
                "nameserver 192.0.2.53\n",
                "search cni.example\n",
            ] {
                assert!(
                    seen.contains(expected),
                    "{flags:?}: no {expected} in\n{seen}"
                );
            }
            assert!(!seen.contains("127.0.1.1"), "{seen}");
            assert!(seen.ends_with("\n1\n"), "{seen}");
        }
        plugged.assert_no_traces();
    });
}

#[test]
fn what_is_asked_for_is_given() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let asked = [
            "--ip=10.222.0.77",
            "--ip6=fd00:22::77",
            "--mac-address=02:00:00:00:00:09",
            "--dns=192.0.2.9",
        ];
        let check = |plugged: &Plugged, asked: &[&str], words: &[&str]| {
            let seen = plugged.run(asked, SEEN).ok().stdout;
            for word in words {
                assert!(seen.contains(word), "no {word} in\n{seen}");
            }
            assert!(!seen.contains("192.0.2.53"), "{seen}");
        };
        let words = [
            "10.222.0.77/24",
            "fd00:22::77/64",
            "02:00:00:00:00:09",
            "nameserver 192.0.2.9",
        ];
        check(&plugged, &asked, &words);
        // Without those capabilities by the older way.
        let mut plugins = bridge(&[]);
        plugins[1].as_object_mut().unwrap().remove("capabilities");
        plugged.list(
            "50-test.conflist",
            &json!({ "cniVersion": "0.4.0", "plugins": plugins }),
        );
        let [ip, ip6, mac, dns] = asked;
        check(&plugged, &[ip, mac, dns], &[words[0], words[2], words[3]]);
        plugged
            .run(&[ip, ip6], "true")
            .refused(&["--ip6", "capability ips"]);
        // Where nobody heeds it.
        plugged.list(
            "50-test.conflist",
            &json!({ "cniVersion": "1.0.0", "plugins": [{ "type": "one" }] }),
        );
        plugged.plugin("one", GOOD);
        for (asked, words) in [
            ("--ip=192.0.2.9", "--ip 192.0.2.9"),
            ("--ip6=fd00:22::9", "--ip6 fd00:22::9"),
            (
                "--mac-address=02:00:00:00:00:09",
                "--mac-address 02:00:00:00:00:09",
            ),
        ] {
            plugged
                .run(&[asked], "true")
                .refused(&[words, "gave another"]);
            assert_eq!(plugged.log().pop().unwrap(), "DEL one");
        }
        plugged.assert_no_traces();
    });
}

fn answers(from: &fs::File, to: SocketAddr, server: &TcpListener) -> std::io::Result<()> {
    let mut client = inside(from, || TcpStream::connect_timeout(&to, LIMIT))?;
    client.set_read_timeout(Some(LIMIT))?;
    client.write_all(b"question")?;
    client.shutdown(Shutdown::Write)?;
    let (mut accepted, _) = server.accept()?;
    let mut heard = String::new();
    accepted.read_to_string(&mut heard)?;
    assert_eq!(heard, "question");
    accepted.write_all(b"answer")?;
    drop(accepted);
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    assert_eq!(answer, "answer");
    Ok(())
}

#[test]
fn published_ports_are_reached() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let here = fs::File::open("/proc/thread-self/ns/net").unwrap();
        let outside = outside();
        let waiting = plugged.waiting(&["-p", "8080:80", "-p", "8080:80/udp"]);
        let serve = |v4| {
            let address = SocketAddr::new(waiting.ip(v4), 80);
            inside(&waiting.namespace(), || TcpListener::bind(address).unwrap())
        };
        let (v4, v6) = (serve(true), serve(false));
        for (from, to, server) in [
            (&here, "127.0.0.1:8080", &v4),
            (&here, "10.222.0.1:8080", &v4),
            (&outside, "198.51.100.1:8080", &v4),
            (&outside, "[2001:db8:5::1]:8080", &v6),
        ] {
            answers(from, to.parse().unwrap(), server)
                .unwrap_or_else(|error| panic!("{to}: {error}"));
        }
        let address = SocketAddr::new(waiting.ip(true), 80);
        let server = inside(&waiting.namespace(), || UdpSocket::bind(address).unwrap());
        server.set_read_timeout(Some(LIMIT)).unwrap();
        let client = inside(&outside, || UdpSocket::bind(("0.0.0.0", 0)).unwrap());
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.connect("198.51.100.1:8080").unwrap();
        client.send(b"question").unwrap();
        let (length, peer) = server.recv_from(&mut [0; 100]).unwrap();
        assert_eq!(length, 8);
        server.send_to(b"answer", peer).unwrap();
        assert_eq!(client.recv(&mut [0; 100]).unwrap(), 6);
        // What `inspect` says, and that nobody else gets the port.
        let shown = plugged
            .world
            .ucr
            .run(["inspect", "--format", "json", waiting.id()])
            .ok()
            .json();
        let shown = shown.get(0).cloned().unwrap_or(shown);
        assert_eq!(
            shown["connection"]["network"],
            format!("cni:{}", plugged.name)
        );
        assert_eq!(shown["connection"]["ports"][0]["container"], 80);
        plugged
            .run(&["-p", "8080:80"], "true")
            .refused(&["port 8080/tcp", "taken"]);
        drop((v4, v6, server));
        waiting.end();
        // Where no plugin redirects it, ucr passes it on.
        let mut plugins = bridge(&[]);
        plugins[1]["ipam"]["ranges"]
            .as_array_mut()
            .unwrap()
            .truncate(1);
        let list = json!({ "cniVersion": "0.4.0", "plugins": plugins });
        plugged.list("50-test.conflist", &list);
        let waiting = plugged.waiting(&["-p", "8080:80"]);
        let address = SocketAddr::new(waiting.ip(true), 80);
        let server = inside(&waiting.namespace(), || TcpListener::bind(address).unwrap());
        for to in ["127.0.0.1:8080", "[::1]:8080"] {
            answers(&here, to.parse().unwrap(), &server).unwrap_or_else(|e| panic!("{to}: {e}"));
        }
        waiting.end();
        // A list without portmap says so.
        let mut plugins = bridge(&[]);
        plugins.as_array_mut().unwrap().truncate(2);
        plugged.list(
            "50-test.conflist",
            &json!({ "cniVersion": "0.4.0", "plugins": plugins }),
        );
        plugged
            .run(&["-p", "80"], "true")
            .refused(&["--publish", "portMappings"]);
        plugged.assert_no_traces();
    });
}

/// Point to point, in a single file without a list, and out into the world.
#[test]
fn the_way_out_by_ptp() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        fs::remove_file(plugged.path("lists/50-test.conflist")).unwrap();
        let ipam = json!({
            "type": "host-local", "subnet": "10.223.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
        });
        let single = json!({ "cniVersion": "0.3.1", "type": "ptp", "ipMasq": true, "ipam": ipam });
        plugged.list("10-single.conf", &single);
        let outside = outside();
        let waiting = plugged.waiting(&[]);
        let address = SocketAddr::new(CLIENT[0].parse().unwrap(), 7000);
        let server = inside(&outside, || TcpListener::bind(address).unwrap());
        answers(&waiting.namespace(), address, &server).unwrap();
        waiting.end();
        plugged.assert_no_traces();
    });
}

#[test]
fn what_a_killed_ucr_left_is_undone() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let waiting = plugged.waiting(&["-p", "8081:80"]);
        let (id, address) = (waiting.id().to_owned(), waiting.ip(true));
        waiting.kill();
        let state = plugged.world.ucr.state();
        assert!(state.join("cni").join(&id).exists() && state.join("netns").join(&id).exists());
        let lease = Path::new("/var/lib/cni/networks")
            .join(&plugged.name)
            .join(address.to_string());
        assert!(lease.exists());
        plugged.world.ucr.run(["ps"]).ok();
        plugged.assert_no_traces();
        eventually("no device is left", || !ip("-br link").contains("veth"));
        // The address and the port can be had again.
        let asked = format!("--ip={address}");
        plugged.run(&[&asked, "-p", "8081:80"], "true").ok();
        plugged.assert_no_traces();
    });
}

#[test]
fn two_at_once_and_again() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let own = plugged.flags();
        let both: Vec<_> = (0..2)
            .map(|_| spawn(&plugged.world, &Plugged::with(&own, &["-p", "80"])))
            .collect();
        for running in both {
            running.signal(Signal::SIGTERM);
            running.finish(LIMIT).ok();
        }
        let more = ["--restart=on-failure:2", "-v", "count:/count"];
        let script = "ip -o addr show eth0 >>/count/seen; exit 3";
        plugged.run(&more, script).expect_code(3);
        let seen = plugged
            .world
            .script(&["-v", "count:/count"], "grep -c 'inet 10' /count/seen");
        assert_eq!(seen, "3");
        let left = children(&plugged.world.ucr.state().join("cni"));
        assert!(left.is_empty(), "{left:?}");
    });
}

/// A second list beside the first one, with a bridge and addresses of its own.
fn add_back(plugged: &Plugged) -> String {
    let name = format!("{}b", plugged.name);
    let range = json!([[{ "subnet": "10.223.0.0/24" }]]);
    let plugins = json!([
        { "type": "bridge", "bridge": "cnitest1", "isGateway": true,
          "ipam": { "type": "host-local", "ranges": range } },
        { "type": "portmap", "capabilities": { "portMappings": true } },
    ]);
    let list = json!({ "cniVersion": "1.0.0", "name": name, "plugins": plugins });
    plugged.list("60-back.conflist", &list);
    name
}

fn leases(name: &str) -> Vec<PathBuf> {
    let mut leases = children(&Path::new("/var/lib/cni/networks").join(name));
    leases.retain(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("10.")
    });
    leases
}

#[test]
fn two_networks() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let back = add_back(&plugged);
        let second = format!("--network=cni:{back}");
        let seen = plugged.run(&[&second, "--hostname=me"], SEEN).ok().stdout;
        for expected in [
            "eth0    inet 10.222.0.",
            "eth1    inet 10.223.0.",
            "default via 10.222.0.1 dev eth0",
            "10.223.0.0/24 dev eth1",
            "nameserver 192.0.2.53\n",
        ] {
            assert!(seen.contains(expected), "no {expected} in\n{seen}");
        }
        let own = |net: &str| {
            let mut lines = seen.lines();
            lines.any(|line| line.starts_with(net) && line.ends_with("\tme"))
        };
        assert!(own("10.222.0.") && own("10.223.0."), "{seen}");
        plugged.assert_no_traces();
        assert_eq!(leases(&back), Vec::<PathBuf>::new());
        // Both are shown, checked, and undone by another when their ucr is killed.
        let waiting = plugged.waiting(&[&second, "-p", "8081:80"]);
        let id = waiting.id().to_owned();
        let shown = plugged.world.ucr.run(["inspect", &id]).ok().json();
        let connection = &shown["connection"];
        assert_eq!(connection["network"], format!("cni:{}", plugged.name));
        let more = &connection["more"][0];
        assert_eq!(more["network"], format!("cni:{back}"));
        assert!(
            more["ip"].as_str().unwrap().starts_with("10.223.0."),
            "{more}"
        );
        assert!(more["mac_address"].is_string(), "{more}");
        assert_eq!(connection["ports"][0]["container"], 80);
        assert_eq!(leases(&back).len(), 1);
        waiting.kill();
        plugged.world.ucr.run(["ps"]).ok();
        plugged.assert_no_traces();
        assert_eq!(leases(&back), Vec::<PathBuf>::new());
        eventually("no device is left", || !ip("-br link").contains("veth"));
        for (flags, words) in [
            (vec!["--network=bridge"], ["more_networks[0]", "cni:NAME"]),
            (vec!["--network=none"], ["more_networks[0]", "'none'"]),
            (
                vec![second.as_str(), &second],
                ["more_networks[1]", "twice"],
            ),
        ] {
            plugged.run(&flags, "true").refused(&words);
        }
        let _ = fs::remove_dir_all(Path::new("/var/lib/cni/networks").join(&back));
    });
}

/// In order, and back in reverse: after the end, when the second fails, and after a kill.
#[test]
fn two_networks_in_order() {
    alone(|| {
        let plugged = Plugged::new(&json!([{ "type": "one" }]));
        let back = format!("{}b", plugged.name);
        let list = |plugin: &str| json!({ "cniVersion": "1.0.0", "name": back, "plugins": [{ "type": plugin }] });
        plugged.list("60-back.conflist", &list("two"));
        plugged.plugin("one", GOOD);
        plugged.plugin("two", GOOD);
        let second = format!("--network=cni:{back}");
        plugged.run(&[&second], "true").ok();
        let order = ["ADD one", "ADD two", "DEL two", "DEL one"];
        assert_eq!(plugged.log(), order);
        for (plugin, device) in [("one", "eth0"), ("two", "eth1")] {
            for verb in ["ADD", "DEL"] {
                let env = plugged.path(&format!("log.env.{verb}.{plugin}"));
                let env = fs::read_to_string(env).unwrap();
                assert!(env.contains(&format!("CNI_IFNAME={device}\n")), "{env}");
            }
        }
        fs::remove_file(plugged.path("log")).unwrap();
        plugged.plugin("two", "test $CNI_COMMAND != ADD || exit 1");
        plugged.run(&[&second], "true").expect_code(125);
        assert_eq!(plugged.log(), order);
        plugged.assert_no_traces();
        fs::remove_file(plugged.path("log")).unwrap();
        plugged.plugin("two", GOOD);
        let waiting = plugged.waiting(&[&second]);
        let check = ["network", "check", waiting.id()];
        plugged.world.ucr.run(check).ok();
        waiting.kill();
        plugged.world.ucr.run(["ps"]).ok();
        let checks = ["CHECK one", "CHECK two"];
        let expected = [&order[..2], &checks, &order[2..]].concat();
        assert_eq!(plugged.log(), expected);
        plugged.assert_no_traces();
    });
}

const GOOD: &str = r#"
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"x"}],
  "ips":[{"address":"192.0.2.7/24","interface":0}]}';;
esac"#;

/// Prints the result of the plugin before it.
const PASS_ON: &str = r#"
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"192.0.2.8/24"}],"dns":{"domain":"d.example"}}';;
esac"#;

fn three() -> Value {
    json!([
        { "type": "one", "capabilities": { "portMappings": true }, "own": [1] },
        { "type": "two" },
        { "type": "three", "capabilities": { "other": true } },
    ])
}

#[test]
fn order_and_results() {
    let plugged = Plugged::of(&json!({ "cniVersion": "1.0.0", "plugins": three() }));
    plugged.plugin("one", GOOD);
    plugged.plugin("two", PASS_ON);
    plugged.plugin("three", PASS_ON);
    let seen = plugged.run(
        &["-p", "80", "--hostname=me"],
        "cat /etc/hosts /etc/resolv.conf",
    );
    let seen = seen.ok().stdout;
    assert!(
        seen.contains("192.0.2.8\tme\n") && seen.contains("domain d.example\n"),
        "{seen}"
    );
    let expected = [
        "ADD one",
        "ADD two",
        "ADD three",
        "DEL three",
        "DEL two",
        "DEL one",
    ];
    assert_eq!(plugged.log(), expected);
    let (one, two, three) = (
        plugged.input("ADD", "one"),
        plugged.input("ADD", "two"),
        plugged.input("ADD", "three"),
    );
    assert_eq!(one["own"], json!([1]));
    assert_eq!(
        (&one["cniVersion"], &one["name"]),
        (&json!("1.0.0"), &json!(plugged.name))
    );
    assert_eq!(one["runtimeConfig"]["portMappings"][0]["containerPort"], 80);
    assert!(
        one.get("capabilities").is_none() && one.get("prevResult").is_none(),
        "{one}"
    );
    assert_eq!(two["prevResult"]["ips"][0]["address"], "192.0.2.7/24");
    assert_eq!(three["prevResult"]["ips"][0]["address"], "192.0.2.8/24");
    assert!(two.get("runtimeConfig").is_none() && three.get("runtimeConfig").is_none());
    let deleted = plugged.input("DEL", "one");
    assert_eq!(deleted["prevResult"]["ips"][0]["address"], "192.0.2.8/24");
    assert_eq!(deleted["runtimeConfig"], one["runtimeConfig"]);
    // Nothing of ucr's environment but what they need.
    let env = fs::read_to_string(plugged.path("log.env.ADD.one")).unwrap();
    let mut names: Vec<_> = env
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    names.retain(|name| !["PWD", "_", "OLDPWD", "SHLVL"].contains(name));
    let own = ["ARGS", "COMMAND", "CONTAINERID", "IFNAME", "NETNS", "PATH"];
    let mut own: Vec<_> = own.iter().map(|name| format!("CNI_{name}")).collect();
    own.push("PATH".to_owned());
    assert_eq!(names, own);
    assert!(env.contains("CNI_IFNAME=eth0\n"), "{env}");
    plugged.world.assert_clean();
}

/// What a bad plugin does to ADD, what is said of it, and which plugins are to undo something.
#[test]
fn plugins_that_fail() {
    let rows: &[(&str, &[&str])] = &[
        (
            r#"echo '{"cniVersion":"1.0.0","code":11,"msg":"no lease","details":"ask later"}'; exit 1"#,
            &[
                "'two'",
                "ADD",
                "no lease: ask later",
                "CNI error 11",
                "try again later",
            ],
        ),
        (
            "echo first >&2; echo 'last words' >&2; exit 3",
            &["'two'", "code 3: last words"],
        ),
        ("kill -9 $$", &["'two'", "signal 9"]),
        ("echo '{ garbage'", &["'two'", "not JSON"]),
        ("true", &["'two'", "no result"]),
        ("echo '[1]'", &["'two'", "no result"]),
        (r#"echo '{"cniVersion":"9.9.9"}'"#, &["'two'", "9.9.9"]),
        (
            "yes | head -c 9000000",
            &["'two'", "more than 1048576 bytes"],
        ),
        ("yes", &["'two'", "more than 1048576 bytes"]),
        ("sleep 600", &["'two'", "within 2 s", "UCR_CNI_TIMEOUT"]),
        (
            r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"127.0.0.1/8"}]}'"#,
            &["'two'", "127.0.0.1/8"],
        ),
        (
            r#"printf '%s' '{"cniVersion":"1.0.0","dns":{"search":["a\nnameserver 6.6.6.6"]}}'"#,
            &["'two'", "DNS word"],
        ),
        (
            r#"echo '{"cniVersion":"1.0.0","dns":{"nameservers":["evil"]}}'"#,
            &["'two'", "name server 'evil'"],
        ),
    ];
    let plugged = Plugged::of(&json!({ "cniVersion": "1.0.0", "plugins": three() }));
    plugged.plugin("one", GOOD);
    plugged.plugin("three", PASS_ON);
    for (script, words) in rows {
        let _ = fs::remove_file(plugged.path("log"));
        plugged.plugin(
            "two",
            &format!("[ $CNI_COMMAND = DEL ] && exit 0\n{script}"),
        );
        let own = plugged.flags();
        let command = plugged.world.command(&Plugged::with(&own, &[]), &["true"]);
        let start = Instant::now();
        command.env("UCR_CNI_TIMEOUT", "2").run().refused(words);
        assert!(start.elapsed() < Duration::from_secs(30), "{script}");
        assert_eq!(
            plugged.log(),
            ["ADD one", "ADD two", "DEL two", "DEL one"],
            "{script}"
        );
        let deleted = plugged.input("DEL", "one");
        assert_eq!(deleted["prevResult"]["ips"][0]["address"], "192.0.2.7/24");
        plugged.world.assert_clean();
    }
}

/// What cannot be undone is tried again later, and does not change how the container ended.
#[test]
fn a_del_that_fails() {
    let plugged = Plugged::new(&json!([{ "type": "one" }, { "type": "two" }]));
    plugged.plugin("one", GOOD);
    let is_there = plugged.path("fixed");
    let script = format!(
        "[ $CNI_COMMAND = DEL ] && {{ [ -e {} ] || {{ echo 'cannot' >&2; exit 1; }}; exit 0; }}\n{GOOD}",
        is_there.display()
    );
    plugged.plugin("two", &script);
    plugged.run(&[], "exit 7").expect_code(7);
    // The one before it went on.
    assert_eq!(plugged.log(), ["ADD one", "ADD two", "DEL two", "DEL one"]);
    let left = || children(&plugged.world.ucr.state().join("cni"));
    assert_eq!(left().len(), 1);
    fs::write(is_there, "").unwrap();
    eventually("it is undone", || {
        plugged.world.ucr.run(["ps"]).ok();
        left().is_empty()
    });
    plugged.world.assert_clean();
}

/// ucr is killed while a plugin works, or asked to end.
#[test]
fn ends_in_the_middle_of_add() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let plugged = Plugged::new(&json!([{ "type": "one" }, { "type": "two" }]));
        plugged.plugin("one", GOOD);
        plugged.plugin(
            "two",
            &format!("[ $CNI_COMMAND = ADD ] && exec sleep 600\n{GOOD}"),
        );
        let own = plugged.flags();
        let running = plugged
            .world
            .command(&Plugged::with(&own, &[]), &["true"])
            .spawn();
        running.wait_until("ADD of the second", LIMIT, || plugged.log().len() == 2);
        running.signal(signal);
        let done = running.finish(LIMIT);
        assert_ne!(done.code, 0);
        plugged.world.ucr.run(["ps"]).ok();
        assert_eq!(
            plugged.log(),
            ["ADD one", "ADD two", "DEL two", "DEL one"],
            "{signal}"
        );
        plugged.world.assert_clean();
    }
}

#[test]
fn the_highest_common_version() {
    let list = json!({ "cniVersion": "0.4.0", "cniVersions": ["1.1.0", "1.0.0", "7.0.0"],
        "plugins": [{ "type": "one" }] });
    let plugged = Plugged::of(&list);
    let answer = |versions: &str| {
        format!(
            "[ $CNI_COMMAND = VERSION ] && {{ echo '{{\"cniVersion\":\"1.0.0\",\"supportedVersions\":{versions}}}'; exit 0; }}\n{GOOD}"
        )
    };
    for (versions, chosen) in [
        (r#"["0.4.0","1.0.0"]"#, "1.0.0"),
        (r#"["0.4.0","1.0.0","1.1.0","9.0.0"]"#, "1.1.0"),
        (r#"["0.3.0","0.4.0"]"#, "0.4.0"),
    ] {
        plugged.plugin("one", &answer(versions));
        plugged.run(&[], "true").ok();
        assert_eq!(plugged.input("ADD", "one")["cniVersion"], chosen);
    }
    plugged.plugin("one", &answer(r#"["0.1.0"]"#));
    plugged.run(&[], "true").refused(&["cniVersion"]);
    for (version, words) in [
        (json!("0.2.0"), &["0.2.0", "0.4.0"][..]),
        (json!(null), &["says no cniVersion"]),
    ] {
        let list = json!({ "cniVersion": version, "plugins": [{ "type": "one" }] });
        plugged.list("50-test.conflist", &list);
        plugged.run(&[], "true").refused(words);
    }
}

#[test]
fn refusals_before_anything_is_done() {
    let plugged = Plugged::new(&json!([{ "type": "nowhere" }]));
    plugged
        .run(&[], "true")
        .refused(&["plugin 'nowhere'", "containernetworking-plugins"]);
    for (plugins, words) in [
        (json!([]), &["1 to 32 plugins"][..]),
        (json!([{}]), &["no type"]),
        (json!([{ "type": "../one" }]), &["no name of a plugin"]),
        (json!("x"), &["no list"]),
    ] {
        plugged.list(
            "50-test.conflist",
            &json!({ "cniVersion": "1.0.0", "plugins": plugins }),
        );
        plugged.run(&[], "true").refused(words);
    }
    fs::write(plugged.path("lists/50-test.conflist"), "{").unwrap();
    plugged
        .run(&[], "true")
        .refused(&["there is no network", "50-test.conflist"]);
    plugged.world.assert_clean();
}

#[test]
fn check_asks_all_plugins() {
    let plugged = Plugged::new(&json!([{ "type": "one" }, { "type": "two" }]));
    plugged.plugin("one", GOOD);
    plugged.plugin("two", GOOD);
    let waiting = plugged.waiting(&[]);
    let check = |id: &str| plugged.world.ucr.run(["network", "check", id]);
    check(waiting.id()).ok();
    assert_eq!(plugged.log()[2..], ["CHECK one", "CHECK two"]);
    assert_eq!(
        plugged.input("CHECK", "one")["prevResult"]["ips"][0]["address"],
        "192.0.2.7/24"
    );
    plugged.plugin(
        "two",
        "[ $CNI_COMMAND = CHECK ] && { echo gone >&2; exit 4; }; true",
    );
    check(waiting.id()).refused(&["CHECK of plugin 'two'", "gone"]);
    waiting.end();
    let plain = Waiting::start(&plugged.world, &["--network=none"]);
    check(plain.id()).refused(&["no CNI network"]);
    plain.end();
    // As Debian's plugins have it, when somebody takes the address away.
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let waiting = plugged.waiting(&[]);
        let check = || plugged.world.ucr.run(["network", "check", waiting.id()]);
        check().ok();
        inside(&waiting.namespace(), || ip("addr flush dev eth0"));
        check().refused(&["CHECK of plugin 'bridge'"]);
        waiting.end();
    });
}

#[test]
fn lists_are_listed() {
    let plugged = Plugged::new(&json!([{ "type": "one" }, { "type": "two" }]));
    plugged.plugin("one", GOOD);
    plugged.plugin("two", GOOD);
    let waiting = plugged.waiting(&[]);
    let ls = |words: &[&str]| {
        let words = [&["network", "ls"], words].concat();
        let lists = plugged.path("lists");
        plugged
            .world
            .ucr
            .cmd(words)
            .env("UCR_CNI_CONFIG_DIR", lists)
            .run()
            .ok()
    };
    let name = format!("cni:{}", plugged.name);
    let text = ls(&[]).stdout;
    let line = text.lines().find(|line| line.starts_with(&name)).unwrap();
    assert!(
        line.contains("one,two") && line.contains(waiting.id()),
        "{line}"
    );
    let all = ls(&["--format", "json"]).json();
    let own = all
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == name)
        .unwrap()
        .clone();
    assert_eq!(own["plugins"], json!(["one", "two"]));
    assert_eq!(own["containers"][0]["ip"], "192.0.2.7");
    waiting.end();
}

#[test]
fn an_ordinary_user_is_told_why_not() {
    let world = World::for_ucr(
        Ucr::of(User::new()),
        Layout::of(samples::TAG, &samples::small()),
    );
    let network = ["--network=cni:any"];
    world
        .run(&network, &["true"])
        .refused(&["cni:any needs root", "--network bridge"]);
}
