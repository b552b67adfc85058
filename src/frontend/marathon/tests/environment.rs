//! Ports and variables of an app that is run: P1 to P18 of reference/marathon.md, section 2.3, and
//! section 1.16. Ports are handed out from 31005 on.

use super::super::environment::{Task, environment};
use super::super::ports::tests::Fake;
use super::super::ports::{Assigned, Offer, Ranges, assign, wanted};
use super::*;

pub(super) fn task() -> Task {
    Task {
        id: "t.instance-1._app.1".into(),
        container_name: "t.1".into(),
        host_name: "here".into(),
        version: "2020-05-06T07:08:09.010Z".into(),
    }
}

/// An app with its ports.
pub(super) fn assigned(text: &str, settings: &Settings) -> (App, Vec<Assigned>) {
    let app = accepted(text, settings);
    let offer = Offer {
        ports: Ranges::default(),
        is_said: false,
        services: Ranges::of_services(),
    };
    let ports = assign(&wanted(&app), &offer, &mut Fake::default()).unwrap();
    (app, ports)
}

fn variables(to: Base, says: &str) -> Vec<String> {
    let (app, ports) = assigned(&document(to, says), &Settings::default());
    environment(&app, &task(), &ports)
}

/// Case, base, what is merged into it, `DECLARED:HOST:SERVICE` of each port, and its variables
/// without `PORT`.
type PortRow = (&'static str, Base, &'static str, &'static str, &'static str);

const ROWS: &[PortRow] = &[
    (
        "P1",
        BMNet,
        r#"{"container":{"portMappings":[
            {"containerPort":8080,"hostPort":0,"servicePort":9000},
            {"containerPort":161,"hostPort":0,"protocol":"udp"}]}}"#,
        "8080:31005:9000 161:31006:10000",
        "=31005 0=31005 _8080=31005 1=31006 _161=31006 S=31005,31006",
    ),
    (
        "P2",
        BMNet,
        r#"{"container":{"portMappings":[{}]}}"#,
        "0:31005:10000",
        "=31005 0=31005 _31005=31005 S=31005",
    ),
    (
        "P3",
        BMNet,
        r#"{"container":{"portMappings":[{"containerPort":80}]}}"#,
        "80:31005:10000",
        "=31005 0=31005 _80=31005 S=31005",
    ),
    (
        "P4",
        BMNet,
        r#"{"container":{"portMappings":[{"containerPort":80,"hostPort":8080}]}}"#,
        "80:8080:10000",
        "=8080 0=8080 _80=8080 S=8080",
    ),
    (
        "P5",
        BM,
        r#"{"networks":[{"name":"n1"}],
            "container":{"portMappings":[{"containerPort":5432,"name":"db"}]}}"#,
        "5432:-:10000",
        "0=5432 _5432=5432 _DB=5432 S=",
    ),
    (
        "P6",
        BM,
        r#"{"networks":[{"name":"n1"}],"container":{"portMappings":[{"containerPort":0}]}}"#,
        "0:-:10000",
        "=1030 0=1030 _1030=1030 S=1030",
    ),
    (
        "P7",
        BM,
        r#"{"networks":[{"name":"n1"}],
            "container":{"portMappings":[{"containerPort":5000},{"containerPort":6000,"hostPort":0}]}}"#,
        "5000:-:10000 6000:31005:10001",
        "=31005 0=5000 _5000=5000 1=31005 _6000=31005 S=31005",
    ),
    (
        "P8",
        B0,
        "{}",
        "0:31005:10000",
        "=31005 0=31005 _31005=31005 _DEFAULT=31005 S=31005",
    ),
    (
        "P9",
        B0,
        r#"{"portDefinitions":[{"port":8080,"name":"http"},{"port":8081}]}"#,
        "8080:31005:8080 8081:31006:8081",
        "=31005 0=31005 _8080=31005 _31005=31005 _HTTP=31005 1=31006 _8081=31006 _31006=31006 \
         S=31005,31006",
    ),
    (
        "P10",
        B0,
        r#"{"portDefinitions":[{"port":8080,"name":"http"},{"port":8081}],"requirePorts":true}"#,
        "8080:8080:8080 8081:8081:8081",
        "=8080 0=8080 _8080=8080 _HTTP=8080 1=8081 _8081=8081 S=8080,8081",
    ),
    ("P11", B0, r#"{"portDefinitions":[]}"#, "", ""),
    (
        "P12",
        B0,
        r#"{"ports":[0,0,0]}"#,
        "0:31005:10000 0:31006:10001 0:31007:10002",
        "=31005 0=31005 _31005=31005 1=31006 _31006=31006 2=31007 _31007=31007 \
         S=31005,31006,31007",
    ),
    (
        "P13",
        BMNet,
        r#"{"container":{"portMappings":[{"containerPort":53,"hostPort":5353,"protocol":"udp,tcp"}]}}"#,
        "53:5353:10000",
        "=5353 0=5353 _53=5353 S=5353",
    ),
    (
        "P14",
        BMNet,
        r#"{"container":{"portMappings":[{"containerPort":80,"hostPort":31005},
            {"containerPort":81,"hostPort":0}]}}"#,
        "80:31005:10000 81:31006:10001",
        "=31005 0=31005 _80=31005 1=31006 _81=31006 S=31005,31006",
    ),
    (
        "P15",
        B0,
        r#"{"env":{"PORT0":"7"}}"#,
        "0:31005:10000",
        "=31005 0=7 _31005=31005 _DEFAULT=31005 S=31005",
    ),
    (
        "P16",
        BM,
        r#"{"container":{"portMappings":[{"containerPort":80,"hostPort":0}]}}"#,
        "0:31005:10000",
        "=31005 0=31005 _31005=31005 _DEFAULT=31005 S=31005",
    ),
    (
        "P17",
        BMNet,
        "{}",
        "0:31005:10000",
        "=31005 0=31005 _31005=31005 _DEFAULT=31005 S=31005",
    ),
    ("P18", BMNet, r#"{"container":{"portMappings":[]}}"#, "", ""),
];

