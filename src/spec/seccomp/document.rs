//! The built-in rules as a profile in moby's form, for Docker Engine.
//!
//! libseccomp reads it there, which takes one comparison of each argument and goes by the order of
//! rules in ways of its own. So nothing is left to an order: what depends on arguments is cut into
//! cases that exclude each other, by the bits of each argument. What is above 32 bits is one
//! comparison, never a mask: on 32-bit architectures libseccomp drops the upper half of masks, and
//! a rule that then asks nothing would hold always.

use caps::CapsHashSet;
use serde_json::{Map, Value, json};

use super::policy::{Circumstances, rule};
use super::rule::{Action, Compare, Condition, Rule};
use super::syscalls::SYSCALLS;

/// The kernel since which a tracer cannot change a call behind a filter's back.
const TRACEABLE: &str = "4.8";
const LOW: u64 = 0xffff_ffff;
const ARGUMENTS: usize = 6;

/// What an Engine's profiles can say of the error that a refused call fails with. What it does not
/// know it ignores in silence, and then libseccomp refuses a rule that says what the default does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// Nothing, it is EPERM, also for clone3, as in these Engines' own: before API 1.41.
    None,
    /// That of each rule; it is EPERM for calls without a rule. API 1.41 is Docker 20.10, since its
    /// release 20.10.10: older ones refuse the profile.
    OfRules,
    /// That of calls without a rule, too: since API 1.42, which is Docker 23.
    All,
}

impl Errors {
    /// Of the Engine with this version of the API.
    pub fn of(api: (u32, u32)) -> Self {
        match api {
            (1, ..=40) | (0, _) => Self::None,
            (1, 41) => Self::OfRules,
            _ => Self::All,
        }
    }

    fn default_action(self) -> Action {
        match self {
            Self::All => Action::ENOSYS,
            Self::OfRules | Self::None => Action::EPERM,
        }
    }

    fn can_say(self, action: Action) -> bool {
        let is_said = self != Self::None || action == Action::ALLOW;
        is_said && action != self.default_action()
    }
}

/// ucr's own filter for a container with this bounding set. It decides as the native runtime's does,
/// but where the Engine cannot say a call's error, it is EPERM, and calls of the x32 ABI end the
/// process: libseccomp has no other answer to them but to let them through.
pub fn profile(bounding: &CapsHashSet, errors: Errors) -> Value {
    let bits = bounding.iter().fold(0, |bits, it| bits | it.bitmask());
    let (now, before) = (
        Circumstances::new(bits, (4, 8)),
        Circumstances::new(bits, (4, 7)),
    );
    let mut entries = Entries {
        errors,
        plain: Vec::new(),
        cases: Vec::new(),
    };
    for (name, grant, _) in SYSCALLS {
        let (now, before) = (rule(name, *grant, now), rule(name, *grant, before));
        if now == before {
            entries.add(name, &now, None);
        } else {
            entries.add(name, &now, Some("includes"));
            entries.add(name, &before, Some("excludes"));
        }
    }
    let mut profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] },
            { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"] },
        ],
        "syscalls": entries.into_json(),
    });
    if errors == Errors::All {
        profile["defaultErrnoRet"] = json!(errors.default_action().data());
    }
    profile
}

/// Calls that are treated alike, whatever their arguments.
struct Group {
    action: Action,
    since: Option<&'static str>,
    names: Vec<&'static str>,
}

struct Entries {
    errors: Errors,
    plain: Vec<Group>,
    cases: Vec<Value>,
}

impl Entries {
    /// `since` is the condition that the kernel is not older than [`TRACEABLE`], or that it is.
    fn add(&mut self, name: &'static str, rule: &Rule, since: Option<&'static str>) {
        let cases = cases(rule);
        match cases.as_slice() {
            [only] if only.is_always() => self.group(name, only.action, since),
            cases => {
                let said = cases.iter().filter(|it| self.errors.can_say(it.action));
                let said = said.map(|case| entry(&[name], case.action, since, case.arguments()));
                self.cases.extend(said);
            }
        }
    }

    fn group(&mut self, name: &'static str, action: Action, since: Option<&'static str>) {
        if !self.errors.can_say(action) {
            return;
        }
        let is_it = |group: &&mut Group| group.action == action && group.since == since;
        match self.plain.iter_mut().find(is_it) {
            Some(group) => group.names.push(name),
            None => self.plain.push(Group {
                action,
                since,
                names: vec![name],
            }),
        }
    }

    fn into_json(self) -> Vec<Value> {
        let plain = self.plain.iter();
        let plain = plain.map(|it| entry(&it.names, it.action, it.since, Vec::new()));
        plain.chain(self.cases.iter().cloned()).collect()
    }
}

