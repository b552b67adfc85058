//! What answers mean.

use std::net::{SocketAddr, TcpListener};

use ucr::checks::{Check, Event, Question, Report, Scheme, State, Watch};

use crate::Test;
use crate::follow::{
    LIMIT, events, first_results, leaving_nothing, ms, no_command, once, pace, port,
};
use crate::server::Server;

pub const TESTS: &[Test] = &[
    ("http::answers", answers),
    ("http::interim_answers", interim_answers),
    (
        "http::redirects_are_followed_by_mesos",
        redirects_are_followed_by_mesos,
    ),
    ("http::over_tls", over_tls),
    ("http::tcp", tcp),
];

fn get(path: &str) -> Question {
    Question::Get(Scheme::Http, path.to_owned())
}

fn outcomes(server: SocketAddr, rows: &[(&str, bool, Option<&str>)]) {
    let checks = rows
        .iter()
        .map(|(path, ignores, _)| once(get(path), server, *ignores));
    let count = rows.iter().filter(|row| row.2.is_some()).count();
    let results = first_results(checks.collect(), count);
    for ((path, _, expected), found) in rows.iter().zip(results) {
        let found = found.as_ref().map(|(state, cause)| match state {
            State::Healthy => "healthy",
            _ => cause.as_deref().unwrap_or("unknown"),
        });
        let is_it = match (found, expected) {
            (Some(found), Some(expected)) => found.contains(expected),
            (found, expected) => found == *expected,
        };
        assert!(is_it, "{path}: {found:?}, not {expected:?}");
        assert!(found.is_none_or(|it| !it.contains('\u{1b}')), "{found:?}");
    }
}

fn answers() {
    leaving_nothing(|| {
        let server = Server::start();
        outcomes(
            server.address,
            &[
                ("/ok", false, Some("healthy")),
                ("/a b?c=d", false, Some("healthy")),
                ("/host", false, Some("healthy")),
                ("/lf", false, Some("healthy")),
                ("/body", false, Some("healthy")),
                ("/399", false, Some("healthy")),
                ("/moved", false, Some("healthy")),
                ("/moved-to-503", false, Some("healthy")),
                ("/400", false, Some("HTTP status 400")),
                ("/503", false, Some("HTTP status 503")),
                ("/red", false, Some("the answer is not HTTP")),
                (
                    "/closed",
                    false,
                    Some("no answer: the connection was closed"),
                ),
                ("/garbage", false, Some("the answer is not HTTP")),
                ("/many", false, Some("the answer is not HTTP")),
                ("/endless", false, Some("longer than 64 KiB")),
                ("/endless-interim", false, Some("longer than 64 KiB")),
                ("/hang", false, Some("no result within 3s")),
            ],
        );
    });
}

fn interim_answers() {
    leaving_nothing(|| {
        let server = Server::start();
        outcomes(
            server.address,
            &[
                ("/early", false, Some("healthy")),
                ("/early", true, Some("healthy")),
                ("/only", false, Some("HTTP status 100")),
                ("/only", true, None),
                ("/switch", false, Some("HTTP status 101")),
                ("/switch", true, None),
                ("/interim-hang", false, Some("no result within 3s")),
                ("/interim-hang", true, None),
                ("/hang", true, Some("no result within 3s")),
                ("/503", true, Some("HTTP status 503")),
            ],
        );
    });
}

fn redirects_are_followed_by_mesos() {
    leaving_nothing(|| {
        let server = Server::start();
        let rows = [
            ("/moved", Some(200)),
            ("/moved-to-503", Some(503)),
            ("/nowhere", Some(302)),
            ("/ok", Some(200)),
            ("/loop", None),
            ("/away", None),
            ("/hang", None),
        ];
        let own = std::process::id();
        let task = ucr::checks::Task {
            pid: i32::try_from(own).unwrap(),
            start_time: None,
        };
        let checks = rows.iter().map(|(path, _)| {
            let subject = port(server.address.port(), get(path));
            Check::report(subject, ms(0), pace(60_000, 3000))
        });
        let run = no_command;
        let mut watch = Watch::new(checks.collect(), Some(task), Box::new(&run)).unwrap();
        let mut found = vec![None; rows.len()];
        let mut all = events(&mut watch, LIMIT, |it| it.len() == 4);
        all.extend(events(&mut watch, ms(300), |_| false));
        for event in all {
            match event {
                Event::Checked {
                    index,
                    report: Report::Http(status),
                } => found[index] = status,
                other => panic!("{other:?}"),
            }
        }
        let expected: Vec<_> = rows.iter().map(|(_, status)| *status).collect();
        assert_eq!(found, expected);
    });
}

fn over_tls() {
    leaving_nothing(|| {
        let (tls, clear) = (Server::over_tls(), Server::start());
        let https = |path: &str| Question::Get(Scheme::Https, path.to_owned());
        let results = first_results(
            vec![
                once(https("/ok"), tls.address, false),
                once(https("/503"), tls.address, false),
                once(https("/closed"), tls.address, false),
                once(https("/ok"), clear.address, false),
                once(get("/ok"), tls.address, false),
            ],
            5,
        );
        let results: Vec<_> = results
            .into_iter()
            .map(|it| it.expect("a result"))
            .collect();
        assert_eq!(results[0], (State::Healthy, None));
        let causes: Vec<_> = results[1..]
            .iter()
            .map(|it| it.1.as_deref().unwrap())
            .collect();
        assert_eq!(causes[0], "HTTP status 503");
        assert!(causes[1].contains("no answer"), "{causes:?}");
        assert!(
            results[1..].iter().all(|it| it.0 == State::Unhealthy),
            "{results:?}"
        );
    });
}

fn tcp() {
    leaving_nothing(|| {
        let server = Server::start();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let mut results = first_results(
            vec![
                once(Question::Connect, server.address, false),
                once(Question::Connect, address, false),
            ],
            2,
        );
        drop(silent);
        results.extend(first_results(
            vec![once(Question::Connect, address, false)],
            1,
        ));
        let refused = format!("connect to {address}: Connection refused (os error 111)");
        let expected = [
            Some((State::Healthy, None)),
            Some((State::Healthy, None)),
            Some((State::Unhealthy, Some(refused))),
        ];
        assert_eq!(results, expected);
    });
}
