//! A stream as the upper one of two layers, fitted to the lower one and merged with it.
#![no_main]

use std::cell::RefCell;
use std::path::Path;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use ucr::layer::{flatten, settle};
use ucr::sys::root::Root;
use ucr_fuzz::sandbox::{self, Sandbox, Seen, Stages, Tree};
use ucr_fuzz::{mutate, tar};

struct Stage {
    sandbox: Sandbox,
    lower: Root,
    before: Tree,
}

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::new(stage());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::archive(data, size, max_size, seed)
});

fuzz_target!(|stream: &[u8]| {
    STAGE.with_borrow_mut(|stage| {
        merge(stage, stream);
        stage.sandbox.check();
        assert_eq!(
            stage.sandbox.dump("lower"),
            stage.before,
            "the lower layer changed"
        );
    });
});

fn stage() -> Stage {
    let mut sandbox = Sandbox::new();
    let mut stream = vec![
        tar::member(b'5', "dir", "", b""),
        tar::member(b'0', "dir/file", "", b"lower"),
        tar::member(b'5', "dir/sub", "", b""),
        tar::member(b'0', "dir/sub/deep", "", b"lower"),
        tar::member(b'2', "link", "dir", b""),
        tar::member(b'2', "abs", "/dir", b""),
        tar::member(b'2', "out", "../canary", b""),
        tar::member(b'0', "file", "", b"lower"),
        tar::member(b'1', "hard", "file", b""),
    ];
    // More names of one file than may be remembered.
    stream.push(tar::member(b'0', "many", "", b"lower"));
    for n in 0..13 {
        stream.push(tar::member(b'L', "", "", format!("{n:m>255}").as_bytes()));
        stream.push(tar::member(b'1', "", "many", b""));
    }
    let applied = sandbox::apply(&mut sandbox, "lower", &stream.concat(), Stages::Alone);
    let (lower, unpacked) = applied.expect("the lower layer");
    settle(unpacked, &lower, &[]).expect("the lower layer");
    let before = sandbox.dump("lower");
    Stage {
        sandbox,
        lower,
        before,
    }
}

fn merge(stage: &mut Stage, stream: &[u8]) {
    let Ok((upper, unpacked)) = sandbox::apply(&mut stage.sandbox, "upper", stream, Stages::Alone)
    else {
        return;
    };
    let parents = [reopened(&stage.lower)];
    if settle(unpacked, &upper, &parents).is_err() {
        return;
    }
    let [lower] = parents;
    let flat = stage.sandbox.fresh("flat");
    flatten(&[lower, upper], &flat).expect("settled layers merge");
    let upper = stage.sandbox.dump("upper");
    let flat = stage.sandbox.dump("flat");
    compare(&stage.before, &upper, &flat);
}

fn reopened(root: &Root) -> Root {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    let handle = root.resolve(Path::new("."), flags, rustix::fs::Mode::empty());
    Root::from_fd(handle.expect("a handle"))
}

/// The merged tree against the rules of overlay.
fn compare(lower: &Tree, upper: &Tree, flat: &Tree) {
    for (path, seen) in flat {
        assert!(
            !is_whiteout(seen) && !is_opaque(seen),
            "{} leaked",
            path.display()
        );
        let from = upper.get(path).or(lower.get(path));
        let from = from.unwrap_or_else(|| panic!("{} from nowhere", path.display()));
        let same = (from.mode, from.owner, &from.data, from.device)
            == (seen.mode, seen.owner, &seen.data, seen.device);
        assert!(same, "{}: {from:?} became {seen:?}", path.display());
        assert_eq!(from.modified, seen.modified, "{}", path.display());
    }
    for (path, seen) in upper {
        let ghost = is_whiteout(seen) && !lower.contains_key(path);
        assert!(!ghost, "{} hides nothing", path.display());
        assert_eq!(
            flat.contains_key(path),
            !is_whiteout(seen),
            "{}",
            path.display()
        );
    }
    for path in lower.keys() {
        assert_eq!(
            flat.contains_key(path),
            is_visible(path, upper),
            "{}",
            path.display()
        );
    }
}

/// Whether the upper layer shows this path of the lower one, or has something there itself.
fn is_visible(path: &Path, upper: &Tree) -> bool {
    let closed = path
        .ancestors()
        .skip(1)
        .filter_map(|above| upper.get(above));
    let mut closed = closed.filter(|seen| !is_directory(seen) || is_opaque(seen));
    match upper.get(path) {
        Some(seen) => !is_whiteout(seen),
        None => closed.next().is_none(),
    }
}

fn is_directory(seen: &Seen) -> bool {
    seen.mode & 0o170_000 == 0o040_000
}

fn is_whiteout(seen: &Seen) -> bool {
    seen.mode & 0o170_000 == 0o020_000 && seen.device == 0
}

fn is_opaque(seen: &Seen) -> bool {
    seen.xattrs
        .get(&b"trusted.overlay.opaque"[..])
        .is_some_and(|value| value == b"y")
}
