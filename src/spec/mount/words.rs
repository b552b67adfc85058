//! Mounts as the command line writes them: docker's `-v`, `--mount` and `--tmpfs`.

use std::path::Path;
use std::str::FromStr;

use super::written::{Type, Written};
use super::{IdMap, Mount, Propagation, Recursive};
use crate::error::{Fault, Kind};

impl FromStr for Mount {
    type Err = Fault;

    /// `[SOURCE:]TARGET[:OPTIONS]`: a source with a slash or a dot first is a path of the host, any
    /// other one the name of a volume, none a volume without a name.
    fn from_str(text: &str) -> Result<Self, Fault> {
        volume(text).map_err(|wrong| wrong.of("volume", text))
    }
}

impl Mount {
    /// `KEY=VALUE[,…]`, as `--mount` has it; fields may be quoted as in CSV.
    pub fn from_fields(text: &str) -> Result<Self, Fault> {
        fields(text).map_err(|wrong| wrong.of("mount", text))
    }

    /// `TARGET[:OPTIONS]`, as `--tmpfs` has it.
    pub fn from_tmpfs(text: &str) -> Result<Self, Fault> {
        tmpfs(text).map_err(|wrong| wrong.of("tmpfs", text))
    }
}

/// Why a text is no mount, and what to do about it.
struct Wrong {
    why: String,
    hint: Option<&'static str>,
}

impl Wrong {
    fn of(self, what: &str, text: &str) -> Fault {
        let fault = Fault::new(Kind::Usage, format!("{what} '{text}': {}", self.why));
        match self.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { why, hint: None }
    }
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::from(why.into()))
}

fn volume(text: &str) -> Result<Mount, Wrong> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] if target.starts_with('/') => (None, *target, ""),
        [target] => {
            return wrong(format!("the container path '{target}' is not absolute"));
        }
        [_, option] if matches!(*option, "ro" | "rw") => {
            return wrong("the container path is missing");
        }
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => {
            return Err(
                Wrong::from("it has too many ':'".to_owned()).hint("use --mount for such paths")
            );
        }
    };
    let mut written = Written {
        target: target.into(),
        ..Written::default()
    };
    if let Some(source) = source {
        if source.starts_with(['/', '.']) {
            written.kind = Type::Bind;
        } else if source.contains('/') {
            return Err(Wrong::from(format!("'{source}' is no name of a volume"))
                .hint("start a path of the host with '/' or './'"));
        }
        written.source = Some(source.to_owned());
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        volume_option(&mut written, option)?;
    }
    Ok(Mount::try_from(written)?)
}

fn volume_option(written: &mut Written, option: &str) -> Result<(), Wrong> {
    if access_option(written, option) {
        return Ok(());
    }
    if let Some(propagation) = propagation(option) {
        written.propagation = Some(propagation);
        return Ok(());
    }
    match option.split_once('=').unwrap_or((option, "")) {
        ("bind", "") => written.recursive = Some(Recursive::Disabled),
        ("rbind", "") => written.recursive = Some(Recursive::Enabled),
        ("nocopy", "") => written.no_copy = Some(true),
        ("idmap", "") => written.idmap = Some(IdMap::Container),
        ("idmap", map) => written.idmap = Some(map.parse()?),
        _ => return Err(unsupported(option)),
    }
    Ok(())
}

/// The options that every sort of mount has.
fn access_option(written: &mut Written, option: &str) -> bool {
    match option {
        "ro" => written.read_only = Some(true),
        "rw" => written.read_only = Some(false),
        "noexec" => written.no_exec = Some(true),
        "exec" => written.no_exec = Some(false),
        "nosuid" => written.no_suid = Some(true),
        "suid" => written.no_suid = Some(false),
        "nodev" => written.no_dev = Some(true),
        "dev" => written.no_dev = Some(false),
        _ => return false,
    }
    true
}

fn propagation(word: &str) -> Option<Propagation> {
    Some(match word {
        "rprivate" => Propagation::Rprivate,
        "private" => Propagation::Private,
        "rslave" => Propagation::Rslave,
        "slave" => Propagation::Slave,
        "rshared" => Propagation::Rshared,
        "shared" => Propagation::Shared,
        _ => return None,
    })
}

