//! `WWW-Authenticate`, one header line per line of input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ucr::registry::{Bearer, Challenge, choose};

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.split('\n').collect();
    let chosen = choose(lines.iter().copied());
    assert_eq!(choose(lines.iter().copied()), chosen);
    match &chosen {
        None => {}
        Some(Challenge::Basic { realm }) => {
            said(text, [realm]);
            let bearer = choose(lines.iter().copied().chain([r#"Bearer realm="x""#]));
            let preferred =
                matches!(bearer, Some(Challenge::Bearer(Bearer { realm, .. })) if realm == "x");
            assert!(preferred, "Basic, and the password goes to the registry");
        }
        Some(Challenge::Bearer(bearer)) => {
            said(text, [&bearer.realm]);
            said(text, &bearer.service);
            let later = choose(
                lines
                    .iter()
                    .copied()
                    .chain(["Basic realm=x", "Bearer realm=x"]),
            );
            assert_eq!(later, chosen, "a later challenge won");
        }
    }
    if let Some(chosen) = chosen {
        assert_eq!(
            choose([written(&chosen).as_str()].into_iter()),
            Some(chosen)
        );
    }
});

/// A value is only ever what stands in one line, perhaps without its backslashes.
fn said<'a>(text: &str, values: impl IntoIterator<Item = &'a String>) {
    for value in values {
        let found = text.lines().chain(text.split('\n')).any(|line| {
            let plain = line.replace('\\', "");
            line.contains(value) || plain.contains(&value.replace('\\', ""))
        });
        assert!(found, "{value:?} from nowhere");
    }
}

fn written(challenge: &Challenge) -> String {
    let quoted = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"");
    match challenge {
        Challenge::Basic { realm } => format!("Basic realm=\"{}\"", quoted(realm)),
        Challenge::Bearer(bearer) => {
            let mut line = format!("Bearer realm=\"{}\"", quoted(&bearer.realm));
            if let Some(service) = &bearer.service {
                line += &format!(", service=\"{}\"", quoted(service));
            }
            line
        }
    }
}
