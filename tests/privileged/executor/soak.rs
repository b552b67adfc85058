//! Many tasks through one executor, while its agent misbehaves at random: `$UCR_SOAK_TASKS` of them,
//! with the seed `$UCR_SOAK_SEED`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Play;
use crate::supervised::stage::natively;
use crate::support::fake_agent::{Acknowledge, FakeAgent, Options, Update};
use crate::support::ucr::Ucr;

/// Tasks that live at the same time, at most.
const AT_ONCE: usize = 10;
/// Longest that all of it may take, for each task.
const EACH: Duration = Duration::from_secs(3);
/// What the executor may need, in KiB of RSS.
const MAX_RSS: u64 = 20 << 10;
/// What it may have grown by after all tasks, in KiB: the longest SUBSCRIBE leaves its room.
const MAX_GROWTH: u64 = 2 << 10;

/// Numbers that a seed decides (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn number(name: &str, default: u64) -> u64 {
    let said = std::env::var(name).ok();
    said.map_or(default, |text| text.parse().expect(name))
}

/// What the executor is at some time.
#[derive(Debug)]
struct Weight {
    /// KiB in memory, the program's own pages included.
    rss: u64,
    /// KiB of that that are nobody else's.
    own: u64,
    /// Open descriptors.
    open: usize,
}

impl Weight {
    fn of(pid: i32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Self {
            rss: field("VmRSS:"),
            own: field("RssAnon:"),
            open: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        }
    }
}

fn is_terminal(update: &Update) -> bool {
    let ends = ["FINISHED", "FAILED", "KILLED", "ERROR"];
    ends.iter().any(|it| update.state.ends_with(it))
}

/// Those that were launched and are not over.
fn living(agent: &FakeAgent, launched: u64) -> Vec<String> {
    let updates = agent.updates("");
    let over: BTreeSet<&String> = updates
        .iter()
        .filter(|it| is_terminal(it))
        .map(|it| &it.task)
        .collect();
    let all = (0..launched).map(|index| format!("t{index}"));
    all.filter(|id| !over.contains(id)).collect()
}

/// One task of some kind.
fn task(play: &Play, dice: &mut Dice, id: &str) -> Value {
    let quick = json!({"kill_policy": {"grace_period": {"nanoseconds": 200_000_000}}});
    match dice.below(8) {
        0 => play.task(id, "exit 0", quick),
        1 => play.task(id, "exit 9", quick),
        2 => play.task(id, "kill -9 $$", quick),
        3 => play.task(id, "trap '' TERM; while :; do sleep 0.1; done", quick),
        4 => play.task(id, "sleep 0.3", quick),
        5 => json!({"task_id": {"value": id}}),
        6 => {
            let check = json!({"health_check": {"type": "COMMAND", "delay_seconds": 0,
                "interval_seconds": 0.1, "grace_period_seconds": 0,
                "command": {"value": "false"}}});
            play.task(id, "sleep 1000", check)
        }
        _ => play.task(id, "sleep 1000", quick),
    }
}

