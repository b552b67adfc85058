//! A container of ucr's beside one of docker's and one of podman's, fact by fact: the same image,
//! the same probe inside, the same options. tests/data/peers.md has all facts, and says of every
//! difference why; what is weaker than with any of them fails here, but for what is argued.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use ucr::spec::defaults::{MASKED_PATHS, READ_ONLY_PATHS};

use crate::support::scratch::Scratch;
use crate::support::{need, process, samples};

use super::world::World;

mod document;
mod facts;
mod relation;

use document::{PEERS, weaknesses};
use facts::{Facts, Outside};

const LIMIT: Duration = Duration::from_secs(300);
/// The directory that has the peers that the document is about, if it is to be written; as
/// tests/bench/prepare makes it.
const PEERS_DIRECTORY: &str = "UCR_PEERS";
/// For all, so that what is inherited is the same everywhere.
const OPEN_FILES: &str = "16384";

/// A kind of container: its name, ucr's options, theirs. The network of theirs is none where ours
/// is the default, as a private one with a bridge would be the machine's.
struct Case {
    name: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "default",
        ours: &[],
        theirs: &["--network=none"],
    },
    Case {
        name: "network-none",
        ours: &["--network=none"],
        theirs: &["--network=none"],
    },
    Case {
        name: "user",
        ours: &["--network=none", "-u", "1815:1816"],
        theirs: &["--network=none", "-u", "1815:1816"],
    },
    Case {
        name: "user-cap-add",
        ours: &["--network=none", "-u", "1815", "--cap-add=NET_BIND_SERVICE"],
        theirs: &["--network=none", "-u", "1815", "--cap-add=NET_BIND_SERVICE"],
    },
    Case {
        name: "cap-add",
        ours: &["--network=none", "--cap-add=SYS_ADMIN", "--cap-add=MKNOD"],
        theirs: &["--network=none", "--cap-add=SYS_ADMIN", "--cap-add=MKNOD"],
    },
    Case {
        name: "cap-drop",
        ours: &["--network=none", "--cap-drop=ALL"],
        theirs: &["--network=none", "--cap-drop=ALL"],
    },
    Case {
        name: "read-only",
        ours: &["--network=none", "--read-only"],
        theirs: &["--network=none", "--read-only"],
    },
    Case {
        name: "tty",
        ours: &["--network=none", "-t"],
        theirs: &["--network=none", "-t"],
    },
    Case {
        name: "privileged",
        ours: &["--network=none", "--privileged"],
        theirs: &["--network=none", "--privileged"],
    },
];

/// The facts of each case.
type Seen = BTreeMap<&'static str, Facts>;

/// A peer, looked at.
struct Peer {
    seen: Seen,
    version: String,
    masked: Vec<String>,
    read_only: Vec<String>,
}

/// The probe, built once.
static PROBE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let program = scratch.join("probe");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/privileged/peers/probe.rs");
    process::tool(
        Command::new("rustc")
            .args(["--edition", "2024", "-C", "target-feature=+crt-static"])
            .args(["-C", "opt-level=1", "-C", "strip=symbols", "-o"])
            .arg(&program)
            .arg(source),
    );
    fs::read(program).unwrap()
});

fn world() -> World {
    let layer = samples::busybox_layer().program("probe", &*PROBE);
    World::of(&crate::support::image::Image::new().layer(layer))
}

fn ours(world: &World) -> Seen {
    let each = CASES.iter().map(|case| {
        let mut line = world
            .ucr
            .by_shell(&format!("ulimit -n {OPEN_FILES} && exec \"$@\""));
        line.arg("run")
            .args(case.ours)
            .args([&world.image, "/probe"]);
        let done = process::run(&mut line, b"", LIMIT).ok();
        (case.name, Outside::here().facts(&done.stdout))
    });
    each.collect()
}

