//! What is seen of a container, in words that are the same wherever it ran.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::support::process::Finished;

use super::row::Row;

/// By name.
#[derive(Debug, Default)]
pub struct Facts(pub BTreeMap<String, String>);

/// What each container has for itself.
#[derive(Debug)]
pub struct Own<'a> {
    pub directory: &'a str,
    pub name: &'a str,
    pub port: u16,
}

impl Facts {
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// The exit code, what the container has written, and what ucr has to say.
    pub fn read(&mut self, row: &Row, done: &Finished, own: &Own) {
        self.add("exit code", &done.code.to_string());
        let is_ucrs = |line: &&str| line.starts_with("ucr: ") || line.starts_with("hint: ");
        let (ucrs, other): (Vec<_>, Vec<_>) = done.stderr.lines().partition(is_ucrs);
        self.add("message", &own.hide(&ucrs.join("\n")));
        self.add("stderr", &own.hide(&other.join("\n")));
        if row.words.first() != Some(&"probe") {
            self.add("stdout", &own.hide(&done.stdout));
            return;
        }
        for line in done.stdout.lines() {
            let line = line.trim_end_matches('\r');
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let value = match name.split(' ').next() {
                Some("namespace") => whose(value).to_owned(),
                Some("status") => value.to_owned(),
                _ => own.hide(value),
            };
            self.add(name, &value);
        }
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Is this among what is seen, as `NAME: VALUE` or as a line of stdout?
    pub fn shows(&self, line: &str) -> bool {
        let is_fact = line
            .split_once(": ")
            .is_some_and(|(name, value)| self.0.get(name).is_some_and(|it| it == value));
        is_fact || self.get("stdout").lines().any(|it| it.trim_end() == line)
    }
}

/// Of a namespace: is it that of the test?
fn whose(link: &str) -> &'static str {
    let kind = link.split(':').next().unwrap_or_default();
    let mine = std::fs::read_link(format!("/proc/thread-self/ns/{kind}"));
    match mine {
        Ok(mine) if mine.to_str() == Some(link) => "host",
        Ok(_) => "own",
        Err(_) => "none",
    }
}

impl Own<'_> {
    /// The names of what is this container's alone.
    fn hide(&self, text: &str) -> String {
        let text = text
            .replace(self.directory, "{dir}")
            .replace(self.name, "{name}")
            .replace(&self.port.to_string(), "{port}");
        let mut hidden = String::new();
        for piece in text.split_inclusive(|c: char| c.is_whitespace() || "=/'\"(),".contains(c)) {
            let end = piece.len() - piece.chars().next_back().map_or(0, char::len_utf8);
            let ends = !piece.ends_with(|c: char| c.is_ascii_hexdigit() || c == ':');
            let (word, rest) = piece.split_at(if ends { end } else { piece.len() });
            hidden.push_str(stand_in(word).unwrap_or(word));
            hidden.push_str(rest);
        }
        hidden
    }
}

/// For an ID, or an address that a network has given.
fn stand_in(word: &str) -> Option<&'static str> {
    if word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit()) {
        return Some("{id}");
    }
    let given = match word.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => matches!(v4.octets(), [172, 17, ..] | [10, 87, ..]),
        IpAddr::V6(v6) => v6.segments()[0] == 0xfd75,
    };
    given.then_some("{address}")
}
