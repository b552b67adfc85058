//! What the linux launcher of a Mesos agent does to a task: cgroups of its own, a sandbox, a command
//! that it starts there, and the end by force.
//!
//! As seen of a real agent (mesos-live.md, sections 1 and 4): below its root cgroup, one for each task
//! in the version 1 hierarchies of freezer, memory, cpu and cpuacct; the agent's own in all others. A
//! task is destroyed by its freezer cgroup, with all below that; then the agent removes its cgroups in
//! the other hierarchies, where it kills nobody: one process that it finds there blocks it for 60 s.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::need;
use super::scratch::Scratch;

/// Where an agent looks for hierarchies.
const TOP: &str = "/sys/fs/cgroup";
/// Those that it uses with `--isolation=cgroups/cpu,cgroups/mem,…` and the linux launcher.
pub const USED: &[&str] = &["freezer", "memory", "cpu", "cpuacct"];
/// A task of 0.2 CPUs, as an agent writes it.
const CPU_SHARES: &str = "204";
/// The only variable that an agent gives beside those of the executor.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const POLL: Duration = Duration::from_millis(2);

/// One task of an agent's. Dropped, it is destroyed.
#[derive(Debug)]
pub struct Launcher {
    scratch: Scratch,
    /// The agent's root cgroup, without the slash.
    root: String,
    uuid: String,
    /// Of the task, by hierarchy; several names for one directory are one entry.
    cgroups: BTreeMap<&'static str, PathBuf>,
    child: Option<Child>,
}

/// How the end by force went.
#[derive(Debug)]
pub struct Destroyed {
    /// Until all cgroups were removed, or until it was given up.
    pub took: Duration,
    /// Until no process was left in the freezer cgroup.
    pub killing: Duration,
    /// The command lines of what was killed.
    pub killed: Vec<String>,
    /// Processes and cgroups that kept a cgroup from being removed: nothing, if all went well.
    pub in_the_way: Vec<String>,
}

impl Launcher {
    /// With so much memory, in MiB.
    pub fn new(memory: u64) -> Self {
        need::root();
        let scratch = Scratch::new();
        let name = scratch.path().file_name().unwrap().to_str().unwrap();
        let root = format!("ucr-test-mesos-{}", name.trim_start_matches("ucr-test-"));
        let mut launcher = Self {
            scratch,
            root,
            uuid: uuid(),
            cgroups: BTreeMap::new(),
            child: None,
        };
        for hierarchy in USED {
            launcher.make_cgroup(hierarchy);
        }
        let bytes = (memory << 20).to_string();
        launcher.set("cpu", "cpu.shares", CPU_SHARES);
        launcher.set("memory", "memory.soft_limit_in_bytes", &bytes);
        launcher.set("memory", "memory.limit_in_bytes", &bytes);
        launcher.make_sandbox();
        launcher
    }

    fn make_cgroup(&mut self, hierarchy: &'static str) {
        let top = fs::canonicalize(Path::new(TOP).join(hierarchy));
        let top = top.unwrap_or_else(|error| panic!("no version 1 {hierarchy} here: {error}"));
        let path = top.join(&self.root).join(&self.uuid);
        // Of a mount with two controllers, the second finds what the first made.
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.cgroups.insert(hierarchy, path);
    }

    fn set(&self, hierarchy: &str, file: &str, value: &str) {
        let path = self.cgroup(hierarchy).join(file);
        fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn make_sandbox(&self) {
        let sandbox = self.scratch.dir("sandbox");
        let mode = fs::Permissions::from_mode;
        fs::set_permissions(&sandbox, mode(0o750)).unwrap();
        for name in ["stdout", "stderr"] {
            let file = sandbox.join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, mode(0o644)).unwrap();
        }
    }

    /// The sandbox.
    pub fn sandbox(&self) -> PathBuf {
        self.scratch.join("sandbox")
    }

