//! A list of runtimes: the first that can serve a request does, and it is said which and why.

use super::engine_life::Host;
use crate::support::layout::Layout;
use crate::support::samples::{self, TAG};

/// The sample as a layout, which only the native runtime can read.
fn native() -> Layout {
    Layout::of(TAG, &samples::small())
}

#[test]
fn without_an_engine() {
    let layout = native();
    let image = layout.reference(TAG);
    let host = Host::new().with("docker,native");
    let away = "unix:///nowhere/socket";
    let run = |flags: &[&str]| {
        let words = [&["run"], flags, &[&image, "echo", "ran"]].concat();
        host.cmd(&words).env("DOCKER_HOST", away).run()
    };
    let done = run(&["--platform", "linux/amd64"]).ok();
    assert_eq!(done.stdout, "ran\n");
    let why = "ucr: note: runtime native, because docker: Docker Engine does not answer";
    assert!(done.stderr.starts_with(why), "{}", done.stderr);
    assert_eq!(run(&["-q"]).ok().stderr, "", "-q");
    // Neither can.
    let done = run(&["--docker-param", "hostname=x"]);
    done.refused(&[
        "no runtime can do this: docker: Docker Engine does not answer",
        "; native: ",
    ]);
    let listed = host.cmd(&["ps"]).env("DOCKER_HOST", away).run().ok();
    assert!(
        listed
            .stderr
            .contains("ucr: note: docker: Docker Engine does not answer")
    );
    // It is only one runtime if the list has only one.
    let alone = Host::new();
    let ps = alone.cmd(&["ps"]).env("DOCKER_HOST", away).run();
    ps.refused(&["Docker Engine does not answer"]);
}

#[test]
fn what_only_one_of_them_can() {
    let host = Host::new().with("native,docker");
    let native = native();
    let own = native.reference(TAG);
    let dockers = host.image.clone();
    let run = |runtimes: &str, flags: &[&str], image: &str| {
        let words = [&["--runtime", runtimes, "run"], flags, &[image, "hostname"]].concat();
        host.ucr.cmd(words).env("DOCKER_HOST", host.host()).run()
    };
    let parameter = ["--network", "none", "--docker-param", "hostname=by-docker"];
    let done = run("native,docker", &parameter, &dockers).ok();
    assert_eq!(done.stdout, "by-docker\n");
    let why =
        "ucr: note: runtime docker, because native: docker_parameters[0] (--docker-param hostname)";
    assert!(done.stderr.starts_with(why), "{}", done.stderr);

    host.ucr.scratch().file("secret", "s");
    let rows: [&[&str]; 3] = [
        &[],
        &["--secret", "file=secret,target=/run/s"],
        &["--network", "cni:nowhere"],
    ];
    for flags in rows {
        let done = run("docker,native", flags, &own);
        assert!(
            done.stderr
                .starts_with("ucr: note: runtime native, because docker: "),
            "{}",
            done.stderr
        );
        assert_eq!(
            done.code,
            if flags.contains(&"cni:nowhere") {
                125
            } else {
                0
            },
            "{}",
            done.stderr
        );
    }
    let neither = run("docker,native", &parameter, &own);
    neither.refused(&[
        "no runtime can do this: docker: image",
        "no oci: images",
        "; native: docker_parameters[0]",
    ]);
    let quiet = run("docker,native", &["-q"], &own).ok();
    assert_eq!(quiet.stderr, "");
    // What is wrong is wrong everywhere.
    let wrong = run("docker,native", &["--memory", "1b"], &own);
    assert_eq!(wrong.code, 125);

    let done = host.ucr.cmd(["run", &dockers, "true"]);
    done.env("UCR_RUNTIME", "docker")
        .env("DOCKER_HOST", host.host())
        .run()
        .ok();
}

/// Each has a container; a command finds it wherever it is.
#[test]
fn containers_of_both() {
    let layout = native();
    let docker = Host::new();
    let list = |words: &[&str]| {
        let words = [&["--runtime", "docker,native"], words].concat();
        docker
            .ucr
            .cmd(words)
            .env("DOCKER_HOST", docker.host())
            .run()
    };
    let run = |runtime: &str, name: &str, image: &str| {
        let words = [
            "--runtime",
            runtime,
            "run",
            "-d",
            "--name",
            name,
            image,
            "sleep",
            "1000",
        ];
        docker
            .ucr
            .cmd(words)
            .env("DOCKER_HOST", docker.host())
            .run()
            .ok();
    };
    run("docker", "of-docker", &docker.image);
    run("native", "of-native", &layout.reference(TAG));
    let names = ["of-docker", "of-native"];
    let ps = list(&["ps"]).ok().stdout;
    assert!(names.iter().all(|name| ps.contains(name)), "{ps}");
    for name in names {
        assert_eq!(
            list(&["inspect", name]).ok().json()["status"],
            "running",
            "{name}"
        );
        assert_eq!(
            list(&["exec", name, "echo", "in"]).ok().stdout,
            "in\n",
            "{name}"
        );
    }
    let stopped = list(&["stop", "-t", "0", "of-docker", "of-native"])
        .ok()
        .stdout;
    assert_eq!(stopped, "of-docker\nof-native\n");
    assert_eq!(
        list(&["wait", "of-docker", "of-native"]).ok().stdout,
        "137\n137\n"
    );
    list(&["rm", "of-native", "of-docker"]).ok();
    list(&["inspect", "of-docker"]).refused(&["of-docker"]);
    assert_eq!(
        list(&["ps", "--all", "-q"])
            .ok()
            .stdout
            .matches("of-")
            .count(),
        0
    );
}
