//! A stream, compressed or not, into a directory on tmpfs, as the only layer: without threads, with
//! threads, and as something else than was announced.
#![no_main]

use std::cell::RefCell;
use std::io::{self, Read};

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use ucr::error::{self, Fault, Kind};
use ucr::image::Digest;
use ucr::layer::{Expect, settle};
use ucr_fuzz::mutate;
use ucr_fuzz::sandbox::{self, Sandbox, Stages, Tree};

thread_local! {
    static SANDBOX: RefCell<Sandbox> = RefCell::new(Sandbox::new());
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::archive(data, size, max_size, seed)
});

fuzz_target!(|stream: &[u8]| {
    SANDBOX.with_borrow_mut(|sandbox| {
        let one = layer(sandbox, "one", stream, Stages::Alone);
        let two = layer(sandbox, "two", stream, Stages::WithThreads);
        let digest = Digest::of(stream);
        let choice = usize::from_str_radix(&digest.hex()[..2], 16).expect("hexadecimal");
        forge(sandbox, stream, &digest, choice % 4, Stages::Alone);
        forge(
            sandbox,
            stream,
            &digest,
            choice / 4 % 4,
            Stages::WithThreads,
        );
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

fn layer(sandbox: &mut Sandbox, name: &str, stream: &[u8], stages: Stages) -> Result<Tree, String> {
    let shown = |error: anyhow::Error| error::render(&error);
    let (staging, unpacked) = sandbox::apply(sandbox, name, stream, stages).map_err(shown)?;
    let limits = sandbox::limits();
    assert!(unpacked.entries <= limits.entries);
    assert!(unpacked.bytes <= limits.unpacked_bytes);
    settle(unpacked, &staging, &[]).map_err(shown)?;
    Ok(sandbox.dump(name))
}

/// What is not the announced blob never becomes a layer, whatever is in it.
fn forge(sandbox: &mut Sandbox, stream: &[u8], digest: &Digest, how: usize, stages: Stages) {
    let expect = Expect {
        blob: digest,
        size: stream.len() as u64,
        diff_id: digest,
    };
    let (blob, kind): (Box<dyn Read>, Kind) = match (how, stream) {
        (0, [cut @ .., _]) => (Box::new(cut), Kind::Integrity),
        (1, [most @ .., last]) => (
            Box::new(io::Cursor::new([most, &[last ^ 1]].concat())),
            Kind::Integrity,
        ),
        (2, _) => (Box::new(stream.chain(Broken)), Kind::Network),
        _ => (Box::new(stream.chain(&b"x"[..])), Kind::Integrity),
    };
    let staging = sandbox.fresh("forged");
    let error = stages.unpack(blob, &expect, &staging).expect_err("forged");
    let found = error::kind(&error);
    // With threads a bomb may be known before the end of the blob.
    let early = stages == Stages::WithThreads && matches!(found, Kind::Limit | Kind::Unsupported);
    assert!(
        found == kind || early,
        "{found:?}: {}",
        error::render(&error)
    );
}

/// A connection that is lost.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(Fault::new(Kind::Network, "lost")))
    }
}

/// Nothing below: nothing that could be whited out, and no mark of it.
fn check(tree: &Tree) {
    for (path, seen) in tree {
        let hides = path
            .iter()
            .any(|name| name.as_encoded_bytes().starts_with(b".wh."));
        assert!(!hides, "{} was made", path.display());
        assert!(
            path.iter().count() as u64 <= sandbox::limits().depth,
            "{}",
            path.display()
        );
        let whiteout = seen.mode & 0o170_000 == 0o020_000 && seen.device == 0;
        assert!(!whiteout, "{} is a ghost", path.display());
    }
}
