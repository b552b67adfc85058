use super::*;

/// Status, body, whether it ended, whether another request may follow.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: u16,
    body: Vec<u8>,
    is_whole: bool,
    stays: bool,
}

fn read(pieces: &[&[u8]]) -> Result<Whole, String> {
    let mut answer = Answer::default();
    let mut whole = Whole {
        status: 0,
        body: Vec::new(),
        is_whole: false,
        stays: false,
    };
    for piece in pieces {
        let mut input = *piece;
        while let Some(part) = answer.next(&mut input)? {
            match part {
                Part::Head(head) => (whole.status, whole.stays) = (head.status, head.stays),
                Part::Body(bytes) => whole.body.extend_from_slice(bytes),
                Part::End => whole.is_whole = true,
            }
        }
        assert!(input.is_empty());
    }
    Ok(whole)
}

/// In two pieces, cut at every place, and byte by byte: always the same.
fn read_cut(bytes: &[u8]) -> Result<Whole, String> {
    let whole = read(&[bytes]);
    for cut in 0..=bytes.len() {
        assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), whole, "{cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single), whole);
    whole
}

#[test]
fn requests() {
    let target = Target {
        path: "/slave(1)/api/v1/executor".to_owned(),
        host: "127.0.0.1:5051".to_owned(),
    };
    let head = target.head(Some("e.f.g"), 204);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        str::from_utf8(&head).unwrap(),
        format!(
            "POST /slave(1)/api/v1/executor HTTP/1.1\r\nHost: 127.0.0.1:5051\r\n\
             Content-Type: application/json\r\nAccept: application/json\r\n\
             User-Agent: ucr/{version}\r\nAuthorization: Bearer e.f.g\r\n\
             Content-Length: 204\r\n\r\n"
        )
    );
    // The secret was never moved.
    assert_eq!(head.len(), head.capacity());
    let head = target.head(None, 0);
    assert!(!str::from_utf8(&head).unwrap().contains("Authorization"));
}

/// As a real agent wrote them, and what else may come.
#[test]
fn answers_cut_anywhere() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let row = |text: &str, status, body: &str, is_whole, stays| {
        let expected = Whole {
            status,
            body: body.as_bytes().to_vec(),
            is_whole,
            stays,
        };
        (text.to_owned(), expected)
    };
    let rows = [
        row(
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
            202,
            "",
            true,
            true,
        ),
        row(
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\nConnection: Close\r\n\r\noops",
            400,
            "oops",
            true,
            false,
        ),
        row(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nA: b\r\n\r\n\
             HTTP/1.1 204 No\r\n\r\n",
            204,
            "",
            true,
            true,
        ),
        row("HTTP/1.1 200 OK\r\n\r\nabc", 200, "abc", false, false),
        row(
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
            200,
            "ab",
            true,
            false,
        ),
        row(
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: x, keep-alive\r\n\r\nab",
            200,
            "ab",
            true,
            true,
        ),
        row(
            &format!("{chunked}4\r\n1\n{{}}\r\n"),
            200,
            "1\n{}",
            false,
            true,
        ),
        row(
            &format!("{chunked}000a;x=\"y;z\" \r\n0123456789\r\n1 \r\n-\r\n0\r\n\r\n"),
            200,
            "0123456789-",
            true,
            true,
        ),
        row(
            &format!("{chunked}0;last\r\nDate: now\r\nX: y\r\n\r\n"),
            200,
            "",
            true,
            true,
        ),
        row("HTTP/1.1 200 OK\r\nA: b", 0, "", false, false),
    ];
    for (text, expected) in rows {
        assert_eq!(read_cut(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = [
        ("SSH-2.0\r\n".to_owned(), "not HTTP"),
        ("HTTP/9.9 200 OK\r\n\r\n".to_owned(), "not HTTP"),
        (format!("{head}A b\r\n\r\n"), "not HTTP"),
        (format!("{head}{}\r\n", "A: b\r\n".repeat(65)), "not HTTP"),
        (format!("{head}A: {}", "x".repeat(MAX_HEAD)), "longer than"),
        ("HTTP/1.1 100 C\r\n\r\n".repeat(1000), "longer than"),
        ("\r\n".repeat(MAX_HEAD), "longer than"),
        ("HTTP/1.1 101 S\r\n\r\n".to_owned(), "another protocol"),
        (format!("{head}Content-Length: +1\r\n\r\n"), "not a number"),
        (
            format!("{head}Content-Length: 18446744073709551616\r\n\r\n"),
            "not a number",
        ),
        (
            format!("{head}Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            "says twice",
        ),
        (
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"),
            "says twice",
        ),
        (
            format!("{head}Transfer-Encoding: gzip\r\n\r\n"),
            "unknown transfer encoding",
        ),
        (format!("{chunked}\r\n"), "not a number"),
        (format!("{chunked}-1\r\n"), "not a number"),
        (format!("{chunked}0x1\r\n"), "not a number"),
        (format!("{chunked}1_0\r\n"), "not a number"),
        (format!("{chunked}ffffffffffffffff\r\n"), "not a number"),
        (format!("{chunked}1\n"), "does not end as it must"),
        (format!("{chunked}{}", "0".repeat(5000)), "does not end"),
        (format!("{chunked}1\r\nab\r\n"), "longer than it says"),
        (format!("{chunked}1\r\na\n"), "does not end as it must"),
        (
            format!("{chunked}0\r\n{}", "A: b\r\n".repeat(4000)),
            "trailers",
        ),
        (format!("{chunked}0\r\n\r\nx"), "after the end"),
        (
            format!("{head}Content-Length: 0\r\n\r\nHTTP/1.1 202 A\r\n"),
            "after the end",
        ),
    ];
    for (text, why) in rows {
        let start: String = text.chars().take(70).collect();
        let fault = read(&[text.as_bytes()]).unwrap_err();
        assert!(fault.contains(why), "{start}: {fault}");
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert!(read(&single).unwrap_err().contains(why), "{start}");
    }
}

/// 2^60 - 1 bytes are a chunk, but no memory.
#[test]
fn an_announced_length_is_no_memory() {
    let mut answer = Answer::default();
    let mut input: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nab";
    assert!(matches!(answer.next(&mut input), Ok(Some(Part::Head(_)))));
    assert_eq!(answer.next(&mut input), Ok(Some(Part::Body(b"ab"))));
    assert_eq!(answer.next(&mut input), Ok(None));
    assert!(answer.line.capacity() < 64);
    assert!(!answer.may_end());
}

/// Any bytes: no panic, and the same however they are cut.
#[test]
fn garbage() {
    let seeds: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n2\n{}3\r\n1\r\n\n\r\n0\r\n\r\n",
        b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 400 B\r\nContent-Length: 12\r\n\r\nHello, world",
        b"HTTP/1.0 503 S\r\nConnection: keep-alive\r\nContent-Type: application/json; x\r\n\r\n{}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or_default() % below
    };
    for round in 0..30_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap_or_default(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\r\n0:; aF\xff"[next(9)]),
            }
        }
        let cut = next(bytes.len() + 1);
        let pieces = [&bytes[..cut], &bytes[cut..]];
        assert_eq!(read(&pieces).ok(), read(&[&bytes]).ok(), "{bytes:?}");
    }
}
