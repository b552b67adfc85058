//! A Mesos agent on loopback that is made of threads, does what it is told, and remembers what it
//! heard.
//!
//! Left alone it behaves like the real one of reference/mesos-live.md: it checks every call,
//! acknowledges updates, answers over TCP and, if wanted, over its socket in the file system or by
//! TLS. Faults are switched on by methods. Everything waits 30 s at most, and ends with [`Drop`].

mod ledger;
mod script;
mod service;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

pub use ledger::{AGENT, Call, EXECUTOR, FRAMEWORK, Update};

use self::service::{Inner, Shared};
use self::wire::Listener;
use super::scratch::Scratch;
use super::token_server::self_signed;

/// Longest time that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// When an update is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// Together with the 202.
    #[default]
    AtOnce,
    Never,
    After(Duration),
    Twice,
    /// One of an update that nobody made comes first.
    WrongFirst,
    /// It has arrived when the 202 is written.
    BeforeAnswer,
}

/// What the agent is like from its start.
#[derive(Clone, Debug)]
pub struct Options {
    pub checkpoint: bool,
    /// As Mesos writes them.
    pub recovery_timeout: &'static str,
    pub backoff_max: &'static str,
    pub shutdown_grace: &'static str,
    pub token: Option<&'static str>,
    /// Also listens on a socket in the file system.
    pub has_socket: bool,
    /// TLS over TCP; whether the executor is to verify the certificate.
    pub tls: Option<bool>,
    /// Whether the executor is told whose signature to trust.
    pub names_authority: bool,
    /// Of the framework.
    pub capabilities: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            checkpoint: true,
            recovery_timeout: "15mins",
            backoff_max: "2secs",
            shutdown_grace: "5secs",
            token: None,
            has_socket: false,
            tls: None,
            names_authority: true,
            capabilities: vec!["TASK_KILLING_STATE".to_owned()],
        }
    }
}

/// The agent; stops when dropped.
pub struct FakeAgent {
    options: Options,
    address: SocketAddr,
    /// Its own files, and the executor's sandbox.
    scratch: Scratch,
    shared: Arc<Shared>,
    listeners: Vec<(OwnedFd, JoinHandle<()>)>,
    /// Keeps the port while the agent is stopped: bound, but nobody listens.
    reserved: Option<OwnedFd>,
}

