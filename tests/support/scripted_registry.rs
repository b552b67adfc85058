//! A registry on loopback that misbehaves as it is told, and remembers what it was asked.
//!
//! Plain HTTP/1.1 on threads. Serves the blobs and manifests it was given; a script can make it cut,
//! stall, lie, refuse or redirect, per path and a given number of times. It can stand in front of a
//! token server too: `on` answers any path. Everything ends when it is dropped.
//!
//! Use it from any integration test: `#[path = "../support/scripted_registry.rs"] mod …;`.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use ucr::image::Digest;

/// Longest time that a connection may be idle or a stall may last.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }
}

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub enum Misbehaviour {
    /// Close the connection after this many bytes of the body.
    CutAfter(usize),
    /// Fall silent after this many bytes of the body.
    StallAfter(usize),
    /// Invert the byte at this place of the body.
    FlipByte(usize),
    /// Something else instead.
    Instead(Answer),
    /// 206 from one byte later on, and a `Content-Range` that says so.
    WrongContentRange,
    /// 200 with everything, whatever the range.
    IgnoreRange,
    /// 307 to `{prefix}{path}`.
    Redirect(String),
    /// This many bytes at a time, with a pause before each.
    Slow(usize, Duration),
    /// Bytes after the real ones.
    Append(Vec<u8>),
    /// No `Content-Length`, and after the real bytes others without end.
    Endless,
    /// A header more.
    Header(String, String),
}

type Handler = Arc<dyn Fn(&Recorded) -> Option<Answer> + Send + Sync>;

#[derive(Default)]
struct Content {
    /// Path to media type, if any, and bytes.
    files: Vec<(String, Option<String>, Vec<u8>)>,
    scripts: Vec<(String, usize, Misbehaviour)>,
    handlers: Vec<(String, Handler)>,
    requests: Vec<Recorded>,
    connections: Vec<TcpStream>,
}

struct State {
    content: Mutex<Content>,
    over: AtomicBool,
    ended: Condvar,
}

/// The server; stops when dropped.
pub struct ScriptedRegistry {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

impl ScriptedRegistry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            content: Mutex::default(),
            over: AtomicBool::new(false),
            ended: Condvar::new(),
        });
        let shared = state.clone();
        let acceptor = std::thread::spawn(move || accept(&listener, &shared));
        Self {
            address,
            state,
            acceptor: Some(acceptor),
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves a blob in every repository; gives its digest.
    pub fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.file(&format!("/blobs/{digest}"), None, bytes);
        digest
    }

    /// Serves a manifest in every repository, under its tag and its digest.
    pub fn manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        for name in [tag, &digest.to_string()] {
            self.file(&format!("/manifests/{name}"), Some(media_type), bytes);
        }
        digest
    }

    /// Serves bytes at every path that ends so. The last one given counts.
    pub fn file(&self, path_end: &str, media_type: Option<&str>, bytes: &[u8]) {
        let file = (
            path_end.to_owned(),
            media_type.map(str::to_owned),
            bytes.to_vec(),
        );
        self.state.content.lock().unwrap().files.insert(0, file);
    }

    /// Makes the next `times` requests whose path contains `part` go wrong. Scripts for one path
    /// follow each other.
    pub fn script(&self, part: &str, times: usize, what: Misbehaviour) {
        let script = (part.to_owned(), times, what);
        self.state.content.lock().unwrap().scripts.push(script);
    }

    /// Answers requests whose path contains `part` itself, before anything else; `None` passes.
    pub fn on(
        &self,
        part: &str,
        handler: impl Fn(&Recorded) -> Option<Answer> + Send + Sync + 'static,
    ) {
        let handler: Handler = Arc::new(handler);
        let mut content = self.state.content.lock().unwrap();
        content.handlers.push((part.to_owned(), handler));
    }

    /// Demands `Authorization: {value}` below `/v2/`, else answers 401 with these challenges.
    pub fn guard(&self, value: &str, challenges: &[String]) {
        let (value, challenges) = (value.to_owned(), challenges.to_vec());
        self.on("/v2/", move |request| {
            if request.header("authorization") == Some(&value) {
                return None;
            }
            let answer = Answer::error(401, "UNAUTHORIZED", "authentication required");
            let add = |answer: Answer, line: &String| answer.with("WWW-Authenticate", line);
            Some(challenges.iter().fold(answer, add))
        });
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.content.lock().unwrap().requests.clone()
    }

    /// The requests whose path contains `part`.
    pub fn asked(&self, part: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.path.contains(part));
        requests
    }
}

