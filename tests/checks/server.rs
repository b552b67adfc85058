//! A server of HTTP that misbehaves by path, in a process of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use ucr::sys::process::{Child, Namespaces, spawn};

use crate::support::{scratch, token_server};

/// Killed and reaped when dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.signal(libc::SIGKILL).unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    /// In the clear, in this network.
    pub fn start() -> Self {
        Self::with(None)
    }

    /// By TLS, with a certificate that nobody has signed.
    pub fn over_tls() -> Self {
        let dir = scratch::Scratch::new();
        let (key, cert) = (dir.path().join("key"), dir.path().join("cert"));
        token_server::self_signed(&key, &cert);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&cert).unwrap()],
                PrivateKeyDer::from_pem_file(&key).unwrap(),
            )
            .unwrap();
        Self::with(Some(Arc::new(config)))
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        Self::listening(&TcpListener::bind("127.0.0.1:0").unwrap(), tls)
    }

    /// In the clear, on this port.
    pub fn on(listener: TcpListener) -> Self {
        Self::listening(&listener, None)
    }

    fn listening(listener: &TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let child = spawn(Namespaces::default(), || serve(listener, tls.as_ref())).unwrap();
        Self { child, address }
    }

    /// In a network namespace of its own, whose loopback device it sets up.
    pub fn elsewhere(port: u16) -> Self {
        let (mut ready, tell) = std::io::pipe().unwrap();
        let namespaces = Namespaces {
            network: true,
            ..Namespaces::default()
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = spawn(namespaces, || {
            ucr::sys::network::loopback_up().unwrap();
            let listener = TcpListener::bind(address).unwrap();
            (&tell).write_all(b"!").unwrap();
            serve(&listener, None)
        });
        let child = child.expect("new network namespaces need root");
        drop(tell);
        ready.read_exact(&mut [0]).expect("the server is up");
        Self { child, address }
    }
}

fn serve(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) -> u8 {
    let _ = ucr::sys::process::die_with_parent();
    loop {
        let (socket, _) = listener.accept().unwrap();
        let tls = tls.cloned();
        thread::spawn(move || match tls {
            None => answer(socket),
            Some(config) => {
                let server = ServerConnection::new(config).unwrap();
                answer(StreamOwned::new(server, socket))
            }
        });
    }
}

trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for StreamOwned<ServerConnection, TcpStream> {}

fn answer(mut stream: impl Stream) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let _ = misbehave(&mut stream, path, &request);
}

fn misbehave(stream: &mut impl Stream, path: &str, request: &str) -> std::io::Result<()> {
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n");
    let moved = |to: &str| status(&format!("302 Found\r\nLocation: {to}"));
    let text = match path {
        "/ok" | "/a%20b?c=d" => status("200 OK"),
        "/399" => status("399 Odd"),
        "/400" => status("400 Bad"),
        "/503" => status("503 Busy"),
        "/red" => status("503 \u{1b}[31mred"),
        "/moved" => moved("ok"),
        "/moved-to-503" => moved("/503"),
        "/nowhere" => status("302 Found"),
        "/away" => moved("file:///etc/passwd"),
        "/loop" => moved("/loop"),
        "/lf" => "HTTP/1.0 200\n\n".to_owned(),
        "/closed" => String::new(),
        "/garbage" => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "/early" => "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".to_owned() + &status("200 OK"),
        "/only" => "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        "/switch" => "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".to_owned(),
        "/many" => format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(1000)),
        "/host" => match request.contains("\r\nHost: 127.0.0.1:") {
            true => status("200 OK"),
            false => status("400 No host"),
        },
        "/interim-hang" => "HTTP/1.1 102 Wait\r\n\r\n".to_owned(),
        "/body" => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        "/endless" => "HTTP/1.1 200 OK\r\nA: ".to_owned(),
        "/endless-interim" | "/hang" => String::new(),
        _ => status("404 Not Found"),
    };
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    match path {
        "/hang" | "/interim-hang" => thread::sleep(Duration::from_secs(60)),
        "/body" | "/endless" => loop {
            stream.write_all(&[b'x'; 1024])?;
        },
        "/endless-interim" => loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        },
        _ => (),
    }
    Ok(())
}
