//! The few patterns that names follow.

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, as names of ports and each part of an app's id.
pub fn is_label(text: &str) -> bool {
    is_name(text, b"-")
}

/// `[a-z0-9]([-a-z0-9_]*[a-z0-9])?` of at most 63 characters.
pub fn is_network_name(text: &str) -> bool {
    text.len() <= 63 && is_name(text, b"-_")
}

/// Letters and digits at both ends, and `inner` too between them.
fn is_name(text: &str, inner: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(letter)
        && bytes
            .iter()
            .all(|byte| letter(byte) || inner.contains(byte))
}

/// `ns/name`, as keys of options for volume drivers.
pub fn is_option_key(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    text.split_once('/')
        .is_some_and(|(space, name)| part(space) && part(name) && !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "0", "a-b", "http-api", "a--b"] {
            assert!(is_label(good) && is_network_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "ä", "a b"] {
            assert!(!is_label(bad) && !is_network_name(bad), "{bad}");
        }
        assert!(is_network_name("a_b") && !is_label("a_b"));
        assert!(!is_network_name(&"a".repeat(64)) && is_network_name(&"a".repeat(63)));
        assert!(is_option_key("dvdi/driver") && !is_option_key("driver"));
        assert!(!is_option_key("a/b/c") && !is_option_key("/b") && !is_option_key("a/"));
    }
}