impl Drop for ScriptedRegistry {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.state.ended.notify_all();
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        for stream in &self.state.content.lock().unwrap().connections {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// A port of loopback that refuses: it is bound, so nobody else gets it, and nobody listens there.
pub struct Refusing {
    address: SocketAddr,
    _socket: OwnedFd,
}

impl Refusing {
    pub fn new() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        Self {
            address,
            _socket: socket,
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_nodelay(true);
        if let Ok(copy) = stream.try_clone() {
            state.content.lock().unwrap().connections.push(copy);
        }
        let state = state.clone();
        // A client that goes away in the middle is none of our business.
        std::thread::spawn(move || {
            let _ = converse(&stream, &state);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn converse(stream: &TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    // A TLS hello is no request: hang up, as a server of plain http does.
    while !state.over.load(Ordering::SeqCst) && reader.fill_buf()?.first() != Some(&0x16) {
        let Some(request) = read_request(&mut reader)? else {
            return Ok(());
        };
        state.content.lock().unwrap().requests.push(request.clone());
        if !answer(stream, state, &request)? {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Recorded>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next(), words.next());
    let mut request = Recorded {
        method: method.unwrap_or_default().to_owned(),
        path: path.unwrap_or_default().to_owned(),
        headers: Vec::new(),
        body: String::new(),
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            request.headers.push(header);
        }
    }
    let length = request.header("content-length");
    let length = length.and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}

/// Answers; false if the connection must end.
fn answer(stream: &TcpStream, state: &State, request: &Recorded) -> std::io::Result<bool> {
    let handled = {
        let content = state.content.lock().unwrap();
        let fitting = content.handlers.iter();
        let mut fitting = fitting.filter(|(part, _)| request.path.contains(part));
        fitting.find_map(|(_, handler)| handler(request))
    };
    if let Some(answer) = handled {
        return send(stream, state, request, answer, None);
    }
    let script = next_script(state, &request.path);
    let mut answer = match &script {
        Some(Misbehaviour::Instead(answer)) => answer.clone(),
        Some(Misbehaviour::Redirect(prefix)) => {
            Answer::new(307, "").with("Location", format!("{prefix}{}", request.path))
        }
        script => content(state, request, script.as_ref()),
    };
    match &script {
        Some(Misbehaviour::FlipByte(at)) => {
            if let Some(byte) = answer.body.get_mut(*at) {
                *byte = !*byte;
            }
        }
        Some(Misbehaviour::Append(more)) => answer.body.extend_from_slice(more),
        Some(Misbehaviour::Header(name, value)) => answer = answer.with(name, value),
        _ => {}
    }
    send(stream, state, request, answer, script)
}

fn next_script(state: &State, path: &str) -> Option<Misbehaviour> {
    let mut content = state.content.lock().unwrap();
    let mut scripts = content.scripts.iter_mut();
    let (_, times, what) = scripts.find(|(part, times, _)| *times > 0 && path.contains(&**part))?;
    *times = times.saturating_sub(1);
    Some(what.clone())
}

fn content(state: &State, request: &Recorded, script: Option<&Misbehaviour>) -> Answer {
    if request.path == "/v2/" {
        return Answer::new(200, "{}");
    }
    let content = state.content.lock().unwrap();
    let path = request.path.split('?').next().unwrap_or_default();
    let mut files = content.files.iter();
    let Some((_, media_type, bytes)) = files.find(|(end, ..)| path.ends_with(&**end)) else {
        return Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    };
    let from: Option<usize> = request
        .header("range")
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        })
        .filter(|_| !matches!(script, Some(Misbehaviour::IgnoreRange)));
    let mut answer = match from {
        Some(from) if from < bytes.len() => {
            let (last, total) = (bytes.len() - 1, bytes.len());
            let later = usize::from(matches!(script, Some(Misbehaviour::WrongContentRange)));
            let from = (from + later).min(last);
            Answer::new(206, &bytes[from..])
                .with("Content-Range", format!("bytes {from}-{last}/{total}"))
        }
        Some(_) => Answer::error(416, "RANGE_INVALID", "range invalid"),
        None => Answer::new(200, bytes.clone()),
    };
    if let Some(media_type) = media_type {
        answer = answer
            .with("Content-Type", media_type)
            .with("Docker-Content-Digest", Digest::of(bytes).to_string());
    }
    answer
}

fn send(
    mut stream: &TcpStream,
    state: &State,
    request: &Recorded,
    answer: Answer,
    script: Option<Misbehaviour>,
) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &match script {
        Some(Misbehaviour::Endless) => "Connection: close\r\n\r\n".to_owned(),
        _ => format!("Content-Length: {}\r\n\r\n", answer.body.len()),
    };
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    let body = &answer.body;
    match script {
        Some(Misbehaviour::CutAfter(length)) => {
            stream.write_all(&body[..length.min(body.len())])?;
            return Ok(false);
        }
        Some(Misbehaviour::StallAfter(length)) => {
            stream.write_all(&body[..length.min(body.len())])?;
            let content = state.content.lock().unwrap();
            let over = |_: &mut Content| !state.over.load(Ordering::SeqCst);
            let _ = state.ended.wait_timeout_while(content, PATIENCE, over);
            return Ok(false);
        }
        Some(Misbehaviour::Endless) => {
            stream.write_all(body)?;
            let begin = Instant::now();
            // Ends when the client hangs up, which is what is to be seen.
            while !state.over.load(Ordering::SeqCst) && begin.elapsed() < PATIENCE {
                stream.write_all(&[b' '; 1 << 16])?;
            }
            return Ok(false);
        }
        Some(Misbehaviour::Slow(length, pause)) => {
            for piece in body.chunks(length) {
                std::thread::sleep(pause);
                stream.write_all(piece)?;
            }
        }
        _ => stream.write_all(body)?,
    }
    Ok(true)
}