#[test]
fn ports() {
    for (case, base, says, numbers, expected) in ROWS {
        let (app, ports) = assigned(&document(*base, says), &Settings::default());
        let number = |it: &Assigned| {
            let host = it.host.map_or("-".to_owned(), |port| port.to_string());
            format!("{}:{host}:{}", it.declared, it.service)
        };
        let found: Vec<String> = ports.iter().map(number).collect();
        assert_eq!(found.join(" "), *numbers, "{case}");
        let all = environment(&app, &task(), &ports);
        let mut found: Vec<&str> = all
            .iter()
            .filter_map(|it| it.strip_prefix("PORT"))
            .collect();
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{case}");
    }
}

/// C48: no shell reads the first.
#[test]
fn names_of_ports_with_a_hyphen() {
    let all = variables(
        B0,
        r#"{"portDefinitions":[{"port":8080,"name":"http-api"}]}"#,
    );
    for name in ["PORT_HTTP-API=31005", "PORT_HTTP_API=31005"] {
        assert!(all.iter().any(|it| it == name), "{name}: {all:?}");
    }
}

#[test]
fn of_the_task() {
    let says = r#"{"cpus":0.2,"mem":16,"labels":{"my-key":"v","a..b":"w"},"portDefinitions":[]}"#;
    let expected = [
        "MESOS_TASK_ID=t.instance-1._app.1",
        "MARATHON_APP_ID=/t",
        "MARATHON_APP_VERSION=2020-05-06T07:08:09.010Z",
        "MARATHON_APP_RESOURCE_CPUS=0.2",
        "MARATHON_APP_RESOURCE_MEM=16.0",
        "MARATHON_APP_RESOURCE_DISK=0.0",
        "MARATHON_APP_RESOURCE_GPUS=0",
        "MARATHON_APP_LABELS=A_B MY_KEY",
        "MARATHON_APP_LABEL_A_B=w",
        "MARATHON_APP_LABEL_MY_KEY=v",
        "HOST=here",
    ];
    assert_eq!(variables(B0, says), expected);
    let none = variables(BM, "{}");
    for line in ["MARATHON_APP_LABELS=", "MARATHON_APP_DOCKER_IMAGE=i"] {
        assert!(none.iter().any(|it| it == line), "{line}: {none:?}");
    }
    let is_name = |it: &String| it.starts_with("MESOS_CONTAINER_NAME=");
    assert!(!none.iter().any(is_name));
    assert!(variables(BD, "{}").contains(&"MESOS_CONTAINER_NAME=t.1".to_owned()));
}

/// What is too long is left out, as Marathon does; its own variables win; secrets have no value.
#[test]
fn what_is_left_out_and_what_wins() {
    let long = "x".repeat(512);
    let says = json!({
        "labels": { "ok": "v", "long": long, "k".repeat(493): "v" },
        "env": { "HOST": "mine", "A": { "secret": "s" }, "MARATHON_APP_ID": "/mine" },
        "secrets": { "s": { "source": "s" } },
    });
    let all = variables(B0, &says.to_string());
    let with = |name: &str| {
        let start = format!("{name}=");
        let mut found = all.iter().filter(|it| it.starts_with(&start));
        (found.next().cloned(), found.count())
    };
    let one = |text: &str| (Some(text.to_owned()), 0);
    assert_eq!(with("MARATHON_APP_LABELS"), one("MARATHON_APP_LABELS=OK"));
    assert_eq!(with("HOST"), one("HOST=mine"));
    assert_eq!(with("MARATHON_APP_ID"), one("MARATHON_APP_ID=/mine"));
    assert_eq!(with("A"), (None, 0));
}
