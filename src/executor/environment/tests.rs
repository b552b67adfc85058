use std::collections::BTreeMap;

use super::*;

/// As a real agent set them for a framework with checkpoint.
const REAL: [(&str, &str); 14] = [
    ("EXECVAR", "v1"),
    ("LIBPROCESS_IP", "127.0.0.1"),
    ("LIBPROCESS_PORT", "0"),
    ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
    ("MESOS_CHECKPOINT", "1"),
    ("MESOS_DIRECTORY", "/w/runs/c"),
    ("MESOS_EXECUTOR_ID", "e-normal"),
    ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
    ("MESOS_FRAMEWORK_ID", "f-0002"),
    ("MESOS_RECOVERY_TIMEOUT", "15mins"),
    ("MESOS_SANDBOX", "/w/runs/c"),
    ("MESOS_SLAVE_ID", "a-S0"),
    ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
    ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
];

fn with(changes: &[(&str, &str)]) -> Result<Configuration, Fault> {
    let mut all: BTreeMap<&str, &str> = REAL.into();
    all.extend(changes.iter().copied());
    configuration(&|name| all.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn a_real_agents_variables() {
    let found = with(&[]).unwrap();
    assert_eq!(found.identity.framework, "f-0002");
    assert_eq!(found.identity.executor, "e-normal");
    assert_eq!(found.agent.as_deref(), Some("a-S0"));
    assert_eq!(found.endpoint.address, "127.0.0.1:5051");
    assert_eq!(found.endpoint.path(), "/slave(1)/api/v1/executor");
    assert_eq!(found.endpoint.tls, None);
    assert_eq!(found.sandbox, Path::new("/w/runs/c"));
    assert!(found.checkpoint && found.token.is_none());
    let times = [
        found.recovery_timeout,
        found.backoff_max,
        found.shutdown_grace,
    ];
    assert_eq!(times.map(|it| it.as_secs()), [900, 2, 5]);
}

#[test]
fn what_may_be_absent() {
    let found = with(&[
        ("MESOS_CHECKPOINT", ""),
        ("MESOS_RECOVERY_TIMEOUT", ""),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", ""),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", ""),
        ("MESOS_SLAVE_ID", ""),
        ("MESOS_SANDBOX", ""),
        ("MESOS_AGENT_ENDPOINT", ""),
    ])
    .unwrap();
    assert_eq!(found.endpoint.address, "127.0.0.1:5051", "of the pid");
    assert!(!found.checkpoint && found.agent.is_none());
    assert_eq!(found.shutdown_grace, SHUTDOWN_GRACE);
    let found = with(&[("MESOS_SLAVE_PID", "")]).unwrap();
    assert_eq!(found.endpoint.prefix, "slave(1)");
}

#[test]
fn faults_name_the_variable_and_no_value() {
    let rows = [
        ("MESOS_FRAMEWORK_ID", ""),
        ("MESOS_EXECUTOR_ID", "../x1"),
        ("MESOS_SLAVE_ID", "x1/y"),
        ("MESOS_DIRECTORY", "x1"),
        ("MESOS_SANDBOX", "x1"),
        ("MESOS_CHECKPOINT", "x1"),
        ("MESOS_RECOVERY_TIMEOUT", "15 x1"),
        ("MESOS_SLAVE_PID", "x1"),
        ("MESOS_SLAVE_PID", "a/x1@127.0.0.1:5051"),
        ("MESOS_AGENT_ENDPOINT", "x1"),
        ("MESOS_AGENT_ENDPOINT", "x1@h:5051"),
        ("MESOS_AGENT_ENDPOINT", "x1:0"),
        ("MESOS_DOMAIN_SOCKET", "x1"),
        (TOKEN, "x1\r\nHost: evil"),
        ("LIBPROCESS_SSL_ENABLED", "x1"),
    ];
    for (name, value) in rows {
        let fault = with(&[(name, value)]).unwrap_err();
        assert_eq!(fault.kind(), Kind::Usage);
        let text = fault.to_string();
        assert!(text.starts_with(&format!("variable {name}: ")), "{text}");
        assert!(!text.contains("x1"), "{text}");
    }
    let long = format!("/{}", "s".repeat(MAX_SOCKET));
    assert!(with(&[("MESOS_DOMAIN_SOCKET", &long)]).is_err());
    assert!(with(&[("MESOS_DOMAIN_SOCKET", &long[1..])]).is_err());
    let socket = with(&[("MESOS_DOMAIN_SOCKET", "/run/agent.sock")]).unwrap();
    assert_eq!(socket.endpoint.socket, Some("/run/agent.sock".into()));
}

#[test]
fn inside_an_image_nothing_goes() {
    let fault = with(&[("MESOS_SANDBOX", "/mnt/mesos/sandbox")]).unwrap_err();
    assert!(fault.to_string().contains("inside a container image"));
    let hint = crate::error::hint(&fault.into()).unwrap();
    assert!(hint.contains("ucr.image"), "{hint}");
}

#[test]
fn a_token_is_not_shown() {
    let found = with(&[(TOKEN, "eyJhbGciOiJIUzI1NiJ9.e30.x-_")]).unwrap();
    assert!(!format!("{found:?}").contains("eyJ"));
    let token = found.token.unwrap();
    assert_eq!(*token.secret(), "eyJhbGciOiJIUzI1NiJ9.e30.x-_");
}

#[test]
fn tls() {
    let found = with(&[
        ("LIBPROCESS_SSL_ENABLED", "true"),
        ("LIBPROCESS_SSL_CA_FILE", "/ca"),
        ("SSL_CA_FILE", "/old"),
        ("SSL_VERIFY_CERT", "1"),
        ("LIBPROCESS_SSL_KEY_FILE", "/key"),
    ])
    .unwrap();
    let expected = Tls {
        verify: true,
        authorities: Some("/ca".into()),
        key: Some("/key".into()),
        ..Tls::default()
    };
    assert_eq!(found.endpoint.tls, Some(expected));
    let own = |variables: &[(&str, &str)]| {
        let on = [&[("LIBPROCESS_SSL_ENABLED", "1")], variables].concat();
        let tls = with(&on).unwrap().endpoint.tls.unwrap();
        (tls.certificate.is_some(), tls.key.is_some())
    };
    let (cert, key) = (("SSL_CERT_FILE", "/c"), ("SSL_KEY_FILE", "/k"));
    assert_eq!(own(&[cert]), (false, false), "authorities of others");
    assert_eq!(own(&[cert, key]), (true, true));
    assert_eq!(own(&[("LIBPROCESS_SSL_CERT_FILE", "/c")]), (true, false));
    let off = with(&[("LIBPROCESS_SSL_ENABLED", "0"), ("SSL_CA_FILE", "x")]).unwrap();
    assert_eq!(off.endpoint.tls, None);
}

#[test]
fn lengths_of_time() {
    let rows = [
        ("5secs", Some(5_000)),
        ("1.5mins", Some(90_000)),
        ("15mins", Some(900_000)),
        ("0ns", Some(0)),
        ("500ms", Some(500)),
        ("1weeks", Some(604_800_000)),
        ("99999999999999999999999weeks", Some(LONGEST.as_millis())),
        ("5 secs", None),
        ("-5secs", None),
        ("5", None),
        ("secs", None),
        ("5s", None),
        ("1.2.3secs", None),
        ("", None),
    ];
    for (text, expected) in rows {
        assert_eq!(duration(text).map(|it| it.as_millis()), expected, "{text}");
    }
}

#[test]
fn addresses() {
    for good in ["127.0.0.1:5051", "[::1]:5051", "agent-1.example:1"] {
        assert!(is_address(good), "{good}");
    }
    for bad in [
        "", ":1", "a:", "a", "a/b:1", "a:65536", "a:+1", "::1:5051", "[x]:1", "a b:1",
    ] {
        assert!(!is_address(bad), "{bad}");
    }
}

#[test]
fn variables_that_stay_here() {
    let rows = [
        (TOKEN, true),
        ("MESOS_DIRECTORY", true),
        ("LIBPROCESS_SSL_KEY_FILE", true),
        ("SSL_KEY_FILE", true),
        ("SSL_CERT_FILE", false),
        ("PATH", false),
        ("HTTPS_PROXY", false),
    ];
    for (name, expected) in rows {
        assert_eq!(is_private(name), expected, "{name}");
        assert_eq!(is_read(name), expected || name == "SSL_CERT_FILE", "{name}");
    }
}
