//! Which runtime serves: what can be said without one.

use crate::support::ucr::Ucr;

#[test]
fn names() {
    let ucr = Ucr::new();
    ucr.run(["--runtime", "native", "ps"]).ok();
    for bad in ["podman", "runc", "", "docker,docker", "native,"] {
        ucr.run(["--runtime", bad, "ps"])
            .refused(&["--runtime", "native, docker"]);
    }
    ucr.cmd(["ps"])
        .env("UCR_RUNTIME", "podman")
        .run()
        .refused(&["podman"]);
}

/// Only docker has its options.
#[test]
fn parameters_are_dockers() {
    let ucr = Ucr::new();
    ucr.run(["run", "--docker-param", "hostname=x", "alpine"])
        .refused(&["docker_parameters[0] (--docker-param hostname)"]);
    ucr.run(["run", "--docker-param", "r m=true", "alpine"])
        .refused(&["'r m'", "without dashes"]);
}
