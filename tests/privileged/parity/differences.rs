//! What differs between the two runtimes, and why: also in ucr-docker(7).

use std::fmt::Write;
use std::fs;
use std::path::Path;

const PAGE: &str = "man/ucr-docker.7";
const BEGIN: &str = ".\\\" DIFFERENCES, printed: UCR_BLESS=1 cargo test --test privileged parity\n";
const END: &str = ".\\\" END OF DIFFERENCES\n";

/// A fact that need not be the same.
#[derive(Debug)]
pub struct Difference {
    /// What people call it.
    pub title: &'static str,
    /// Its name in the table; with `*` at the end, that of several.
    pub fact: &'static str,
    /// Of these rows only, if there are any.
    pub rows: &'static [&'static str],
    /// What it is and why, in a sentence or two.
    pub reason: &'static str,
}

impl Difference {
    /// Is it about this fact of this row?
    pub fn covers(&self, row: &str, fact: &str) -> bool {
        let is_row = self.rows.is_empty() || self.rows.contains(&row);
        let is_fact = match self.fact.strip_suffix('*') {
            Some(start) => fact.starts_with(start),
            None => fact == self.fact,
        };
        is_row && is_fact
    }
}

pub const DIFFERENCES: &[Difference] = &[];

/// Roff, where a hyphen of an option must stay one.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.replace('\'', "\\(aq")
}

fn printed() -> String {
    DIFFERENCES.iter().fold(String::new(), |mut text, it| {
        let (title, reason) = (plain(it.title), plain(it.reason));
        writeln!(text, ".TP\n{title}\n{reason}").expect("a String takes all");
        text
    })
}

#[test]
fn the_page_lists_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = fs::read_to_string(&path).expect(PAGE);
    let (Some((before, rest)), true) = (text.split_once(BEGIN), text.contains(END)) else {
        panic!("{PAGE}: one of the marker lines is missing:\n{BEGIN}{END}");
    };
    let (_, after) = rest.split_once(END).expect("after the other one");
    let expected = format!("{before}{BEGIN}{}{END}{after}", printed());
    if std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1") {
        fs::write(path, expected).expect("write");
        return;
    }
    assert!(
        text == expected,
        "{PAGE} is out of date: UCR_BLESS=1 cargo test --test privileged parity"
    );
}
