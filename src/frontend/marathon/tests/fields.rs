//! Fields of the top level.

use super::*;

pub const ROWS: &[Row] = &[
    // Identity
    ("C01", Bare, r#"{"cmd":"true"}"#, "E:id@/id"),
    (
        "R19",
        Bare,
        r#"{"container":{"type":"DOCKER","docker":{"image":"group/image"}}}"#,
        "E:id@/id",
    ),
    ("C02", B0, r#"{"id":"shop/db"}"#, ""),
    ("C03", B0, r#"{"id":"/Shop"}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":"/a_b"}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":"/-a"}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":"/a-"}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":"/"}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":"/a/tasks"}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":null}"#, "E:id@/id"),
    ("C03", B0, r#"{"id":7}"#, "E:type@/id"),
    ("C04", B0, r#"{"id":"/a.b/c-1"}"#, ""),
    (
        "1.1",
        B0,
        r#"{"id":"/a/aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffff"}"#,
        "W:long-id@/id",
    ),
    (
        "1.1",
        B0,
        r#"{"id":"/a/aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffff"}"#,
        "",
    ),
    // Command
    ("C05", B0, r#"{"args":["x"]}"#, "E:cmd-and-args@"),
    ("C05", BM, r#"{"cmd":"y","args":["x"]}"#, "E:cmd-and-args@"),
    ("C06", B0, r#"{"args":[]}"#, ""),
    ("C07", Bare, r#"{"id":"/t"}"#, "E:nothing-to-run@"),
    ("C08", BM, "{}", ""),
    (
        "C09",
        Bare,
        r#"{"id":"/t","container":{"type":"MESOS"}}"#,
        "E:nothing-to-run@",
    ),
    (
        "1.2",
        Bare,
        r#"{"id":"/t","args":["/bin/x"],"container":{"type":"MESOS"}}"#,
        "",
    ),
    ("C10", B0, r#"{"cmd":""}"#, "E:cmd-empty@/cmd"),
    ("C10", B0, r#"{"cmd":"w"}"#, ""),
    ("1.1", B0, r#"{"cmd":["a"]}"#, "E:type@/cmd"),
    ("1.1", BM, r#"{"args":"a b"}"#, "E:type@/args"),
    ("1.1", BM, r#"{"args":["a",1]}"#, "E:type@/args(1)"),
    ("1.1", BM, r#"{"args":["a\u0000b"]}"#, "E:nul@/args(0)"),
    (
        "1.1",
        B0,
        r#"{"user":"","tty":"yes"}"#,
        "E:range@/user E:type@/tty",
    ),
    // Parse
    ("C14", B0, r#"{"cpu":1}"#, "W:unknown-key@/cpu"),
    (
        "C14",
        BM,
        r#"{"container":{"docker":{"forcePull":true}}}"#,
        "W:unknown-key@/container/docker/forcePull",
    ),
    ("C15", B0, r#"{"mem":null,"cpus":null}"#, ""),
    ("C16", B0, r#"{"cpus":"1"}"#, "E:type@/cpus"),
    ("C16", B0, r#"{"cpus":0}"#, "E:range@/cpus"),
    ("C16", B0, r#"{"mem":-1}"#, "E:range@/mem"),
    ("C16", B0, r#"{"gpus":0.5}"#, "E:type@/gpus"),
    ("C16", B0, r#"{"gpus":1.0}"#, ""),
    ("C16", B0, r#"{"gpus":-1}"#, "E:range@/gpus"),
    (
        "1.1",
        B0,
        r#"{"mem":1e300,"disk":-0.0,"gpus":-0}"#,
        "E:range@/mem",
    ),
    ("1.1", B0, r#"{"instances":1e300}"#, "E:range@/instances"),
    (
        "1.1",
        B0,
        r#"{"instances":18446744073709551615}"#,
        "E:range@/instances",
    ),
    (
        "1.1",
        B0,
        r#"{"instances":9007199254740993.0}"#,
        "E:range@/instances",
    ),
    (
        "C17",
        B0,
        r#"{"cpus":"1","id":"/A","instances":-1}"#,
        "E:type@/cpus E:id@/id E:range@/instances",
    ),
    ("C18", Bare, r#"{"app":{"id":"/t","cmd":"true"}}"#, ""),
    (
        "C18",
        Bare,
        r#"{"app":{"id":"/t","cpus":true}}"#,
        "E:type@/cpus E:nothing-to-run@",
    ),
    (
        "C18",
        Bare,
        r#"{"id":"/p","containers":[{}]}"#,
        "E:not-an-app@",
    ),
    ("C18", Bare, r#"{"id":"/g","apps":[]}"#, "E:not-an-app@"),
    ("C18", Bare, r#"{"groups":[]}"#, "E:not-an-app@"),
    ("C18", Bare, "[]", "E:not-an-app@"),
    ("C18", Bare, "null", "E:not-an-app@"),
    // Env, labels, secrets
    ("C53", B0, r#"{"labels":{"my-key":"v"}}"#, ""),
    (
        "1.1",
        B0,
        r#"{"labels":{"a":1,"b":null}}"#,
        "E:type@/labels/a E:type@/labels/b",
    ),
    (
        "1.1",
        B0,
        r#"{"labels":{"a\u0000":"x"}}"#,
        r"E:nul@/labels/a\u{0}",
    ),
    ("1.1", B0, r#"{"labels":[]}"#, "E:type@/labels"),
    ("C55", B0, r#"{"env":{"A":1}}"#, "E:type@/env/A"),
    ("C55", B0, r#"{"env":{"":"x"}}"#, "E:env-key@/env/"),
    ("1.1", B0, r#"{"env":{"A=B":"x"}}"#, "E:env-key@/env/A=B"),
    ("1.1", B0, r#"{"env":{"A":"x\u0000"}}"#, "E:nul@/env/A"),
    ("1.1", B0, r#"{"env":{"A":null}}"#, "E:type@/env/A"),
    (
        "C56",
        B0,
        r#"{"env":{"A":{"secret":"s"}}}"#,
        "E:env-secret-undefined@/env/A",
    ),
    (
        "C56",
        B0,
        r#"{"env":{"A":{"secret":"s"}},"secrets":{"s":{"source":"a/b"}}}"#,
        "",
    ),
    (
        "4.1",
        B0,
        r#"{"env":{"A":{"source":"s"}}}"#,
        "W:unknown-key@/env/A/source E:type@/env/A/secret",
    ),
    (
        "4.1",
        B0,
        r#"{"env":{"A":{"secret":"s"}},"secrets":[]}"#,
        "E:type@/secrets",
    ),
    (
        "4.1",
        B0,
        r#"{"env":{"A":{"secret":"s"}},"secrets":{"s":"path"}}"#,
        "E:type@/secrets/s",
    ),
    ("4.1", B0, r#"{"secrets":{"unused":{"source":"x"}}}"#, ""),
    (
        "4.1",
        B0,
        r#"{"secrets":{"":{"source":"x"}}}"#,
        "E:range@/secrets/",
    ),
    (
        "4.1",
        B0,
        r#"{"secrets":{"s":{"source":""}}}"#,
        "E:secret-source-empty@/secrets/s/source",
    ),
    (
        "4.1",
        B0,
        r#"{"secrets":{"s":{}}}"#,
        "E:type@/secrets/s/source",
    ),
    ("C57", B0, r#"{"secrets":{"s":{"source":"/a/b"}}}"#, ""),
    (
        "C57",
        B0,
        r#"{"secrets":{"s":{"source":"../x"}}}"#,
        "E:secret-source@/secrets/s/source",
    ),
    (
        "C57",
        B0,
        r#"{"secrets":{"s":{"source":"//"}}}"#,
        "E:secret-source@/secrets/s/source",
    ),
    // Resources
    ("C54", B0, r#"{"cpus":0.2,"mem":16}"#, ""),
    (
        "C66",
        B0,
        r#"{"mem":256,"resourceLimits":{"mem":200}}"#,
        "E:limit-below-request@/resourceLimits/mem",
    ),
    (
        "C66",
        B0,
        r#"{"resourceLimits":{"cpus":0.5}}"#,
        "E:limit-below-request@/resourceLimits/cpus",
    ),
    (
        "C66",
        B0,
        r#"{"mem":256,"resourceLimits":{"mem":"Infinity"}}"#,
        "E:limit-value@/resourceLimits/mem",
    ),
    (
        "C66",
        B0,
        r#"{"mem":256,"resourceLimits":{"mem":"unlimited","cpus":1}}"#,
        "",
    ),
    (
        "C66",
        B0,
        r#"{"mem":"x","resourceLimits":{"mem":1}}"#,
        "E:type@/mem",
    ),
    (
        "C66",
        B0,
        r#"{"resourceLimits":{"mem":1e99,"cpus":[]}}"#,
        "E:range@/resourceLimits/mem E:limit-value@/resourceLimits/cpus",
    ),
    // Fetch
    ("C64", B0, r#"{"fetch":[{"uri":"file:///tmp/a.tgz"}]}"#, ""),
    (
        "C65",
        B0,
        r#"{"uris":["http://h/x"],"fetch":[{"uri":"http://h/y"}]}"#,
        "E:uris-and-fetch@/uris",
    ),
    (
        "C65",
        B0,
        r#"{"uris":[],"fetch":[{"uri":"http://h/y"}]}"#,
        "",
    ),
    (
        "C65",
        B0,
        r#"{"fetch":[{"uri":"http://h/y","destPath":"/etc/x"}]}"#,
        "E:dest-path@/fetch(0)/destPath",
    ),
    (
        "1.10",
        B0,
        r#"{"fetch":[{"uri":"http://h/y","destPath":"a/../../x"}]}"#,
        "E:dest-path@/fetch(0)/destPath",
    ),
    (
        "1.10",
        B0,
        r#"{"fetch":[{"uri":"hdfs://h/y"},{"uri":"no"},{}]}"#,
        "E:uri-scheme@/fetch(0)/uri E:uri@/fetch(1)/uri E:uri@/fetch(2)/uri",
    ),
    (
        "1.10",
        B0,
        r#"{"fetch":[{"uri":"http://h/"},{"uri":"http://h/","destPath":"x"}]}"#,
        "E:uri@/fetch(0)/uri",
    ),
    (
        "1.10",
        B0,
        r#"{"uris":["s3://b/x",7]}"#,
        "E:uri-scheme@/uris(0) E:type@/uris(1)",
    ),
    ("1.1", B0, r#"{"storeUrls":[]}"#, ""),
    (
        "1.1",
        B0,
        r#"{"storeUrls":["http://h/x"]}"#,
        "E:type@/storeUrls",
    ),
    // Life
    ("C74", B0, r#"{"instances":3}"#, "W:one-instance@/instances"),
    ("C74", B0, r#"{"instances":0}"#, ""),
    (
        "1.1",
        B0,
        r#"{"instances":2,"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}}"#,
        "E:single-instance@/instances",
    ),
    ("C73", B0, r#"{"taskKillGracePeriodSeconds":1}"#, ""),
    (
        "1.1",
        B0,
        r#"{"taskKillGracePeriodSeconds":-1,"backoffSeconds":-1,"backoffFactor":0.9,"maxLaunchDelaySeconds":-1}"#,
        "E:range@/taskKillGracePeriodSeconds E:range@/backoffSeconds E:range@/backoffFactor E:range@/maxLaunchDelaySeconds",
    ),
    (
        "0",
        B0,
        r#"{"version":"2020-05-06T07:08:09.010Z","versionInfo":{"x":1},"tasks":[{"id":"x"}],"tasksStaged":0,"tasksRunning":1,"tasksHealthy":0,"tasksUnhealthy":0,"tasksStats":{},"deployments":[],"lastTaskFailure":{},"readinessCheckResults":[]}"#,
        "",
    ),
];

pub const STRICT: &[Row] = &[
    ("C14", B0, r#"{"cpu":1}"#, "E:unknown-key@/cpu"),
    ("C14", B0, r#"{"tasksRunning":1}"#, ""),
    ("C14", B0, r#"{"labels":{"x":"y"},"env":{"X":"y"}}"#, ""),
];

#[test]
fn the_nearest_name_is_a_hint() {
    let text = document(B0, r#"{"cpu":1,"colour":2}"#);
    let (_, warnings) = read(text.as_bytes(), &Settings::default()).unwrap();
    let hints: Vec<Option<&str>> = warnings.0.iter().map(|it| it.hint.as_deref()).collect();
    assert_eq!(hints, [None, Some("is 'cpus' meant?")]);
}

/// What people write who know only half of it.
#[test]
fn common_mistakes_have_a_hint() {
    for (base, says, hint) in [
        (B0, r#"{"memory":64}"#, "is 'mem' meant?"),
        (B0, r#"{"id":"Shop_Web"}"#, "say '/shop-web'"),
        (B0, r#"{"cpus":"0.5"}"#, "write it without quotes"),
        (B0, r#"{"env":{"PORT":8080}}"#, "write it in double quotes"),
        (
            Bare,
            r#"{"id":"/t","args":"x"}"#,
            "write it between [ and ]",
        ),
        (
            B0,
            r#"{"secrets":{"db":"shop/db"}}"#,
            r#"write {"source": PATH}"#,
        ),
        (
            B0,
            r#"{"networks":[{"mode":"bridge"}]}"#,
            "is 'container/bridge' meant?",
        ),
        (
            BM,
            r#"{"container":{"type":"UCR"}}"#,
            "it is called MESOS here",
        ),
        (
            BM,
            r#"{"container":{"docker":{"pullConfig":"s"}}}"#,
            r#"write {"secret": NAME}"#,
        ),
        (
            B0,
            r#"{"healthChecks":[{"protocol":"COMMAND","command":"true"}]}"#,
            r#"write {"value": COMMAND}"#,
        ),
    ] {
        let read = read(document(base, says).as_bytes(), &Settings::default());
        let findings = read.map_or_else(|it| it, |(_, it)| it);
        let hints: Vec<_> = findings
            .0
            .iter()
            .filter_map(|it| it.hint.as_deref())
            .collect();
        assert!(hints.contains(&hint), "{says}: {hints:?}");
    }
}

#[test]
fn defaults() {
    let app = accepted(&document(B0, r#"{"mem":null}"#), &Settings::default());
    assert_eq!(
        (app.cpus, app.mem, app.disk, app.gpus),
        (1.0, 128.0, 0.0, 0)
    );
    assert_eq!((app.instances, app.backoff_seconds), (1, 1));
    assert_eq!(
        (app.backoff_factor, app.max_launch_delay_seconds),
        (1.15, 300)
    );
    assert_eq!(app.task_kill_grace_period_seconds, None);
    assert!(app.written.is_empty());
    let app = accepted(
        &document(B0, r#"{"cpus":1,"gpus":0}"#),
        &Settings::default(),
    );
    assert!(app.written.iter().eq(["cpus", "gpus"]));
}

#[test]
fn ids_become_absolute() {
    let app = accepted(&document(B0, r#"{"id":"shop/db"}"#), &Settings::default());
    assert_eq!(app.id, "/shop/db");
}
