//! Terminals, driven by tmux as by a person: what is typed, what is seen, what size it is, and how
//! to leave.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::life::{LIMIT, wait_for};
use super::world::World;
use crate::support::need;
use crate::support::process;

/// A terminal of 100 by 30 with a shell in it.
pub struct Tmux {
    program: PathBuf,
    socket: PathBuf,
}

impl Tmux {
    fn new(world: &World) -> Self {
        Self::at(world.ucr.scratch().path())
    }

    /// With its socket in this directory.
    pub fn at(directory: &Path) -> Self {
        let program = need::program("tmux", "tmux");
        let tmux = Self {
            program,
            socket: directory.join("tmux"),
        };
        tmux.tell(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            "env",
            "-i",
            "PS1=@ ",
            "TERM=screen",
            "sh",
        ]);
        tmux
    }

    #[track_caller]
    fn tell(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command.arg("-S").arg(&self.socket).args(words);
        process::tool(command.env("TERM", "screen").env("LANG", "C.UTF-8"))
    }

    #[track_caller]
    pub fn type_line(&self, text: &str) {
        self.tell(&["send-keys", "-l", text]);
        self.keys(&["Enter"]);
    }

    #[track_caller]
    pub fn keys(&self, keys: &[&str]) {
        self.tell(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tell(&["capture-pane", "-p", "-J"])
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.screen().contains(text) {
            assert!(Instant::now() < deadline, "no '{text}':\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses keys until something is shown: whom they are for may not run yet.
    #[track_caller]
    pub fn keys_until(&self, keys: &[&str], text: &str) {
        wait_for(text, || {
            self.keys(keys);
            let deadline = Instant::now() + Duration::from_millis(500);
            while !self.screen().contains(text) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.screen().contains(text)
        });
    }

    /// The modes of the terminal itself, as the shell in it sees them.
    #[track_caller]
    fn modes(&self, mark: &str) -> String {
        self.type_line(&format!(
            "clear; stty -a | tr '\\n' ' '; echo; echo {mark}''-end"
        ));
        self.shows(&format!("{mark}-end"));
        let screen = self.screen();
        let line = screen.lines().find(|line| line.contains("speed"));
        let line = line.unwrap_or_else(|| panic!("{screen}"));
        // But for the size, which is another matter.
        line.split("line =").last().unwrap().to_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut command = Command::new(&self.program);
        let _ = command
            .arg("-S")
            .arg(&self.socket)
            .arg("kill-server")
            .status();
    }
}

/// `ucr WORDS` for a shell, whoever's it is.
fn line(world: &World, words: &str) -> String {
    let command = world.ucr.command();
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = all.map(|word| {
        let word = word.to_str().unwrap();
        format!("'{}'", word.replace('\'', "'\\''"))
    });
    let script = format!("exec {} \"$@\"\n", quoted.collect::<Vec<_>>().join(" "));
    let script = world.ucr.scratch().file("as-whoever", script);
    format!("sh {} {words}", script.display())
}

fn run(world: &World, flags: &str, words: &str) -> String {
    line(world, &format!("run {flags} {} {words}", world.image))
}

#[test]
fn a_session() {
    let world = World::small();
    let tmux = Tmux::new(&world);
    let before = tmux.modes("before");
    tmux.type_line(&run(
        &world,
        "-it --name box",
        "sh -c 'stty size; tty; exec sh'",
    ));
    // Right from the first byte.
    tmux.shows("30 100");
    tmux.shows("/dev/pts/0");
    tmux.type_line("echo typed $((40+2))");
    tmux.shows("typed 42");
    // Ctrl-C is for what runs inside, once, and not for ucr.
    tmux.type_line("trap 'echo int' INT; sleep 1000; echo after=$?");
    tmux.keys_until(&["C-c"], "after=130");
    // Another size.
    tmux.tell(&["resize-window", "-x", "77", "-y", "22"]);
    wait_for("the size", || {
        tmux.type_line("clear; stty size");
        tmux.screen().contains("22 77")
    });
    // Job control and a full-screen program.
    tmux.type_line("vi /tmp/file");
    tmux.shows("~");
    tmux.keys(&["i"]);
    tmux.type_line("written by vi");
    tmux.keys(&["Escape"]);
    // What comes with it would be taken for one key.
    tmux.shows("- /tmp/file");
    tmux.type_line(":wq");
    // What is stopped must be the sleep: with a stopped `cat`, too, the shell would not exit.
    tmux.type_line("clear; cat /tmp/file; echo in''sleep; sleep 1000");
    tmux.shows("insleep");
    tmux.shows("written by vi");
    tmux.keys_until(&["C-z"], "Stopped");
    tmux.type_line("kill -9 %1; wait; clear; exit 7");
    tmux.shows("@ ");
    tmux.type_line("echo code=$?");
    tmux.shows("code=7");
    tmux.tell(&["resize-window", "-x", "100", "-y", "30"]);
    assert_eq!(tmux.modes("later"), before);
    world.assert_clean();
}

#[test]
fn letting_go_and_coming_back() {
    let world = World::small();
    let tmux = Tmux::new(&world);
    let before = tmux.modes("before");
    tmux.type_line(&run(&world, "-it --name box", "sh"));
    tmux.shows("# ");
    tmux.type_line("own=kept; echo in''side");
    tmux.shows("inside");
    tmux.keys(&["C-p", "C-q"]);
    tmux.type_line("echo code=$?");
    tmux.shows("code=0");
    assert_eq!(tmux.modes("between"), before);
    assert_eq!(world.inspect("box")["status"], "running");
    tmux.type_line(&format!(
        "clear; {}",
        line(&world, "attach --detach-keys ctrl-x,d box")
    ));
    tmux.type_line("");
    tmux.type_line("echo again $own; stty size");
    tmux.shows("again kept");
    tmux.shows("30 100");
    // The usual keys are not keys here, but the shell's.
    tmux.keys(&["C-p", "C-q", "C-u"]);
    tmux.type_line("echo still''here");
    tmux.shows("stillhere");
    tmux.keys(&["C-x", "d"]);
    tmux.shows("@ ");
    tmux.type_line(&format!(
        "clear; {}",
        line(&world, "exec -it box sh -c 'stty size; tty; exec sh'")
    ));
    tmux.shows("30 100");
    tmux.shows("/dev/pts/1");
    tmux.keys(&["C-p", "C-q"]);
    tmux.type_line(&format!(
        "clear; {}",
        line(&world, "stop -t 1 box; echo sto''pped")
    ));
    tmux.shows("stopped");
    assert_eq!(tmux.modes("later"), before);
    world.assert_clean();
}

/// Whatever happens to the process on the other side, the shell gets its terminal back as it was.
#[test]
fn modes_are_restored_when_the_other_side_is_killed() {
    let world = World::small();
    let tmux = Tmux::new(&world);
    let before = tmux.modes("before");
    tmux.type_line(&run(&world, "-it --name box", "sh"));
    tmux.shows("# ");
    nix::sys::signal::kill(world.watcher("box"), nix::sys::signal::Signal::SIGKILL).unwrap();
    tmux.shows("gone");
    assert_eq!(tmux.modes("later"), before);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// All that was printed before the end is seen, however fast it was.
#[test]
fn nothing_is_lost_at_the_end() {
    let world = World::small();
    let script = need::program("script", "bsdutils");
    for flags in ["-t", "-it"] {
        let words =
            "sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 3'";
        let mut command = Command::new(&script);
        command.args(["-qec", &run(&world, flags, words), "/dev/null"]);
        let done = process::run(&mut command, b"", LIMIT).expect_code(3);
        let lines: Vec<_> = done
            .stdout
            .lines()
            .filter(|it| it.contains("line "))
            .collect();
        assert_eq!(lines.len(), 20000, "{flags}");
        assert_eq!(lines.last().map(|it| it.trim_end()), Some("line 19999"));
    }
    world.assert_clean();
}

/// Whoever is killed in the foreground takes the container along, and the one behind restores the
/// terminal.
#[test]
fn a_killed_foreground_ends_the_container() {
    let world = World::small();
    let tmux = Tmux::new(&world);
    let before = tmux.modes("before");
    tmux.type_line(&run(&world, "-it --name box", "sh"));
    tmux.shows("# ");
    let watcher = world.watcher("box");
    let stat = std::fs::read_to_string(format!("/proc/{watcher}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let parent: i32 = rest.split_whitespace().nth(1).unwrap().parse().unwrap();
    let parent = nix::unistd::Pid::from_raw(parent);
    nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_for("end", || {
        !std::fs::exists(format!("/proc/{watcher}/exe")).unwrap_or(true)
    });
    wait_for("nothing left", || {
        let listed = world.ucr.run(["ps", "-a", "-q"]).ok();
        listed.stdout.is_empty()
    });
    tmux.shows("Killed");
    assert_eq!(tmux.modes("later"), before);
    world.assert_clean();
}
