//! Text that is no JSON, or made to hurt.

use super::*;

fn refused(text: &[u8]) -> Findings {
    read(text, &Settings::default()).expect_err("it is refused")
}

/// What is said of text that is no JSON, and the hint.
fn syntax(text: &[u8]) -> (String, String) {
    let findings = refused(text);
    let [finding] = &findings.0[..] else {
        panic!("{findings:?}");
    };
    assert_eq!(finding.id, "E:json");
    let hint = finding.hint.clone().unwrap_or_default();
    (finding.text.clone(), hint)
}

#[test]
fn syntax_errors_have_their_place() {
    for (text, place, hint) in [
        ("", "line 1, column 1: ", ""),
        (
            "{\n  \"a\": [1,\n  2",
            "line 3, column ",
            "the list \"a\" that begins in line 2 is not closed",
        ),
        (
            "{\"a\": {\"b\": 1}\n \"c\": 2}",
            "line 2, column 2: ",
            "the object that begins in line 1",
        ),
        (
            "{\"a\": {\n\"b\": {\"x}\": 1}\n \"c\": 2}",
            "line 3, column 2: ",
            "the object \"a\" that begins in line 1",
        ),
        (
            "{\"ä\\\"ö\": 1 x}",
            "line 1, column 12: ",
            "a comma is missing",
        ),
        (
            "{\"a\": 1,}",
            "line 1, column 9: ",
            "no comma after the last",
        ),
        ("[1,]", "line 1, column 4: ", "no comma after the last"),
        ("{\"a\": 'x'}", "line 1, column 7: ", "double quotes"),
        ("{\n// x\n}", "line 2, column 1: ", "no comments"),
        ("{\"a\": 1e400}", "line 1, column ", "smaller number"),
        (r#"{"a": "\ud800"}"#, "line 1, column ", ""),
        ("{} {}", "line 1, column 4: ", ""),
        ("{\"a\": nan}", "line 1, column ", ""),
        ("{\"a\": 01}", "line 1, column ", ""),
    ] {
        let (found, advice) = syntax(text.as_bytes());
        assert!(found.starts_with(place), "{text}: {found}");
        assert!(advice.contains(hint), "{text}: {found}: {advice}");
        assert!(!found.contains(" at line "), "{found}");
    }
}

/// R9: the seed's own snippet, whose secrets never end.
#[test]
fn the_seeds_snippet() {
    let text = "{  \n   \"id\":\"mesos-docker\",\n   \"secrets\": {\n        \"pullConfigSecret\": {\n            \
                \"source\": \"/mesos-docker/pullConfig\"\n        }\n   \"args\":[  \n      \"<my-arg>\"\n   ],\n   \"instances\":1\n}\n";
    let (found, hint) = syntax(text.as_bytes());
    assert_eq!(found, "line 7, column 4: expected `,` or `}`");
    let expected = "either a comma is missing before this, or the object \"secrets\" that begins in line 3 is not closed";
    assert_eq!(hint, expected);
}

#[test]
fn other_encodings() {
    let app = accepted("\u{feff}{\"id\":\"t\",\"cmd\":\"x\"}", &Settings::default());
    assert_eq!(app.id, "/t");
    for text in [
        &b"\xff\xfe{\0}\0"[..],
        b"{\"id\":\n\"\xe4\"}",
        b"\xfe\xff\0{\0}",
    ] {
        let (found, hint) = syntax(text);
        assert!(
            found.ends_with("this is not UTF-8") && hint.contains("UTF-8"),
            "{found}"
        );
    }
    assert!(
        syntax(b"{\"id\":\n\"\xe4\"}")
            .0
            .starts_with("line 2, column 2: ")
    );
}

#[test]
fn duplicates_are_refused() {
    for (text, path) in [
        (r#"{"id":"a","cmd":"x","id":"b"}"#, "/id"),
        (r#"{"id":"a","cmd":"x","env":{"A":"1","A":"1"}}"#, "/env/A"),
        (
            r#"{"id":"a","cmd":"x","fetch":[{"uri":"http://h/x","uri":"http://h/y"}]}"#,
            "/fetch(0)/uri",
        ),
        (r#"{"id":"a","cmd":"x","\u0069d":"b"}"#, "/id"),
    ] {
        assert_eq!(
            found(&refused(text.as_bytes())),
            [format!("E:duplicate-key@{path}")]
        );
    }
}

#[test]
fn too_much() {
    let deep = format!("{{\"id\":{}", "[".repeat(100_000));
    assert!(syntax(deep.as_bytes()).0.contains("recursion limit"));
    let large = format!("{{\"id\":\"{}\"}}", "a".repeat(4 << 20));
    assert!(syntax(large.as_bytes()).0.contains("larger than 4 MiB"));
    let keys: Vec<String> = (0..200_000).map(|n| format!("\"k{n}\":1")).collect();
    let findings = refused(format!("{{{}}}", keys.join(",")).as_bytes());
    assert_eq!(findings.0.len(), 1001);
    assert_eq!(findings.0[1000].id, "E:too-many");
    let mappings = "{},".repeat(100_000);
    let text = format!("{{\"id\":\"t\",\"cmd\":\"x\",\"portDefinitions\":[{mappings}{{}}]}}");
    assert_eq!(
        found(&refused(text.as_bytes())),
        ["E:range@/portDefinitions"]
    );
}

/// Secrets by the hundred thousand, each wrong because their declaration is: said once, soon.
#[test]
fn what_follows_is_quick() {
    let volumes = r#"{"containerPath":"a","secret":"s"},"#.repeat(4000);
    let variables: Vec<String> = (0..80_000)
        .map(|n| format!("\"V{n}\":{{\"secret\":\"s\"}}"))
        .collect();
    let text = format!(
        "{{\"id\":\"t\",\"cmd\":\"x\",\"secrets\":7,\"env\":{{{}}},\"container\":{{\"type\":\"MESOS\",\"volumes\":[{}]}}}}",
        variables.join(","),
        volumes.trim_end_matches(','),
    );
    let begin = std::time::Instant::now();
    assert_eq!(found(&refused(text.as_bytes())), ["E:type@/secrets"]);
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
}

#[test]
fn keys_are_harmless_in_paths() {
    let key = "x".repeat(100_000) + "\u{1b}";
    let text = json!({"id": "t", "cmd": "x", "env": {"\u{1b}[2J\u{202e}": 1, key: 1}}).to_string();
    let findings = refused(text.as_bytes());
    let lines: String = findings.0.iter().map(ToString::to_string).collect();
    assert!(
        lines.contains(r"/env/\u{1b}[2J\u{202e}: ") && lines.len() < 1000,
        "{lines}"
    );
    assert!(!lines.contains('\u{1b}'));
}
