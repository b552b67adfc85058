//! Man pages and completions say what the program says.
//!
//! The pages in `man/` are written by hand, but for what stands between the two markers: that is
//! printed from the command line's own description. `completions/` is printed as a whole. After a
//! change of an option: `UCR_BLESS=1 cargo test --test cli generated`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

const BEGIN: &str =
    ".\\\" OPTIONS, printed from the program: UCR_BLESS=1 cargo test --test cli generated\n";
const END: &str = ".\\\" END OF OPTIONS\n";

/// Sections that each page has, in this order; OPTIONS stands between the markers.
const SECTIONS: &[&str] = &["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn bless() -> bool {
    std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1")
}

/// The name of each page, and the command that it is about.
fn pages() -> Vec<(String, Command)> {
    let mut top = ucr::cli::command();
    top.build();
    let commands = top
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let commands: Vec<_> = commands
        .filter(|command| command.get_name() != "help")
        .map(|command| {
            let name = format!("ucr-{}", command.get_name());
            // The global options are explained once, in ucr(1).
            let own = command.clone().mut_args(|arg| {
                let global = arg.is_global_set();
                arg.hide(global)
            });
            (name, own)
        })
        .collect();
    std::iter::once(("ucr".to_owned(), top))
        .chain(commands)
        .collect()
}

fn options(page: &Command) -> String {
    let mut text = Vec::new();
    let man = Man::new(page.clone());
    man.render_options_section(&mut text).expect("into memory");
    String::from_utf8(text).expect("roff is text")
}

/// The three parts of a page: before, between and after the markers.
#[track_caller]
fn split(name: &str, text: &str) -> [String; 3] {
    let begin = text.find(BEGIN);
    let end = text.find(END);
    let (Some(begin), Some(end)) = (begin, end) else {
        panic!("{name}: one of the marker lines is missing:\n{BEGIN}{END}");
    };
    let from = begin + BEGIN.len();
    [
        text[..from].into(),
        text[from..end].into(),
        text[end..].into(),
    ]
}

/// Compares a file with what it should be, or writes it.
#[track_caller]
fn compare(file: &Path, expected: &str) {
    if bless() {
        fs::create_dir_all(file.parent().expect("a directory")).expect("mkdir");
        fs::write(file, expected).expect("write");
        return;
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert!(
        found == expected,
        "{} is out of date: UCR_BLESS=1 cargo test --test cli generated",
        file.display()
    );
}

#[test]
fn man_pages() {
    for (name, page) in pages() {
        let file = path("man").join(format!("{name}.1"));
        let text = fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let [before, _, after] = split(&name, &text);
        compare(&file, &(before + &options(&page) + &after));
    }
}

#[test]
fn man_pages_have_their_sections() {
    for (name, _) in pages() {
        let file = path("man").join(format!("{name}.1"));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let headings = text.lines().filter_map(|line| line.strip_prefix(".SH "));
        let headings: Vec<_> = headings.map(|heading| heading.trim_matches('"')).collect();
        let mut rest = headings.iter();
        for section in SECTIONS {
            let found = rest.any(|heading| heading == section);
            assert!(found, "{name}: no {section}, or not in order: {headings:?}");
        }
    }
}

/// A page for each command and for the document, and for nothing else.
#[test]
fn no_stray_pages() {
    let commands = pages();
    let commands = commands.iter().map(|(name, _)| format!("{name}.1"));
    let documents =
        ["ucr-app.5", "ucr-docker.7", "ucr-executor.7", "ucr-spec.5"].map(str::to_owned);
    let mut expected: Vec<_> = commands.chain(documents).collect();
    expected.sort();
    let found = crate::support::ucr::children(&path("man"));
    let found = found
        .iter()
        .map(|file| file.file_name().expect("a name").to_string_lossy());
    let found: Vec<_> = found.collect();
    assert_eq!(found, expected);
}

#[test]
fn completions() {
    for (shell, name) in [
        (Shell::Bash, "ucr.bash"),
        (Shell::Zsh, "_ucr"),
        (Shell::Fish, "ucr.fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut ucr::cli::command(), "ucr", &mut text);
        let text = String::from_utf8(text).expect("a script is text");
        compare(&path("completions").join(name), &text);
    }
}
