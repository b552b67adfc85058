//! What a server answers to GET. It is not trusted: certificates are not looked at, as Mesos and
//! Marathon don't, no more than the head of an answer is read, and nothing of it but its status code
//! gets into a message.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use httparse::{EMPTY_HEADER, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use url::{Position, Url};

use super::Outcome;
use crate::checks::plan::{Http, Scheme};
use crate::tls;

/// Most bytes of the heads of one answer, those of the interim ones before it included.
const MAX_HEADS: usize = 64 << 10;
/// Most headers of one head.
const MAX_HEADERS: usize = 128;
/// Most redirects in a row.
const MAX_REDIRECTS: usize = 10;

/// The final answer's status code, or that of the last interim one (1xx) if nothing follows it.
/// The first interim one is also told when it comes: the rest may never do.
pub(super) fn ask(http: &Http, interim: &dyn Fn(u16)) -> Result<Outcome> {
    let scheme = match http.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let url = format!("{scheme}://{}{}", http.target.address, http.path);
    let mut url = Url::parse(&url).context("read the path")?;
    for _ in 0..=MAX_REDIRECTS {
        let answer = get(&url, interim)?;
        let next = match http.follows_redirects && (300..400).contains(&answer.status) {
            true => answer.location,
            false => None,
        };
        let Some(next) = next else {
            return Ok(Outcome::Status(answer.status));
        };
        url = follow(&url, &next).context("follow a redirect")?;
    }
    bail!("more than {MAX_REDIRECTS} redirects")
}

fn follow(url: &Url, location: &[u8]) -> Result<Url> {
    let location = std::str::from_utf8(location).context("read where to")?;
    let next = url.join(location).context("read where to")?;
    match next.scheme() {
        "http" | "https" => Ok(next),
        _ => bail!("it leads away from HTTP"),
    }
}

/// The head of an answer.
struct Answer {
    status: u16,
    location: Option<Vec<u8>>,
}

fn get(url: &Url, interim: &dyn Fn(u16)) -> Result<Answer> {
    let addresses = url.socket_addrs(|| None).context("look up the host")?;
    let socket = TcpStream::connect(&*addresses).with_context(|| match addresses.first() {
        Some(address) => format!("connect to {address}"),
        None => "connect to nobody".to_owned(),
    })?;
    match url.scheme() {
        "https" => {
            let host = url.host_str().unwrap_or_default();
            let name = host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(name.to_owned()).context("name the server")?;
            let careless = tls::trusting_anyone()?.with_no_client_auth();
            let client = ClientConnection::new(Arc::new(careless), name).context("begin TLS")?;
            converse(StreamOwned::new(client, socket), url, interim)
        }
        _ => converse(socket, url, interim),
    }
}

fn converse(mut stream: impl Read + Write, url: &Url, interim: &dyn Fn(u16)) -> Result<Answer> {
    let sent = stream
        .write_all(request(url).as_bytes())
        .and_then(|()| stream.flush());
    sent.context("send the request")?;
    read_answer(&mut stream, interim)
}

fn request(url: &Url) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ucr/{}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        &url[Position::BeforePath..Position::AfterQuery],
        &url[Position::BeforeHost..Position::AfterPort],
        env!("CARGO_PKG_VERSION"),
    )
}

/// Reads to the end of the first head that is not an interim one.
fn read_answer(stream: &mut impl Read, interim: &dyn Fn(u16)) -> Result<Answer> {
    let (mut bytes, mut used, mut last) = (Vec::new(), 0, None);
    let mut part = [0; 4096];
    loop {
        let room = part.len().min(MAX_HEADS - bytes.len());
        if room == 0 {
            bail!(
                "the head of the answer is longer than {} KiB",
                MAX_HEADS >> 10
            );
        }
        let read = read(stream, &mut part[..room]).context("read the answer")?;
        let is_first = bytes.is_empty();
        bytes.extend_from_slice(&part[..read]);
        // A head is read from its start each time: one that comes in small pieces at line ends only.
        if read > 0 && !is_first && !part[..read].contains(&b'\n') {
            continue;
        }
        while let Some((answer, length)) = parse(&bytes[used..])? {
            // After 101 another protocol is spoken.
            if !(100..200).contains(&answer.status) || answer.status == 101 {
                return Ok(answer);
            }
            used += length;
            if last.is_none() {
                interim(answer.status);
            }
            last = Some(answer);
        }
        if read == 0 {
            return last.ok_or_else(|| anyhow!("no answer: the connection was closed"));
        }
    }
}