/// An option that is not known, or that is and cannot be kept: ignored it would promise something.
fn unsupported(option: &str) -> Wrong {
    let wrong = Wrong::from(format!("the option '{option}' is not supported"));
    match option {
        "z" | "Z" => wrong.hint("it relabels for SELinux, which ucr does not: leave it out"),
        "U" | "chown" => {
            wrong.hint("ucr changes no owners on the host: chown the source, or idmap")
        }
        "O" => wrong.hint("show an image or a volume instead, or copy the source"),
        _ => wrong.hint("ucr-run(1), VOLUMES, lists the options"),
    }
}

fn fields(text: &str) -> Result<Mount, Wrong> {
    let fields = split_csv(text)?;
    let mut written = Written::default();
    for field in &fields {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        // Docker takes keys in any case.
        field_of(&mut written, &key.trim().to_ascii_lowercase(), value)?;
    }
    Ok(Mount::try_from(written)?)
}

fn field_of(written: &mut Written, key: &str, value: Option<&str>) -> Result<(), Wrong> {
    match (key, value) {
        ("readonly" | "ro", value) => written.read_only = Some(truth(key, value)?),
        ("rw", value) => written.read_only = Some(!truth(key, value)?),
        ("volume-nocopy", value) => written.no_copy = Some(truth(key, value)?),
        ("bind-nonrecursive", value) if truth(key, value)? => {
            written.recursive = Some(Recursive::Disabled);
        }
        ("bind-nonrecursive", _) => (),
        ("noexec" | "exec" | "nosuid" | "suid" | "nodev" | "dev", None) => {
            access_option(written, key);
        }
        ("idmap", None) => written.idmap = Some(IdMap::Container),
        (_, Some(value)) => return named_field(written, key, value),
        (
            "type" | "source" | "src" | "target" | "dst" | "destination" | "bind-propagation"
            | "bind-recursive" | "tmpfs-size" | "tmpfs-mode" | "subpath" | "volume-subpath"
            | "image-subpath",
            None,
        ) => return wrong(format!("'{key}' has no value")),
        (_, None) => return Err(unsupported(key)),
    }
    Ok(())
}

fn named_field(written: &mut Written, key: &str, value: &str) -> Result<(), Wrong> {
    match key {
        "type" => written.kind = kind(value)?,
        "source" | "src" => written.source = Some(value.to_owned()),
        "target" | "dst" | "destination" => written.target = value.into(),
        "bind-propagation" => match propagation(value) {
            None => return wrong(format!("'{value}' is no propagation, as rslave is")),
            propagation => written.propagation = propagation,
        },
        "bind-recursive" => written.recursive = Some(recursive(value)?),
        "tmpfs-size" => written.size_bytes = Some(size(value)?),
        "tmpfs-mode" => written.mode = Some(value.to_owned()),
        "subpath" | "volume-subpath" | "image-subpath" => written.subpath = Some(value.into()),
        "idmap" => written.idmap = Some(value.parse()?),
        _ => return Err(unsupported(key)),
    }
    Ok(())
}

fn kind(word: &str) -> Result<Type, Wrong> {
    match word {
        "bind" => Ok(Type::Bind),
        "tmpfs" => Ok(Type::Tmpfs),
        "volume" => Ok(Type::Volume),
        "image" => Ok(Type::Image),
        _ => wrong(format!(
            "the type '{word}' is none of bind, tmpfs, volume, image"
        )),
    }
}

fn recursive(word: &str) -> Result<Recursive, Wrong> {
    match word {
        "enabled" => Ok(Recursive::Enabled),
        "disabled" => Ok(Recursive::Disabled),
        "writable" => Ok(Recursive::Writable),
        "readonly" => Ok(Recursive::Readonly),
        _ => wrong(format!(
            "bind-recursive '{word}' is none of enabled, disabled, writable, readonly"
        )),
    }
}

fn truth(key: &str, value: Option<&str>) -> Result<bool, Wrong> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(value) => wrong(format!("'{key}={value}' is neither true nor false")),
    }
}

