//! `container`, its image and its isolation.

use super::*;

pub const ROWS: &[Row] = &[
    (
        "C11",
        Bare,
        r#"{"id":"/t","container":{}}"#,
        "E:docker-required@/container/docker",
    ),
    (
        "1.2",
        Bare,
        r#"{"id":"/t","cmd":"x","container":7}"#,
        "E:type@/container",
    ),
    (
        "1.2",
        Bare,
        r#"{"id":"/t","container":{"type":"MESOS","docker":7}}"#,
        "E:type@/container/docker",
    ),
    ("C12", BM, r#"{"container":{"type":"mesos"}}"#, ""),
    (
        "C12",
        BM,
        r#"{"container":{"type":"RKT"}}"#,
        "E:container-type@/container/type",
    ),
    (
        "R22",
        BM,
        r#"{"container":{"type":null,"docker":{"privileged":true}}}"#,
        "",
    ),
    (
        "R04",
        BM,
        r#"{"container":{"appc":{"image":"x"}}}"#,
        "E:appc@/container/appc",
    ),
    // Image
    (
        "C19",
        BM,
        r#"{"container":{"docker":{"privileged":true}}}"#,
        "E:privileged-ucr@/container/docker/privileged",
    ),
    (
        "C19",
        BM,
        r#"{"container":{"docker":{"privileged":false}}}"#,
        "",
    ),
    (
        "C19",
        BD,
        r#"{"container":{"docker":{"privileged":true}}}"#,
        "",
    ),
    (
        "C20",
        BM,
        r#"{"container":{"docker":{"parameters":[]}}}"#,
        "",
    ),
    (
        "C20",
        BM,
        r#"{"container":{"docker":{"parameters":[{"key":"a","value":"b"}]}}}"#,
        "E:parameters-ucr@/container/docker/parameters",
    ),
    (
        "R47",
        BM,
        r#"{"container":{"docker":{"privileged":true,"parameters":[{"key":"a","value":"b"}]}}}"#,
        "E:privileged-ucr@/container/docker/privileged E:parameters-ucr@/container/docker/parameters",
    ),
    (
        "C21",
        BD,
        r#"{"container":{"docker":{"parameters":[{"key":"hostname","value":"h1"},{"key":"env","value":"A=b c"}]}}}"#,
        "",
    ),
    (
        "C23",
        BD,
        r#"{"container":{"docker":{"parameters":[{"key":"","value":"x"}]}}}"#,
        "E:parameter-key@/container/docker/parameters(0)/key",
    ),
    (
        "C23",
        BD,
        r#"{"container":{"docker":{"parameters":[{"key":"rm"}]}}}"#,
        "E:type@/container/docker/parameters(0)/value",
    ),
    (
        "C23",
        BD,
        r#"{"container":{"docker":{"parameters":[{"value":"x"},"rm"]}}}"#,
        "E:parameter-key@/container/docker/parameters(0)/key E:type@/container/docker/parameters(1)",
    ),
    (
        "C24",
        BD,
        r#"{"container":{"docker":{"image":""}}}"#,
        "E:image-empty@/container/docker/image",
    ),
    (
        "C24",
        BM,
        r#"{"container":{"docker":{"image":null}}}"#,
        "E:image-empty@/container/docker/image",
    ),
    (
        "1.3",
        BM,
        r#"{"container":{"docker":{"image":"Not/A:Name:x"}}}"#,
        "E:image-ref@/container/docker/image",
    ),
    (
        "1.3",
        BM,
        r#"{"container":{"docker":{"image":"h:5000/a/b:1"}}}"#,
        "",
    ),
    (
        "C25",
        BD,
        r#"{"container":{"docker":{"pullConfig":{"secret":"s"}}},"secrets":{"s":{"source":"x"}}}"#,
        "E:pullconfig-docker@/container/docker/pullConfig",
    ),
    (
        "C25",
        BM,
        r#"{"container":{"docker":{"pullConfig":{"secret":"s"}}}}"#,
        "E:pullconfig-undefined@/container/docker/pullConfig",
    ),
    (
        "C25",
        BM,
        r#"{"container":{"docker":{"pullConfig":{"secret":"s"}}},"secrets":{"s":{"source":"x"}}}"#,
        "",
    ),
    (
        "4.1",
        BM,
        r#"{"container":{"docker":{"pullConfig":"s"}}}"#,
        "E:type@/container/docker/pullConfig",
    ),
    (
        "C26",
        BM,
        r#"{"container":{"docker":{"credential":{"principal":"u","secret":"p"}}}}"#,
        "W:credential-deprecated@/container/docker/credential",
    ),
    (
        "C26",
        BM,
        r#"{"container":{"docker":{"credential":{"principal":"u"}}}}"#,
        "W:credential-deprecated@/container/docker/credential",
    ),
    (
        "C26",
        BD,
        r#"{"container":{"docker":{"credential":{"principal":"u"}}}}"#,
        "E:credential-docker@/container/docker/credential",
    ),
    (
        "1.3",
        BM,
        r#"{"container":{"docker":{"credential":{"principal":"u"},"pullConfig":{"secret":"s"}}},"secrets":{"s":{"source":"x"}}}"#,
        "E:credential-and-pullconfig@/container/docker/credential",
    ),
    (
        "1.3",
        BM,
        r#"{"container":{"docker":{"credential":{"secret":"x"}}}}"#,
        "W:credential-deprecated@/container/docker/credential E:type@/container/docker/credential/principal",
    ),
    (
        "C27",
        BM,
        r#"{"container":{"docker":{"network":"HOST"}}}"#,
        "E:network-ucr@/container/docker/network",
    ),
    (
        "C27",
        BD,
        r#"{"container":{"docker":{"network":"HOST"}}}"#,
        "",
    ),
    (
        "1.3",
        BM,
        r#"{"container":{"docker":{"portMappings":[{}]}}}"#,
        "E:docker-portmappings-ucr@/container/docker/portMappings",
    ),
    (
        "1.3",
        BM,
        r#"{"container":{"docker":{"portMappings":[]}}}"#,
        "",
    ),
    // Isolation
    (
        "C32",
        BM,
        r#"{"container":{"linuxInfo":{"seccomp":{}}}}"#,
        "E:seccomp-combination@/container/linuxInfo/seccomp",
    ),
    (
        "C32",
        BM,
        r#"{"container":{"linuxInfo":{"seccomp":{"unconfined":true}}}}"#,
        "",
    ),
    (
        "C32",
        BM,
        r#"{"container":{"linuxInfo":{"seccomp":{"profileName":"p.json","unconfined":true}}}}"#,
        "E:seccomp-combination@/container/linuxInfo/seccomp",
    ),
    (
        "C32",
        BM,
        r#"{"container":{"linuxInfo":{"seccomp":{"profileName":"p.json"}}}}"#,
        "",
    ),
    (
        "C33",
        BM,
        r#"{"container":{"linuxInfo":{"ipcInfo":{"mode":"SHARE_PARENT","shmSize":64}}}}"#,
        "E:shm-share@/container/linuxInfo/ipcInfo/shmSize",
    ),
    (
        "C33",
        BM,
        r#"{"container":{"linuxInfo":{"ipcInfo":{"mode":"private","shmSize":64}}}}"#,
        "",
    ),
    (
        "1.6",
        BM,
        r#"{"container":{"linuxInfo":{"ipcInfo":{}}}}"#,
        "E:type@/container/linuxInfo/ipcInfo/mode",
    ),
    (
        "1.6",
        BD,
        r#"{"container":{"linuxInfo":{"ipcInfo":{"mode":"PRIVATE"}}}}"#,
        "E:linuxinfo-docker@/container/linuxInfo",
    ),
    ("C34", BD, r#"{"gpus":1}"#, "E:gpu-docker@/gpus"),
    ("C34", BM, r#"{"gpus":1}"#, ""),
];

/// With --allow-privileged and --allow-parameters.
pub const PERMISSIVE: &[Row] = &[
    (
        "C19",
        BM,
        r#"{"container":{"docker":{"privileged":true}}}"#,
        "",
    ),
    (
        "C20",
        BM,
        r#"{"container":{"docker":{"parameters":[{"key":"a","value":"b"}]}}}"#,
        "",
    ),
    (
        "C23",
        BM,
        r#"{"container":{"docker":{"parameters":[{"key":"a"}]}}}"#,
        "E:type@/container/docker/parameters(0)/value",
    ),
];

/// With --override-runtime.
pub const AS_DOCKER: &[Row] = &[
    ("R02", BM, r#"{"gpus":1}"#, "E:gpu-docker@/gpus"),
    (
        "R02",
        BM,
        r#"{"container":{"docker":{"privileged":true}}}"#,
        "",
    ),
    ("R02", B0, "{}", "E:docker-required@/container/docker"),
];
pub const AS_MESOS: &[Row] = &[
    (
        "R02",
        BD,
        r#"{"container":{"docker":{"privileged":true}}}"#,
        "E:privileged-ucr@/container/docker/privileged",
    ),
    ("R02", BD, r#"{"gpus":1}"#, ""),
];

#[test]
fn a_name_is_not_repeated_at_length() {
    let mut value = base(BM);
    value["container"]["docker"]["image"] = json!("a".repeat(1 << 20));
    let findings = read(value.to_string().as_bytes(), &Settings::default()).unwrap_err();
    assert_eq!(found(&findings), ["E:image-ref@/container/docker/image"]);
    assert!(findings.0[0].text.len() < 100);
}

#[test]
fn the_override_is_the_type() {
    let settings = Settings {
        container_type: Some(Type::Docker),
        ..Settings::default()
    };
    let app = accepted(&document(BM, "{}"), &settings);
    assert_eq!(app.container_type(), Type::Docker);
}

/// C26, and every message: no value that may be a secret.
#[test]
fn passwords_are_not_repeated() {
    let text = document(
        BM,
        r#"{"env":{"A":"hunter2","B":["hunter2"],"C":"hunter2\u0000"},
            "fetch":[{"uri":"http://u:hunter2@h/ x"},{"uri":"hunter2"},{"uri":"s3://u:hunter2@b/x"}],
            "container":{"docker":{"image":"u:hunter2@h/i@x","parameters":[{"key":"a","value":["hunter2"]}],
                         "credential":{"principal":["hunter2"],"secret":["hunter2"]}}}}"#,
    );
    let findings = read(text.as_bytes(), &Settings::default()).unwrap_err();
    assert!(findings.0.len() > 7);
    let text = format!("{findings:?}");
    assert!(!text.contains("hunter2"), "{text}");
    let says = r#"{"container":{"docker":{"credential":{"principal":"u","secret":"hunter2"}}}}"#;
    let app = accepted(&document(BM, says), &Settings::default());
    let password = app.docker().unwrap().credential.as_ref().unwrap();
    assert_eq!(password.secret.as_deref(), Some("hunter2"));
    let shown = format!("{app:?}{}", serde_json::to_string(&app).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
