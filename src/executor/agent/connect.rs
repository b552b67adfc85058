//! Connections to the agent: TCP, TLS over it, or the agent's socket in the file system. Nothing
//! here waits: what cannot be done now is `WouldBlock`, and [`Link::wanted`] says what to poll for.
//!
//! Only one thing may wait: an endpoint that is a name (usually it is an address) is looked up by
//! the C library, once; it is kept when found, as the agent is on the same machine anyway.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with, sockopt,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::error::{Fault, Kind};
use crate::executor::environment::{Endpoint, Tls};
use crate::tls::{self, read_certificates, read_identity, unreadable};

/// Whether the agent's machine is still there: asked after so long without a word, so often, so
/// many times (reference/mesos-ucr.md, section 5.12).
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 6);

/// Makes connections to one agent.
#[derive(Debug)]
pub(super) struct Connector {
    address: String,
    socket: Option<PathBuf>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// What `address` stands for, once known; the first is tried next.
    found: Vec<SocketAddr>,
}

impl Connector {
    /// Reads the files that TLS needs.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, Fault> {
        let tls = match &endpoint.tls {
            Some(tls) => Some((Arc::new(config(tls)?), server(&endpoint.address)?)),
            None => None,
        };
        Ok(Self {
            address: endpoint.address.clone(),
            socket: endpoint.socket.clone(),
            tls,
            found: Vec::new(),
        })
    }

    /// Begins a connection: by the socket if there is one, else by TCP. The agent speaks no TLS
    /// over its socket. Fails with one line.
    pub(super) fn begin(&mut self) -> Result<Link, String> {
        if let Some(path) = &self.socket {
            match unix(path) {
                // An agent that was started anew without sockets.
                Err(Errno::NOENT) => (),
                Err(error) => return Err(failed(&path.display(), &error.into())),
                Ok(socket) => return Ok(Link::new(socket, path.display().to_string(), None)),
            }
        }
        if self.found.is_empty() {
            let found = self.address.to_socket_addrs();
            self.found = found
                .map_err(|error| failed(&self.address, &error))?
                .collect();
        }
        let Some(address) = self.found.first() else {
            return Err(format!("connect to {}: it has no address", self.address));
        };
        let tls = match &self.tls {
            Some((config, name)) => {
                let client = ClientConnection::new(config.clone(), name.clone());
                let client = client.map_err(|error| format!("begin TLS: {error}"))?;
                Some(Box::new(client))
            }
            None => None,
        };
        match tcp(*address) {
            Ok(socket) => Ok(Link::new(socket, self.address.clone(), tls)),
            Err(error) => {
                self.failed();
                Err(failed(&self.address, &error.into()))
            }
        }
    }

    /// A connection did not come to be: a name may stand for another address, too.
    pub(super) fn failed(&mut self) {
        if !self.found.is_empty() {
            self.found.rotate_left(1);
        }
    }
}

fn failed(to: &dyn std::fmt::Display, error: &io::Error) -> String {
    format!("connect to {to}: {error}")
}

fn tcp(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    let (idle, interval, count) = KEEPALIVE;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, idle)?;
    sockopt::set_tcp_keepintvl(&socket, interval)?;
    sockopt::set_tcp_keepcnt(&socket, count)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

fn unix(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Without `verify`, which is Mesos's default, the agent may be anyone.
fn config(tls: &Tls) -> Result<ClientConfig, Fault> {
    let verified = match tls.verify {
        false => tls::trusting_anyone()?,
        true => {
            let mut extra = Vec::new();
            if let Some(file) = &tls.authorities {
                read_certificates(file, &mut extra)?;
            }
            if let Some(directory) = &tls.authorities_directory {
                let entries = std::fs::read_dir(directory);
                for entry in entries.map_err(|error| unreadable(directory, &error))? {
                    let path = entry.map_err(|error| unreadable(directory, &error))?.path();
                    if path.is_file() {
                        read_certificates(&path, &mut extra)?;
                    }
                }
            }
            tls::trusting(extra)?
        }
    };
    let identity = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Some(read_identity(certificate, key)?),
        (None, None) => None,
        _ => {
            let message = "variables of TLS: one of certificate and key is missing";
            return Err(Fault::new(Kind::Usage, message).hint(
                "set both LIBPROCESS_SSL_CERT_FILE and LIBPROCESS_SSL_KEY_FILE, or neither",
            ));
        }
    };
    tls::with_identity(verified, identity)
}

/// The name that the agent's certificate must have.
fn server(address: &str) -> Result<ServerName<'static>, Fault> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|error| {
        let message = format!("variable MESOS_AGENT_ENDPOINT: no host for TLS: {error}");
        Fault::new(Kind::Usage, message)
    })
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    /// For people.
    peer: String,
    tls: Option<Box<ClientConnection>>,
    /// The socket is connected; TLS may not be ready yet.
    is_connected: bool,
}

impl Link {
    fn new(socket: OwnedFd, peer: String, tls: Option<Box<ClientConnection>>) -> Self {
        Self {
            socket,
            peer,
            tls,
            is_connected: false,
        }
    }