/// Bytes, with a suffix of powers of 1024.
fn size(text: &str) -> Result<u64, Wrong> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" => Some(10),
        "m" | "mb" => Some(20),
        "g" | "gb" => Some(30),
        "t" | "tb" => Some(40),
        _ => None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let bytes = shift
        .filter(|_| is_number)
        .and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift))
        // Zero is "no limit" to the kernel.
        .filter(|bytes| *bytes > 0 && i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| Wrong::from(format!("the size '{text}' is not one like 64m")))
}

fn tmpfs(text: &str) -> Result<Mount, Wrong> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !Path::new(target).is_absolute() {
        return wrong(format!("the container path '{target}' is not absolute"));
    }
    let mut written = Written {
        kind: Type::Tmpfs,
        target: target.into(),
        ..Written::default()
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        if access_option(&mut written, option) {
            continue;
        }
        match option.split_once('=') {
            Some(("size", value)) => written.size_bytes = Some(size(value)?),
            Some(("mode", value)) => written.mode = Some(value.to_owned()),
            Some(("uid", value)) => written.uid = Some(id(value)?),
            Some(("gid", value)) => written.gid = Some(id(value)?),
            _ => return Err(unsupported(option)),
        }
    }
    Ok(Mount::try_from(written)?)
}

fn id(text: &str) -> Result<u32, Wrong> {
    match text.parse() {
        // The last one means "no change" to the kernel.
        Ok(id) if id < u32::MAX && !text.starts_with('+') => Ok(id),
        _ => wrong(format!("'{text}' is no user or group number")),
    }
}

