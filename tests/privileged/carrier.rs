//! The network of an ordinary user's container, by pasta and by slirp4netns: this program runs
//! itself as that user in a user namespace, where it connects a network namespace; the client is
//! out here.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ucr::runtime::native::carrier::{Carrier, Forward};

use crate::support::process::{self, Running};
use crate::support::scratch::Scratch;
use crate::support::user::User;

const LIMIT: Duration = Duration::from_secs(30);
const DIRECTORY: &str = "UCR_TEST_DIRECTORY";
const PROGRAM: &str = "UCR_TEST_CARRIER";
const PORT: &str = "UCR_TEST_PORT";
const HELLO: &str = "hello from inside\n";

/// An open node in the place of one that only root may open.
fn open_tun(scratch: &Scratch) -> String {
    let tun = scratch.join("tun");
    let tun = tun.display();
    format!("mknod -m 666 {tun} c 10 200; mount --bind {tun} /dev/net/tun")
}

fn carried(scratch: &Scratch, before: &str, program: &str, port: u16) -> (User, Running) {
    let before = format!("{before}; set -- unshare -Urm \"$@\"");
    let user = User::single().before(&before);
    scratch.dir("home");
    user.prepare(scratch);
    let own = std::env::current_exe().unwrap();
    let mut command = user.command(scratch, &own);
    command
        .args(["--exact", "carrier::inside", "--ignored", "--nocapture"])
        .env(DIRECTORY, scratch.path())
        .env(PROGRAM, program)
        .env(PORT, port.to_string());
    let running = process::spawn(&mut command, b"");
    (user, running)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

const SERVER: &str = "
import socket
tcp = socket.create_server(('0.0.0.0', 80))
open('up', 'w').close()
while True:
    client = tcp.accept()[0]
    client.sendall(b'hello from inside\\n')
    client.close()
";

fn server(directory: &Path) -> Child {
    let words = [
        "--pdeathsig",
        "KILL",
        "unshare",
        "-n",
        "python3",
        "-c",
        SERVER,
    ];
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .args(words)
        .current_dir(directory)
        .env("PATH", "/usr/bin:/bin");
    command.spawn().unwrap()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::yield_now();
    }
}

/// The user's side.
#[test]
#[ignore = "run by the tests here"]
fn inside() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let scratch = PathBuf::from(variable(DIRECTORY));
    let port: u16 = variable(PORT).parse().unwrap();
    let path = match variable(PROGRAM).as_str() {
        "pasta" => "/usr/bin".into(),
        program => {
            let only = scratch.join("only");
            std::fs::create_dir(&only).unwrap();
            std::os::unix::fs::symlink(Path::new("/usr/bin").join(program), only.join(program))
                .unwrap();
            only
        }
    };
    let carrier = match Carrier::find(path.as_os_str()) {
        Ok(carrier) => carrier,
        Err(fault) => {
            println!("refused: {fault}");
            return;
        }
    };
    let mut server = server(&scratch);
    wait_until("server", || scratch.join("up").exists());
    let forward = |udp| Forward {
        address: Some(Ipv4Addr::LOCALHOST.into()),
        host: port,
        container: 80,
        udp,
    };
    let directory = scratch.join("private");
    std::fs::create_dir(&directory).unwrap();
    let pid = i32::try_from(server.id()).unwrap();
    let forwards = [false, true].map(forward);
    let carried = carrier.start(pid, &directory, &forwards).unwrap();
    let routes = std::fs::read_to_string(format!("/proc/{pid}/net/route")).unwrap();
    let mut routes = routes.lines();
    assert!(
        routes.any(|line| line.contains("\t00000000\t")),
        "no way out"
    );
    println!("connected");
    wait_until("client", || scratch.join("next").exists());
    drop(carried);
    // What was mounted and made for it is gone.
    std::fs::remove_dir(&directory).unwrap();
    println!("disconnected");
    wait_until("client", || scratch.join("last").exists());
    server.kill().unwrap();
    server.wait().unwrap();
    println!("stopped");
}

fn await_line(running: &Running, line: &str) {
    running.wait_until(line, LIMIT, || running.stdout_so_far().contains(line));
}

fn ask_tcp(port: u16) -> String {
    let mut answer = String::new();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_published_port_leads_inside() {
    for program in ["pasta", "slirp4netns"] {
        let (scratch, port) = (Scratch::new(), free_port());
        let (user, running) = carried(&scratch, &open_tun(&scratch), program, port);
        await_line(&running, "connected\n");
        assert_eq!(ask_tcp(port), HELLO, "{program}");
        // The machine's other addresses are not published.
        let other = TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port));
        assert!(other.is_err(), "{program}");
        scratch.file("next", "");
        await_line(&running, "disconnected\n");
        let after = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert!(after.is_err(), "{program}");
        scratch.file("last", "");
        running.finish(LIMIT).ok();
        wait_until("end of all", || user.processes().is_empty());
    }
}

#[test]
fn it_ends_when_ucr_is_killed() {
    for program in ["pasta", "slirp4netns"] {
        let scratch = Scratch::new();
        let (user, running) = carried(&scratch, &open_tun(&scratch), program, free_port());
        await_line(&running, "connected\n");
        assert!(user.processes().len() > 1);
        running.signal(Signal::SIGKILL);
        running.finish(LIMIT);
        wait_until("end of all", || user.processes().is_empty());
    }
}

#[test]
fn what_is_missing_is_said() {
    let rows = [
        (
            "chmod 600 /dev/net/tun",
            "pasta",
            "/dev/net/tun: Permission denied",
        ),
        (
            "true",
            "no-such-program",
            "neither pasta nor slirp4netns is installed",
        ),
    ];
    for (before, program, words) in rows {
        let scratch = Scratch::new();
        let before = format!("{}; {before}", open_tun(&scratch));
        let (_, running) = carried(&scratch, &before, program, 1);
        let said = running.finish(LIMIT).ok().stdout;
        assert!(said.contains(words), "{said}");
    }
}
