//! Capabilities, the filter of system calls, no_new_privs, namespaces.

use super::super::row::{Row, row};

pub fn rows() -> Vec<Row> {
    let seen = &["probe", "status"];
    let filter = "unshare -U true; unshare -m true; mount -t tmpfs x /tmp; echo $?";
    vec![
        row("rights-by-default", &[], seen).shows(&[
            "status CapBnd: 00000000000405fb",
            "status NoNewPrivs: 1",
            "status Seccomp: 2",
        ]),
        row("capability-added", &["--cap-add", "NET_RAW"], seen)
            .shows(&["status CapBnd: 00000000000425fb"]),
        row(
            "capability-added-for-a-user",
            &["--cap-add", "NET_RAW", "-u", "ada"],
            seen,
        )
        .shows(&["status Uid: 1815 1815 1815 1815"]),
        row("capability-dropped", &["--cap-drop", "CHOWN"], seen)
            .shows(&["status CapBnd: 00000000000405fa"]),
        row("capabilities-all-dropped", &["--cap-drop", "ALL"], seen)
            .shows(&["status CapBnd: 0000000000000000"]),
        row(
            "capabilities-all-but-one",
            &["--cap-drop", "ALL", "--cap-add", "cap_chown"],
            seen,
        )
        .shows(&["status CapBnd: 0000000000000001"]),
        row("capabilities-all", &["--cap-add", "ALL"], seen).capabilities(),
        row("capability-unknown", &["--cap-add", "FLY"], &["true"])
            .code(125)
            .says(&["FLY"]),
        row("filter-by-default", &[], &["sh", "-c", filter]).shows(&["1"]),
        row(
            "filter-of-mounts",
            &["--cap-add", "SYS_ADMIN"],
            &["sh", "-c", filter],
        ),
        row(
            "filter-none",
            &["--security-opt", "seccomp=unconfined"],
            &["sh", "-c", "probe status; unshare -U true; echo $?"],
        )
        .shows(&["status Seccomp: 0"]),
        row(
            "filter-of-a-file",
            &["--security-opt", "seccomp={dir}/profile.json"],
            &["sh", "-c", "probe status; mkdir /tmp/x; echo $?"],
        )
        .shows(&["status Seccomp: 2", "1"]),
        row(
            "filter-of-no-file",
            &["--security-opt", "seccomp={dir}/none.json"],
            &["true"],
        )
        .code(125)
        .says(&["none.json"]),
        row(
            "new-privileges",
            &["--security-opt", "no-new-privileges=false"],
            seen,
        )
        .shows(&["status NoNewPrivs: 0"]),
        row(
            "no-new-privileges",
            &["--security-opt", "no-new-privileges"],
            seen,
        )
        .shows(&["status NoNewPrivs: 1"]),
        row(
            "privileged",
            &["--privileged"],
            &[
                "probe",
                "status",
                "read=/proc/interrupts",
                "write=/sys",
                "@/sys",
                "@/proc/sys",
            ],
        )
        .capabilities(),
        row(
            "nothing-hidden",
            &["--security-opt", "systempaths=unconfined"],
            &[
                "probe",
                "@/proc/sys",
                "@/proc/keys",
                "read=/proc/timer_list",
            ],
        )
        .shows(&["mount /proc/sys: none"]),
        row(
            "namespaces",
            &[],
            &["probe", "namespaces", "cgroups", "first"],
        )
        .shows(&[
            "namespace pid: own",
            "namespace net: host",
            "namespace cgroup: own",
        ]),
        row(
            "namespaces-without-a-network",
            &["--network", "none"],
            &["probe", "namespaces"],
        )
        .shows(&["namespace net: own"]),
        row(
            "namespace-of-processes",
            &["--pid", "host"],
            &["probe", "namespaces"],
        )
        .shows(&["namespace pid: host"]),
        row(
            "namespace-of-ipc",
            &["--ipc", "host"],
            &["probe", "namespaces", "@/dev/shm"],
        )
        .shows(&["namespace ipc: host"]),
        row(
            "namespace-of-ipc-none",
            &["--ipc", "none"],
            &["probe", "namespaces", "@/dev/shm"],
        )
        .shows(&["mount /dev/shm: none"]),
        row(
            "namespace-of-names",
            &["--uts", "host"],
            &["probe", "namespaces"],
        )
        .shows(&["namespace uts: host"]),
        row(
            "namespace-of-cgroups",
            &["--cgroupns", "host"],
            &["probe", "namespaces"],
        )
        .shows(&["namespace cgroup: host"]),
    ]
}