/// Docker or podman; `root` has it.
fn theirs(world: &World, peer: &str, root: &Path) -> Peer {
    let scratch = Scratch::new();
    for source in ["tests/privileged/peers/engine", "tests/support/dockerd"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        fs::copy(&source, scratch.join(source.file_name().unwrap())).unwrap();
    }
    let archive = scratch.join("image.tar").display().to_string();
    process::tool(
        Command::new(need::program("skopeo", "skopeo"))
            .args(["--insecure-policy", "copy", "--quiet", &world.image])
            .arg(format!("docker-archive:{archive}:probe:latest")),
    );
    let cases = CASES
        .iter()
        .map(|case| format!("{}\t{}\n", case.name, case.theirs.join(" ")));
    scratch.file("cases", cases.collect::<String>());
    let script = format!("ulimit -n {OPEN_FILES} && exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]);
    command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child"]);
    command.arg(scratch.join("engine")).args(["world", peer]);
    command.arg(root).arg(scratch.path());
    process::run(&mut command, b"", LIMIT).ok();
    let read = |name: &str| fs::read_to_string(scratch.join("out").join(name)).unwrap();
    let namespaces = read("namespaces").lines().map(str::to_owned).collect();
    let outside = Outside::new(namespaces);
    let each = CASES.iter().filter_map(|case| {
        let error = scratch.join("out").join(format!("{}.error", case.name));
        if let Ok(error) = fs::read_to_string(error) {
            assert_cannot(peer, case, &error);
            return None;
        }
        Some((case.name, outside.facts(&read(case.name))))
    });
    let hidden: serde_json::Value = serde_json::from_str(&read("hidden")).unwrap();
    let hidden = hidden.get("linux").unwrap_or(&hidden);
    let paths = |name: &str| {
        let list = hidden[name].as_array().unwrap().iter();
        list.map(|path| path.as_str().unwrap().to_owned()).collect()
    };
    Peer {
        seen: each.collect(),
        version: read("version").trim().to_owned(),
        masked: paths("maskedPaths"),
        read_only: paths("readonlyPaths"),
    }
}

/// The only reason to have no facts: older versions of runc want to give a privileged container
/// capabilities that they do not have themselves.
fn assert_cannot(peer: &str, case: &Case, error: &str) {
    let mine = fs::read_to_string("/proc/self/status").unwrap();
    let lacks_some = !mine.contains("CapBnd:\t000001ffffffffff");
    let known = error.contains("unable to apply caps: operation not permitted");
    let name = case.name;
    assert!(
        lacks_some && known && name == "privileged",
        "{peer}: {name}: {error}"
    );
    eprintln!("{peer}: {name}: not here, {error}");
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// With Debian's.
fn nowhere_weaker_than(peer: &str, program: &str, package: &str) {
    need::program(program, package);
    let world = world();
    let theirs = theirs(&world, peer, Path::new("/"));
    eprintln!("{}", theirs.version);
    let ours = ours(&world);
    let weak = CASES
        .iter()
        .filter_map(|case| Some((case.name, theirs.seen.get(case.name)?)))
        .flat_map(|(name, theirs)| weaknesses(name, peer, &ours[name], theirs));
    let mut found: Vec<String> = weak.collect();
    found.extend(not_hidden(&theirs));
    assert_none(&found);
}

/// What a peer hides or protects and ucr does not, whether this machine has it or not.
fn not_hidden(peer: &Peer) -> Vec<String> {
    // See the argument for `path /sys/dev/block`.
    let is_masked = |path: &str| {
        MASKED_PATHS.contains(&path)
            || path.ends_with("/thermal_throttle")
            || path == "/sys/dev/block"
    };
    let is_protected = |path: &str| READ_ONLY_PATHS.contains(&path) || is_masked(path);
    assert!(peer.masked.len() > 9 && peer.read_only.len() > 4);
    let masked = peer.masked.iter().filter(|path| !is_masked(path));
    let read_only = peer.read_only.iter().filter(|path| !is_protected(path));
    let shown = |path: &String| format!("{path} is not hidden or protected");
    masked.chain(read_only).map(shown).collect()
}

#[test]
fn nowhere_weaker_than_docker() {
    nowhere_weaker_than("docker", "dockerd", "docker.io");
}

#[test]
fn nowhere_weaker_than_podman() {
    nowhere_weaker_than("podman", "podman", "podman");
}

/// Every line that differs has its argument, every argument a line.
#[test]
fn every_difference_is_argued() {
    let document = fs::read_to_string(document_path()).unwrap();
    let mut found = Vec::new();
    for case in CASES {
        for (name, row, line) in document::read(&document, case.name) {
            if document::line(case.name, name, &row).trim_end() != line
                || line.contains("not argued")
            {
                found.push(format!("{}: {line}", case.name));
            }
        }
    }
    found.extend(document::unused(&document));
    assert_none(&found);
}

/// Ours are as they are written down; on another kernel at least nowhere weaker.
#[test]
fn the_facts_are_of_today() {
    let world = world();
    let ours = ours(&world);
    if std::env::var_os("UCR_BLESS").is_some() {
        bless(&world, &ours);
    }
    let document = fs::read_to_string(document_path()).unwrap();
    let exact = document.contains(&format!("on Linux {}.", kernel()));
    let mut found = Vec::new();
    for case in CASES {
        let (written, today) = (
            document::ours(&document, case.name),
            document::shortened(&ours[case.name]),
        );
        if !exact {
            found.extend(weaknesses(case.name, "the document", &today, &written));
            continue;
        }
        let names: BTreeSet<_> = written.keys().chain(today.keys()).collect();
        for name in names {
            let (written, today) = (written.get(name), today.get(name));
            if written != today {
                found.push(format!(
                    "{}: {name}: {written:?} is now {today:?}",
                    case.name
                ));
            }
        }
    }
    assert_none(&found);
}

fn document_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peers.md")
}

fn kernel() -> String {
    let system = rustix::system::uname();
    system.release().to_string_lossy().into_owned()
}

fn bless(world: &World, ours: &Seen) {
    let root = std::env::var_os(PEERS_DIRECTORY).expect("UCR_PEERS: where the peers are");
    let [docker, podman] = PEERS.map(|peer| theirs(world, peer, Path::new(&root)));
    assert_none(&[not_hidden(&docker), not_hidden(&podman)].concat());
    let (first, second) = (&docker.version, &podman.version);
    let heading = format!(
        "# A container of ucr's beside docker's and podman's\n\n{HEADING}\n\
        {first}; {second}; on Linux {}.\n",
        kernel()
    );
    let seen = |case: &Case| [ours, &docker.seen, &podman.seen].map(|seen| seen[case.name].clone());
    fs::write(document_path(), document::write(&heading, &seen)).unwrap();
}

const HEADING: &str = "\
Written by `UCR_BLESS=1 UCR_PEERS=/var/tmp/ucr-bench/sid cargo test --test privileged peers`, with the arguments of\n\
tests/privileged/peers/document.rs; checked by the same without UCR_BLESS. The facts are those of\n\
tests/privileged/peers/probe.rs: the same image, command and options everywhere. `=` is the same as ucr's, `–` is not\n\
there. The default container has all facts, the others what is not as there.\n";
