use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use super::*;
use crate::error::hint;

fn resolver(directories: &[&Path], commands: &[&str]) -> Resolver {
    Resolver {
        directories: directories.iter().map(|path| path.to_path_buf()).collect(),
        env_prefixes: vec!["P_".to_owned()],
        commands: commands.iter().map(|text| text.parse().unwrap()).collect(),
        environment: |name| match name {
            "P_ENV_ONE" | "PLAIN" => Some("of env".into()),
            "P_SECOND" => Some("env".into()),
            _ => None,
        },
        ..Resolver::default()
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn value(resolver: &Resolver, name: &str, source: &str) -> Vec<u8> {
    let found = resolver.resolve(name, source);
    found.unwrap().value.bytes().to_vec()
}

fn refusal(resolver: &Resolver, name: &str, source: &str) -> String {
    resolver.resolve(name, source).unwrap_err().to_string()
}

#[test]
fn the_first_place_that_has_it_wins() {
    let scratch = tempfile::tempdir().unwrap();
    let (one, two) = (scratch.path().join("one"), scratch.path().join("two"));
    write(&one.join("a/b"), b"exact\n\0bytes\n", 0o600);
    write(&two.join("a/b"), "second", 0o600);
    write(&two.join("second"), "dir", 0o600);
    let file = scratch.path().join("explicit");
    write(&file, "told", 0o600);
    let mut all = resolver(
        &[&one, &two],
        &["/bin/sh -c 'printf %s \"$1\"' sh {source}"],
    );
    assert_eq!(value(&all, "n", "/a//b"), b"exact\n\0bytes\n");
    assert_eq!(value(&all, "n", "second"), b"dir");
    assert_eq!(value(&all, "n", "env-one"), b"of env");
    assert_eq!(value(&all, "n", "x 'y\" $(z)"), b"x 'y\" $(z)");
    for text in [
        format!("n=file:{}", file.display()),
        "/a/b=env:PLAIN".to_owned(),
    ] {
        all.explicit.push(text.parse().unwrap());
    }
    assert_eq!(value(&all, "n", "second"), b"told");
    assert_eq!(value(&all, "m", "a/b"), b"of env");
    assert_eq!(value(&all, "m", "second"), b"dir");
}

#[test]
fn what_is_nowhere_names_the_places() {
    let scratch = tempfile::tempdir().unwrap();
    let all = resolver(
        &[scratch.path()],
        &["false {source}", "/nowhere/tool {source}"],
    );
    let fault = all.resolve("login", "/billing/x").unwrap_err();
    assert_eq!(fault.kind(), Kind::NotFound);
    let text = fault.to_string();
    let place = format!("{}/billing/x", scratch.path().display());
    for part in [
        "'login'",
        "'/billing/x'",
        &place,
        "P_BILLING_X",
        "command false",
        "/nowhere/tool",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("[E:secret-unresolved]"), "{text}");
    assert!(hint(&fault.into()).unwrap().contains("--secrets-dir"));
    let none = Resolver::default();
    assert!(refusal(&none, "a", "b").contains("no place to look in"));
    assert!(refusal(&none, "a", "../b").contains("[E:secret-source]"));
}

#[test]
fn nothing_outside_a_directory_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("dir");
    write(&scratch.path().join("canary"), "outside", 0o600);
    write(&dir.join("data/real"), "inside", 0o600);
    symlink("../canary", dir.join("up")).unwrap();
    symlink(scratch.path().join("canary"), dir.join("absolute")).unwrap();
    symlink("data", dir.join("linked")).unwrap();
    let all = resolver(&[&dir], &[]);
    for source in ["up", "absolute", "data/real/x"] {
        let text = refusal(&all, "n", source);
        assert!(text.contains("[E:secret-unresolved]"), "{text}");
    }
    assert_eq!(value(&all, "n", "linked/real"), b"inside");
    let link = scratch.path().join("link");
    symlink(&dir, &link).unwrap();
    assert_eq!(value(&resolver(&[&link], &[]), "n", "data/real"), b"inside");
}

/// A mistake ends the search: another place must not stand in for what is broken.
#[test]
fn what_cannot_be_a_value_is_no_miss() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let large = vec![b'x'; MAX_VALUE as usize + 1];
    write(&dir.join("large"), &large, 0o600);
    write(&dir.join("full"), &large[1..], 0o600);
    let fifo = dir.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        fifo,
        rustix::fs::FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .unwrap();
    std::fs::create_dir(dir.join("directory")).unwrap();
    let mut all = resolver(&[dir], &["printf %s {source}"]);
    assert_eq!(value(&all, "n", "full").len() as u64, MAX_VALUE);
    for (source, why) in [
        ("large", "more than 1048576 bytes"),
        ("fifo", "not a regular file"),
        ("directory", "not a regular file"),
    ] {
        let text = refusal(&all, "n", source);
        assert!(text.contains(why), "{text}");
    }
    for origin in ["file:/nowhere/x", "env:UNSET", "fd:9999"] {
        all.explicit = vec![format!("n={origin}").parse().unwrap()];
        let text = refusal(&all, "n", "full");
        assert!(text.contains("[E:secret-unresolved]"), "{origin}: {text}");
    }
    all.directories = vec![dir.join("missing")];
    assert!(
        refusal(&all, "m", "a").contains("missing"),
        "a directory that is not there"
    );
}

