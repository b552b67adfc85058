//! Which name was meant by one that is not known.

/// Characters of the longest name that is compared.
const MAX_LENGTH: usize = 60;

/// The name that somebody who wrote this most likely meant.
pub fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    if key.chars().count() > MAX_LENGTH {
        return None;
    }
    let key = key.to_lowercase();
    let distance = |name: &&'a str| (edits(&key, &name.to_lowercase()), *name);
    let (edits, name) = known.iter().map(distance).min()?;
    // A third of the letters may be wrong.
    let is_near = edits * 3 <= name.len();
    let longer = || known.iter().find(|name| begins(&key, name)).copied();
    is_near.then_some(name).or_else(longer)
}

/// `memory` begins with `mem`.
fn begins(key: &str, name: &str) -> bool {
    name.len() >= 3 && key.starts_with(&name.to_lowercase())
}

/// The word of an enumeration that somebody most likely meant: `bridge` is `container/bridge`.
pub fn meant<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase();
    let is_end = |name: &&&str| text.len() >= 3 && name.to_lowercase().ends_with(&text);
    let ends = || known.iter().find(is_end).copied();
    nearest(&text, known).or_else(ends)
}

/// Letters to insert, remove or replace to make the one of the other.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, with) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *with);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let known = ["cpus", "mem", "container", "forcePullImage", "uri"];
        for (key, name) in [
            ("cpu", Some("cpus")),
            ("CPUS", Some("cpus")),
            ("cotnainer", Some("container")),
            ("forcepull_image", Some("forcePullImage")),
            ("url", Some("uri")),
            ("colour", None),
            ("memory", Some("mem")),
            ("", None),
        ] {
            assert_eq!(nearest(key, &known), name, "{key}");
        }
        let modes = ["host", "container", "container/bridge"];
        for (text, name) in [
            ("bridge", Some("container/bridge")),
            ("hots", None),
            ("Hostt", Some("host")),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(meant(text, &modes), name, "{text}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), &known), None);
        assert_eq!(nearest("cpu", &[]), None);
    }
}
