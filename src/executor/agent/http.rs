//! HTTP/1.1 as far as an agent is spoken to: the head of a request, and answers that come in
//! pieces, cut anywhere (RFC 9112). Pure. Answers are not trusted: what is kept of a head, of a
//! chunk's line and of trailers is bounded, and everything that two readers could understand in two
//! ways is refused.

use httparse::{EMPTY_HEADER, Header, Response};
use zeroize::Zeroizing;

/// Longest head of an answer, with the interim ones before it; also of all trailers.
const MAX_HEAD: usize = 16 << 10;
/// Most headers of one head.
const MAX_HEADERS: usize = 64;
/// Longest line that says how long a chunk is, extensions included.
const MAX_CHUNK_LINE: usize = 4 << 10;
/// Digits of the longest chunk: less than 2^60 bytes, so that nothing overflows.
const MAX_CHUNK_DIGITS: usize = 15;

/// What stands in each head of a request to one agent.
#[derive(Debug)]
pub(super) struct Target {
    /// Path of the executor API.
    pub path: String,
    /// `HOST:PORT`.
    pub host: String,
}

impl Target {
    /// The head of a request with a body of `length` bytes. The token is a secret, so the
    /// memory is not moved while the head is made, and is wiped when dropped.
    pub(super) fn head(&self, token: Option<&str>, length: usize) -> Zeroizing<Vec<u8>> {
        let authorization = match token {
            Some(token) => ["Authorization: Bearer ", token, "\r\n"],
            None => [""; 3],
        };
        let length = length.to_string();
        let before = [
            "POST ",
            &self.path,
            " HTTP/1.1\r\nHost: ",
            &self.host,
            "\r\nContent-Type: application/json\r\nAccept: application/json\r\nUser-Agent: ucr/",
            env!("CARGO_PKG_VERSION"),
            "\r\n",
        ];
        let after = ["Content-Length: ", &length, "\r\n\r\n"];
        let parts = || before.iter().chain(&authorization).chain(&after);
        let size = parts().map(|part| part.len()).sum();
        let mut head = Zeroizing::new(Vec::with_capacity(size));
        parts().for_each(|part| head.extend_from_slice(part.as_bytes()));
        head
    }
}

/// The head of an answer, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Status code.
    pub status: u16,
    /// Whether `Content-Type` is `application/json`.
    pub is_json: bool,
    /// Whether another request may follow on this connection.
    pub stays: bool,
    /// Whether only the end of the connection ends the body.
    pub until_close: bool,
}

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The head is whole.
    Head(Head),
    /// Some of the body.
    Body(&'a [u8]),
    /// The body is whole.
    End,
}

/// Takes one answer apart. After a fault, or the end, it is of no more use.
#[derive(Debug)]
pub(super) struct Answer {
    state: State,
    /// A head, a chunk's line or a trailer as far as it is there.
    line: Vec<u8>,
    /// Bytes of the interim heads, or of trailers, before that.
    before: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    /// So many bytes of a body are to come.
    Length(u64),
    ChunkLine,
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    Trailers,
    UntilClose,
    /// The end is yet to be told.
    End,
    Over,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            state: State::Head,
            line: Vec::new(),
            before: 0,
        }
    }
}

impl Answer {
    /// Takes bytes from the front of `input` until there is something to tell or nothing is left.
    /// Fails with what is wrong.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>, String> {
        loop {
            if matches!(self.state, State::End) {
                self.state = State::Over;
                return Ok(Some(Part::End));
            }
            if input.is_empty() {
                return Ok(None);
            }
            match self.state {
                State::Head => {
                    if let Some(head) = self.head(input)? {
                        return Ok(Some(Part::Head(head)));
                    }
                }
                State::Length(left) => {
                    let (part, left) = cut(input, left);
                    self.state = match left {
                        0 => State::End,
                        left => State::Length(left),
                    };
                    return Ok(Some(Part::Body(part)));
                }
                State::ChunkLine => self.chunk_line(input)?,
                State::Chunk(left) => {
                    let (part, left) = cut(input, left);
                    self.state = match left {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    return Ok(Some(Part::Body(part)));
                }
                State::ChunkEnd => {
                    // So short that there can be nothing on it.
                    if self
                        .line(input, 2, "a chunk is longer than it says")?
                        .is_some()
                    {
                        self.state = State::ChunkLine;
                    }
                }
                State::Trailers => self.trailer(input)?,
                State::UntilClose => {
                    let (part, _) = cut(input, u64::MAX);
                    return Ok(Some(Part::Body(part)));
                }
                State::End | State::Over => {
                    return Err("there is more after the end of an answer".to_owned());
                }
            }
        }
    }