fn entry(names: &[&str], action: Action, since: Option<&str>, arguments: Vec<Value>) -> Value {
    let mut entry = Map::new();
    entry.insert("names".into(), json!(names));
    if action == Action::ALLOW {
        entry.insert("action".into(), json!("SCMP_ACT_ALLOW"));
    } else {
        entry.insert("action".into(), json!("SCMP_ACT_ERRNO"));
        entry.insert("errnoRet".into(), json!(action.data()));
    }
    if !arguments.is_empty() {
        entry.insert("args".into(), json!(arguments));
    }
    if let Some(since) = since {
        entry.insert(since.into(), json!({ "minKernel": TRACEABLE }));
    }
    Value::Object(entry)
}

/// What is known of an argument.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// These bits of it.
    Bits { mask: u64, value: u64 },
    /// It has more than 32 bits.
    Above,
}

impl Known {
    const NOTHING: Self = Self::Bits { mask: 0, value: 0 };

    /// Whether a comparison holds, as far as that can be told.
    fn holds(self, condition: Condition) -> Option<bool> {
        let wanted = condition.value;
        let (mask, least) = match self {
            Self::Bits { mask, value } => (mask, value),
            Self::Above => (0, LOW + 1),
        };
        let most = least | !mask;
        let below = |limit: u64| match (most < limit, least >= limit) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        let not_above = |limit: u64| limit.checked_add(1).map_or(Some(true), below);
        let equal = || match (wanted ^ least) & mask {
            0 if wanted < least || wanted > most => Some(false),
            0 if least == most => Some(true),
            0 => None,
            _ => Some(false),
        };
        match condition.compare {
            Compare::Equal => equal(),
            Compare::NotEqual => equal().map(|holds| !holds),
            Compare::Less => below(wanted),
            Compare::LessOrEqual => not_above(wanted),
            Compare::Greater => not_above(wanted).map(|holds| !holds),
            Compare::GreaterOrEqual => below(wanted).map(|holds| !holds),
            Compare::Masked(of) if (wanted ^ least) & of & mask != 0 => Some(false),
            Compare::Masked(of) => (of & !mask == 0).then_some(true),
        }
    }

    /// Two parts that together are this, of which more is known; the second is empty if nothing
    /// more can be told.
    fn parts(self, compare: Compare) -> (Self, Option<Self>) {
        let Self::Bits { mask, value } = self else {
            return (self, None);
        };
        let unknown = match compare {
            Compare::Masked(of) => of & !mask,
            _ if mask & !LOW == 0 => {
                let low = Self::Bits {
                    mask: mask | !LOW,
                    value,
                };
                return (low, Some(Self::Above));
            }
            _ => !mask,
        };
        let Some(bit) = unknown.checked_ilog2().map(|place| 1 << place) else {
            return (self, None);
        };
        let with = |value| Self::Bits {
            mask: mask | bit,
            value,
        };
        (with(value), Some(with(value | bit)))
    }

    fn json(self, index: usize) -> Option<Value> {
        Some(match self {
            Self::Bits { mask: 0, .. } => return None,
            Self::Bits {
                mask: u64::MAX,
                value,
            } => {
                json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" })
            }
            Self::Bits { mask, value } => {
                json!({ "index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ" })
            }
            Self::Above => json!({ "index": index, "value": LOW, "op": "SCMP_CMP_GT" }),
        })
    }
}

/// Arguments of a call, and what is done with it; no two of one call have arguments in common.
struct Case {
    known: [Known; ARGUMENTS],
    action: Action,
}

impl Case {
    fn is_always(&self) -> bool {
        self.arguments().is_empty()
    }

    fn arguments(&self) -> Vec<Value> {
        let known = self.known.iter().zip(0..);
        known
            .filter_map(|(known, index)| known.json(index))
            .collect()
    }
}

fn cases(rule: &Rule) -> Vec<Case> {
    let mut all = Vec::new();
    let mut open = vec![[Known::NOTHING; ARGUMENTS]];
    while let Some(known) = open.pop() {
        let condition = match decide(rule, &known) {
            Ok(action) => {
                all.push(Case { known, action });
                continue;
            }
            Err(condition) => condition,
        };
        let place = usize::from(condition.argument);
        let with = |part| {
            let mut known = known;
            known[place] = part;
            known
        };
        let (first, second) = known[place].parts(condition.compare);
        match second {
            Some(second) => open.extend([with(second), with(first)]),
            // Only a mask of an argument that is compared as a whole, too; the policy has none.
            None => all.push(Case {
                known,
                action: rule.otherwise,
            }),
        }
    }
    all
}

/// What is done, or the first condition that it depends on.
fn decide(rule: &Rule, known: &[Known; ARGUMENTS]) -> Result<Action, Condition> {
    for case in &rule.cases {
        let holds = |it: &Condition| known[usize::from(it.argument)].holds(*it);
        if case.conditions.iter().any(|it| holds(it) == Some(false)) {
            continue;
        }
        match case.conditions.iter().find(|it| holds(it).is_none()) {
            Some(unknown) => return Err(*unknown),
            None => return Ok(case.action),
        }
    }
    Ok(rule.otherwise)
}
