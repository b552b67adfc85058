//! Profiles in JSON: what they say, with the conditions on the host already decided.
//!
//! Both forms are read: moby's (`archMap`, `includes`, `excludes`) and the OCI runtime
//! specification's (`architectures`). They mean what they mean under runc with libseccomp. Nothing
//! is guessed: what cannot be understood is a fault that names its place, except for system calls
//! and members that we do not know, which are worth a warning.

use anyhow::Result;
use caps::CapsHashSet;
use serde_json::Value;

use super::node::Node;
use super::rule::{Action, Architecture, Compare, Condition};
use super::syscalls;
use crate::error::{Fault, Kind};

/// The largest profile; moby's has 17 KiB.
const MAX_BYTES: usize = 1 << 20;
/// More cannot fit into the largest program.
const MAX_CONDITIONS: usize = 4096;
/// A profile with more problems than this gets no better by telling all.
const MAX_WARNINGS: usize = 16;

/// What `includes` and `excludes` ask about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    pub(super) capabilities: &'a CapsHashSet,
    pub(super) kernel: (u32, u32),
    pub(super) family: [Architecture; 2],
}

/// A profile for this host.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) default: Action,
    /// Among the machine's; its own is always the first.
    pub(super) architectures: Vec<Architecture>,
    /// `SECCOMP_FILTER_FLAG_*`
    pub(super) flags: u32,
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<String>,
}

/// One element of `syscalls` that applies to this host.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) names: Vec<String>,
    pub(super) action: Action,
    /// One of these lists must hold in full; none at all is no condition.
    pub(super) alternatives: Vec<Vec<Condition>>,
}

impl Profile {
    /// Reads a profile.
    pub(super) fn parse(json: &[u8], host: Host) -> Result<Self> {
        if json.len() > MAX_BYTES {
            let message = format!("seccomp profile: larger than {MAX_BYTES} bytes");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        let value: Value = serde_json::from_slice(json).map_err(|error| {
            let message = format!("seccomp profile: not valid JSON: {error}");
            Fault::new(Kind::Spec, message)
        })?;
        let root = Node::root(&value);
        let default = action(&root, "defaultAction", "defaultErrnoRet", "defaultErrno")?;
        let mut profile = Self {
            default,
            architectures: architectures(&root, host.family)?,
            flags: 0,
            entries: Vec::new(),
            warnings: Vec::new(),
        };
        profile.flags(&root)?;
        let mut conditions = 0;
        for node in root.list("syscalls")? {
            let Some(entry) = profile.entry(&node, host)? else {
                continue;
            };
            let each: usize = entry.alternatives.iter().map(Vec::len).sum();
            conditions += each.saturating_mul(entry.names.len());
            if conditions > MAX_CONDITIONS {
                let message = format!("seccomp profile: more than {MAX_CONDITIONS} conditions");
                return Err(Fault::new(Kind::Limit, message).into());
            }
            profile.entries.push(entry);
        }
        profile.unknown_members(&root, MEMBERS);
        Ok(profile)
    }

    fn flags(&mut self, root: &Node) -> Result<()> {
        for node in root.list("flags")? {
            self.flags |= match node.text()? {
                "SECCOMP_FILTER_FLAG_LOG" => 1 << 1,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 1 << 2,
                // There is one thread, and nobody to be notified.
                "SECCOMP_FILTER_FLAG_TSYNC"
                | "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"
                | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => 0,
                other => return Err(node.fault(&format!("unknown flag '{other}'")).into()),
            };
        }
        Ok(())
    }

    fn entry(&mut self, node: &Node, host: Host) -> Result<Option<Entry>> {
        self.unknown_members(node, ENTRY_MEMBERS);
        let names = names(node)?;
        let action = action(node, "action", "errnoRet", "errno")?;
        let alternatives = self.alternatives(node)?;
        let applies = match (node.field("includes")?, node.field("excludes")?) {
            (_, Some(excludes)) if self.condition(&excludes, host)?.any => false,
            (Some(includes), _) => self.condition(&includes, host)?.all,
            _ => true,
        };
        if !applies {
            return Ok(None);
        }
        let unknown = names.iter().filter(|name| !syscalls::exists(name));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if let [first, others @ ..] = &unknown[..] {
            let more = match others.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.warn(format!(
                "{}: no system call is named '{first}'{more}",
                node.path()
            ));
        }
        Ok(Some(Entry {
            names,
            action,
            alternatives,
        }))
    }

    /// All conditions hold together, unless two are on the same argument: then, as in runc and crun,
    /// each is an alternative of its own.
    fn alternatives(&mut self, node: &Node) -> Result<Vec<Vec<Condition>>> {
        let nodes = node.list("args")?;
        let conditions: Vec<Condition> = nodes.iter().map(condition).collect::<Result<_>>()?;
        let mut seen = [false; 6];
        let mut doubled = false;
        for condition in &conditions {
            doubled |= std::mem::replace(&mut seen[usize::from(condition.argument)], true);
        }
        if doubled {
            self.warn(format!(
                "{}.args: conditions on one argument are alternatives, each is enough",
                node.path()
            ));
            return Ok(conditions.into_iter().map(|one| vec![one]).collect());
        }
        Ok(match conditions.is_empty() {
            true => Vec::new(),
            false => vec![conditions],
        })
    }

    /// `includes` or `excludes`.
    fn condition(&mut self, node: &Node, host: Host) -> Result<Verdict> {
        let mut verdict = Verdict {
            all: true,
            any: false,
        };
        for name in node.texts("caps")? {
            let capability = name.parse::<caps::Capability>();
            if capability.is_err() {
                self.warn(format!("{}.caps: unknown capability '{name}'", node.path()));
            }
            verdict
                .note(capability.is_ok_and(|capability| host.capabilities.contains(&capability)));
        }
        let arches = node.texts("arches")?;
        if !arches.is_empty() {
            verdict.note(arches.contains(&go_name(host.family[0])));
        }
        if let Some(minimum) = node.field("minKernel")? {
            verdict.note(host.kernel >= version(&minimum)?);
        }
        self.unknown_members(node, &["arches", "caps", "minKernel"]);
        Ok(verdict)
    }

    fn unknown_members(&mut self, node: &Node, known: &[&str]) {
        for path in node.others(known) {
            self.warn(format!("{path}: unknown, ignored"));
        }
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(format!("seccomp profile: {warning}"));
        }
    }
}

