//! `WWW-Authenticate`: what a registry asks for (RFC 9110 section 11.6.1).
//!
//! Reads any number of challenges from any number of header lines, in any case, with quoted commas
//! and escapes. Pure. Does not judge where a realm leads: that is `policy`.

/// One challenge that ucr can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password on every request.
    Basic {
        /// What the server calls the protected area; only for people.
        realm: String,
    },
    /// A token from a token server.
    Bearer(Bearer),
}

/// The parameters of a `Bearer` challenge (distribution, "Token Authentication") that matter here:
/// what a token is for is not the registry's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// Where to ask for a token.
    pub realm: String,
    /// What to call the registry there; may be missing.
    pub service: Option<String>,
}

/// The challenge to answer: `Bearer` before `Basic`, because with `Bearer` the password never goes
/// to the registry itself. `None` if nothing is asked for in a way that ucr knows.
pub fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for (scheme, parameters) in headers.flat_map(parse) {
        let get = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        match scheme.as_str() {
            "bearer" => {
                return Some(Challenge::Bearer(Bearer {
                    realm: get("realm").unwrap_or_default(),
                    service: get("service"),
                }));
            }
            "basic" if basic.is_none() => {
                let realm = get("realm").unwrap_or_default();
                basic = Some(Challenge::Basic { realm });
            }
            _ => {}
        }
    }
    basic
}

/// Scheme and parameters, both names in lower case.
type Parsed = (String, Vec<(String, String)>);

/// Splits one header line into its challenges. What cannot be understood ends the line; what stood
/// before it counts.
fn parse(line: &str) -> Vec<Parsed> {
    let mut challenges: Vec<Parsed> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return challenges;
        }
        let after = after.trim_start_matches([' ', '\t']);
        let value = after.strip_prefix('=').map(|v| v.trim_start());
        match (value, challenges.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let Some((value, after)) = parameter_value(value) else {
                    return challenges;
                };
                parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push((word.to_ascii_lowercase(), Vec::new()));
                rest = skip_token68(after);
            }
        }
    }
}

/// `Negotiate YII=` carries a bare value instead of parameters.
fn skip_token68(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c)))
        .unwrap_or(text.len());
    let after = text[end..].trim_start_matches('=');
    let ends_here = after.is_empty() || after.trim_start().starts_with(',');
    if end > 0 && ends_here { after } else { text }
}

fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Not a token in the grammar's sense: some servers leave the quotes of a URL away.
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer(Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
        }))
    }

    #[test]
    fn what_servers_write() {
        let basic = |realm: &str| {
            Some(Challenge::Basic {
                realm: realm.into(),
            })
        };
        let rows: [(&[&str], Option<Challenge>); 14] = [
            (&[r#"Basic realm="Registry""#], basic("Registry")),
            (&[r#"BASIC Realm=plain"#], basic("plain")),
            (&["Basic"], basic("")),
            (
                &[r#"Bearer realm="https://a/t",service="s",scope="repository:x:pull,push""#],
                bearer("https://a/t", Some("s")),
            ),
            (
                &[r#"bearer REALM = "https://a/t" , Service = "s""#],
                bearer("https://a/t", Some("s")),
            ),
            (
                &[r#"Basic realm="x", Bearer realm="https://a/t""#],
                bearer("https://a/t", None),
            ),
            (
                &["Negotiate", r#"Bearer realm="https://a/t""#],
                bearer("https://a/t", None),
            ),
            (
                &[r#"Negotiate YII+/=, Bearer realm="https://a/t?x=1&y=2""#],
                bearer("https://a/t?x=1&y=2", None),
            ),
            (
                &[r#"Bearer error="x",realm="say \"hi\", you",scope="""#],
                bearer("say \"hi\", you", None),
            ),
            (
                &["Bearer realm=https://a/t,service=s"],
                bearer("https://a/t", Some("s")),
            ),
            (&["Negotiate", "NTLM"], None),
            (&["", ",,,", "=", "\"x\""], None),
            (&[r#"Basic realm="never closed"#], basic("")),
            (&[r#"Bearer"#], bearer("", None)),
        ];
        for (lines, expected) in rows {
            assert_eq!(choose(lines.iter().copied()), expected, "{lines:?}");
        }
    }
}
