//! Probes in the task's own network.

use ucr::checks::{Check, Event, Question, Scheme, State, Task, Watch};

use crate::Test;
use crate::follow::{LIMIT, events, leaving_nothing, ms, no_command, once, pace, patience, port};
use crate::server::Server;

pub const TESTS: &[Test] = &[
    ("places::inside_and_outside", inside_and_outside),
    (
        "places::another_process_with_the_number",
        another_process_with_the_number,
    ),
];

const PORT: u16 = 8080;

fn inside(question: Question) -> Check {
    Check::mesos(
        port(PORT, question),
        ms(0),
        pace(200, 2000),
        patience(60_000, 3),
    )
}

fn task(server: &Server) -> Task {
    Task {
        pid: server.child.pid().as_raw_nonzero().get(),
        start_time: None,
    }
}

fn inside_and_outside() {
    leaving_nothing(|| {
        let server = Server::elsewhere(PORT);
        let get = || Question::Get(Scheme::Http, "/moved".to_owned());
        let checks = vec![
            inside(get()),
            inside(Question::Connect),
            // Of this machine itself, where nobody listens.
            once(get(), ([127, 0, 0, 1], PORT).into(), false),
        ];
        let run = no_command;
        let mut watch = Watch::new(checks, Some(task(&server)), Box::new(&run)).unwrap();
        let all = events(&mut watch, LIMIT, |it| it.len() >= 3);
        let state = |check: usize| {
            all.iter().find_map(|event| match event {
                Event::Health { index, standing } if *index == check => Some(standing.state),
                _ => None,
            })
        };
        let healthy = Some(State::Healthy);
        assert_eq!(
            (state(0), state(1), state(2)),
            (healthy, healthy, Some(State::Unhealthy))
        );
        // This process is where it was.
        std::net::TcpStream::connect(("127.0.0.1", PORT)).expect_err("nobody listens here");
    });
}

/// Nothing is entered by number alone.
fn another_process_with_the_number() {
    leaving_nothing(|| {
        let server = Server::elsewhere(PORT);
        let stale = Task {
            start_time: Some(1),
            ..task(&server)
        };
        let run = no_command;
        let mut watch =
            Watch::new(vec![inside(Question::Connect)], Some(stale), Box::new(&run)).unwrap();
        assert_eq!(events(&mut watch, ms(500), |_| false), []);
        assert_eq!(watch.standings().next().unwrap().state, State::Unknown);
        let mut watch = Watch::new(vec![inside(Question::Connect)], None, Box::new(&run)).unwrap();
        events(&mut watch, ms(500), |_| false);
        let standing = watch.standings().next().unwrap();
        let cause = standing.cause.as_deref().unwrap();
        assert_eq!(cause, "the task has no process here");
    });
}