    /// Goes on connecting; whether that is done.
    pub(super) fn connect(&mut self) -> Result<bool, String> {
        if !self.is_connected {
            let error = sockopt::socket_error(&self.socket).and_then(|error| error);
            error.map_err(|error| failed(&self.peer, &error.into()))?;
            // Without an error it is connected or on the way there.
            match rustix::net::getpeername(&self.socket) {
                Err(Errno::NOTCONN) => return Ok(false),
                Err(error) => return Err(failed(&self.peer, &error.into())),
                Ok(_) => self.is_connected = true,
            }
        }
        match self.shake_hands() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.refused(&error)),
        }
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.is_handshaking() {
            while tls.wants_write() {
                tls.write_tls(&mut Raw(&self.socket))?;
            }
            if tls.is_handshaking() && tls.read_tls(&mut Raw(&self.socket))? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            understand(tls, &self.socket)?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut Raw(&self.socket))?;
        }
        Ok(())
    }

    fn refused(&self, error: &io::Error) -> String {
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
            _ => error.to_string(),
        };
        let tls = error
            .get_ref()
            .and_then(|it| it.downcast_ref::<rustls::Error>());
        let advice = match tls {
            Some(rustls::Error::InvalidCertificate(_)) => {
                "; look at LIBPROCESS_SSL_CA_FILE, and whether the certificate has the address"
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                "; look at LIBPROCESS_SSL_ENABLED here and at the agent"
            }
            _ => "",
        };
        format!("TLS with {}: {what}{advice}", self.peer)
    }

    /// Whether there is something to read that is no longer in the socket.
    pub(super) fn is_holding(&mut self) -> bool {
        let state = self.tls.as_mut().map(|tls| tls.process_new_packets());
        state.is_some_and(|state| state.is_ok_and(|it| it.plaintext_bytes_to_read() > 0))
    }

    /// What to poll for: to connect, to hear, and to write if there is something to write.
    pub(super) fn wanted(&self, has_more: bool) -> (BorrowedFd<'_>, PollFlags) {
        let is_pending = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        let mut flags = match self.is_connected {
            true => PollFlags::IN,
            false => PollFlags::OUT,
        };
        flags.set(PollFlags::OUT, !self.is_connected || has_more || is_pending);
        (self.socket.as_fd(), flags)
    }
}

impl Read for Link {
    /// 0 is the end, said or not: nothing here depends on how a connection ends.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Raw(&self.socket).read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            tls.read_tls(&mut Raw(&self.socket))?;
            understand(tls, &self.socket)?;
        }
    }
}

impl Write for Link {
    /// What is written may still have to be flushed.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => Raw(&self.socket).write(buffer),
            Some(tls) => {
                let written = tls.writer().write(buffer)?;
                match written {
                    // Full: it can take more when some of it has gone.
                    0 => {
                        self.flush()?;
                        Err(ErrorKind::WouldBlock.into())
                    }
                    written => Ok(written),
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut Raw(&self.socket))?;
            }
        }
        Ok(())
    }
}

/// Works through what came. What is wrong with it is also told to the other side, as far as that
/// can be done now.
fn understand(tls: &mut ClientConnection, socket: &OwnedFd) -> io::Result<()> {
    tls.process_new_packets().map(drop).map_err(|error| {
        let _ = tls.write_tls(&mut Raw(socket));
        io::Error::new(ErrorKind::InvalidData, error)
    })
}

/// The socket without TLS. A peer that is gone is an error, never a signal.
struct Raw<'a>(&'a OwnedFd);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, _) =
            rustix::io::retry_on_intr(|| recv(self.0, &mut *buffer, RecvFlags::empty()))?;
        Ok(read)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = rustix::io::retry_on_intr(|| send(self.0, buffer, SendFlags::NOSIGNAL))?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::executor::agent::exchange::Exchange;
    use crate::executor::agent::http::Target;
    use crate::executor::agent::{Peer, Times};

    fn attempt(peer: &mut Peer) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(5);
        let mut exchange = Exchange::new(peer.connector.begin()?);
        while !exchange.connect(peer, until, Instant::now())? {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// A name may also stand for an address where nobody listens.
    #[test]
    fn the_next_attempt_takes_another_address() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = listen().local_addr().unwrap();
        let listener = listen();
        let here = listener.local_addr().unwrap();
        let mut peer = Peer {
            connector: Connector {
                address: "agent:5051".to_owned(),
                socket: None,
                tls: None,
                found: vec![gone, here],
            },
            target: Target {
                path: String::new(),
                host: String::new(),
            },
            token: None,
            times: Times::default(),
        };
        let why = attempt(&mut peer).unwrap_err();
        assert!(why.starts_with("connect to agent:5051: "), "{why}");
        attempt(&mut peer).unwrap();
        // It stays with the one that was right.
        attempt(&mut peer).unwrap();
        assert_eq!(peer.connector.found, [here, gone]);
    }

    #[test]
    fn names_that_certificates_have() {
        let rows = ["10.0.0.5:5051", "[fe80::1]:5051", "agent.example:5051"];
        assert!(rows.iter().all(|address| server(address).is_ok()));
    }
}
