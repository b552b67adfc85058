//! A pull of many small files, killed again and again at moments spread over its whole time: the
//! next pull always makes the same store, and nothing is left over.
//!
//! `tests/soak/run` does it fifty times with 22,000 files. The moments are random; the seed is
//! printed, and `UCR_KILL_SEED` repeats it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::concurrency::{assert_no_lock, listing};
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::ucr::Ucr;

const LIMIT: Duration = Duration::from_secs(300);

/// Repeatable numbers (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    /// A part of one, from 0 to 1.
    fn part(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() % 1_000_000).unwrap()) / 1e6
    }
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name);
    value.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

/// Two layers of small files in many directories, as a package manager leaves them: the second one
/// replaces, deletes and links files of the first.
fn image(files: u64) -> Layout {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let path = |number: u64| format!("modules/{}/lib/{number}.js", number % (files / 20).max(1));
    let mut text = |number: u64| -> String {
        let words = (0..random.next() % 500).map(|_| format!("{:x} ", random.next() % 5000));
        format!("{number}: {}", words.collect::<String>())
    };
    let low = (0..files * 3 / 4).fold(Layer::new(), |layer, number| {
        let layer = layer.file(&path(number), text(number));
        layer.owner(number % 3, 7).mtime(1_600_000_000 + number)
    });
    let high = (files * 3 / 4..files).fold(Layer::new(), |layer, number| {
        let layer = layer.file(&path(number), text(number));
        match number % 10 {
            0 => layer.whiteout(&path(number / 3)),
            1 => layer.hardlink(&format!("linked/{number}"), &path(number / 6)),
            2 => layer.file(&path(number / 12), "replaced"),
            _ => layer,
        }
    });
    Layout::of("many", &Image::new().layer(low).layer(high).cmd(&["x"]))
}

#[test]
fn killed_at_any_moment() {
    let (kills, files) = (number("UCR_KILLS", 10), number("UCR_KILL_FILES", 3000));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("UCR_KILL_SEED", now.expect("a clock").as_nanos() as u64 | 1);
    eprintln!("{kills} kills, {files} files, UCR_KILL_SEED={seed}");
    let layout = image(files);
    let digest = layout.resolve("many");
    let registry = Registry::open();
    let reference = registry.push(&layout, "many", "demo/many:1");
    let clean = Ucr::new();
    let begin = Instant::now();
    clean.pull(&reference);
    let duration = begin.elapsed();
    let expected = listing(&clean.root());
    assert!(expected.0.len() as u64 > files, "a small tree");
    let mut random = Random(seed);
    let mut early = 0;
    for kill in 0..kills {
        let part = (kill as f64 + random.part()) / kills as f64;
        let moment = duration.mul_f64(part);
        let ucr = Ucr::new();
        let pull = ucr.cmd(["pull", &reference]).spawn();
        let was_early = !pull.ended_within(moment);
        if was_early {
            pull.signal(Signal::SIGKILL);
            assert_eq!(pull.finish(LIMIT).code, -9);
            early += 1;
        } else {
            pull.finish(LIMIT).ok();
        }
        let listed = ucr.run(["images", "--format", "json"]).ok().json();
        let count = listed.as_array().expect("a list").len();
        assert!(
            count == 0 || !was_early || listed[0]["digest"] == json!(digest),
            "{listed}"
        );
        let again = ucr.cmd(["pull", &reference]).limit(LIMIT).run().ok();
        assert_eq!(
            again.text(),
            digest,
            "kill {kill} at {moment:?} of {duration:?}, seed {seed}"
        );
        let difference = listing(&ucr.root()).difference(&expected);
        assert!(
            difference.is_empty(),
            "kill {kill} at {moment:?} of {duration:?}, seed {seed}:\n{difference}"
        );
        assert_no_lock(&ucr.root());
    }
    // A faster machine than a moment ago is no fault, but then this test shows nothing.
    assert!(
        early * 2 >= kills,
        "only {early} of {kills} pulls were killed before their end"
    );
    eprintln!("{early} of {kills} pulls were killed within {duration:?}");
}
