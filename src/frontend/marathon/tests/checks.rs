//! `healthChecks`, `check` and `readinessChecks`.

use super::*;

pub const ROWS: &[Row] = &[
    (
        "C67",
        BM,
        r#"{"healthChecks":[{"portIndex":1}],"container":{"docker":{"network":"BRIDGE","portMappings":[{},{}]}}}"#,
        "E:network-ucr@/container/docker/network E:docker-portmappings-ucr@/container/docker/portMappings",
    ),
    (
        "5.1",
        B0,
        r#"{"healthChecks":[{"protocol":"TCP","path":"/x"}]}"#,
        "W:no-effect@/healthChecks(0)/path",
    ),
    (
        "C67",
        B0,
        r#"{"portDefinitions":[],"healthChecks":[{"protocol":"HTTP"}]}"#,
        "E:health-port-index@/healthChecks(0)/portIndex",
    ),
    (
        "C67",
        B0,
        r#"{"healthChecks":[{"portIndex":3}]}"#,
        "E:health-port-index@/healthChecks(0)/portIndex",
    ),
    (
        "C67",
        B0,
        r#"{"healthChecks":[{"protocol":"MESOS_TCP","portIndex":1}]}"#,
        "E:health-port-index@/healthChecks(0)/portIndex",
    ),
    (
        "C67",
        B0,
        r#"{"portDefinitions":[],"healthChecks":[{"port":8080}]}"#,
        "",
    ),
    (
        "C67",
        BMNet,
        r#"{"healthChecks":[{"portIndex":1}],"container":{"portMappings":[{},{}]}}"#,
        "",
    ),
    (
        "C67",
        B0,
        r#"{"healthChecks":[{"portIndex":3}],"portDefinitions":7}"#,
        "E:type@/portDefinitions",
    ),
    (
        "C68",
        B0,
        r#"{"healthChecks":[{"protocol":"MESOS_HTTP"},{"protocol":"MESOS_TCP"}]}"#,
        "E:health-many-mesos@/healthChecks",
    ),
    (
        "C68",
        B0,
        r#"{"healthChecks":[{"protocol":"HTTP"},{"protocol":"HTTP"}]}"#,
        "",
    ),
    (
        "C68",
        B0,
        r#"{"healthChecks":[{"protocol":"COMMAND"}]}"#,
        "E:health-command@/healthChecks(0)",
    ),
    (
        "C68",
        B0,
        r#"{"healthChecks":[{"protocol":"COMMAND","command":{"value":"true"},"portIndex":0}]}"#,
        "",
    ),
    (
        "5.1",
        B0,
        r#"{"healthChecks":[{"protocol":"command","command":{"value":"true"},"port":1}]}"#,
        "E:health-command@/healthChecks(0)",
    ),
    (
        "5.1",
        B0,
        r#"{"healthChecks":[{"protocol":"COMMAND","command":{"value":"true"},"path":"/"}]}"#,
        "E:health-command@/healthChecks(0)",
    ),
    (
        "5.1",
        B0,
        r#"{"healthChecks":[{"protocol":"TCP","command":{"value":"true"}}]}"#,
        "E:health-command@/healthChecks(0)",
    ),
    (
        "5.1",
        B0,
        r#"{"healthChecks":[{"protocol":"COMMAND","command":{"value":""}},{"protocol":"COMMAND","command":{}}]}"#,
        "E:health-command@/healthChecks(0)/command/value E:health-command@/healthChecks(1)/command/value",
    ),
    (
        "5.1",
        B0,
        r#"{"healthChecks":[{"protocol":"UDP","ipProtocol":"IPv5","port":70000,"gracePeriodSeconds":-1}]}"#,
        "E:type@/healthChecks(0)/protocol E:type@/healthChecks(0)/ipProtocol E:range@/healthChecks(0)/port E:range@/healthChecks(0)/gracePeriodSeconds",
    ),
    (
        "C69",
        BM,
        r#"{"healthChecks":[{"protocol":"MESOS_HTTP","ipProtocol":"IPv6"}]}"#,
        "E:health-ipv6@/healthChecks(0)/ipProtocol",
    ),
    (
        "C69",
        BD,
        r#"{"healthChecks":[{"protocol":"MESOS_HTTP","ipProtocol":"IPv6"}]}"#,
        "",
    ),
    (
        "C69",
        BD,
        r#"{"healthChecks":[{"protocol":"HTTP","ipProtocol":"IPv6"}]}"#,
        "E:health-ipv6@/healthChecks(0)/ipProtocol",
    ),
    (
        "C70",
        B0,
        r#"{"healthChecks":[{"protocol":"MESOS_TCP","maxConsecutiveFailures":0,"gracePeriodSeconds":0,"delaySeconds":0,"timeoutSeconds":0}]}"#,
        "",
    ),
    (
        "C72",
        B0,
        r#"{"readinessChecks":[{}]}"#,
        "E:readiness-port-name@/readinessChecks(0)/portName",
    ),
    (
        "C72",
        B0,
        r#"{"readinessChecks":[{"portName":"default"},{"portName":"default"}]}"#,
        "E:readiness-count@/readinessChecks",
    ),
    (
        "C72",
        B0,
        r#"{"readinessChecks":[{"portName":"default","timeoutSeconds":30,"intervalSeconds":30}]}"#,
        "E:readiness-timeout@/readinessChecks(0)",
    ),
    (
        "C72",
        B0,
        r#"{"readinessChecks":[{"portName":"default","timeoutSeconds":0}]}"#,
        "E:readiness-timeout@/readinessChecks(0)",
    ),
    (
        "5.4",
        BMNet,
        r#"{"readinessChecks":[{}],"container":{"portMappings":[{"name":"http-api"}]}}"#,
        "",
    ),
    (
        "5.4",
        B0,
        r#"{"readinessChecks":[{"portName":"default","protocol":"TCP","httpStatusCodesForReady":[]}]}"#,
        "E:type@/readinessChecks(0)/protocol E:range@/readinessChecks(0)/httpStatusCodesForReady",
    ),
    (
        "5.4",
        B0,
        r#"{"readinessChecks":[{"portName":"default","httpStatusCodesForReady":[200,99]}]}"#,
        "E:range@/readinessChecks(0)/httpStatusCodesForReady(1)",
    ),
    (
        "C75",
        BD,
        r#"{"check":{"tcp":{"port":80}}}"#,
        "E:check-docker@/check",
    ),
    ("C75", BM, r#"{"check":{}}"#, "E:check-kind@/check"),
    (
        "C75",
        BM,
        r#"{"check":{"tcp":{"port":80},"http":{}}}"#,
        "E:check-kind@/check",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"http":{"portIndex":0,"path":"x","scheme":"http"},"intervalSeconds":1}}"#,
        "",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"http":{"scheme":"https","portIndex":1}}}"#,
        "E:type@/check/http/scheme E:health-port-index@/check/http/portIndex",
    ),
    (
        "5.3",
        B0,
        r#"{"portDefinitions":[],"check":{"tcp":{}}}"#,
        "E:health-port-index@/check/tcp/portIndex",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"exec":{"command":{"argv":["x"]}}}}"#,
        "",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"exec":{"command":{"shell":"x"}}}}"#,
        "",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"exec":{"command":{"shell":"x","argv":["x"]}}}}"#,
        "E:check-kind@/check/exec/command",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"exec":{"command":{"argv":[]}}}}"#,
        "E:range@/check/exec/command/argv",
    ),
    (
        "5.3",
        BM,
        r#"{"check":{"exec":{}}}"#,
        "E:check-kind@/check/exec/command",
    ),
];

/// R35, 5.1: what is not said.
#[test]
fn defaults() {
    let says = r#"{"healthChecks":[{"path":"x"},{"protocol":"TCP","port":1}],"readinessChecks":[{"portName":"default"}]}"#;
    let app = accepted(&document(B0, says), &Settings::default());
    let checks = serde_json::to_value(&app.health_checks).unwrap();
    let times = json!({"gracePeriodSeconds": 300, "intervalSeconds": 60, "timeoutSeconds": 20,
        "maxConsecutiveFailures": 3, "delaySeconds": 15, "ipProtocol": "IPv4", "ignoreHttp1xx": false});
    let mut first = json!({"protocol": "HTTP", "path": "/x", "portIndex": 0});
    let mut second = json!({"protocol": "TCP", "port": 1});
    merge(&mut first, times.clone());
    merge(&mut second, times);
    assert_eq!(checks, json!([first, second]));
    let ready = serde_json::to_value(&app.readiness_checks).unwrap();
    let expected = json!([{"name": "readinessCheck", "protocol": "HTTP", "path": "/", "portName": "default",
        "intervalSeconds": 30, "timeoutSeconds": 10, "httpStatusCodesForReady": [200],
        "preserveLastResponse": false}]);
    assert_eq!(ready, expected);
}
