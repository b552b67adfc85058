//! Random profiles, judged by reading them entry by entry as the documentation says.

use caps::CapsHashSet;
use serde_json::{Value, json};

use super::super::rule::{Action, Architecture};
use super::super::syscalls::{NO, SYSCALLS, find};
use super::super::{FAMILY, Filter};
use super::interpreter::{Call, verify};
use super::oracle::{around, compare};

/// A generator of numbers that is the same in every run (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x5eed_cafe_f00d_d00d)
    }

    pub fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next(all.len() as u64) as usize]
    }
}

pub const VALUES: [u64; 12] = [
    0,
    1,
    2,
    0x5412,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0xffff_fffe_0000_0001,
    0xffff_ffff_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

const NAMES: [&str; 8] = [
    "read", "ioctl", "socket", "clone", "semop", "accept4", "mount", "prctl",
];
const OPERATORS: [&str; 7] = ["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"];
const ACTIONS: [(&str, Action); 6] = [
    ("ALLOW", Action::ALLOW),
    ("ERRNO", Action::EPERM),
    ("KILL", Action::KILL_THREAD),
    ("KILL_PROCESS", Action::KILL_PROCESS),
    ("TRAP", Action::TRAP),
    ("TRACE", Action::trace(1)),
];

/// All entries have one action, which is not the default.
pub fn random_profile(random: &mut Random) -> Value {
    let at = random.next(6);
    let default = ACTIONS[at as usize].0;
    let action = ACTIONS[((at + 1 + random.next(5)) % 6) as usize].0;
    let entries: Vec<Value> = (0..=random.next(6))
        .map(|_| {
            let args: Vec<Value> = (0..random.next(4)).map(|_| condition(random)).collect();
            json!({
                "names": [random.of(&NAMES)],
                "action": format!("SCMP_ACT_{action}"),
                "args": args,
            })
        })
        .collect();
    json!({
        "defaultAction": format!("SCMP_ACT_{default}"),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": entries,
    })
}

fn condition(random: &mut Random) -> Value {
    let value = random.of(&VALUES);
    json!({
        "index": random.next(3),
        "op": format!("SCMP_CMP_{}", random.of(&OPERATORS)),
        "value": value,
        "valueTwo": random.of(&VALUES) & value,
    })
}

/// The highest number of a call that the profile names.
pub fn newest(profile: &Value, architecture: Architecture) -> Option<u32> {
    let entries = profile["syscalls"].as_array().unwrap();
    let names = entries
        .iter()
        .filter_map(|entry| entry["names"][0].as_str());
    let numbers = names
        .filter_map(find)
        .map(|(.., numbers)| numbers[architecture.column()]);
    numbers.filter(|number| *number != NO).max()
}

fn holds(argument: &Value, call: &Call, mask: u64) -> bool {
    let number = |name: &str| argument[name].as_u64().unwrap();
    let is = call.arguments[number("index") as usize];
    let value = number("value") & mask;
    match argument["op"].as_str().unwrap() {
        "SCMP_CMP_EQ" => is == value,
        "SCMP_CMP_NE" => is != value,
        "SCMP_CMP_LT" => is < value,
        "SCMP_CMP_LE" => is <= value,
        "SCMP_CMP_GT" => is > value,
        "SCMP_CMP_GE" => is >= value,
        _ => is & value == number("valueTwo") & mask,
    }
}

fn action(profile: &Value) -> Action {
    let name = profile.as_str().unwrap().strip_prefix("SCMP_ACT_").unwrap();
    ACTIONS.into_iter().find(|(of, _)| *of == name).unwrap().1
}

/// What an entry says of a call, if it says anything: all conditions hold, or one of them if two
/// are on the same argument.
fn says(entry: &Value, call: &Call, architecture: Architecture) -> Option<Action> {
    let mask = if architecture.is_wide() {
        u64::MAX
    } else {
        0xffff_ffff
    };
    let arguments = entry["args"].as_array().unwrap();
    let mut indexes: Vec<u64> = arguments
        .iter()
        .map(|a| a["index"].as_u64().unwrap())
        .collect();
    indexes.sort_unstable();
    let doubled = indexes.windows(2).any(|pair| pair[0] == pair[1]);
    let mut each = arguments.iter().map(|argument| holds(argument, call, mask));
    let all = if doubled {
        each.any(|holds| holds)
    } else {
        each.all(|holds| holds)
    };
    all.then(|| action(&entry["action"]))
}

/// Reads the entries: the first without conditions wins, else the strictest that holds.
fn read(profile: &Value, call: &Call, architecture: Architecture) -> Action {
    let default = action(&profile["defaultAction"]);
    let column = architecture.column();
    let name = SYSCALLS
        .iter()
        .find(|(.., numbers)| numbers[column] == call.number);
    let entries = profile["syscalls"].as_array().unwrap();
    let about = entries.iter().filter(|entry| {
        name.is_some_and(|(name, ..)| entry["names"][0] == *name)
            && action(&entry["action"]) != default
    });
    let about: Vec<&Value> = about.collect();
    let plain = about
        .iter()
        .find(|entry| entry["args"].as_array().unwrap().is_empty());
    if let Some(entry) = plain {
        return action(&entry["action"]);
    }
    let all = about
        .iter()
        .filter_map(|entry| says(entry, call, architecture));
    let decided = all.min_by_key(|action| action.rank());
    let beyond = newest(profile, architecture).is_some_and(|newest| call.number > newest);
    match decided {
        Some(action) => action,
        None if beyond && !default.lets_through() => Action::ENOSYS,
        None => default,
    }
}

/// Also several entries for a call, with different actions, and several conditions on an argument.
#[test]
fn random_profiles_mean_what_they_say() {
    let mut random = Random::new();
    let values = around(&VALUES);
    let doors = ["ipc", "socketcall"].map(|door| super::number(Architecture::I386, door));
    let mut decided = 0;
    for _ in 0..300 {
        let mut profile = random_profile(&mut random);
        for entry in profile["syscalls"].as_array_mut().unwrap() {
            entry["action"] = json!(format!("SCMP_ACT_{}", random.of(&ACTIONS).0));
        }
        let json = profile.to_string();
        let filter = Filter::from_profile(json.as_bytes(), &CapsHashSet::new(), (6, 1));
        let filter = filter.unwrap().0;
        verify(filter.program());
        let program = filter.program();
        compare(program, program, &values, |call, architecture, ours, _| {
            if architecture == FAMILY[1] && doors.contains(&call.number) {
                return;
            }
            let wanted = read(&profile, call, architecture);
            decided += usize::from(wanted != action(&profile["defaultAction"]));
            assert_eq!(ours, wanted, "{architecture:?} {call:#x?}\n{profile:#}");
        });
    }
    assert!(decided > 10_000, "{decided}");
}
