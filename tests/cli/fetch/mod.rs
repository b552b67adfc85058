//! Artifacts into a sandbox, through the library: from files that real programs made, from hostile
//! ones, and from servers on loopback.

mod archives;
mod hostile;
mod http;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ucr::error::{Kind, kind, render};
use ucr::fetch::{Options, fetch};
use ucr::spec::Artifact;
use ucr::sys::root::Root;

use crate::support::scratch::Scratch;

/// A sandbox, and beside it a directory that nothing may get into.
struct World {
    scratch: Scratch,
    sandbox: PathBuf,
    options: Options,
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new();
        let sandbox = scratch.dir("sandbox");
        let world = Self {
            scratch,
            sandbox,
            options: Options::default(),
        };
        world.write("outside/canary", "untouched");
        world
    }

    /// Writes a file with the directories that it needs.
    fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.scratch.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn fetch(&self, artifact: &Artifact) -> anyhow::Result<Vec<String>> {
        fetch(artifact, &Root::open(&self.sandbox).unwrap(), &self.options)
    }

    /// Fetches a file of this machine.
    fn take(&self, path: &Path) -> anyhow::Result<Vec<String>> {
        self.fetch(&Artifact::new(format!("file://{}", path.display())))
    }

    /// The fault of something that leaves nothing behind.
    fn refused(&self, artifact: &Artifact) -> (Kind, String) {
        let before = self.names();
        let error = self.fetch(artifact).unwrap_err();
        assert_eq!(self.names(), before, "{}", render(&error));
        (kind(&error), render(&error))
    }

    fn text(&self, path: &str) -> String {
        let path = self.sandbox.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn mode(&self, path: &str) -> u32 {
        let found = fs::symlink_metadata(self.sandbox.join(path)).unwrap();
        found.permissions().mode() & 0o7777
    }

    /// What is in the sandbox, at any depth, sorted.
    fn names(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut directories = vec![self.sandbox.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&self.sandbox).unwrap();
                found.push(name.to_str().unwrap().to_owned());
                if path.is_dir() && !path.is_symlink() {
                    directories.push(path);
                }
            }
        }
        found.sort();
        found
    }

    fn assert_outside_untouched(&self) {
        let outside = self.scratch.join("outside");
        assert_eq!(
            fs::read_to_string(outside.join("canary")).unwrap(),
            "untouched"
        );
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
        let names = fs::read_dir(self.scratch.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| name != "escaped"));
    }
}

/// Runs a program in a directory; its output.
fn run(directory: &Path, program: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program:?} {arguments:?}: {output:?}"
    );
    output.stdout
}