#[test]
fn others_who_may_read_it_are_told_of() {
    let scratch = tempfile::tempdir().unwrap();
    let set = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(scratch.path(), mode).unwrap();
    };
    write(&scratch.path().join("open"), "v", 0o644);
    write(&scratch.path().join("closed"), "v", 0o640);
    let all = resolver(&[scratch.path()], &[]);
    let warnings = |source: &str| all.resolve("n", source).unwrap().warnings;
    set(0o755);
    assert!(warnings("open")[0].contains("every user"));
    assert!(warnings("closed").is_empty());
    set(0o700);
    assert!(warnings("open").is_empty(), "nobody gets that far");
}

#[test]
fn a_descriptor_is_read_to_its_end() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let late = std::thread::spawn(move || {
        writer.write_all(b"in ").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        writer.write_all(b"two parts").unwrap();
    });
    let told = format!("n=fd:{}", reader.as_raw_fd()).parse().unwrap();
    let all = Resolver {
        explicit: vec![told],
        ..Resolver::default()
    };
    assert_eq!(value(&all, "n", "s"), b"in two parts");
    late.join().unwrap();
}

#[test]
fn commands_are_bounded() {
    let slow: SecretCommand = "sh -c 'sleep 60 & echo value; wait' {source}"
        .parse()
        .unwrap();
    let all = |command: SecretCommand| Resolver {
        commands: vec![command],
        ..Resolver::default()
    };
    let start = Instant::now();
    let text = refusal(&all(slow.patience(Duration::from_millis(300))), "n", "s");
    assert!(text.contains("no answer within 0.3 s"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(20));
    for (command, expected) in [
        (
            "sh -c 'echo no such key >&2; exit 3' {source}",
            "exit status: 3: no such key",
        ),
        (
            "sh -xc 'echo hunter2; echo not hunter2 >&2; exit 3' {source}",
            "exit status: 3",
        ),
        (
            "sh -c 'yes >&2 & yes | head -c 2000000' {source}",
            "more than 1048576 bytes",
        ),
        (
            "sh -c 'yes | tr -d \"\\n\" | head -c 100000 >&2; exit 1' {source}",
            "exit status: 1: yyy",
        ),
    ] {
        let text = refusal(&all(command.parse().unwrap()), "n", "s");
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("hunter2") && text.len() < 500, "{text}");
    }
    let noisy = "sh -c 'yes | head -c 1000000 >&2; printf value' {source}";
    assert_eq!(value(&all(noisy.parse().unwrap()), "n", "s"), b"value");
    let arguments = "printf %s-%s '{source} x' end";
    assert_eq!(
        value(&all(arguments.parse().unwrap()), "n", "a b"),
        b"a b x-end"
    );
    for bad in ["", "tool", "{source}", "tool '{source}", "  "] {
        assert!(bad.parse::<SecretCommand>().is_err(), "{bad:?}");
    }
}

#[test]
fn commands_do_not_inherit_values() {
    let mut all = resolver(
        &[],
        &["sh -c 'printf %s \"${CARGO_MANIFEST_DIR-gone}\"' {source}"],
    );
    assert_ne!(value(&all, "n", "s"), b"gone");
    all.env_prefixes = vec!["CARGO_MANIFEST_".to_owned()];
    assert_eq!(value(&all, "n", "s"), b"gone");
    all.env_prefixes.clear();
    all.explicit = vec!["other=env:CARGO_MANIFEST_DIR".parse().unwrap()];
    assert_eq!(value(&all, "n", "s"), b"gone");
}

#[test]
fn values_are_not_shown() {
    let value = |bytes: &[u8]| SecretValue(bytes.to_vec().into());
    assert_eq!(value(b"text").text("n").unwrap(), "text");
    for bytes in [&b"hunter2\0"[..], b"hunter2\xff"] {
        let text = value(bytes).text("n").unwrap_err().to_string();
        assert!(
            text.contains("[E:secret-not-text]") && !text.contains("hunter2"),
            "{text}"
        );
    }
    let found = Found {
        value: value(b"hunter2"),
        warnings: Vec::new(),
    };
    assert!(!format!("{found:?}").contains("hunter2"));
}
