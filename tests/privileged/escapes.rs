//! What a hostile image, a container's process, or whoever shares a volume with one may try. Each
//! test is one class of known attacks, with something of the host's beside it that must stay as it
//! is.
//!
//! `tests/data/escapes.md` says which test is for which known vulnerability, and for which item of
//! the checkable list (reference/runtime.md, sections 3 and 10); [`table`] keeps it true. That the
//! tests bite is shown by `tests/escapes/mutations`, which weakens ucr line by line.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::process;
use crate::support::samples;
use crate::support::scratch::Scratch;

use super::world::World;

mod endings;
mod handles;
mod identity;
mod kernel;
mod paths;
mod streams;
pub mod table;

const LIMIT: Duration = Duration::from_secs(30);

/// Users of the host's, and two ways to have others.
const USERS: [&[&str]; 3] = [&[], &["--userns", "auto"], &["--userns", "0:100000:65536"]];

/// The attacker's program.
static PROBE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let program = scratch.join("probe");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/privileged/escapes/probe.rs");
    process::tool(
        Command::new("rustc")
            .args(["--edition", "2024", "-C", "target-feature=+crt-static"])
            .args(["-C", "opt-level=1", "-C", "strip=symbols", "-o"])
            .arg(&program)
            .arg(source),
    );
    fs::read(program).unwrap()
});

/// A layer with the attacker's program in it.
fn with_probe() -> Layer {
    samples::busybox_layer().program("probe", &*PROBE)
}

fn world(layer: Layer) -> World {
    World::of(&Image::new().layer(layer))
}

/// What must not change of a file.
fn state_of(path: &Path) -> (u64, u32, u32, i64, u64) {
    let found = fs::metadata(path).unwrap();
    (
        found.ino(),
        found.mode(),
        found.uid(),
        found.mtime(),
        found.size(),
    )
}