/// One line of comma-separated values (RFC 4180), as docker reads it.
fn split_csv(text: &str) -> Result<Vec<String>, Wrong> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return wrong("a '\"' is not at the beginning of a field");
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// The field up to the closing quote, and what follows it.
fn quoted_field(text: &str) -> Result<(String, &str), Wrong> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some((inside, after)) = rest.split_once('"') else {
            return wrong("a quoted field has no end");
        };
        field.push_str(inside);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None if after.is_empty() || after.starts_with(',') => return Ok((field, after)),
            None => return wrong("a quoted field goes on after its quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    type Parser = fn(&str) -> Result<Mount, Fault>;

    /// Parses to this JSON, which parses to the same mount.
    #[track_caller]
    fn reads_as(parse: Parser, text: &str, expected: &Value) {
        let mount = parse(text).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(&serde_json::to_value(&mount).unwrap(), expected, "{text}");
        let again: Mount = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(again, mount, "{text}");
    }

    #[track_caller]
    fn is_refused(parse: Parser, text: &str, words: &str) {
        let fault = parse(text).unwrap_err().to_string();
        assert!(fault.contains(words), "{fault}\nlacks: {words}");
        assert!(fault.contains(text), "{fault}\ndoes not name it");
    }

    #[test]
    fn volumes() {
        let bind = |more: Value| {
            let mut all = json!({"type": "bind", "source": "/a", "target": "/b"});
            all.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            all
        };
        let rows = [
            ("/a:/b", bind(json!({}))),
            ("/a:/b:", bind(json!({}))),
            ("/a:/b:ro", bind(json!({"read_only": true}))),
            ("/a:/b:rw", bind(json!({"read_only": false}))),
            ("./a:/b", bind(json!({"source": "./a"}))),
            ("..:/b", bind(json!({"source": ".."}))),
            ("/a:b/c", bind(json!({"target": "b/c"}))),
            (
                "/a:/b:rslave,noexec,nosuid,nodev",
                bind(
                    json!({"propagation": "rslave", "no_exec": true, "no_suid": true, "no_dev": true}),
                ),
            ),
            (
                "/a:/b:exec,suid,dev,shared,bind",
                bind(
                    json!({"propagation": "shared", "no_exec": false, "no_suid": false,
                    "no_dev": false, "recursive": "disabled"}),
                ),
            ),
            (
                "/a:/b:rbind,idmap",
                bind(json!({"recursive": "enabled", "idmap": "container"})),
            ),
            (
                "/a:/b:idmap=uids=0-1000-1#1-2000-9;gids=0-5-1",
                bind(json!({"idmap": "uids=0-1000-1#1-2000-9;gids=0-5-1"})),
            ),
            ("/b", json!({"type": "volume", "target": "/b"})),
            (
                "data:/b",
                json!({"type": "volume", "source": "data", "target": "/b"}),
            ),
            (
                "d.a_t-a:/b:nocopy,ro",
                json!({"type": "volume", "source": "d.a_t-a", "target": "/b",
                    "no_copy": true, "read_only": true}),
            ),
        ];
        for (text, expected) in rows {
            reads_as(str::parse, text, &expected);
        }
    }

    #[test]
    fn no_volumes() {
        for (text, words) in [
            ("b", "'b' is not absolute"),
            ("", "'' is not absolute"),
            ("/a:", "the container path is missing"),
            ("/a:ro", "the container path is missing"),
            ("/a:/b/../..", "contains '..'"),
            ("/a:/", "cannot be '/'"),
            ("/a:///", "cannot be"),
            ("/a:.", "cannot be"),
            (":/b", "'' is no name of a volume"),
            ("a/b:/b", "no name of a volume"),
            ("-x:/b", "no name of a volume"),
            ("a b:/b", "no name of a volume"),
            ("/a:/b:ro:x", "too many ':'"),
            ("/a:/b:z", "option 'z'"),
            ("/a:/b:Z", "option 'Z'"),
            ("/a:/b:U", "option 'U'"),
            ("/a:/b:ro=1", "option 'ro=1'"),
            ("/a:/b:cached", "option 'cached'"),
            ("/a:/b:nocopy", "'nocopy' has no meaning for type bind"),
            (
                "data:/b:rshared",
                "'propagation' has no meaning for type volume",
            ),
            ("/b::ro", "the container path is missing"),
            ("/a:/b:idmap=x", "idmap 'x'"),
        ] {
            is_refused(str::parse, text, words);
        }
        let fault = "/a:/b:z".parse::<Mount>().unwrap_err();
        assert!(
            crate::error::hint(&fault.into())
                .unwrap()
                .contains("SELinux")
        );
    }

    #[test]
    fn fields_of_mounts() {
        let rows = [
            ("target=/b", json!({"type": "volume", "target": "/b"})),
            (
                "type=bind,src=/a,dst=/b,readonly,bind-propagation=rshared,bind-recursive=writable",
                json!({"type": "bind", "source": "/a", "target": "/b", "read_only": true,
                    "propagation": "rshared", "recursive": "writable"}),
            ),
            (
                "type=bind,source=/a,destination=/b,ro=0,bind-nonrecursive",
                json!({"type": "bind", "source": "/a", "target": "/b", "read_only": false,
                    "recursive": "disabled"}),
            ),
            (
                "TYPE=bind,\"src=/a,\"\"b\"\"\",dst=/b:c,bind-nonrecursive=false,idmap=uids=0-1-1",
                json!({"type": "bind", "source": "/a,\"b\"", "target": "/b:c", "idmap": "uids=0-1-1"}),
            ),
            (
                "type=tmpfs,dst=/b,tmpfs-size=64m,tmpfs-mode=1770,noexec",
                json!({"type": "tmpfs", "target": "/b", "size_bytes": 64 << 20, "mode": "1770",
                    "no_exec": true}),
            ),
            (
                "type=volume,src=data,dst=/b,volume-nocopy,volume-subpath=x/y",
                json!({"type": "volume", "source": "data", "target": "/b", "no_copy": true,
                    "subpath": "x/y"}),
            ),
            (
                "type=image,source=alpine,target=/b,rw,image-subpath=etc",
                json!({"type": "image", "source": "alpine", "target": "/b", "read_only": false,
                    "subpath": "etc"}),
            ),
        ];
        for (text, expected) in rows {
            reads_as(Mount::from_fields, text, &expected);
        }
    }

    #[test]
    fn no_fields_of_mounts() {
        for (text, words) in [
            ("", "'' is not supported"),
            ("type=bind,src=/a", "the container path is missing"),
            ("type=bind,dst=/b", "the source is missing"),
            ("type=image,dst=/b", "the source is missing"),
            ("type=nfs,dst=/b", "the type 'nfs'"),
            ("type,dst=/b", "'type' has no value"),
            (
                "dst=/b,volume-driver=nfs",
                "'volume-driver' is not supported",
            ),
            ("dst=/b,volume-opt=a=b", "'volume-opt' is not supported"),
            ("dst=/b,relabel=shared", "'relabel' is not supported"),
            ("dst=/b,x", "'x' is not supported"),
            ("dst=/b,ro=maybe", "'ro=maybe'"),
            ("dst=/b,ro=", "'ro='"),
            (
                "dst=/b,tmpfs-size=1m",
                "'size' has no meaning for type volume",
            ),
            (
                "type=tmpfs,src=/a,dst=/b",
                "'source' has no meaning for type tmpfs",
            ),
            ("type=tmpfs,dst=/b,tmpfs-size=0", "size '0'"),
            ("type=tmpfs,dst=/b,tmpfs-size=1x", "size '1x'"),
            ("type=tmpfs,dst=/b,tmpfs-size=m", "size 'm'"),
            ("type=tmpfs,dst=/b,tmpfs-size=99999999t", "size '99999999t'"),
            ("type=tmpfs,dst=/b,tmpfs-mode=9", "mode '9'"),
            ("type=tmpfs,dst=/b,tmpfs-mode=17777", "mode '17777'"),
            (
                "type=bind,src=/a,dst=/b,bind-recursive=no",
                "bind-recursive 'no'",
            ),
            (
                "type=bind,src=/a,dst=/b,bind-propagation=x",
                "'x' is no propagation",
            ),
            ("src=d,dst=/b,subpath=../x", "subpath '../x'"),
            ("src=d,dst=/b,subpath=/x", "subpath '/x'"),
            ("dst=\"/b\"", "not at the beginning"),
            ("\"dst=/b", "has no end"),
            ("\"dst=/b\"x", "goes on after its quote"),
        ] {
            is_refused(Mount::from_fields, text, words);
        }
    }

    #[test]
    fn memory() {
        let rows = [
            ("/b", json!({"type": "tmpfs", "target": "/b"})),
            (
                "/b:rw,noexec,nosuid,nodev,size=64m,mode=1777,uid=7,gid=8",
                json!({"type": "tmpfs", "target": "/b", "read_only": false, "no_exec": true,
                    "no_suid": true, "no_dev": true, "size_bytes": 64 << 20, "mode": "1777",
                    "uid": 7, "gid": 8}),
            ),
            (
                "/b:ro,exec",
                json!({"type": "tmpfs", "target": "/b", "read_only": true, "no_exec": false}),
            ),
        ];
        for (text, expected) in rows {
            reads_as(Mount::from_tmpfs, text, &expected);
        }
        for (text, words) in [
            ("b", "not absolute"),
            ("/", "cannot be '/'"),
            ("/b:size=50%", "size '50%'"),
            ("/b:uid=root", "'root' is no user"),
            ("/b:uid=4294967295", "no user or group number"),
            ("/b:nr_inodes=7", "'nr_inodes=7' is not supported"),
            ("/b:nocopy", "'nocopy' is not supported"),
        ] {
            is_refused(Mount::from_tmpfs, text, words);
        }
    }

    #[test]
    fn json_has_no_other_fields_than_these() {
        for text in [
            r#"{"type":"bind","source":"/a","target":"/b","x":1}"#,
            r#"{"type":"bind","source":"/a","target":"/b","size_bytes":1}"#,
            r#"{"type":"bind","source":"/a","target":"/b","idmap":"x"}"#,
            r#"{"type":"bind","source":"/a","target":"/../b"}"#,
            r#"{"source":"/a","target":"/b"}"#,
            r#"{"type":"bind","target":"/b"}"#,
        ] {
            assert!(serde_json::from_str::<Mount>(text).is_err(), "{text}");
        }
    }
}
