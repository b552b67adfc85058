//! `container.volumes`.

use super::*;

pub const ROWS: &[Row] = &[
    (
        "C58",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"creds/pw","secret":"s"}]},"secrets":{"s":{"source":"x"}}}"#,
        "",
    ),
    (
        "C58",
        BD,
        r#"{"container":{"volumes":[{"containerPath":"creds/pw","secret":"s"}]},"secrets":{"s":{"source":"x"}}}"#,
        "E:secret-volume-docker@/container/volumes(0)/secret",
    ),
    (
        "4.1",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"p","secret":"s"}]}}"#,
        "E:volume-secret-undefined@/container/volumes(0)",
    ),
    (
        "C60",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"/x","hostPath":"/y","mode":"ro"}]}}"#,
        "",
    ),
    (
        "C61",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"/x","hostPath":"/y"}]}}"#,
        "E:volume-mode@/container/volumes(0)/mode",
    ),
    (
        "C61",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"/x","hostPath":"/y","mode":"rx"}]}}"#,
        "E:volume-mode@/container/volumes(0)/mode",
    ),
    (
        "C61",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"/x"}]}}"#,
        "E:volume-kind@/container/volumes(0)",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"hostPath":"","mode":"RW"},"x"]}}"#,
        "E:type@/container/volumes(0)/containerPath E:range@/container/volumes(0)/hostPath E:type@/container/volumes(1)",
    ),
    (
        "8.14",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"x","hostPath":"/y","mode":"RO","persistent":{"size":1}}]}}"#,
        "W:volume-extra@/container/volumes(0) E:persistent-ro@/container/volumes(0)/persistent",
    ),
    (
        "C62",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":64}}]}}"#,
        "",
    ),
    (
        "C62",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a/b","mode":"RW","persistent":{"size":64}}]}}"#,
        "E:persistent-path@/container/volumes(0)/containerPath",
    ),
    (
        "C62",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"..","mode":"RW","persistent":{"size":64}}]}}"#,
        "E:persistent-path@/container/volumes(0)/containerPath",
    ),
    (
        "C62",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":0}}]}}"#,
        "E:persistent-size@/container/volumes(0)/persistent/size",
    ),
    (
        "C62",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{}}]}}"#,
        "E:persistent-size@/container/volumes(0)/persistent/size",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":9,"maxSize":10}}]}}"#,
        "E:persistent-maxsize@/container/volumes(0)/persistent/maxSize",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":9,"maxSize":9,"profileName":"p"}}]}}"#,
        "E:persistent-maxsize@/container/volumes(0)/persistent/maxSize",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":9,"maxSize":10,"type":"mount","constraints":[["path","LIKE","x"]]}}]}}"#,
        "",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":9,"type":"path","constraints":[["host","LIKE","x"]]}}]}}"#,
        "E:persistent-constraints@/container/volumes(0)/persistent/constraints(0)",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":9,"constraints":[["path","LIKE","x"]]}}]}}"#,
        "E:persistent-constraints@/container/volumes(0)/persistent/constraints",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"a","mode":"RW","persistent":{"size":9,"type":"disk"}}]}}"#,
        "E:type@/container/volumes(0)/persistent/type",
    ),
    (
        "C63",
        BD,
        r#"{"container":{"volumes":[{"containerPath":"x","hostPath":"y","mode":"RW"}]}}"#,
        "E:volume-both-relative@/container/volumes(0)",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"/x","hostPath":"y","mode":"RW"}]}}"#,
        "",
    ),
    // Of drivers
    (
        "1.5",
        BD,
        r#"{"container":{"volumes":[{"containerPath":"/x","mode":"RO","external":{"name":"v","provider":"dvdi","options":{"dvdi/driver":"rexray"}}}]}}"#,
        "",
    ),
    (
        "1.5",
        BM,
        r#"{"container":{"volumes":[{"containerPath":"/x","mode":"RW","external":{"name":"v","provider":"dvdi","options":{"dvdi/driver":"rexray"}}}]}}"#,
        "E:external-unsupported@/container/volumes(0)/external",
    ),
    (
        "1.5",
        BD,
        r#"{"container":{"volumes":[{"containerPath":"/x","mode":"RW","external":{"name":"v","provider":"csi","options":{"pluginName":"p"}}}]}}"#,
        "E:external-unsupported@/container/volumes(0)/external",
    ),
    (
        "1.5",
        BD,
        r#"{"container":{"volumes":[{"containerPath":"..","mode":"RW","external":{"provider":"dvdi","size":5,"options":{"dvdi/driver":"A","a/b":"c","d":"e"}}}]}}"#,
        "E:range@/container/volumes(0)/containerPath E:type@/container/volumes(0)/external/name E:external-option@/container/volumes(0)/external/size E:pattern@/container/volumes(0)/external/options/dvdi/driver E:external-option@/container/volumes(0)/external/options/a/b E:external-option@/container/volumes(0)/external/options/d",
    ),
    (
        "1.5",
        BD,
        r#"{"container":{"volumes":[{"containerPath":"/x","mode":"RW","external":{"name":"v","provider":"dvdi","options":{}}}]}}"#,
        "E:type@/container/volumes(0)/external/options/dvdi/driver",
    ),
    (
        "1.5",
        BD,
        r#"{"instances":2,"container":{"volumes":[
        {"containerPath":"/x","mode":"RW","external":{"name":"v","provider":"dvdi","options":{"dvdi/driver":"a"}}},
        {"containerPath":"/y","mode":"RW","external":{"name":"v","provider":"dvdi","options":{"dvdi/driver":"b"}}},
        {"containerPath":"/z","mode":"RW","external":{"name":"v","shared":true,"provider":"dvdi","options":{"dvdi/driver":"a"}}}]}}"#,
        "W:one-instance@/instances E:external-instances@/instances E:volume-driver-mixed@/container/volumes(1)/external E:external-name-dup@/container/volumes(1)/external",
    ),
    (
        "8.13",
        B0,
        r#"{"container":{"volumes":[{"containerPath":"p","secret":"s"}]},"secrets":{"s":{"source":"x"}}}"#,
        "E:docker-required@/container/docker E:secret-volume-docker@/container/volumes(0)/secret",
    ),
];

/// Trap 13: the sample of Marathon's own page is wrong, and what is missing is said.
#[test]
fn the_missing_type_is_a_hint() {
    let (_, base, says, _) = ROWS.last().unwrap();
    let findings = read(document(*base, says).as_bytes(), &Settings::default()).unwrap_err();
    let tells = |it: &crate::frontend::marathon::Finding| {
        let hint = it.hint.as_deref().unwrap_or_default();
        hint.contains("\"type\": \"MESOS\"")
    };
    assert!(findings.0.iter().all(tells), "{findings:?}");
}
