//! Rules about the source that matter are tests: who imports whom, where `unsafe` and the heavy
//! crates may be, how long a file may get. `src/lib.rs` has the import table in words.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module at the top, and whom it may import. `*` is anything below, which is anything
/// but `cli`, `main` and `exit`.
const IMPORTS: &[(&str, &[&str])] = &[
    ("main", &["cli", "exit", "runtime"]),
    ("lib", &[]),
    ("cli", &["*", "exit"]),
    ("exit", &["error", "sys"]),
    (
        "executor",
        &[
            "runtime",
            "checks",
            "frontend",
            "image",
            "spec",
            "credentials",
            "tls",
            "sys",
            "error",
        ],
    ),
    (
        "runtime",
        &[
            "provision",
            "bundle",
            "engine",
            "store",
            "image",
            "spec",
            "credentials",
            "sys",
            "exit",
            "error",
        ],
    ),
    ("checks", &["spec", "tls", "sys", "error"]),
    ("frontend", &["spec", "image", "error"]),
    ("pull", LOWER),
    ("provision", LOWER),
    ("bundle", LOWER),
    ("fetch", LOWER),
    ("store", VOCABULARY),
    (
        "registry",
        &["image", "spec", "credentials", "tls", "sys", "error"],
    ),
    ("layer", VOCABULARY),
    (
        "source",
        &["engine", "image", "spec", "credentials", "sys", "error"],
    ),
    ("engine", &["credentials", "image", "sys", "error"]),
    ("image", &["error"]),
    ("spec", &["image", "error"]),
    ("credentials", &["image", "error"]),
    ("secrets", &["sys", "error"]),
    ("tls", &["error"]),
    ("sys", &[]),
    ("error", &[]),
];

const VOCABULARY: &[&str] = &["image", "spec", "credentials", "sys", "error"];

const LOWER: &[&str] = &[
    "engine",
    "store",
    "registry",
    "layer",
    "source",
    "image",
    "spec",
    "credentials",
    "sys",
    "error",
];

/// Crates that one door leads to: the crate and the paths below `src/` that may name it.
const DOORS: &[(&str, &[&str])] = &[
    ("flate2", &["layer/decompress.rs"]),
    ("zstd", &["layer/decompress.rs"]),
    ("lzma_rust2", &["fetch/unpack.rs"]),
    ("reqwest", &["registry/", "executor/"]),
    ("tokio", &["registry/", "executor/"]),
    ("httparse", &["checks/", "executor/agent/"]),
    ("oci_distribution", &["registry/", "image/"]),
    ("clap", &["cli/", "frontend/flags"]),
    ("indicatif", &["cli/"]),
];

const MAX_LINES: usize = 600;
const MAX_PACKAGES: usize = 260;

/// One file of the product.
struct Source {
    /// Below `src/`.
    path: PathBuf,
    text: String,
    code: String,
}

impl Source {
    /// The top module that the file belongs to.
    fn module(&self) -> String {
        let first = self
            .path
            .iter()
            .next()
            .expect("a path has a part")
            .to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let root = repository().join("src");
    let mut directories = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = product(&text);
                let path = path.strip_prefix(&root).unwrap().to_owned();
                if !is_test_file(&path) {
                    found.push(Source { path, text, code });
                }
            }
        }
    }
    assert!(
        found.len() > 10,
        "the sources are not where this test looks"
    );
    found
}

/// The lines of a file before its test module, without comments.
fn product(text: &str) -> String {
    let before = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = before
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |code, line| code + line + "\n")
}

/// `tests.rs` or below `tests/`: a test module in files of its own.
fn is_test_file(path: &Path) -> bool {
    path.with_extension("").iter().any(|part| part == "tests")
}

/// The modules named after each `crate::` (in `main.rs` also after `ucr::`), groups included.
fn imports(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let prefixes: &[&str] = if source.module() == "main" {
        &["ucr::", "crate::"]
    } else {
        &["crate::"]
    };
    for prefix in prefixes {
        for (at, _) in source.code.match_indices(prefix) {
            let before = source.code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                found.extend(heads(&source.code[at + prefix.len()..]));
            }
        }
    }
    found
}

