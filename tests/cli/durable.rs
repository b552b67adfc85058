//! What outlives the pull that fetched it: bytes of a slow layer, layers after the next boot.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::scripted_registry::Misbehaviour;
use crate::support::ucr::{Ucr, children};

use super::concurrency::{listing, noise};
use super::faults::scripted;

const SIZE: usize = 3 << 20;

/// A pull that is killed in the middle of a slow layer keeps what came since that layer was slow;
/// the next one asks for what was before, and for what is after. Wrong bytes do not survive it.
#[test]
fn a_slow_layer_is_resumed_by_the_next_pull() {
    let layer = Layer::new().file("noise", noise(SIZE, 1));
    let image = Image::new().layer(layer.packed(Packing::Plain));
    for damaged in [false, true] {
        let (server, reference, layers) = scripted(&image);
        let blob = format!("/blobs/{}", layers[0]);
        // A third of it comes before the layer counts as slow.
        let slow = Misbehaviour::Slow(64 << 10, Duration::from_millis(300));
        server.script(&blob, 1, slow);
        let ucr = Ucr::new();
        let kept_file = ucr
            .root()
            .join("ingest")
            .join(&layers[0]["sha256:".len()..]);
        let kept = || fs::metadata(&kept_file).map_or(0, |file| file.len());
        let pull = ucr.cmd(["pull", &reference]).spawn();
        pull.wait_until("kept bytes", Duration::from_secs(60), || kept() > 0);
        pull.signal(Signal::SIGKILL);
        pull.finish(Duration::from_secs(10));
        let end = kept();
        assert!((1 << 19..SIZE as u64).contains(&end), "{end}");
        if damaged {
            let file = fs::OpenOptions::new().write(true).open(&kept_file).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"other bytes", end - 11).unwrap();
        }
        let asked_before = server.asked(&blob).len();
        ucr.pull(&reference);
        let asked = server.asked(&blob).split_off(asked_before);
        let ranges: Vec<_> = asked
            .iter()
            .map(|request| request.header("range"))
            .collect();
        let rest = format!("bytes={end}-");
        let mut expected = vec![None, Some(rest.as_str())];
        if damaged {
            // Once more from the start.
            expected.push(None);
        }
        // Both connections are opened at the same time.
        let sorted = |mut ranges: Vec<Option<&str>>| {
            ranges.sort_unstable();
            ranges
                .into_iter()
                .map(|range| range.map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(sorted(ranges), sorted(expected));
        let clean = Ucr::new();
        clean.pull(&reference);
        listing(&ucr.root()).assert_same(&listing(&clean.root()));
    }
}

/// Without a sync, layers are good until the next boot: then they are fetched again.
#[test]
fn unsynced_layers_are_of_one_boot() {
    let image = Image::new()
        .layer(Layer::new().file("a", "a"))
        .layer(Layer::new().file("b", "b"));
    let (server, reference, layers) = scripted(&image);
    let ucr = Ucr::new();
    let fetches = || server.asked("/blobs/").len();
    ucr.run(["pull", "--no-sync", &reference]).ok();
    let found = fetches();
    assert_eq!(found, 1 + layers.len());
    ucr.run(["pull", "--policy", "missing", &reference]).ok();
    assert_eq!(fetches(), found);

    // As if the machine had started again.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let record = format!("layer-{}.json", boot.trim());
    let placed = children(&ucr.root().join("layers"));
    assert_eq!(placed.len(), layers.len());
    for layer in &placed {
        let earlier = layer.join(format!("layer-{}.json", boot.trim().replace('-', "0")));
        fs::rename(layer.join(&record), earlier).unwrap();
    }
    ucr.run(["pull", "--policy", "never", &reference])
        .refused(&["not in the store"]);
    ucr.run(["pull", "--policy", "missing", &reference]).ok();
    assert_eq!(fetches(), found + layers.len());
    for layer in &placed {
        assert!(layer.join("layer.json").exists(), "{}", layer.display());
    }
    assert_eq!(children(&ucr.root().join("layers")), placed);
    ucr.run(["pull", "--policy", "never", &reference]).ok();
}
