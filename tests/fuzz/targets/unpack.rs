//! A stream, compressed or not, into a directory on tmpfs, as the only layer.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use ucr::error;
use ucr::layer::settle;
use ucr_fuzz::mutate;
use ucr_fuzz::sandbox::{self, Sandbox, Tree};

thread_local! {
    static SANDBOX: RefCell<Sandbox> = RefCell::new(Sandbox::new());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::archive(data, size, max_size, seed)
});

fuzz_target!(|stream: &[u8]| {
    SANDBOX.with_borrow_mut(|sandbox| {
        let one = layer(sandbox, "one", stream);
        let two = layer(sandbox, "two", stream);
        sandbox.check();
        match (one, two) {
            (Ok(one), Ok(two)) => {
                let paths = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
                assert_eq!(paths(&one), paths(&two));
                for (path, seen) in &one {
                    let mut again = two[path].clone();
                    again.changed = seen.changed;
                    assert_eq!(*seen, again, "{} differs", path.display());
                }
                check(&one);
            }
            (Err(_), Err(_)) => {}
            (one, two) => panic!("once {:?}, once {:?}", one.err(), two.err()),
        }
    });
});

fn layer(sandbox: &mut Sandbox, name: &str, stream: &[u8]) -> Result<Tree, String> {
    let shown = |error: anyhow::Error| error::render(&error);
    let (staging, unpacked) = sandbox::apply(sandbox, name, stream).map_err(shown)?;
    let limits = sandbox::limits();
    assert!(unpacked.entries <= limits.entries);
    assert!(unpacked.bytes <= limits.unpacked_bytes);
    settle(unpacked, &staging, &[]).map_err(shown)?;
    Ok(sandbox.dump(name))
}

/// Nothing below: nothing that could be whited out, and no mark of it.
fn check(tree: &Tree) {
    for (path, seen) in tree {
        let hides = path
            .iter()
            .any(|name| name.as_encoded_bytes().starts_with(b".wh."));
        assert!(!hides, "{} was made", path.display());
        assert!(
            path.iter().count() as u64 <= 2 * sandbox::limits().depth,
            "{}",
            path.display()
        );
        let whiteout = seen.mode & 0o170_000 == 0o020_000 && seen.device == 0;
        assert!(!whiteout, "{} is a ghost", path.display());
    }
}
