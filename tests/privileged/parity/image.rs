//! The image of the table, and its variants, which differ in what the configuration says.

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::samples;

/// The applets that the probe needs beside the usual ones.
const APPLETS: &[&str] = &["awk", "cut", "nc", "sed", "sort", "unshare"];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    ada:x:1815:1816::/home/ada:/bin/sh\n\
    charles:x:1791:1792::/home/charles:/bin/sh\n";
const GROUP: &str = "root:x:0:\nada:x:1816:\ncharles:x:1792:\nengines:x:1843:ada,charles\n\
    poets:x:1788:ada\n";

/// A program for an arm64 machine, as far as a kernel looks.
fn foreign() -> Vec<u8> {
    let mut elf = vec![0; 120];
    elf[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
    elf[16..24].copy_from_slice(&[2, 0, 183, 0, 1, 0, 0, 0]);
    elf[32] = 64;
    elf[52..58].copy_from_slice(&[64, 0, 56, 0, 1, 0]);
    elf
}

fn base() -> Image {
    let tools = APPLETS
        .iter()
        .fold(samples::busybox_layer(), |layer, name| {
            layer.hardlink(&format!("bin/{name}"), "bin/busybox")
        });
    let own = Layer::new()
        .dir("etc", 0o755)
        .file("etc/passwd", PASSWD)
        .file("etc/group", GROUP)
        .dir("bin", 0o755)
        .program("bin/probe", include_str!("probe"))
        .program("bin/no-interpreter", "#!/no/such/interpreter\n")
        .program("bin/plain-text", "echo text\n")
        .program("bin/foreign", foreign())
        .file("bin/not-executable", "#!/bin/sh\n")
        .program("bin/only-root", "#!/bin/sh\n")
        .mode(0o700)
        .symlink("bin/dangling", "/no/such/file")
        .dir("home", 0o755)
        .dir("home/ada", 0o700)
        .owner(1815, 1816)
        .dir("data", 0o751)
        .owner(1815, 1816)
        .file("data/file", "of the image\n")
        .owner(1815, 1816)
        .dir("data/below", 0o770)
        .owner(1791, 1792)
        .symlink("data/link", "file")
        .dir("sticky", 0o1777);
    Image::new()
        .layer(tools)
        .layer(own)
        .env(&["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "IMAGE=its value"])
}

fn variants() -> Vec<(&'static str, Image)> {
    vec![
        ("base", base().cmd(&["sh"])),
        ("nothing", base()),
        ("cmd", base().cmd(&["echo", "its", "cmd"])),
        (
            "entry",
            base().entrypoint(&["echo", "entry"]).cmd(&["its", "cmd"]),
        ),
        ("user", base().user("ada")),
        ("user-group", base().user("ada:engines")),
        ("number", base().user("4711")),
        ("workdir", base().workdir("/made/here")),
        (
            "volume",
            base().set("Volumes", serde_json::json!({"/data": {}})),
        ),
        (
            "stop-signal",
            base().set("StopSignal", serde_json::json!("SIGUSR1")),
        ),
        (
            "labels",
            base().set("Labels", serde_json::json!({"origin": "image"})),
        ),
    ]
}

/// The images on a registry of the Engine's machine.
#[derive(Debug)]
pub struct Images {
    registry: Registry,
}

impl Images {
    /// To be made on the Engine's machine.
    pub fn publish() -> Self {
        let layout = Layout::new();
        let registry = Registry::open();
        for (name, image) in variants() {
            layout.add(name, &image);
            registry.push(&layout, name, &format!("parity/{name}:1"));
        }
        Self { registry }
    }

    /// How both runtimes name one.
    pub fn name(&self, variant: &str) -> String {
        self.registry.reference(&format!("parity/{variant}:1"))
    }

    /// All of them.
    pub fn names(&self) -> Vec<String> {
        variants().iter().map(|(name, _)| self.name(name)).collect()
    }
}
