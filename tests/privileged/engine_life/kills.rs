//! ucr killed with -9 at random moments of a run: the next command removes its container. The seed is
//! printed, and `UCR_KILL_SEED` repeats it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::host::{ENGINE, Host, LIMIT};

/// Kills of each of two, which run at once.
const KILLS: u32 = 15;

/// Containers of one of them, in the Engine's own words.
fn containers(label: &str) -> String {
    ENGINE.ask([
        "ps",
        "--all",
        "--quiet",
        "--filter",
        &format!("label={label}"),
    ])
}

/// Notes of containers that were never made, as far as anybody knows.
fn is_only_noted(host: &Host) -> bool {
    host.private().iter().all(|directory| {
        let note = std::fs::read(directory.join("note.json")).unwrap_or_default();
        let note: serde_json::Value = serde_json::from_slice(&note).unwrap_or_default();
        note["id"].is_null() && note["key"].is_string()
    })
}

fn kill_again_and_again(flags: &[&str], label: &str, mut seed: u64) {
    let host = Host::new();
    let flags = [flags, &["--label", label]].concat();
    let begin = Instant::now();
    host.start(&flags, &["true"]).run().ok();
    let whole = begin.elapsed();
    for turn in 0..KILLS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let part = f64::from(u32::try_from(seed >> 32).unwrap()) / f64::from(u32::MAX);
        let run = host.start(&flags, &["true"]).spawn();
        let moment = whole.mul_f64(part);
        if run.ended_within(moment) {
            run.finish(LIMIT).ok();
            continue;
        }
        run.signal(Signal::SIGKILL);
        run.finish(LIMIT);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            host.run(&["ps"]).ok();
            let left = containers(label);
            if left.is_empty() && is_only_noted(&host) {
                break;
            }
            let late = format!(
                "{label}, turn {turn}, after {moment:?}: {left} {:?}",
                host.private()
            );
            assert!(Instant::now() < deadline, "{late}");
        }
    }
    host.start(&flags, &["true"]).run().ok();
    assert_eq!(containers(label), "");
}

#[test]
fn killed_at_random_moments() {
    let given = std::env::var("UCR_KILL_SEED").ok();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = given.map_or(now, |text| {
        text.parse().expect("UCR_KILL_SEED is no number")
    });
    eprintln!("UCR_KILL_SEED={seed}");
    std::thread::scope(|scope| {
        scope.spawn(|| kill_again_and_again(&[], "kills.own", seed));
        scope.spawn(|| kill_again_and_again(&["--name", "killed"], "kills.named", !seed));
    });
}
