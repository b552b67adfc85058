//! dockerd, started here and stopped by its pid.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SOCKET: &str = "/run/docker.sock";
const LOG: &str = "/run/dockerd.log";
const LIMIT: Duration = Duration::from_secs(60);

/// A running daemon.
#[derive(Debug)]
pub struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let log = File::create(LOG).expect("a log");
        let mut daemon = Command::new("dockerd")
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--data-root", "/mnt/docker", "--exec-root", "/run/docker"])
            .args(["--pidfile", "/run/docker.pid", "--host", &host()])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("dup"))
            .stderr(log)
            .spawn()
            .expect("dockerd");
        let deadline = Instant::now() + LIMIT;
        while UnixStream::connect(SOCKET).is_err() || !answers() {
            let ended = daemon.try_wait().expect("wait");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "dockerd does not answer: {}",
                std::fs::read_to_string(LOG).unwrap_or_default()
            );
            sleep(Duration::from_millis(50));
        }
        Self(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn answers() -> bool {
    let mut version = client();
    version.arg("version").stdout(Stdio::null());
    version
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command-line client of this daemon.
pub fn client() -> Command {
    let mut client = Command::new("docker");
    client.args(["--host", &host()]);
    client
}

fn host() -> String {
    format!("unix://{SOCKET}")
}
