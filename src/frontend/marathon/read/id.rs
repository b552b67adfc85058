//! Names of apps: `/shop/db`. A relative one is made absolute.

use super::pattern::is_label;

/// No app's path is longer, in bytes.
const MAX: usize = 1024;
/// The last part of names that are commands of Marathon's interface.
const TAKEN: [&str; 5] = ["restart", "tasks", "versions", ".", ".."];
/// A longer last label does not fit into a host name with what Mesos adds.
pub const MAX_LAST_LABEL: usize = 54;

/// The absolute path, or what is wrong.
pub fn absolute(text: &str) -> Result<String, String> {
    if text.len() > MAX {
        return Err(format!("is longer than {MAX} bytes"));
    }
    let relative = text.strip_prefix('/').unwrap_or(text);
    if relative.is_empty() {
        return Err("is empty".into());
    }
    let parts: Vec<&str> = relative.split('/').collect();
    if let Some(last) = parts.last().filter(|last| TAKEN.contains(last)) {
        return Err(format!("can't end in '{last}'"));
    }
    let mut path: Vec<&str> = Vec::new();
    for part in parts {
        match part {
            "." => {}
            ".." => drop(path.pop()),
            part if part.split('.').all(is_label) => path.push(part),
            _ => return Err(PATTERN.into()),
        }
    }
    Ok(format!("/{}", path.join("/")))
}

/// The same in letters that are allowed, if that is all that is wrong.
pub fn corrected(text: &str) -> Option<String> {
    let text = text.to_lowercase().replace(['_', ' '], "-");
    absolute(&text).ok()
}

const PATTERN: &str = "may have lower-case letters and digits, '-' and '.' between them, \
                       and '/' between parts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths() {
        for (text, path) in [
            ("shop/db", "/shop/db"),
            ("/a.b/c-1", "/a.b/c-1"),
            ("./a", "/a"),
            ("/a/../b", "/b"),
            ("../../x", "/x"),
            ("/tasks/x", "/tasks/x"),
        ] {
            assert_eq!(absolute(text).as_deref(), Ok(path), "{text}");
        }
        assert_eq!(corrected("Shop/My_Db").as_deref(), Some("/shop/my-db"));
        assert_eq!(corrected("-a"), None);
        let long = "a/".repeat(600) + "a";
        for text in [
            "",
            "/",
            "//",
            "/Shop",
            "/a_b",
            "/-a",
            "/a-",
            "/a/tasks",
            "/a/restart",
            "versions",
            "a/.",
            "a/..",
            "/a//b",
            "/a/",
            "a..b",
            "ä",
            "a b",
            "\u{1b}",
            &long,
        ] {
            assert!(absolute(text).is_err(), "{text}");
        }
    }
}
