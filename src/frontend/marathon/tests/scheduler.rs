//! What is for a scheduler.

use super::*;

pub const ROWS: &[Row] = &[
    (
        "C76",
        B0,
        r#"{"constraints":[["hostname","UNIQUE"]]}"#,
        "W:no-effect@",
    ),
    (
        "C76",
        B0,
        r#"{"constraints":[["hostname"]]}"#,
        "E:constraint@/constraints(0) W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"constraints":[["a","UNIQUE","1"],["a","MAX_PER"],["a","MAX_PER","x"],["a","LIKE"],["a","GROUP_BY","x"],["a","NEAR"]]}"#,
        "E:constraint@/constraints(0) E:constraint@/constraints(1) E:constraint@/constraints(2) E:constraint@/constraints(3) E:constraint@/constraints(4) E:constraint@/constraints(5) W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"constraints":[["a","unique"],["a","MAX_PER","2"],["a","LIKE","x"],["a","UNLIKE","x"],["a","GROUP_BY"],["a","GROUP_BY","3"],["a","CLUSTER","x"],["a","IS","x"]]}"#,
        "W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"constraints":[[1,"UNIQUE"],7]}"#,
        "E:type@/constraints(0)(0) E:constraint@/constraints(0) E:type@/constraints(1) W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"constraints":[],"dependencies":[],"role":"*","killSelection":"YOUNGEST_FIRST","executor":"//cmd","acceptedResourceRoles":["*"]}"#,
        "",
    ),
    (
        "1.1",
        B0,
        r#"{"dependencies":["/a","B"]}"#,
        "E:id@/dependencies(1) W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"role":"dev","killSelection":"oldest_first"}"#,
        "W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"role":"","killSelection":"ANY"}"#,
        "E:range@/role E:type@/killSelection W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"acceptedResourceRoles":[]}"#,
        "E:range@/acceptedResourceRoles W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"acceptedResourceRoles":["a","a"]}"#,
        "E:range@/acceptedResourceRoles W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"executor":"//nope"}"#,
        "E:executor@/executor",
    ),
    ("1.1", B0, r#"{"executor":"/"}"#, "E:executor@/executor"),
    ("1.1", B0, r#"{"executor":"/a/"}"#, "E:executor@/executor"),
    (
        "1.1",
        B0,
        r#"{"executor":"/a/b"}"#,
        "E:executor-unsupported@/executor",
    ),
    (
        "1.1",
        B0,
        r#"{"executorResources":{"cpus":0,"mem":31,"disk":9}}"#,
        "E:range@/executorResources/cpus E:range@/executorResources/mem E:range@/executorResources/disk W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"upgradeStrategy":{"minimumHealthCapacity":1,"maximumOverCapacity":1.0}}"#,
        "",
    ),
    (
        "1.1",
        B0,
        r#"{"upgradeStrategy":{"minimumHealthCapacity":1.5}}"#,
        "E:range@/upgradeStrategy/minimumHealthCapacity W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"upgradeStrategy":{"maximumOverCapacity":0.5},"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}}"#,
        "E:range@/upgradeStrategy W:no-effect@",
    ),
    (
        "1.1",
        BM,
        r#"{"upgradeStrategy":{"maximumOverCapacity":0.5},"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":1}}]}}"#,
        "E:range@/upgradeStrategy W:no-effect@",
    ),
    ("1.1", B0, r#"{"unreachableStrategy":"disabled"}"#, ""),
    (
        "1.1",
        B0,
        r#"{"unreachableStrategy":"enabled"}"#,
        "E:type@/unreachableStrategy",
    ),
    (
        "1.1",
        B0,
        r#"{"unreachableStrategy":7}"#,
        "E:type@/unreachableStrategy",
    ),
    (
        "1.1",
        B0,
        r#"{"unreachableStrategy":{"inactiveAfterSeconds":5,"expungeAfterSeconds":4}}"#,
        "E:range@/unreachableStrategy W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"residency":{"taskLostBehavior":"WAIT_FOREVER"},"unreachableStrategy":{}}"#,
        "E:unreachable-strategy@/unreachableStrategy W:no-effect@",
    ),
    (
        "1.1",
        B0,
        r#"{"residency":{"relaunchEscalationTimeoutSeconds":"1"}}"#,
        "E:type@/residency/relaunchEscalationTimeoutSeconds W:no-effect@",
    ),
];

#[test]
fn one_line_names_them() {
    let says = r#"{"role":"dev","constraints":[["a","UNIQUE"]],"executor":""}"#;
    let (app, warnings) = read(document(B0, says).as_bytes(), &Settings::default()).unwrap();
    let text = warnings.0[0].to_string();
    assert_eq!(
        text,
        "without effect on one machine: constraints, role [W:no-effect]"
    );
    assert!(app.scheduler.keys().eq(["constraints", "executor", "role"]));
}
