//! The options of `docker run`: all are in `tests/data/docker-run-flags.md`, each is an option of
//! `ucr run` with a test that shows what it does, or refused by name, and ucr-run(1) says so.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::ArgAction;
use ucr::cli::docker::{REFUSED, Refused};

use crate::support::ucr::Ucr;
use crate::support::{need, process};

const TABLE: &str = "tests/data/docker-run-flags.md";
const PAGE: &str = "man/ucr-run.1";
const BEGIN: &str = ".\\\" DOCKER OPTIONS, printed: UCR_BLESS=1 cargo test --test cli docker\n";
const END: &str = ".\\\" END OF DOCKER OPTIONS\n";

/// How many there are, without --help, which shows nothing inside.
const SUPPORTED: usize = 90;

/// One line of the table.
struct Row {
    long: String,
    short: String,
    /// What it takes in docker's words; empty for a switch.
    takes: String,
    is_there: bool,
    shown_by: String,
    remark: String,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(path(TABLE)).expect(TABLE);
    let lines = text
        .lines()
        .filter(|line| line.starts_with("| `--") || line.starts_with("| `-"));
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    let fields: Vec<_> = line.split('|').map(str::trim).collect();
    let ["", names, takes, is_there, shown_by, remark, ""] = fields[..] else {
        panic!("no row of six fields: {line}");
    };
    let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
    assert!(matches!(is_there, "yes" | "no"), "{line}");
    Row {
        long: names[0].to_owned(),
        short: names.get(1).unwrap_or(&"").to_string(),
        takes: takes.to_owned(),
        is_there: is_there == "yes",
        shown_by: shown_by.trim_matches('`').to_owned(),
        remark: remark.to_owned(),
    }
}

/// Long name, short name and the word for its value.
type Listed = (String, String, String);

/// What `docker run --help` of each docker on this machine lists.
fn listed() -> Vec<(PathBuf, Vec<Listed>)> {
    let first = need::program("docker", "docker.io");
    let debians = PathBuf::from("/usr/bin/docker");
    let programs = [first, debians].into_iter().filter(|it| it.exists());
    let list = |program: PathBuf| {
        let mut command = Command::new(&program);
        command.args(["run", "--help"]);
        let done = process::run(&mut command, b"", Duration::from_secs(60)).ok();
        let options: Vec<_> = done.stdout.lines().filter_map(option).collect();
        (program, options)
    };
    programs.map(list).collect()
}

/// Of a line of help.
fn option(line: &str) -> Option<Listed> {
    let line = line.trim_start();
    let (short, rest) = match line.split_once(", ") {
        Some((short, rest)) if short.starts_with('-') && short.len() == 2 => (short, rest),
        _ => ("", line),
    };
    if !rest.starts_with("--") {
        return None;
    }
    let names = rest.split("  ").next()?;
    let (long, takes) = names.split_once(' ').unwrap_or((names, ""));
    Some((long.to_owned(), short.to_owned(), takes.to_owned()))
}

fn refused(long: &str) -> Option<&'static Refused> {
    REFUSED.iter().find(|it| it.long == long)
}

#[test]
fn the_table_has_all_of_dockers() {
    let rows = rows();
    let names: Vec<_> = rows.iter().map(|row| row.long.as_str()).collect();
    assert!(names.is_sorted(), "by name, once each: {names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for (program, options) in listed() {
        assert!(options.len() >= 95, "{}: {options:?}", program.display());
        for (long, short, takes) in options {
            let row = rows.iter().find(|row| row.long == long);
            let row = row.unwrap_or_else(|| panic!("{}: {long}", program.display()));
            assert_eq!(row.short, short, "{long}");
            assert_eq!(row.takes.is_empty(), takes.is_empty(), "{long}");
        }
    }
    let supported = rows
        .iter()
        .filter(|row| row.is_there && row.long != "--help");
    assert_eq!(supported.count(), SUPPORTED);
    for it in REFUSED {
        assert!(names.contains(&it.long), "{} is none of docker's", it.long);
    }
}

