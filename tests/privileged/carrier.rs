//! The network of an ordinary user's container, by pasta and by slirp4netns: real clients and servers
//! on the machine, outside of it, and inside.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use nix::sys::signal::Signal;

use crate::support::layout::Layout;
use crate::support::need;
use crate::support::samples::{self, TAG};
use crate::support::ucr::Ucr;
use crate::support::user::User;

use super::lan::{CLIENT, HOST, LIMIT, Waiting, alone, eventually, inside, ip, outside};
use super::ports::{own_namespace, serve_tcp, serve_udp, tcp, udp};
use super::world::World;

/// An open node in the place of one that only root may open.
const OPEN_TUN: &str = "mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200";
const NO_PASTA: &str = "mount --bind /dev/null /usr/bin/pasta";
const NO_SLIRP: &str = "mount --bind /dev/null /usr/bin/slirp4netns";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Pasta,
    Slirp,
}

fn world(user: User, before: &[&str]) -> World {
    need::program("pasta", "passt");
    need::program("slirp4netns", "slirp4netns");
    let user = user.before(&before.join("; "));
    World::for_ucr(Ucr::of(user), Layout::of(TAG, &samples::small()))
}

fn carried(user: User, program: Program) -> World {
    match program {
        Program::Pasta => world(user, &[OPEN_TUN]),
        Program::Slirp => world(user, &[OPEN_TUN, NO_PASTA]),
    }
}

/// Every program, with and without subordinate IDs.
fn each(test: impl Fn(Program, World) + Sync) {
    for (program, user) in [
        (Program::Pasta, User::new()),
        (Program::Slirp, User::new()),
        (Program::Pasta, User::single()),
        (Program::Slirp, User::single()),
    ] {
        alone(|| test(program, carried(user.clone(), program)));
    }
}

/// A machine with a way out, to a client that is outside.
fn way_out() -> File {
    let client = outside();
    ip(&format!("route add default via {}", CLIENT[0]));
    ip(&format!("-6 route add default via {}", CLIENT[1]));
    client
}

fn assert_nobody(world: &World) {
    let user = world.ucr.user().unwrap();
    eventually("all have ended", || user.processes().is_empty());
}

#[test]
fn published_ports_lead_inside() {
    each(|program, world| {
        let (here, outside) = (own_namespace(), way_out());
        let flags = ["-p", "8080:80", "-p", "8080:80/udp"];
        let server = Waiting::start(&world, &flags);
        let has_v6 = program == Program::Pasta;
        assert_eq!(server.document["connection"]["ip6"].is_string(), has_v6);
        let versions: &[bool] = if has_v6 { &[true, false] } else { &[true] };
        let (by_tcp, by_udp) = (serve_tcp(&server, versions), serve_udp(&server, versions));
        let local = ["127.0.0.1", "::1", "127.0.0.2"];
        let all = [&local[..], &HOST].concat();
        for (from, addresses) in [(&here, all), (&outside, HOST.to_vec())] {
            for address in addresses {
                let to = SocketAddr::new(address.parse().unwrap(), 8080);
                let place = usize::from(to.is_ipv6() && has_v6);
                let seen = tcp(from, to, &by_tcp[place]);
                // Not as one that is local inside.
                assert_eq!(seen, server.ip(place == 0), "{program:?} {to}");
                assert_eq!(udp(from, to, &by_udp[place]), seen, "{program:?} {to}");
            }
        }
        drop((by_tcp, by_udp));
        server.end();
        assert_nobody(&world);
        world.assert_clean();
    });
}

/// A server that answers everybody once, and where it is.
fn answering(place: &File, address: &str) -> SocketAddr {
    let listener = inside(place, || TcpListener::bind((address, 0)).unwrap());
    let at = listener.local_addr().unwrap();
    // It ends with the test.
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // All of it: to close with something unread would be a reset.
            let lines = BufReader::new(&client).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\nanswer");
        }
    });
    at
}

#[test]
fn the_way_out() {
    each(|program, world| {
        let (here, outside) = (own_namespace(), way_out());
        let get = |to: SocketAddr| format!("busybox wget -q -O - http://{to}/");
        let has_v6 = usize::from(program == Program::Pasta);
        for address in [&CLIENT[..=has_v6], &HOST[..=has_v6]].concat() {
            let place = if HOST.contains(&address) {
                &here
            } else {
                &outside
            };
            let script = get(answering(place, address));
            let answer = world.script(&["--network", "bridge"], &script);
            assert_eq!(answer, "answer", "{program:?} {address}");
        }
        let waiting = Waiting::start(&world, &["--network=bridge"]);
        let server = inside(&outside, || UdpSocket::bind((CLIENT[0], 0)).unwrap());
        udp(&waiting.namespace(), server.local_addr().unwrap(), &server);
        waiting.end();
        // What is only on the machine's loopback stays there.
        for (on, to) in [("127.0.0.1", "10.0.2.2"), ("127.0.0.1", "127.0.0.1")] {
            let port = answering(&here, on).port();
            let script =
                format!("! busybox timeout 1 wget -q -O - http://{to}:{port}/ 2>/dev/null");
            world.script(&["--network", "bridge"], &script);
        }
        world.assert_clean();
    });
}

