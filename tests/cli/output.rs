//! stdout is data, stderr is for people: what a pull prints, and where.

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::samples;
use crate::support::ucr::Ucr;

fn three_layers() -> Layout {
    let names = ["a", "b", "c"];
    let add = |image: Image, name: &&str| image.layer(Layer::new().file(name, name));
    Layout::of(samples::TAG, &names.iter().fold(Image::new(), add))
}

/// Off a terminal: one line per layer on stderr, the digest alone on stdout.
#[test]
fn one_line_per_layer() {
    let layout = three_layers();
    let registry = Registry::open();
    let reference = registry.push(&layout, samples::TAG, "demo/three:1");
    let done = Ucr::new().run(["pull", &reference]).ok();
    assert_eq!(done.stdout, layout.resolve(samples::TAG) + "\n");
    assert_eq!(done.stderr.lines().count(), 3, "{}", done.stderr);
    for digest in layout.layer_digests(&layout.resolve(samples::TAG)) {
        let start = &digest["sha256:".len()..][..12];
        assert!(done.stderr.contains(start), "{start} in\n{}", done.stderr);
    }
    assert!(
        !done.stderr.contains('\u{1b}'),
        "no escapes off a terminal:\n{}",
        done.stderr
    );
}

/// On a terminal: bars.
#[test]
fn bars_on_a_terminal() {
    let layout = three_layers();
    let ucr = Ucr::new();
    let line = format!(
        "{} --root {} --state {} pull {}",
        Ucr::binary().display(),
        ucr.root().display(),
        ucr.state().display(),
        layout.reference(samples::TAG)
    );
    for (term, has_bars) in [("xterm", true), ("dumb", false)] {
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("TERM", term);
        let shown = crate::support::process::tool(&mut script);
        assert_eq!(shown.contains("\u{1b}["), has_bars, "{term}: {shown:?}");
        assert!(
            shown.contains(&layout.resolve(samples::TAG)),
            "{term}: {shown:?}"
        );
        ucr.run(["rm", &layout.reference(samples::TAG)]).ok();
        ucr.run(["prune"]).ok();
    }
}

#[test]
fn quiet_is_quiet() {
    let layout = three_layers();
    let ucr = Ucr::new();
    let done = ucr
        .run(["pull", "-q", &layout.reference(samples::TAG)])
        .ok();
    assert_eq!(done.stdout, layout.resolve(samples::TAG) + "\n");
    assert_eq!(done.stderr, "");
    // Faults are said all the same.
    ucr.run(["pull", "-q", "oci:/no/such:1"])
        .refused(&["/no/such"]);
}

/// A mirror is where an image is looked for; its name stays what it was.
#[test]
fn mirrors_keep_the_name() {
    let registry = Registry::open();
    let layout = samples::busybox();
    registry.push(&layout, samples::TAG, "demo/busybox:1");
    let name = "registry.example/demo/busybox:1";
    let mirror = format!("registry.example=http://{}", registry.address());
    for by_variable in [false, true] {
        let ucr = Ucr::new();
        let pull = if by_variable {
            ucr.cmd(["pull", name]).env("UCR_MIRRORS", &mirror)
        } else {
            ucr.cmd(["pull", "--mirror", &mirror, name])
        };
        assert_eq!(pull.run().ok().text(), layout.resolve(samples::TAG));
        let image = ucr.run(["inspect", name]).ok().json();
        assert_eq!(image["name"], name);
    }
}

/// `ucr images | head -0` is no fault.
#[test]
fn a_reader_that_has_seen_enough() {
    let ucr = Ucr::new();
    let layout = three_layers();
    ucr.pull(&layout.reference(samples::TAG));
    let line = format!(
        "{} --root {} --state {} inspect {} | true; exit ${{PIPESTATUS[0]}}",
        Ucr::binary().display(),
        ucr.root().display(),
        ucr.state().display(),
        layout.reference(samples::TAG)
    );
    let mut command = std::process::Command::new("bash");
    let limit = std::time::Duration::from_secs(30);
    let done = crate::support::process::run(command.args(["-c", &line]), b"", limit);
    // It may have written all before the reader was gone, or be ended by SIGPIPE as others are.
    assert!(
        [0, 128 + 13].contains(&done.code),
        "{}: {}",
        done.code,
        done.stderr
    );
    assert_eq!(done.stderr, "");
}
