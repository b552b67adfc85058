//! The ways to an agent: its socket in the file system, TLS, names.

use std::time::Duration;

use crate::owner::{Owner, TIMES};
use crate::support::fake_agent::{FakeAgent, Options};

fn with_socket() -> FakeAgent {
    FakeAgent::with(Options {
        backoff_max: "100ms",
        has_socket: true,
        ..Options::default()
    })
}

/// Case 63: only paths that begin with the agent's prefix are let through.
#[test]
fn the_socket_is_taken_first_and_wants_the_prefix() {
    let fake = with_socket();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    owner.update("t", "TASK_RUNNING", 1);
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 1);
    let calls = fake.calls();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert!(call.over_socket);
        assert_eq!(call.request.path, "/slave(1)/api/v1/executor");
        let host = fake.address().to_string();
        assert_eq!(call.request.header("host"), Some(host.as_str()));
    }
    let mut variables = fake.environment();
    let pid = format!("slave(2)@{}", fake.address());
    variables.push(("MESOS_SLAVE_PID".to_owned(), pid));
    let mut owner = Owner::with(variables, TIMES);
    owner.until("a refusal", |it| !it.lost.is_empty());
    let why = owner.why(0);
    assert!(
        why.contains("403") && why.contains("MESOS_SLAVE_PID"),
        "{why}"
    );
}

#[test]
fn without_its_socket_the_agent_is_spoken_to_by_tcp() {
    let fake = with_socket();
    std::fs::remove_file(fake.socket_path()).unwrap();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    assert!(owner.lost.is_empty());
    assert!(!fake.calls()[0].over_socket);
}

/// Its port has changed, its socket has not.
#[test]
fn an_agent_that_is_restarted_elsewhere_is_found_by_its_socket() {
    let mut fake = with_socket();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    let before = fake.address();
    fake.stop();
    owner.run(Duration::from_millis(300));
    fake.restart_elsewhere();
    assert_ne!(fake.address(), before);
    owner.subscribed(2);
    assert!(fake.calls().iter().all(|call| call.over_socket));
}

#[test]
fn names_are_looked_up() {
    let fake = FakeAgent::start();
    let mut variables = fake.environment();
    let endpoint = format!("localhost:{}", fake.address().port());
    variables.push(("MESOS_AGENT_ENDPOINT".to_owned(), endpoint.clone()));
    // It may stand for ::1, too, where nobody listens.
    variables.push((
        "MESOS_SUBSCRIPTION_BACKOFF_MAX".to_owned(),
        "50ms".to_owned(),
    ));
    let mut owner = Owner::with(variables, TIMES);
    owner.subscribed(1);
    assert_eq!(
        fake.calls()[0].request.header("host"),
        Some(endpoint.as_str())
    );
}

fn by_tls(verify: bool, names_authority: bool) -> FakeAgent {
    FakeAgent::with(Options {
        backoff_max: "100ms",
        tls: Some(verify),
        names_authority,
        ..Options::default()
    })
}

/// With verification if it is wanted and the agent's signer is known, or without.
#[test]
fn tls() {
    for (verify, names_authority) in [(false, false), (false, true), (true, true)] {
        let fake = by_tls(verify, names_authority);
        fake.split(3);
        let mut owner = Owner::new(&fake);
        owner.subscribed(1);
        for number in 0..3 {
            owner.update("t", "TASK_RUNNING", number);
        }
        owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 3);
        assert!(owner.lost.is_empty(), "{:?}", owner.lost);
        fake.drop_stream();
        owner.subscribed(2);
        assert_eq!(owner.lost.len(), 1);
    }
}

/// More than one turn of reading, and than one record of TLS; the last byte may be anywhere.
#[test]
fn much_by_tls() {
    let fake = by_tls(false, false);
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    for (count, more) in (0..40).chain([10_000, 60_000]).enumerate() {
        let name = "x".repeat((256 << 10) - 2000 + 100 * more);
        fake.event(&serde_json::json!({"type": "LAUNCH", "launch":
            {"task": {"task_id": {"value": "t"}, "name": name}}}));
        owner.until("LAUNCH", |it| it.events.len() == count + 2);
    }
    assert!(owner.lost.is_empty());
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    let fake = by_tls(true, false);
    let mut owner = Owner::new(&fake);
    owner.until("two attempts", |it| it.lost.len() == 2);
    let why = owner.why(0);
    assert!(
        why.contains("certificate") && why.contains("LIBPROCESS_SSL_CA_FILE"),
        "{why}"
    );
    assert_eq!(
        (owner.vacant, fake.calls().len()),
        (0, 0),
        "nothing was said"
    );
}

/// The one speaks TLS and the other does not.
#[test]
fn tls_with_an_agent_that_has_none() {
    let fake = FakeAgent::with(Options {
        backoff_max: "100ms",
        ..Options::default()
    });
    fake.answer_raw(b"");
    let mut variables = fake.environment();
    variables.push(("LIBPROCESS_SSL_ENABLED".to_owned(), "1".to_owned()));
    let times = ucr::executor::agent::Times {
        connect: Duration::from_millis(300),
        ..TIMES
    };
    let mut owner = Owner::with(variables, times);
    owner.until("an attempt", |it| !it.lost.is_empty());
    assert_eq!(owner.vacant, 0);
    let fake = by_tls(false, false);
    let mut variables = fake.environment();
    variables.push(("LIBPROCESS_SSL_ENABLED".to_owned(), "0".to_owned()));
    let mut owner = Owner::with(variables, TIMES);
    owner.until("an attempt", |it| !it.lost.is_empty());
    assert!(owner.why(0).contains("not HTTP") || owner.why(0).contains("closed"));
}

#[test]
fn files_that_tls_needs_are_read_at_once() {
    let fake = FakeAgent::start();
    let rows: [&[(&str, &str)]; 3] = [
        &[
            ("LIBPROCESS_SSL_VERIFY_SERVER_CERT", "1"),
            ("LIBPROCESS_SSL_CA_FILE", "/nowhere/ca.pem"),
        ],
        &[
            ("LIBPROCESS_SSL_CERT_FILE", "/nowhere/cert.pem"),
            ("LIBPROCESS_SSL_KEY_FILE", "/nowhere/key.pem"),
        ],
        &[("LIBPROCESS_SSL_CERT_FILE", "/nowhere/cert.pem")],
    ];
    for row in rows {
        let mut variables = fake.environment();
        variables.push(("LIBPROCESS_SSL_ENABLED".to_owned(), "1".to_owned()));
        let row = row.iter();
        variables.extend(row.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        assert!(Owner::try_with(variables, TIMES).is_err());
    }
}
