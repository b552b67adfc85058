//! HTTP/1.1 from the other side: connections that may be TLS, requests, answers.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a connection is spoken on.
pub trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// Where connections come from.
pub enum Listener {
    Tcp(TcpListener, Option<Arc<ServerConfig>>),
    Unix(UnixListener),
}

impl Listener {
    /// The next connection, and the socket below it.
    pub fn accept(&self) -> io::Result<(Box<dyn Wire>, OwnedFd)> {
        match self {
            Self::Unix(listener) => {
                let (socket, _) = listener.accept()?;
                let below = socket.try_clone()?.into();
                Ok((Box::new(socket), below))
            }
            Self::Tcp(listener, tls) => {
                let (socket, _) = listener.accept()?;
                socket.set_nodelay(true)?;
                let below = socket.try_clone()?.into();
                Ok((
                    match tls {
                        None => Box::new(socket),
                        Some(config) => {
                            let server = ServerConnection::new(config.clone());
                            Box::new(StreamOwned::new(server.unwrap(), socket))
                        }
                    },
                    below,
                ))
            }
        }
    }

    /// Another handle, to end it with [`end`].
    pub fn handle(&self) -> OwnedFd {
        match self {
            Self::Tcp(listener, _) => listener.as_fd().try_clone_to_owned().unwrap(),
            Self::Unix(listener) => listener.as_fd().try_clone_to_owned().unwrap(),
        }
    }
}

pub fn server_config(key: &Path, certificate: &Path) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap()
}

/// Both directions; whoever waits on it goes on.
pub fn end(socket: &OwnedFd) {
    // It may have ended before.
    let _ = shutdown(socket, Shutdown::Both);
}

/// Whether the peer is gone; it has nothing to say at this time.
pub fn is_gone(socket: &OwnedFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let peek = recv(socket, &mut [0_u8; 1], flags);
    !matches!(peek, Err(error) if error == rustix::io::Errno::AGAIN)
}

/// One request, as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The next request; `None` when the peer closes the connection.
pub fn request(wire: &mut dyn Wire) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if wire.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = name.to_ascii_lowercase();
        request.headers.push((name, value.trim().to_owned()));
    }
    let length = request.header("content-length");
    let length = length.and_then(|it| it.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    wire.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// A short answer, as libprocess writes it.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    let reason = match status {
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        415 => "Unsupported Media Type",
        503 => "Service Unavailable",
        _ => "Whatever",
    };
    let extra = match (status, body) {
        (405, _) => "Allow: POST\r\n",
        (_, "") => "",
        _ => "Content-Type: text/plain; charset=utf-8\r\n",
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\nDate: Sun, 22 Nov 2026 10:02:28 GMT\r\n{extra}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:02:28 GMT\r\n\
    Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n";

pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

pub fn record(event: &str) -> Vec<u8> {
    format!("{}\n{event}", event.len()).into_bytes()
}
