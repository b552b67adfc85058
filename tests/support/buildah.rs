//! Images built by buildah: what comes out of a real builder when files are changed in a mounted
//! tree, and by commands in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

use super::layout::Layout;
use super::samples::TAG;
use super::scratch::Scratch;
use super::{need, process};

/// `cap_net_raw` permitted and effective, as the kernel keeps it.
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A buildah with a store of its own.
struct Buildah<'a> {
    scratch: &'a Scratch,
}

impl Buildah<'_> {
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(need::program("buildah", "buildah"));
        command
            .arg("--root")
            .arg(self.scratch.join("buildah/root"))
            .arg("--runroot")
            .arg(self.scratch.join("buildah/run"))
            .args(["--storage-driver", "vfs"])
            .args(words);
        process::tool(&mut command).trim().to_owned()
    }

    /// One more layer above an image of the store, or `scratch`; gives its number there.
    fn layer(&self, below: &str, change: impl FnOnce(&Self, &str, &Path)) -> String {
        let container = self.run(&["from", "--pull-never", below]);
        let root = PathBuf::from(self.run(&["mount", &container]));
        change(self, &container, &root);
        self.run(&["umount", &container]);
        self.run(&["commit", "--quiet", "--rm", &container])
    }

    /// A command of the image's busybox, without a container around it.
    fn command(&self, container: &str, script: &str) {
        let shell = ["/bin/busybox", "sh", "-ec", script];
        let words = ["run", "--isolation", "chroot", container, "--"];
        self.run(&[&words[..], &shell].concat());
    }

    fn push(&self, image: &str) -> Layout {
        let layout = Layout::at(self.scratch.join("built"));
        self.run(&["push", "--quiet", image, &layout.reference(TAG)]);
        layout
    }
}

/// One layer with everything that is easily lost: file capabilities, set-id bits of others, hard
/// links, attributes, a pipe.
pub fn rich(scratch: &Scratch) -> Layout {
    let buildah = Buildah { scratch };
    let image = buildah.layer("scratch", |buildah, container, root| {
        install_busybox(buildah, container);
        buildah.command(container, "/bin/busybox --install /bin; mkdir -m 1777 /tmp");
        let ping = root.join("bin/capable");
        fs::copy(root.join("bin/busybox"), &ping).expect("copy");
        chown(&ping, Some(1000), Some(1000)).expect("chown");
        attribute(&ping, "security.capability", &CAPABILITY);
        attribute(&ping, "user.note", b"a\0b\nc");
        program(&root.join("bin/setuid"), 0o6755, (1815, 42));
        fs::create_dir(root.join("links")).expect("mkdir");
        for name in ["links/a", "z"] {
            fs::hard_link(root.join("bin/setuid"), root.join(name)).expect("link");
        }
        symlink("../bin/nowhere", root.join("links/dangling")).expect("symlink");
        mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR, 0).expect("mkfifo");
        fs::write(root.join("links/odd \u{e9}\n"), "x").expect("write");
        fs::set_permissions(root.join("links"), PermissionsExt::from_mode(0o2755)).expect("chmod");
    });
    buildah.push(&image)
}

/// Four layers that delete, replace and link what those below have.
pub fn history(scratch: &Scratch) -> Layout {
    let buildah = Buildah { scratch };
    let base = buildah.layer("scratch", |buildah, container, root| {
        install_busybox(buildah, container);
        let script = "cd /; for d in kept gone again turned; do mkdir -p $d/in; echo $d >$d/in/f; done; \
                      chmod 750 kept; echo low >file; ln file kept/file";
        buildah.command(container, script);
        attribute(&root.join("kept"), "user.note", b"kept");
    });
    let second = buildah.layer(&base, |buildah, container, _| {
        let script = "cd /; rm -r gone again; mkdir -p again; echo new >again/g; rm kept/in/f; \
                      echo more >kept/in/h; ln kept/in/h linked";
        buildah.command(container, script);
    });
    let third = buildah.layer(&second, |buildah, container, root| {
        let script = "cd /; rm -r turned; ln -s kept turned; rm file; mkdir file; echo x >file/y; \
                      mkdir -p kept/in/deep/er; echo z >kept/in/deep/er/f";
        buildah.command(container, script);
        program(&root.join("kept/setuid"), 0o4755, (7, 8));
        fs::hard_link(root.join("kept/setuid"), root.join("setuid")).expect("link");
    });
    let fourth = buildah.layer(&third, |buildah, container, root| {
        let script =
            "cd /; rm turned linked; mkdir turned; echo back >turned/f; rm -r kept/in/deep";
        buildah.command(container, script);
        attribute(
            &root.join("kept/setuid"),
            "security.capability",
            &CAPABILITY,
        );
    });
    buildah.push(&fourth)
}

fn install_busybox(buildah: &Buildah, container: &str) {
    let busybox = need::program("busybox", "busybox-static");
    let busybox = busybox.to_str().expect("a path of Debian's is text");
    buildah.run(&["copy", "--quiet", container, busybox, "/bin/busybox"]);
}

fn program(path: &Path, mode: u32, (uid, gid): (u32, u32)) {
    fs::write(path, path.as_os_str().as_encoded_bytes().len().to_string()).expect("write");
    chown(path, Some(uid), Some(gid)).expect("chown");
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    setxattr(path, name, value, XattrFlags::empty()).expect("setxattr");
}