/// `a::b` gives `a`; `{a::{b, c}, d}` gives `a` and `d`.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let mut depth = 0;
    let mut found = vec![word(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(word(&group[at + 1..])),
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn allowed(module: &str, import: &str) -> bool {
    let row = IMPORTS.iter().find(|(name, _)| *name == module);
    let (_, row) = row.unwrap_or_else(|| panic!("module {module} is not in the import table"));
    let below = !["cli", "main", "exit"].contains(&import);
    module == import || row.contains(&import) || (row.contains(&"*") && below)
}

#[test]
fn imports_go_down_only() {
    let modules: Vec<String> = sources().iter().map(Source::module).collect();
    let mut wrong = String::new();
    for source in sources() {
        let module = source.module();
        // Macros and types at the root of the crate are no modules.
        let named = imports(&source)
            .into_iter()
            .filter(|name| modules.contains(name));
        for import in named.filter(|import| !allowed(&module, import)) {
            writeln!(wrong, "src/{} imports {import}", source.path.display()).unwrap();
        }
    }
    assert!(
        wrong.is_empty(),
        "against the table in src/lib.rs:\n{wrong}"
    );
}

/// Runtimes know nothing of each other: what both need is in a room below.
#[test]
fn native_and_docker_never_meet() {
    for (one, other) in [("native", "docker"), ("docker", "native")] {
        let own = format!("runtime/{one}/");
        let all = sources();
        let mut files = all.iter().filter(|it| it.path.starts_with(&own)).peekable();
        assert!(files.peek().is_some(), "there is no src/{own}");
        for source in files {
            let names = source.code.contains(&format!("runtime::{other}"));
            assert!(!names, "src/{} names {other}", source.path.display());
        }
    }
}

#[test]
fn imports_do_not_climb() {
    for source in sources() {
        let climbs = source.code.contains("super::super::");
        assert!(
            !climbs,
            "src/{}: say crate:: instead",
            source.path.display()
        );
    }
}

#[test]
fn unsafe_is_in_sys_only() {
    for source in sources().iter().filter(|source| source.module() != "sys") {
        let unsafe_code = source
            .code
            .split(|c: char| !c.is_alphanumeric() && c != '_');
        let found = unsafe_code.into_iter().any(|word| word == "unsafe");
        assert!(!found, "src/{} has unsafe code", source.path.display());
    }
}

#[test]
fn heavy_crates_have_one_door() {
    for source in sources() {
        let path = source.path.to_string_lossy();
        for (name, doors) in DOORS {
            let named = format!("{name}::");
            let uses = source.code.match_indices(&named).any(|(at, _)| {
                let before = source.code[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            });
            let inside = doors.iter().any(|door| path.starts_with(door));
            assert!(
                !uses || inside,
                "src/{path} uses {name}; its place is {doors:?}"
            );
        }
    }
}

#[test]
fn files_stay_short() {
    for source in sources() {
        let lines = source
            .text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap()
            .lines()
            .count();
        assert!(
            lines <= MAX_LINES,
            "src/{} has {lines} lines",
            source.path.display()
        );
    }
}

#[test]
fn every_module_says_what_it_owns() {
    for source in sources() {
        let documented = source
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        assert!(
            documented > 0,
            "src/{} has no //! at its top",
            source.path.display()
        );
    }
}

#[test]
fn no_room_for_odds_and_ends() {
    for source in sources() {
        let name = source
            .path
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let odd = ["util", "utils", "common", "helpers", "misc"].contains(&name.as_str());
        assert!(
            !odd,
            "src/{}: give it the name of what it owns",
            source.path.display()
        );
    }
}

#[test]
fn the_dependency_budget() {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    assert!(packages > 0, "Cargo.lock is not what this test knows");
    assert!(
        packages <= MAX_PACKAGES,
        "{packages} packages, the budget is {MAX_PACKAGES}"
    );
}

/// The test of the test: what the scanner finds in a text.
#[test]
fn the_scanner_sees_groups_and_no_comments() {
    let text = "//! crate::cli\nuse crate::{error::{Fault, Kind}, sys, image::digest};\n\
                // crate::store\nfn x() { crate::layer::go(); mycrate::pull(); }\n\
                #[cfg(test)]\nmod tests {\nuse crate::exit;\n}\n";
    let source = Source {
        path: "store/mod.rs".into(),
        code: product(text),
        text: text.into(),
    };
    assert_eq!(imports(&source), ["error", "sys", "image", "layer"]);
    assert!(allowed("store", "error") && !allowed("store", "layer") && !allowed("image", "sys"));
    assert!(allowed("cli", "exit") && !allowed("runtime", "cli"));
}
