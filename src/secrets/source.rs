//! What a source says, as a path of names: the same for every place. Pure.

/// Without slashes at its start and double ones; `a/b`. The reason if it cannot be looked for.
pub(super) fn normalise(source: &str) -> Result<String, &'static str> {
    if source.contains('\0') {
        return Err("it has a NUL character");
    }
    let parts: Vec<&str> = source.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err("it is empty");
    }
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err("it has a part '.' or '..'");
    }
    Ok(parts.join("/"))
}

/// The variable of a source that was normalised.
pub(super) fn variable(prefix: &str, source: &str) -> String {
    let name = source.chars().map(|c| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    });
    prefix.chars().chain(name).collect()
}

/// DC/OS's rule of spaces: the directory of a secret's path is a whole-segment prefix of the
/// application's `id`; a secret without a directory is everybody's.
pub fn may_use(id: &str, source: &str) -> bool {
    let names = |path: &str| -> Vec<String> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let mut space = names(source);
    space.pop();
    names(id).starts_with(&space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        for (source, clean) in [
            ("a", "a"),
            ("/a/b", "a/b"),
            ("//a///b/", "a/b"),
            ("a.b/..c", "a.b/..c"),
            ("ä b", "ä b"),
        ] {
            assert_eq!(normalise(source).unwrap(), clean, "{source}");
        }
        for source in [
            "", "/", "//", "..", "../x", "a/../b", "/..", "./a", "a/.", "a\0",
        ] {
            assert!(normalise(source).is_err(), "{source:?}");
        }
    }

    #[test]
    fn variables() {
        assert_eq!(variable("UCR_SECRET_", "a/b-c.9"), "UCR_SECRET_A_B_C_9");
        assert_eq!(variable("", "ä"), "_");
    }

    /// The examples of DC/OS's documentation.
    #[test]
    fn spaces() {
        for (id, source, may) in [
            ("/group/hdfs/service", "group/secret", true),
            ("/other/service", "group/secret", false),
            ("/group/spark/service", "group/hdfs/secret", false),
            ("/group/hdfs/service", "/group/hdfs/secret", true),
            ("/hdfs", "hdfs/secret", true),
            ("/hdfs2", "hdfs/secret", false),
            ("/anything", "secret", true),
            ("/anything", "/secret", true),
        ] {
            assert_eq!(may_use(id, source), may, "{id} {source}");
        }
    }
}