/// Launches it until it has arrived: what was sent into a stream that was about to be lost never
/// does, which an agent sees by the next SUBSCRIBE.
fn launch(play: &Play, id: &str, task: &Value) {
    let begin = Instant::now();
    let is_there = || !play.agent.updates(id).is_empty();
    loop {
        let streams = play.agent.calls_of("SUBSCRIBE").len();
        play.agent.launch(task.clone());
        let is_lost =
            || play.agent.is_subscribed() && play.agent.calls_of("SUBSCRIBE").len() > streams;
        while !is_there() && !is_lost() {
            let words = || play.running.stderr_so_far();
            assert!(
                begin.elapsed() < EACH * 10,
                "{id} is not there: {}",
                words()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have come by the new stream.
        for _ in 0..100 {
            if is_there() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Something that agents do.
fn disturb(play: &mut Play, dice: &mut Dice) {
    match dice.below(12) {
        0 => play.agent.drop_stream(),
        1 => play.agent.end_politely(),
        2 => play.agent.drop_calls(),
        3 => {
            play.agent.stop();
            std::thread::sleep(Duration::from_millis(dice.below(300)));
            play.agent.restart();
        }
        4 => play.agent.answer_subscribe(503, 2),
        5 => play.agent.split(1 + dice.below(40) as usize),
        6 => play.agent.acknowledge(Acknowledge::Twice),
        7 => play.agent.acknowledge(Acknowledge::WrongFirst),
        8 => play.agent.acknowledge(Acknowledge::Never),
        9 => play.agent.garbage(),
        _ => play.agent.acknowledge(Acknowledge::AtOnce),
    }
}

#[test]
fn many_tasks_and_a_bad_agent() {
    let tasks = number("UCR_SOAK_TASKS", 30);
    let seed = number("UCR_SOAK_SEED", 8);
    println!("UCR_SOAK_TASKS={tasks} UCR_SOAK_SEED={seed}");
    natively(|stage| {
        let mut dice = Dice(seed * 2 + 1);
        let options = Options {
            backoff_max: "100ms",
            ..Options::default()
        };
        let mut play = Play::with(stage, options, &["--linger", "1h"]);
        let pid = play.running.pid().as_raw();
        let deadline = Instant::now() + EACH * tasks as u32 + Duration::from_secs(60);
        let (mut launched, mut after_first) = (0, None);
        loop {
            let living = living(&play.agent, launched);
            if launched == tasks && living.is_empty() {
                break;
            }
            let running = || play.running.stderr_so_far();
            assert!(
                Instant::now() < deadline,
                "{launched} launched, {living:?} live: {}",
                running()
            );
            if launched < tasks && living.len() < AT_ONCE {
                let id = format!("t{launched}");
                let task = task(&play, &mut dice, &id);
                launch(&play, &id, &task);
                launched += 1;
            }
            if !living.is_empty() {
                let index = dice.below(living.len() as u64) as usize;
                play.agent.kill(&living[index], None);
            }
            if dice.below(6) == 0 {
                disturb(&mut play, &mut dice);
            }
            if launched == 15 && after_first.is_none() {
                after_first = Some(Weight::of(pid));
            }
            // Those that live at the end, and updates that nobody has acknowledged.
            if launched == tasks {
                play.agent.acknowledge(Acknowledge::AtOnce);
            }
            std::thread::sleep(Duration::from_millis(dice.below(120)));
        }
        play.agent.drop_stream();
        play.agent.wait_until("everything is known", |agent| {
            agent.is_subscribed() && agent.updates("").iter().all(|it| it.is_acknowledged)
        });
        let (first, last) = (after_first.unwrap(), Weight::of(pid));
        println!("after 15 tasks {first:?}, after {tasks} {last:?}");
        assert!(last.own <= first.own + MAX_GROWTH, "{first:?} {last:?}");
        // The program's own pages are shared by all; only those of the release binary are few.
        let is_release = Ucr::binary().metadata().unwrap().len() < 16 << 20;
        assert!(!is_release || last.rss <= MAX_RSS, "{last:?}");
        // What is just being said goodbye to may still be open.
        assert!(last.open <= 16, "{last:?} without a task");
        let mut ends = BTreeMap::new();
        let updates = play.agent.updates("");
        for update in updates.iter().filter(|it| is_terminal(it)) {
            let before = ends.insert(update.task.clone(), update.state.clone());
            assert_eq!(before, None, "{update:?}");
        }
        assert_eq!(ends.len() as u64, tasks);
        let connections = play.agent.calls_of("SUBSCRIBE").len();
        println!("{} updates, {connections} streams", updates.len());
        play.shut_down();
    });
}

/// Case 72.
#[test]
#[ignore = "run by tests/soak/run: it takes a minute"]
fn an_end_that_nobody_acknowledges() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.agent.acknowledge(Acknowledge::Never);
        let begin = Instant::now();
        play.launch("t", "true", json!({}));
        play.running.wait_until("its end", EACH * 30, || {
            play.running.ended_within(Duration::ZERO)
        });
        let took = begin.elapsed().as_secs();
        assert!((60..70).contains(&took), "{took}");
        play.end();
    });
}