/// A TLS connection that ends without saying so has ended all the same.
fn read(stream: &mut impl Read, part: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            read => return read,
        }
    }
}

/// A head and its length; `None` if it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Answer, usize)>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = Response::new(&mut headers);
    let parsed = head.parse(bytes).context("the answer is not HTTP")?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let location = head
        .headers
        .iter()
        .find(|it| it.name.eq_ignore_ascii_case("location"));
    let answer = Answer {
        status: head.code.context("the answer has no status")?,
        location: location.map(|it| it.value.to_vec()),
    };
    Ok(Some((answer, length)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Nothing in a path makes a second line, a second host or a second request.
    #[test]
    fn requests() {
        let rows = [
            ("http://[::1]:80", "/", "GET / ", "Host: [::1]"),
            (
                "http://[::1]:8080",
                "/a b",
                "GET /a%20b ",
                "Host: [::1]:8080",
            ),
            (
                "https://127.0.0.1:443",
                "/?x=y#z",
                "GET /?x=y ",
                "Host: 127.0.0.1",
            ),
            (
                "http://127.0.0.1:9",
                "//evil/x",
                "GET //evil/x ",
                "Host: 127.0.0.1:9",
            ),
            (
                "http://127.0.0.1:9",
                "/@evil/\u{e9}",
                "GET /@evil/%C3%A9 ",
                "Host: 127.0.0.1:9",
            ),
            (
                "http://127.0.0.1:9",
                "/a\r\nX: y",
                "GET /aX:%20y ",
                "Host: 127.0.0.1:9",
            ),
        ];
        for (base, path, line, host) in rows {
            let url = Url::parse(&format!("{base}{path}")).unwrap();
            let text = request(&url);
            let lines: Vec<_> = text.split("\r\n").collect();
            assert_eq!(lines.len(), 7, "{text}");
            assert_eq!(lines[0], format!("{line}HTTP/1.1"));
            assert_eq!(lines[1], host);
        }
    }

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, part: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(1);
            self.0.read(&mut part[..length])
        }
    }

    /// What comes; the status in the end; the interim one that was told.
    #[test]
    fn heads() {
        let many = "HTTP/1.1 100 C\r\n\r\n".repeat(5);
        let many = many.as_str();
        let late = format!("{many}HTTP/1.1 204 N\r\n\r\n");
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEADS));
        let rows: [(&str, Option<u16>, &[u16]); 12] = [
            ("HTTP/1.1 200 OK\r\n\r\nbody", Some(200), &[]),
            ("HTTP/1.0 404\r\n\r\n", Some(404), &[]),
            ("HTTP/1.1 200 OK\r\nA: b", None, &[]),
            ("", None, &[]),
            ("\r\n", None, &[]),
            (many, Some(100), &[100]),
            (&late, Some(204), &[100]),
            ("HTTP/1.1 103 E\r\n\r\nHTTP/1.1 20", Some(103), &[103]),
            (
                "HTTP/1.1 101 S\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                Some(101),
                &[],
            ),
            ("HTTP/1.1 20000 OK\r\n\r\n", None, &[]),
            ("HTTP/9.9 200 OK\r\n\r\n", None, &[]),
            (&long, None, &[]),
        ];
        for (text, status, interim) in rows {
            let told = RefCell::new(Vec::new());
            let tell = |status| told.borrow_mut().push(status);
            let answer = read_answer(&mut Slow(text.as_bytes()), &tell);
            let found = answer.ok().map(|answer| answer.status);
            let start: String = text.chars().take(60).collect();
            assert_eq!(found, status, "{start}");
            assert_eq!(*told.borrow(), interim, "{start}");
        }
    }

    #[test]
    fn where_redirects_lead() {
        let url = Url::parse("http://127.0.0.1:80/a/b").unwrap();
        let rows: [(&[u8], Option<&str>); 6] = [
            (b"c", Some("http://127.0.0.1/a/c")),
            (b"/d", Some("http://127.0.0.1/d")),
            (b"https://x:1/", Some("https://x:1/")),
            (b"ftp://x/", None),
            (b"\xff", None),
            (b"http://", None),
        ];
        for (location, expected) in rows {
            let found = follow(&url, location).ok();
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{location:?}");
        }
    }
}