    /// The connection ends: whether the answer may end with it.
    pub(super) fn may_end(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Over)
    }

    /// Bytes up to a line end. A head is looked at from its start each time one is there.
    fn head(&mut self, input: &mut &[u8]) -> Result<Option<Head>, String> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, _) = cut(input, end.map_or(u64::MAX, |end| end as u64 + 1));
        if self.before + self.line.len() + part.len() > MAX_HEAD {
            let text = format!(
                "the head of the answer is longer than {} KiB",
                MAX_HEAD >> 10
            );
            return Err(text);
        }
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Ok(None);
        }
        let Some((head, body)) = parse(&self.line)? else {
            return Ok(None);
        };
        // Interim answers say nothing that matters; another one follows.
        if head.status < 200 {
            self.before += self.line.len();
            self.line.clear();
            return Ok(None);
        }
        self.line = Vec::new();
        self.before = 0;
        self.state = body;
        Ok(Some(head))
    }

    /// A line without its end, as soon as that is there.
    fn line(
        &mut self,
        input: &mut &[u8],
        longest: usize,
        fault: &str,
    ) -> Result<Option<Vec<u8>>, String> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, _) = cut(input, end.map_or(u64::MAX, |end| end as u64 + 1));
        if self.line.len() + part.len() > longest {
            return Err(fault.to_owned());
        }
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        match line.pop() {
            Some(b'\r') => Ok(Some(line)),
            _ => Err("a line between chunks does not end as it must".to_owned()),
        }
    }

    fn chunk_line(&mut self, input: &mut &[u8]) -> Result<(), String> {
        let fault = "the length of a chunk does not end";
        let Some(line) = self.line(input, MAX_CHUNK_LINE, fault)? else {
            return Ok(());
        };
        // Extensions mean nothing to us.
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let digits = digits.trim_ascii_end();
        let length = str::from_utf8(digits)
            .ok()
            .filter(|it| it.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .filter(|it| it.len() <= MAX_CHUNK_DIGITS)
            .and_then(|it| u64::from_str_radix(it, 16).ok())
            .ok_or("the length of a chunk is not a number")?;
        self.state = match length {
            0 => State::Trailers,
            length => State::Chunk(length),
        };
        Ok(())
    }

    /// Trailers mean nothing either; an empty line ends them.
    fn trailer(&mut self, input: &mut &[u8]) -> Result<(), String> {
        let left = MAX_HEAD - self.before;
        if let Some(line) = self.line(input, left, "the trailers of an answer do not end")? {
            self.before += line.len() + 2;
            if line.is_empty() {
                self.state = State::End;
            }
        }
        Ok(())
    }
}

/// At most `most` bytes of the front, and how many of `most` are left then.
fn cut<'a>(input: &mut &'a [u8], most: u64) -> (&'a [u8], u64) {
    let count = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
    let (part, rest) = input.split_at(count);
    *input = rest;
    (part, most - count as u64)
}

/// A head and how its body ends; `None` if it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Head, State)>, String> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|error| format!("the answer is not HTTP: {error}"))?;
    if parsed.is_partial() {
        return Ok(None);
    }
    let status = response.code.unwrap_or_default();
    let body = body(status, response.headers)?;
    let is_new = response.version == Some(1);
    let says = |word| has(response.headers, "connection", word);
    let until_close = matches!(body, State::UntilClose);
    let head = Head {
        status,
        is_json: values(response.headers, "content-type").any(|value| {
            let kind = value.split(|byte| *byte == b';').next();
            kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
        }),
        stays: !until_close && !says("close") && (is_new || says("keep-alive")),
        until_close,
    };
    Ok(Some((head, body)))
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let found = headers
        .iter()
        .filter(move |it| it.name.eq_ignore_ascii_case(name));
    found.map(|it| it.value)
}

/// Whether a header that is a list has this word.
fn has(headers: &[Header<'_>], name: &str, word: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|it| it.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// How the body ends (RFC 9112, section 6.3).
fn body(status: u16, headers: &[Header<'_>]) -> Result<State, String> {
    if status == 101 {
        return Err("the answer changes to another protocol".to_owned());
    }
    let mut codings = values(headers, "transfer-encoding");
    let mut lengths = values(headers, "content-length");
    let (coding, length) = (codings.next(), lengths.next());
    if codings.next().is_some()
        || lengths.next().is_some()
        || (coding.is_some() && length.is_some())
    {
        return Err("the answer says twice how long it is".to_owned());
    }
    if status < 200 || status == 204 || status == 304 {
        return Ok(State::End);
    }
    match (coding, length) {
        (Some(coding), _) if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            Ok(State::ChunkLine)
        }
        (Some(_), _) => Err("the answer has an unknown transfer encoding".to_owned()),
        (None, Some(length)) => match number(length) {
            Some(0) => Ok(State::End),
            Some(length) => Ok(State::Length(length)),
            None => Err("the length of the answer is not a number".to_owned()),
        },
        (None, None) => Ok(State::UntilClose),
    }
}

/// Digits only: no sign, as Rust would take.
fn number(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text.trim_ascii()).ok()?;
    let is_plain = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests;