    /// The task's cgroup in a hierarchy.
    pub fn cgroup(&self, hierarchy: &str) -> &Path {
        &self.cgroups[hierarchy]
    }

    /// Its path as `/proc/PID/cgroup` has it.
    pub fn cgroup_path(&self) -> String {
        format!("/{}/{}", self.root, self.uuid)
    }

    /// A shell that enters the task's cgroups, says this, and becomes what it has as arguments.
    fn shell(&self, say: &str) -> Command {
        // A directory of two names is entered twice.
        let enter = self.cgroups.values();
        let enter = enter.map(|it| format!("echo 0 >{}/cgroup.procs && ", it.display()));
        let script = format!("{}{say} exec \"$@\"", enter.collect::<String>());
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script, "sh"]);
        shell
    }

    /// A command as the task itself would start it.
    pub fn enter(&self, command: &Command) -> Command {
        let mut shell = self.shell("");
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }

    /// Starts a command's program with its arguments, as an agent does: none but these variables.
    pub fn start(&mut self, command: &Command, env: &[(&str, &str)]) {
        assert!(self.child.is_none(), "a task has one command");
        let sandbox = self.sandbox();
        let mut shell = self.shell("echo \"Marked '/' as rslave\" >&2;");
        shell.args(["setsid", "unshare", "--mount"]);
        shell.args(["--propagation", "slave", "--"]);
        shell.arg(command.get_program()).args(command.get_args());
        let open = |name| fs::File::options().append(true).open(sandbox.join(name));
        shell
            .env_clear()
            .env("PATH", PATH)
            .env("PWD", &sandbox)
            .envs(env.iter().copied())
            .current_dir(&sandbox)
            .stdin(Stdio::null())
            .stdout(open("stdout").unwrap())
            .stderr(open("stderr").unwrap());
        self.child = Some(shell.spawn().expect("start the command"));
    }

    /// Of the command, which leads its session and its process group.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().cast_signed())
    }

    /// To the command alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a signal for the command");
    }

    /// To its process group, and to every process of its session and below it, as the command executor
    /// kills a task.
    pub fn signal_tree(&self, signal: Signal) {
        killpg(self.pid(), signal).expect("a signal for the group");
        for pid in descendants(self.pid().as_raw()) {
            // It may be over by then.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// A file of the sandbox.
    pub fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.sandbox().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its exit code, or minus the signal that killed it; `None` after the limit.
    pub fn ended_within(&mut self, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        let child = self.child.as_mut().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let signal = status.signal().map(|number| -number);
                return status.code().or(signal);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits for something to be so.
    #[track_caller]
    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) {
        let deadline = Instant::now() + limit;
        while !is_so(self) {
            let ended = self.ended_within(Duration::ZERO);
            let said = || format!("{}\n{}", self.text("stdout"), self.text("stderr"));
            assert!(
                ended.is_none() || is_so(self),
                "it ended with {ended:?} before {what}:\n{}",
                said()
            );
            assert!(Instant::now() < deadline, "no {what}:\n{}", said());
            std::thread::sleep(POLL);
        }
    }

    /// The processes of the task's cgroup and those below it.
    pub fn processes(&self, hierarchy: &str) -> Vec<i32> {
        let all = tree(self.cgroup(hierarchy));
        all.iter().flat_map(|it| processes(it)).collect()
    }

    /// The cgroups below the task's.
    pub fn below(&self, hierarchy: &str) -> Vec<PathBuf> {
        let own = self.cgroup(hierarchy);
        let mut all = tree(own);
        all.retain(|it| it != own);
        all
    }

    /// Ends the task as an agent does, and gives up after `limit`.
    pub fn destroy(&mut self, limit: Duration) -> Destroyed {
        let begin = Instant::now();
        let deadline = begin + limit;
        let killed = self.kill_frozen(deadline);
        if let Some(child) = &mut self.child
            && !killed.is_empty()
        {
            let _ = child.wait();
        }
        while !self.processes("freezer").is_empty() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let killing = begin.elapsed();
        let in_the_way = self.remove_cgroups(deadline);
        Destroyed {
            took: begin.elapsed(),
            killing,
            killed,
            in_the_way,
        }
    }

    /// Freezes, kills, and thaws.
    fn kill_frozen(&self, deadline: Instant) -> Vec<String> {
        let state = self.cgroup("freezer").join("freezer.state");
        if fs::write(&state, "FROZEN").is_err() {
            return Vec::new();
        }
        let is_frozen = || fs::read_to_string(&state).is_ok_and(|text| text.trim() == "FROZEN");
        while !is_frozen() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let inside = self.processes("freezer");
        let killed = inside.iter().map(|&pid| describe(pid)).collect();
        for pid in inside {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        for cgroup in tree(self.cgroup("freezer")) {
            let _ = fs::write(cgroup.join("freezer.state"), "THAWED");
        }
        killed
    }

    /// Removes them, the innermost first, again and again; what is in the way at the end.
    fn remove_cgroups(&self, deadline: Instant) -> Vec<String> {
        loop {
            let mut in_the_way = Vec::new();
            for own in self.cgroups.values() {
                for cgroup in tree(own).iter().rev() {
                    if let Err(error) = fs::remove_dir(cgroup)
                        && error.raw_os_error() != Some(Errno::ENOENT as i32)
                    {
                        in_the_way.push(format!("{}: {error}", cgroup.display()));
                        let inside = processes(cgroup);
                        in_the_way.extend(inside.into_iter().map(describe));
                    }
                }
            }
            if in_the_way.is_empty() || Instant::now() > deadline {
                return in_the_way;
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.kill_frozen(Instant::now() + Duration::from_secs(1));
        // Where a test has failed: whoever blocks an agent goes, too.
        for hierarchy in USED {
            for pid in self.processes(hierarchy) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let left = self.remove_cgroups(Instant::now() + Duration::from_secs(5));
        if !left.is_empty() {
            eprintln!("of a Mesos task stays: {left:?}");
        }
        for own in self.cgroups.values() {
            let _ = fs::remove_dir(own.parent().unwrap());
        }
    }
}

fn uuid() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    text.trim().to_owned()
}

/// A cgroup and those below it, the outermost first; nothing if it is gone.
fn tree(cgroup: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cgroup) else {
        return Vec::new();
    };
    let below = entries.flatten().map(|entry| entry.path());
    let below = below.filter(|path| path.is_dir());
    let below: Vec<PathBuf> = below.flat_map(|path| tree(&path)).collect();
    [vec![cgroup.to_owned()], below].concat()
}

fn processes(cgroup: &Path) -> Vec<i32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// The processes below one, and those of its session that have lost their parent.
fn descendants(root: i32) -> Vec<i32> {
    let all = all_processes();
    let stats: Vec<(i32, i32, i32)> = all.into_iter().filter_map(stat).collect();
    let mut found = vec![root];
    loop {
        let known = found.clone();
        let is_new = |(pid, parent, session): &(i32, i32, i32)| {
            let is_ours = known.contains(parent) || *session == root;
            (is_ours && !known.contains(pid)).then_some(*pid)
        };
        found.extend(stats.iter().filter_map(is_new));
        if found.len() == known.len() {
            found.retain(|pid| *pid != root);
            return found;
        }
    }
}

/// A process, its parent and its session.
fn stat(pid: i32) -> Option<(i32, i32, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some((
        pid,
        fields.get(1)?.parse().ok()?,
        fields.get(3)?.parse().ok()?,
    ))
}

/// The numbers of all processes of this machine.
pub fn all_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// For messages.
pub fn describe(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    format!("{pid} {}", line.trim())
}

/// The processes that have a text in their command line or environment, but for those that wait to be
/// reaped.
pub fn marked(mark: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(mark)
        })
    };
    let own = std::process::id().cast_signed();
    let all = all_processes().into_iter();
    all.filter(|pid| *pid != own && has(pid)).collect()
}