const MEMBERS: &[&str] = &[
    "archMap",
    "architectures",
    "defaultAction",
    "defaultErrno",
    "defaultErrnoRet",
    "flags",
    "syscalls",
];

const ENTRY_MEMBERS: &[&str] = &[
    "action", "args", "comment", "errno", "errnoRet", "excludes", "includes", "name", "names",
];

/// Whether all or any of the conditions hold.
struct Verdict {
    all: bool,
    any: bool,
}

impl Verdict {
    fn note(&mut self, holds: bool) {
        self.all &= holds;
        self.any |= holds;
    }
}

fn names(node: &Node) -> Result<Vec<String>> {
    let mut names = node.texts("names")?;
    if let Some(name) = node.field("name")? {
        // moby's older form writes an empty one.
        match name.text()? {
            "" => (),
            _ if !names.is_empty() => {
                return Err(node.fault("has both 'name' and 'names'").into());
            }
            text => names.push(text),
        }
    }
    if names.is_empty() {
        return Err(node.fault("names no system call").into());
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// An action with its errno, which is EPERM if nothing is said.
fn action(node: &Node, action: &str, errno: &str, errno_name: &str) -> Result<Action> {
    let Some(name) = node.field(action)? else {
        return Err(node.fault(&format!("{action} is missing")).into());
    };
    let number = node.field(errno)?;
    if let (None, Some(unsupported)) = (&number, node.field(errno_name)?)
        && !unsupported.text()?.is_empty()
    {
        return Err(unsupported
            .fault(&format!("give its number as {errno}"))
            .into());
    }
    let data = |max: u16| match &number {
        None => Ok(1),
        Some(node) => match u16::try_from(node.number()?) {
            Ok(number) if number <= max => Ok(number),
            _ => Err(anyhow::Error::from(
                node.fault(&format!("should be at most {max}")),
            )),
        },
    };
    let plain = match name.text()? {
        // The kernel has no errors beyond.
        "SCMP_ACT_ERRNO" => return Ok(Action::errno(data(4095)?)),
        "SCMP_ACT_TRACE" => return Ok(Action::trace(data(u16::MAX)?)),
        "SCMP_ACT_ALLOW" => Action::ALLOW,
        "SCMP_ACT_LOG" => Action::LOG,
        "SCMP_ACT_TRAP" => Action::TRAP,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => Action::KILL_PROCESS,
        "SCMP_ACT_NOTIFY" => {
            let message = format!(
                "seccomp profile: {}: SCMP_ACT_NOTIFY needs an agent to notify, which ucr has not",
                name.path()
            );
            return Err(Fault::new(Kind::Unsupported, message).into());
        }
        other => return Err(name.fault(&format!("unknown action '{other}'")).into()),
    };
    match number {
        // Written as 0 by some programs that know no absent numbers.
        Some(number) if number.number()? != 0 => Err(number
            .fault("only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one")
            .into()),
        _ => Ok(plain),
    }
}

fn condition(node: &Node) -> Result<Condition> {
    let Some(index) = node.field("index")? else {
        return Err(node.fault("index is missing").into());
    };
    let argument = u8::try_from(index.number()?).ok().filter(|at| *at < 6);
    let argument = argument.ok_or_else(|| index.fault("should be from 0 to 5"))?;
    let value = node.number_or_zero("value")?;
    let value_two = node.number_or_zero("valueTwo")?;
    let Some(op) = node.field("op")? else {
        return Err(node.fault("op is missing").into());
    };
    let compare = match op.text()? {
        "SCMP_CMP_EQ" => Compare::Equal,
        "SCMP_CMP_NE" => Compare::NotEqual,
        "SCMP_CMP_LT" => Compare::Less,
        "SCMP_CMP_LE" => Compare::LessOrEqual,
        "SCMP_CMP_GT" => Compare::Greater,
        "SCMP_CMP_GE" => Compare::GreaterOrEqual,
        "SCMP_CMP_MASKED_EQ" => Compare::Masked(value),
        other => return Err(op.fault(&format!("unknown operator '{other}'")).into()),
    };
    let value = match compare {
        Compare::Masked(_) => value_two,
        _ => value,
    };
    Ok(Condition {
        argument,
        compare,
        value,
    })
}

fn architectures(root: &Node, family: [Architecture; 2]) -> Result<Vec<Architecture>> {
    let listed = root.list("architectures")?;
    let map = root.list("archMap")?;
    if !listed.is_empty() && !map.is_empty() {
        let both = "has both 'architectures' and 'archMap'";
        return Err(root.fault(both).into());
    }
    let mut wanted = listed;
    for row in map {
        let Some(main) = row.field("architecture")? else {
            return Err(row.fault("architecture is missing").into());
        };
        let others = row.list("subArchitectures")?;
        if architecture(&main)? == Some(family[0]) {
            wanted.extend(others);
        }
    }
    let mut found = vec![family[0]];
    for node in wanted {
        let other = architecture(&node)?.filter(|other| family.contains(other));
        found.extend(other.filter(|other| !found.contains(other)));
    }
    Ok(found)
}

/// None for one that no program on our machines can have; x32 is one of them, for its calls fail
/// with ENOSYS whatever the profile says, as on all distributions' kernels.
fn architecture(node: &Node) -> Result<Option<Architecture>> {
    const OTHERS: [&str; 20] = [
        "LOONGARCH64",
        "M68K",
        "MIPS",
        "MIPS64",
        "MIPS64N32",
        "MIPSEL",
        "MIPSEL64",
        "MIPSEL64N32",
        "PARISC",
        "PARISC64",
        "PPC",
        "PPC64",
        "PPC64LE",
        "RISCV64",
        "S390",
        "S390X",
        "SH",
        "SHEB",
        "X32",
        "NATIVE",
    ];
    let name = node.text()?;
    match name.strip_prefix("SCMP_ARCH_") {
        Some("X86_64") => Ok(Some(Architecture::X86_64)),
        Some("X86") => Ok(Some(Architecture::I386)),
        Some("AARCH64") => Ok(Some(Architecture::Aarch64)),
        Some("ARM") => Ok(Some(Architecture::Arm)),
        Some(other) if OTHERS.contains(&other) => Ok(None),
        _ => Err(node.fault(&format!("unknown architecture '{name}'")).into()),
    }
}

/// The name in `includes.arches`.
fn go_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "amd64",
        Architecture::I386 => "x86",
        Architecture::Aarch64 => "arm64",
        Architecture::Arm => "arm",
    }
}

fn version(node: &Node) -> Result<(u32, u32)> {
    let parts = node.text()?.split_once('.');
    let numbers = parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    numbers.ok_or_else(|| node.fault("should be like 4.8").into())
}
