//! What may be used: memory, processors, processes, and the limits of each process.

use super::super::row::{Act, Row, row};

pub fn rows() -> Vec<Row> {
    let seen = |name, options: &[&'static str], file: &'static str, line: &'static str| {
        row(name, options, &["probe", file]).shows(&[line])
    };
    vec![
        seen(
            "memory",
            &["-m", "64m"],
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes: 67108864",
        ),
        row(
            "memory-and-swap",
            &["-m", "64m", "--memory-swap", "96m"],
            &[
                "probe",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
            ],
        )
        .shows(&["/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes: 100663296"]),
        row(
            "memory-without-swap-said",
            &["-m", "32m"],
            &["probe", "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"],
        ),
        seen(
            "memory-reservation",
            &["--memory-reservation", "32m"],
            "/sys/fs/cgroup/memory/memory.soft_limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.soft_limit_in_bytes: 33554432",
        ),
        row("memory-too-little", &["-m", "1k"], &["true"]).code(125),
        row(
            "cpus",
            &["--cpus", "1.5"],
            &[
                "probe",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
            ],
        )
        .shows(&["/sys/fs/cgroup/cpu/cpu.cfs_quota_us: 150000"]),
        row(
            "cpu-quota",
            &["--cpu-quota", "20000", "--cpu-period", "50000"],
            &[
                "probe",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
            ],
        )
        .shows(&["/sys/fs/cgroup/cpu/cpu.cfs_period_us: 50000"]),
        seen(
            "cpu-shares",
            &["--cpu-shares", "512"],
            "/sys/fs/cgroup/cpu/cpu.shares",
            "/sys/fs/cgroup/cpu/cpu.shares: 512",
        ),
        row(
            "cpuset",
            &["--cpuset-cpus", "0", "--cpuset-mems", "0"],
            &["probe", "cpus"],
        )
        .shows(&["allowed Cpus: 0", "allowed Mems: 0"]),
        row(
            "cpuset-that-is-not-there",
            &["--cpuset-cpus", "4095"],
            &["true"],
        )
        .code(125)
        .says(&["4095"]),
        seen(
            "processes",
            &["--pids-limit", "17"],
            "/sys/fs/cgroup/pids/pids.max",
            "/sys/fs/cgroup/pids/pids.max: 17",
        ),
        seen(
            "processes-by-default",
            &[],
            "/sys/fs/cgroup/pids/pids.max",
            "/sys/fs/cgroup/pids/pids.max: 2048",
        ),
        row("limits-by-default", &[], &["probe", "limits", "oom"]),
        row(
            "ulimits",
            &[
                "--ulimit",
                "nofile=100:200",
                "--ulimit",
                "core=0",
                "--ulimit",
                "nproc=99",
            ],
            &["probe", "limits"],
        )
        .shows(&["limit open files: 100 200", "limit core file size: 0 0"]),
        row(
            "oom-score-adj",
            &["--oom-score-adj", "77"],
            &["probe", "oom"],
        )
        .shows(&["oom_score_adj: 77"]),
        row(
            "memory-used-up",
            &["-m", "16m", "--memory-swap", "16m"],
            &["sh", "-c", "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done"],
        )
        .code(137)
        .says(&["memory"]),
        row(
            "processes-used-up",
            &["--pids-limit", "20"],
            &[
                "sh",
                "-c",
                "(while :; do sleep 5 & done) 2>/said; read line </said; echo $line",
            ],
        )
        .shows(&["sh: can't fork: Resource temporarily unavailable"]),
        row(
            "sysctl",
            &["--sysctl", "kernel.msgmax=4096"],
            &["probe", "/proc/sys/kernel/msgmax"],
        )
        .shows(&["/proc/sys/kernel/msgmax: 4096"]),
        row(
            "sysctl-of-a-network",
            &["--network", "none", "--sysctl", "net.ipv4.ip_forward=1"],
            &["probe", "/proc/sys/net/ipv4/ip_forward"],
        )
        .shows(&["/proc/sys/net/ipv4/ip_forward: 1"]),
        row(
            "sysctl-of-the-machine",
            &["--sysctl", "kernel.panic=1"],
            &["true"],
        )
        .code(125)
        .says(&["kernel.panic"]),
        row(
            "labels",
            &["--label", "a=b", "--name", "{name}"],
            &[
                "sh",
                "-c",
                "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done",
            ],
        )
        .of("labels")
        .act(Act::Command(&["stop", "-t", "5"])),
    ]
}