#[test]
fn what_is_seen_inside() {
    each(|program, world| {
        let _outside = way_out();
        let flags = [
            "-p",
            "9000:70",
            "--hostname=me",
            "--add-host=host:host-gateway",
            "--mac-address=02:00:00:00:00:09",
        ];
        let script = "ip -o addr; ip route; ip -6 route; cat /etc/hosts /etc/resolv.conf; \
                      cat /sys/class/net/eth0/address";
        let seen = world.script(&flags, script);
        let mut rows = vec![
            "inet 10.0.2.100/24",
            "default via 10.0.2.2 dev eth0",
            "10.0.2.100\tme",
            "198.51.100.1\thost",
            "02:00:00:00:00:09",
        ];
        rows.extend(match program {
            Program::Pasta => &["inet6 fd75:6372:0:1::100/64", "fd75:6372:0:1::100\tme"][..],
            Program::Slirp => &["nameserver 10.0.2.3\n"],
        });
        for expected in rows {
            assert!(
                seen.contains(expected),
                "{program:?}: no {expected} in\n{seen}"
            );
        }
    });
}

#[test]
fn every_start_is_connected() {
    each(|program, world| {
        let (here, outside) = (own_namespace(), way_out());
        let at = answering(&outside, CLIENT[0]);
        let script = format!("busybox wget -q -O - http://{at}/ && echo; exit 1");
        let flags = ["-p", "8080:80", "--restart", "on-failure:2"];
        let done = world.run(&flags, &["sh", "-c", &script]).expect_code(1);
        assert_eq!(done.stdout, "answer\nanswer\nanswer\n", "{program:?}");
        // In the background as well, where nobody is left who waits.
        let script = "busybox nc -l -p 80 -e cat";
        let line = ["run", "-d", "--name=c", "-p", "8080:80", &world.image];
        world
            .ucr
            .run([&line[..], &["sh", "-c", script]].concat())
            .ok();
        eventually("it serves", || {
            let to = "127.0.0.1:8080".parse().unwrap();
            let client = inside(&here, || TcpStream::connect_timeout(&to, LIMIT));
            let mut client = client.unwrap();
            let mut answer = String::new();
            let _ = client.write_all(b"hi");
            let _ = client.shutdown(std::net::Shutdown::Write);
            client.read_to_string(&mut answer).is_ok() && answer == "hi"
        });
        world.ucr.run(["rm", "-f", "c"]).ok();
        assert_nobody(&world);
        world.assert_clean();
    });
}

#[test]
fn nothing_is_left_when_ucr_is_killed() {
    each(|_, world| {
        let _outside = way_out();
        let user = world.ucr.user().unwrap();
        let running = Waiting::start(&world, &["-p", "8080:80"]);
        // ucr, its shell inside, what carries, what passes on.
        assert!(user.processes().len() >= 4, "{:?}", user.processes());
        running.kill();
        assert_nobody(&world);
        TcpListener::bind("0.0.0.0:8080").unwrap();
        world.ucr.run(["ps"]).ok();
        world.assert_clean();
    });
}

/// Ctrl-C is for all processes of the terminal; the container decides what it means.
#[test]
fn ctrl_c_does_not_end_the_network() {
    each(|program, world| {
        let outside = way_out();
        let at = answering(&outside, CLIENT[0]);
        let script = format!(
            "trap 'busybox wget -q -O - http://{at}/; exit 0' INT; echo ready; \
             while :; do sleep 0.05; done"
        );
        let user = world.ucr.user().unwrap();
        let running = world
            .command(&["--network=bridge"], &["sh", "-c", &script])
            .spawn();
        running.wait_until("'ready'", LIMIT, || {
            running.stdout_so_far().contains("ready")
        });
        running.signal_group(Signal::SIGINT);
        let done = running.finish(LIMIT).ok();
        assert!(
            done.stdout.ends_with("answer"),
            "{program:?}: {}",
            done.stdout
        );
        eventually("all have ended", || user.processes().is_empty());
    });
}

#[test]
fn why_there_is_no_network() {
    let rows: [(&[&str], &[&str], &[&str]); 8] = [
        (
            &[OPEN_TUN, "chmod 600 /dev/net/tun"],
            &["--network=bridge"],
            &[
                "/dev/net/tun",
                "Permission denied",
                "chmod 666 /dev/net/tun",
                "--network none",
            ],
        ),
        (
            &["mount -t tmpfs none /dev/net"],
            &["-p", "80"],
            &["/dev/net/tun", "No such file", "modprobe tun"],
        ),
        (
            &[OPEN_TUN, NO_PASTA, NO_SLIRP],
            &["-p", "80"],
            &[
                "neither pasta nor slirp4netns is installed",
                "apt install passt",
            ],
        ),
        (
            &[OPEN_TUN],
            &["--network=bridge"],
            &["pasta", "--network none"],
        ),
        (
            &[OPEN_TUN],
            &["-p", "80:80"],
            &["port 80/tcp", "ip_unprivileged_port_start"],
        ),
        (
            &[OPEN_TUN],
            &["--network=web"],
            &["--network web needs root", "--network bridge works"],
        ),
        (
            &[OPEN_TUN],
            &["--network=bridge", "--ip=10.0.2.7"],
            &["--ip needs root"],
        ),
        (
            &[OPEN_TUN],
            &["--network=bridge", "--ip6=fd00::7"],
            &["--ip needs root"],
        ),
    ];
    alone(|| {
        for (before, flags, words) in rows {
            let world = world(User::new(), before);
            world.run(flags, &["true"]).refused(words);
            assert_nobody(&world);
            world.assert_clean();
            // The hint is not a lie.
            world.run(&["--network", "none"], &["true"]).ok();
        }
        let world = world(User::new(), &[]);
        let made = world.ucr.run(["network", "create", "web"]);
        made.refused(&["making networks needs root", "--network bridge"]);
        world.ucr.run(["network", "ls"]).ok();
    });
}
