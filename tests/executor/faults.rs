//! Agents that are gone, not ready, or not agents.

use std::time::{Duration, Instant};

use ucr::executor::agent::Times;

use crate::owner::{Owner, TIMES};
use crate::support::fake_agent::{FakeAgent, Options};

/// What is said of it, and how it is made.
type Fault = (&'static str, fn(&FakeAgent));

fn hasty() -> FakeAgent {
    FakeAgent::with(Options {
        backoff_max: "100ms",
        ..Options::default()
    })
}

/// Case 63: an agent that recovers, or has no routes yet, is asked again within a second.
#[test]
fn an_agent_that_is_not_ready_is_asked_again() {
    for status in [503, 404] {
        let fake = FakeAgent::with(Options {
            backoff_max: "15secs",
            ..Options::default()
        });
        fake.answer_subscribe(status, 3);
        let mut owner = Owner::new(&fake);
        owner.subscribed(1);
        let calls = fake.calls_of("SUBSCRIBE");
        let statuses: Vec<u16> = calls.iter().map(|call| call.status).collect();
        assert_eq!(statuses, [status, status, status, 200]);
        for pair in calls.windows(2) {
            let pause = pair[1].at - pair[0].at;
            assert!(pause < Duration::from_millis(1300), "{pause:?}");
        }
        assert_eq!(owner.lost.len(), 3);
        assert_eq!(
            owner.why(0),
            format!("the agent answered {status} to SUBSCRIBE: scripted {status}")
        );
    }
}

/// What ends a stream: each time it is lost once, and opened again.
#[test]
fn a_lost_stream_is_opened_again() {
    let rows: [Fault; 11] = [
        ("the agent closed the connection", FakeAgent::drop_stream),
        (
            "the agent ended the stream of events",
            FakeAgent::end_politely,
        ),
        ("an event of the agent: EOF", FakeAgent::garbage),
        (
            "the length of a record is not a number",
            FakeAgent::bad_length,
        ),
        ("a record is longer than 8 MiB", |it| {
            it.record_bytes(b"8388609\n")
        }),
        ("within an event", |it| {
            it.record_bytes(b"100\n{");
            std::thread::sleep(Duration::from_millis(100));
            it.drop_stream();
        }),
        ("the length of a chunk is not a number", |it| {
            it.raw(b"xyz\r\n")
        }),
        ("the length of a chunk is not a number", |it| {
            it.raw(b"ffffffffffffffff\r\n");
        }),
        ("the length of a chunk does not end", |it| {
            it.raw(&[b'0'; 5000]);
        }),
        ("a chunk is longer than it says", |it| {
            it.raw(b"1\r\n9999\r\n")
        }),
        ("trailers of an answer do not end", |it| {
            it.raw(b"0\r\n");
            it.raw(&[b'a'; 17 << 10]);
        }),
    ];
    for (why, fault) in rows {
        let fake = hasty();
        let mut owner = Owner::new(&fake);
        owner.subscribed(1);
        fault(&fake);
        owner.subscribed(2);
        assert_eq!(owner.lost.len(), 1, "{why}: {:?}", owner.lost);
        assert!(owner.why(0).contains(why), "{why}: {}", owner.why(0));
        assert_eq!(fake.calls_of("SUBSCRIBE").len(), 2, "{why}");
    }
}

/// What is no answer to SUBSCRIBE.
#[test]
fn answers_that_are_none() {
    let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &[b'a'; 20 << 10]].concat();
    let many = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let rows = [
        ("not HTTP", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("longer than 16 KiB", String::from_utf8(endless).unwrap()),
        ("longer than 16 KiB", many),
        (
            "another protocol",
            "HTTP/1.1 101 Switching\r\n\r\n".to_owned(),
        ),
        (
            "something else than JSON",
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
        ),
        (
            "says twice how long",
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
        ),
        (
            "unknown transfer encoding",
            format!("{head}Transfer-Encoding: gzip, chunked\r\n\r\n"),
        ),
        ("not a number", format!("{head}Content-Length: -1\r\n\r\n")),
        (
            "answered 302 to SUBSCRIBE",
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        (
            "answered 202 to SUBSCRIBE",
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        (
            "does not end",
            format!(
                "HTTP/1.1 500 X\r\nContent-Length: 999999\r\n\r\n{}",
                "y".repeat(70_000)
            ),
        ),
    ];
    for (why, bytes) in rows {
        let fake = hasty();
        fake.answer_raw(bytes.as_bytes());
        let mut owner = Owner::new(&fake);
        owner.subscribed(1);
        assert_eq!(owner.lost.len(), 1, "{why}: {:?}", owner.lost);
        assert!(owner.why(0).contains(why), "{why}: {}", owner.why(0));
    }
}

/// The words of the agent are one harmless line, and never have the token.
#[test]
fn what_the_agent_says_is_not_trusted() {
    let fake = FakeAgent::with(Options {
        token: Some("s3cr3t-token"),
        backoff_max: "100ms",
        ..Options::default()
    });
    let body = format!("no:\x1b[31m s3cr3t-token\n{}", "z".repeat(3000));
    let head = format!("HTTP/1.1 401 No\r\nContent-Length: {}\r\n\r\n", body.len());
    fake.answer_raw(format!("{head}{body}").as_bytes());
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    let why = owner.why(0);
    assert!(why.starts_with("the agent answered 401 to SUBSCRIBE: no:\\u{1b}[31m (the token)\\n"));
    assert!(!why.contains("s3cr3t") && !why.contains('\n'), "{why}");
    assert!(why.contains("MESOS_EXECUTOR_AUTHENTICATION_TOKEN"), "{why}");
    assert!(why.len() < 600, "{why}");
}

#[test]
fn a_wrong_token_is_said_so() {
    let fake = FakeAgent::with(Options {
        token: Some("right"),
        backoff_max: "100ms",
        ..Options::default()
    });
    let mut variables = fake.environment();
    variables.push((
        "MESOS_EXECUTOR_AUTHENTICATION_TOKEN".to_owned(),
        "wr0ng".to_owned(),
    ));
    let mut owner = Owner::with(variables, TIMES);
    owner.until("three attempts", |it| it.lost.len() == 3);
    let why = owner.why(0);
    assert!(
        why.contains("401") && why.contains("--jwt_secret_key") && !why.contains("wr0ng"),
        "{why}"
    );
}

/// A restarted agent is found again, and the attempts in between are not many.
#[test]
fn an_agent_that_is_restarted_on_its_port() {
    let mut fake = FakeAgent::with(Options {
        backoff_max: "200ms",
        ..Options::default()
    });
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    owner.update("t", "TASK_RUNNING", 1);
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 1);
    fake.stop();
    owner.run(Duration::from_secs(1));
    let attempts = owner.lost.len();
    assert!((3..=100).contains(&attempts), "{attempts}");
    let address = fake.address().to_string();
    for (why, _) in &owner.lost[1..] {
        assert!(why.starts_with(&format!("connect to {address}: ")), "{why}");
    }
    fake.restart();
    owner.subscribed(2);
    owner.update("t", "TASK_FINISHED", 2);
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 2);
    assert_eq!(fake.states("t"), ["TASK_RUNNING", "TASK_FINISHED"]);
}

/// The pause after a loss is at most what the agent says.
#[test]
fn the_pause_after_a_loss_is_bounded_and_differs() {
    let fake = FakeAgent::with(Options {
        backoff_max: "300ms",
        ..Options::default()
    });
    let mut owner = Owner::new(&fake);
    let mut pauses = Vec::new();
    for round in 1..=8 {
        owner.subscribed(round);
        fake.drop_stream();
        owner.until("the loss", |it| it.lost.len() == round);
        let lost = owner.lost[round - 1].1;
        pauses.push(owner.agent.deadline().unwrap() - lost);
    }
    assert!(pauses.iter().all(|it| *it <= Duration::from_millis(300)));
    let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    assert!(
        *longest - *shortest > Duration::from_millis(10),
        "{pauses:?}"
    );
}

/// Whatever is lost, both connections are, and calls that were not answered.
#[test]
fn a_lost_call_loses_the_stream() {
    let rows: [Fault; 4] = [
        ("answered 503 to UPDATE: scripted 503", |it| {
            it.answer_update(503, 1)
        }),
        ("the agent does not know that we are subscribed", |it| {
            it.answer_update(403, 1);
        }),
        ("not HTTP", |it| it.answer_raw(b"\x15\x03\x01\r\n")),
        ("did not answer UPDATE in 300ms", |it| it.hang(1)),
    ];
    for (why, fault) in rows {
        let fake = hasty();
        let times = Times {
            answer: Duration::from_millis(300),
            ..TIMES
        };
        let mut owner = Owner::with(fake.environment(), times);
        owner.subscribed(1);
        fault(&fake);
        owner.update("t", "TASK_RUNNING", 1);
        owner.update("t", "TASK_FINISHED", 2);
        owner.subscribed(2);
        assert_eq!(owner.lost.len(), 1, "{why}: {:?}", owner.lost);
        assert!(owner.why(0).contains(why), "{why}: {}", owner.why(0));
        assert!(!owner.agent.has_unsent());
        assert_eq!(fake.calls_of("UPDATE").len(), 1, "{why}");
        fake.wait_until("one connection is left", |it| it.count_connections() == 1);
    }
}

/// Whether the agent has the update, nobody knows: SUBSCRIBE brings it again.
#[test]
fn a_connection_that_is_closed_instead_of_an_answer() {
    let fake = hasty();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    fake.hang(1);
    owner.update("t", "TASK_RUNNING", 1);
    owner.until("UPDATE", |_| !fake.calls_of("UPDATE").is_empty());
    fake.drop_calls();
    owner.subscribed(2);
    assert_eq!(owner.why(0), "the agent closed the connection after UPDATE");
    assert!(!owner.agent.has_unsent());
}

#[test]
fn what_never_answers_is_left() {
    let times = Times {
        connect: Duration::from_millis(300),
        answer: Duration::from_millis(300),
        ..TIMES
    };
    let fake = hasty();
    fake.hang(1);
    fake.accept_and_close(1);
    let begin = Instant::now();
    let mut owner = Owner::with(fake.environment(), times);
    owner.subscribed(1);
    let reasons: Vec<&str> = owner.lost.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("closed the connection"), "{reasons:?}");
    assert_eq!(reasons[1], "the agent did not answer SUBSCRIBE in 300ms");
    assert!(begin.elapsed() >= Duration::from_millis(300));
    // A silent stream is none of that.
    owner.run(Duration::from_secs(1));
    assert_eq!(owner.lost.len(), 2);
}