/// With the same names, and taking as much.
#[test]
fn what_is_there_is_an_option() {
    let mut command = ucr::cli::command();
    command.build();
    let run = command.find_subcommand("run").expect("it is there");
    for row in rows().iter().filter(|row| row.is_there) {
        let long = row.long.trim_start_matches("--");
        let arg = run.get_arguments().find(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(long) || aliases.contains(&long)
        });
        let arg = arg.unwrap_or_else(|| panic!("ucr run has no {}", row.long));
        let short = arg.get_short().map(|short| format!("-{short}"));
        assert_eq!(short.unwrap_or_default(), row.short, "{}", row.long);
        assert_eq!(
            arg.get_num_args()
                .is_some_and(|count| count.min_values() > 0),
            !row.takes.is_empty(),
            "{}",
            row.long
        );
        let many = matches!(arg.get_action(), ArgAction::Append);
        let is_list = matches!(
            row.takes.as_str(),
            "list" | "map" | "mount" | "network" | "ulimit"
        );
        assert_eq!(many, is_list, "{}: {}", row.long, row.takes);
        assert!(refused(&row.long).is_none(), "{} is refused", row.long);
    }
}

/// The functions are there, and say the option's name.
#[test]
fn what_is_there_is_tested() {
    for row in rows().iter().filter(|row| row.is_there) {
        let shown_by = row.shown_by.as_str();
        let (module, function) = shown_by
            .rsplit_once("::")
            .unwrap_or_else(|| panic!("{}: '{shown_by}' is no test", row.long));
        let files =
            ["tests/privileged", "tests/cli"].map(|dir| path(dir).join(module.replace("::", "/")));
        let texts = files.map(|file| fs::read_to_string(file.with_extension("rs")));
        let text: String = texts.into_iter().flatten().collect();
        let begin = format!("#[test]\nfn {function}() {{\n");
        let body = text.split(&begin).nth(1);
        let body = body.unwrap_or_else(|| panic!("{}: no test {shown_by}", row.long));
        let body = body.split("\n}\n").next().unwrap_or_default();
        let names = [&row.long, &row.short];
        let names = names.into_iter().filter(|name| !name.is_empty());
        let words = body.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let words: BTreeSet<_> = words.collect();
        let is_said = names.into_iter().any(|name| words.contains(name.as_str()));
        assert!(is_said, "{}: {shown_by} does not have it", row.long);
    }
}

/// None is ignored, and none taken for a mistake.
#[test]
fn what_is_not_there_is_refused_by_name() {
    let ucr = Ucr::new();
    for row in rows().iter().filter(|row| !row.is_there) {
        let it = refused(&row.long).unwrap_or_else(|| panic!("{}: no reason", row.long));
        assert_eq!(it.short, row.short, "{}", row.long);
        let forms = [&row.long, &row.short];
        for name in forms.into_iter().filter(|name| !name.is_empty()) {
            let value = (!row.takes.is_empty()).then_some("1");
            let words = ["run", name.as_str()]
                .into_iter()
                .chain(value)
                .chain(["image"]);
            let done = ucr.run(words).expect_code(125);
            let lines: Vec<_> = done.stderr.lines().collect();
            let what = format!("ucr: docker's {} is not supported: {}", row.long, it.why);
            let hint = format!("hint: {}", it.hint);
            assert_eq!(lines, [what, hint], "{name}");
        }
    }
}

/// Roff, where a hyphen of an option must stay one.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.replace('\'', "\\(aq").replace('…', "\\&.\\|.\\|.")
}

fn printed() -> String {
    let mut text = String::from(".PD 0\n");
    for row in rows() {
        let _ = write!(text, ".TP 29n\n.B {}", plain(&row.long));
        if !row.short.is_empty() {
            let _ = write!(text, ", {}", plain(&row.short));
        }
        let said = match refused(&row.long) {
            Some(it) => format!("refused: {}; {}", it.why, it.hint),
            None if row.remark.is_empty() => "supported".to_owned(),
            None => format!("supported: {}", row.remark),
        };
        let _ = writeln!(text, "\n{}", plain(&said));
    }
    text + ".PD\n"
}

#[test]
fn the_page_says_so() {
    let text = fs::read_to_string(path(PAGE)).expect(PAGE);
    let (Some((before, rest)), true) = (text.split_once(BEGIN), text.contains(END)) else {
        panic!("{PAGE}: one of the marker lines is missing:\n{BEGIN}{END}");
    };
    let (_, after) = rest.split_once(END).expect("after the other one");
    let expected = format!("{before}{BEGIN}{}{END}{after}", printed());
    if std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1") {
        fs::write(path(PAGE), &expected).expect("write");
        return;
    }
    assert!(
        text == expected,
        "{PAGE} is out of date: UCR_BLESS=1 cargo test --test cli docker"
    );
}