impl FakeAgent {
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let scratch = Scratch::new();
        scratch.dir("sandbox");
        if options.tls.is_some() {
            self_signed(&scratch.join("key.pem"), &scratch.join("cert.pem"));
        }
        let shared = Arc::new(Shared::default());
        {
            let mut inner = shared.lock();
            inner.token = options.token.map(str::to_owned);
            inner.capabilities = options.capabilities.clone();
        }
        let mut agent = Self {
            options,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            scratch,
            shared,
            listeners: Vec::new(),
            reserved: None,
        };
        agent.reserve();
        agent.restart();
        agent
    }

    /// Binds the address, or some port if it has none yet.
    fn reserve(&mut self) {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &self.address).unwrap();
        let name = rustix::net::getsockname(&socket).unwrap();
        self.address = SocketAddr::try_from(name).unwrap();
        self.reserved = Some(socket);
    }

    /// The executor's variables, as a real agent sets them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let (address, options) = (self.address.to_string(), &self.options);
        let sandbox = self.sandbox().display().to_string();
        let file = |name: &str| self.scratch.join(name).display().to_string();
        let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
        let mut all = vec![
            ("LIBPROCESS_IP", "127.0.0.1".to_owned()),
            ("LIBPROCESS_PORT", "0".to_owned()),
            ("MESOS_AGENT_ENDPOINT", address.clone()),
            ("MESOS_CHECKPOINT", flag(options.checkpoint)),
            ("MESOS_DIRECTORY", sandbox.clone()),
            ("MESOS_EXECUTOR_ID", EXECUTOR.to_owned()),
            (
                "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
                options.shutdown_grace.to_owned(),
            ),
            ("MESOS_FRAMEWORK_ID", FRAMEWORK.to_owned()),
            ("MESOS_HTTP_COMMAND_EXECUTOR", "0".to_owned()),
            ("MESOS_SANDBOX", sandbox),
            ("MESOS_SLAVE_ID", AGENT.to_owned()),
            ("MESOS_SLAVE_PID", format!("slave(1)@{address}")),
        ];
        if options.checkpoint {
            all.push((
                "MESOS_RECOVERY_TIMEOUT",
                options.recovery_timeout.to_owned(),
            ));
            all.push((
                "MESOS_SUBSCRIPTION_BACKOFF_MAX",
                options.backoff_max.to_owned(),
            ));
        }
        if let Some(token) = options.token {
            all.push(("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", token.to_owned()));
        }
        if options.has_socket {
            all.push(("MESOS_DOMAIN_SOCKET", file("agent.sock")));
        }
        if let Some(verify) = options.tls {
            all.push(("LIBPROCESS_SSL_ENABLED", "1".to_owned()));
            all.push(("LIBPROCESS_SSL_VERIFY_SERVER_CERT", flag(verify)));
            if options.names_authority {
                all.push(("LIBPROCESS_SSL_CA_FILE", file("cert.pem")));
            }
        }
        let own = all.into_iter();
        own.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The executor's working directory, with the files `stdout` and `stderr` of whoever makes them.
    pub fn sandbox(&self) -> PathBuf {
        self.scratch.join("sandbox")
    }

    pub fn socket_path(&self) -> PathBuf {
        self.scratch.join("agent.sock")
    }

    fn tell<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        let told = what(&mut self.shared.lock());
        self.shared.changed.notify_all();
        told
    }

    /// As if killed: connections end, and new ones are refused. What it knows is on its disk.
    pub fn stop(&mut self) {
        let listeners = std::mem::take(&mut self.listeners);
        let threads = self.tell(|inner| {
            inner.is_stopped = true;
            listeners.iter().for_each(|(it, _)| wire::end(it));
            inner
                .sockets
                .drain(..)
                .for_each(|(_, socket)| wire::end(&socket));
            inner.stream = None;
            inner.outgoing.clear();
            inner.ledger.is_subscribed = false;
            std::mem::take(&mut inner.threads)
        });
        let acceptors = listeners.into_iter().map(|(_, thread)| thread);
        for thread in acceptors.chain(threads) {
            // What it panicked with was printed.
            let _ = thread.join();
        }
        self.reserve();
    }

    /// Starts again where it was, with what it knew.
    pub fn restart(&mut self) {
        assert!(self.listeners.is_empty(), "it is not stopped");
        self.shared.lock().is_stopped = false;
        let socket = self.reserved.take().expect("a port is reserved");
        listen(&socket, 64).unwrap();
        let tls = self.options.tls.map(|_| {
            let (key, certificate) = (self.scratch.join("key.pem"), self.scratch.join("cert.pem"));
            Arc::new(wire::server_config(&key, &certificate))
        });
        self.serve(Listener::Tcp(TcpListener::from(socket), tls));
        if self.options.has_socket {
            // The one before is gone, its name stays.
            let _ = std::fs::remove_file(self.socket_path());
            self.serve(Listener::Unix(
                UnixListener::bind(self.socket_path()).unwrap(),
            ));
        }
    }

    /// Starts again on another port: only its socket in the file system is where it was.
    pub fn restart_elsewhere(&mut self) {
        self.address.set_port(0);
        self.reserve();
        self.restart();
    }

    fn serve(&mut self, listener: Listener) {
        let (handle, shared) = (listener.handle(), self.shared.clone());
        let thread = std::thread::spawn(move || service::accept(&listener, &shared));
        self.listeners.push((handle, thread));
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().ledger.calls.clone()
    }

    /// Calls of one type.
    pub fn calls_of(&self, kind: &str) -> Vec<Call> {
        let calls = self.calls().into_iter();
        calls.filter(|call| call.kind == kind).collect()
    }

    /// Updates of a task in the order in which they came first; `""` is every task.
    pub fn updates(&self, task: &str) -> Vec<Update> {
        let inner = self.shared.lock();
        let updates = inner.ledger.updates.iter();
        let own = updates.filter(|it| task.is_empty() || it.task == task);
        own.cloned().collect()
    }

    /// The states of a task, in order.
    pub fn states(&self, task: &str) -> Vec<String> {
        self.updates(task).into_iter().map(|it| it.state).collect()
    }

    /// Connections that are open.
    pub fn count_connections(&self) -> usize {
        self.shared.lock().sockets.len()
    }

    pub fn is_subscribed(&self) -> bool {
        self.shared.lock().stream.is_some()
    }

    /// Waits for a task to be in a state, and gives the update that said so.
    pub fn wait_for(&self, state: &str, task: &str) -> Update {
        let find = |agent: &Self| {
            let mut updates = agent.updates(task).into_iter();
            updates.rfind(|it| it.state == state)
        };
        let what = format!("{state} of {task}");
        self.wait_until(&what, |agent| find(agent).is_some());
        find(self).expect("it was there")
    }

    /// Waits until something is so; panics with what it knows if that takes too long.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            if begin.elapsed() > PATIENCE {
                let calls = self.calls();
                let calls = calls.iter().map(|it| (it.status, it.kind.as_str()));
                let calls: Vec<_> = calls.collect();
                let updates = self.updates("");
                let updates = updates.iter().map(|it| (&it.task, &it.state, &it.message));
                let updates: Vec<_> = updates.collect();
                panic!("{what}: not in {PATIENCE:?}\ncalls: {calls:?}\nupdates: {updates:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.stop();
    }
}
