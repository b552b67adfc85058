//! Volumes, tmpfs, the root filesystem, and what the kernel shows as files.

use super::super::row::{Row, row};

pub fn rows() -> Vec<Row> {
    let mut rows = volumes();
    rows.extend(own());
    rows
}

fn volumes() -> Vec<Row> {
    let seen = &["probe", "@/place", "list=/place", "write=/place"];
    vec![
        row("volume", &["-v", "{dir}:/place"], seen).shows(&["write=/place: yes"]),
        row("volume-read-only", &["-v", "{dir}:/place:ro"], seen).shows(&["write=/place: no"]),
        row(
            "volume-on-a-place-of-the-image",
            &["-v", "{dir}:/data"],
            &["probe", "@/data", "list=/data"],
        ),
        row(
            "volume-of-a-file",
            &["-v", "{dir}/file:/place:ro"],
            &["probe", "@/place", "list=/place"],
        ),
        row(
            "volume-below-another",
            &["-v", "{dir}/below:/place/below/other", "-v", "{dir}:/place"],
            &["probe", "@/place", "@/place/below/other", "list=/place"],
        ),
        row(
            "volume-that-is-not-there",
            &["-v", "{dir}/none:/place"],
            &["true"],
        )
        .code(125)
        .says(&["none"]),
        row(
            "volume-slave",
            &["-v", "{dir}:/place:rslave"],
            &["probe", "@/place"],
        ),
        row(
            "volume-noexec",
            &["--mount", "type=bind,src={dir},dst=/place,readonly"],
            seen,
        )
        .shows(&["write=/place: no"]),
        row(
            "volume-with-a-name",
            &["-v", "{name}:/data"],
            &["probe", "@/data", "list=/data"],
        )
        .shows(&["file /data/below: directory 770 1791:1792"]),
        row(
            "volume-that-stays",
            &["-v", "{name}:/data"],
            &["sh", "-c", "cat /data/mine; echo mine >/data/mine"],
        )
        .twice()
        .shows(&["mine"]),
        row(
            "volume-left-empty",
            &["--mount", "type=volume,src={name},dst=/data,volume-nocopy"],
            &["probe", "list=/data"],
        ),
        row(
            "volume-without-a-name",
            &["-v", "/data"],
            &["probe", "@/data", "list=/data"],
        )
        .shows(&["file /data/file: regular file 644 1815:1816"]),
        row(
            "volume-of-the-image",
            &[],
            &["probe", "@/data", "list=/data", "write=/data"],
        )
        .of("volume")
        .shows(&["write=/data: yes"]),
        row(
            "volume-for-a-user",
            &["-v", "/data", "-u", "ada"],
            &["probe", "write=/data"],
        )
        .shows(&["write=/data: yes"]),
        row(
            "two-volumes-on-a-place",
            &["-v", "{dir}:/place", "-v", "{dir}/below:/place"],
            &["true"],
        )
        .code(125)
        .says(&["/place"]),
        row(
            "tmpfs",
            &["--tmpfs", "/place"],
            &["probe", "@/place", "write=/place"],
        )
        .shows(&["mount /place: tmpfs"]),
        row(
            "tmpfs-over-the-image",
            &["--tmpfs", "/data"],
            &["probe", "@/data", "list=/data"],
        ),
        row(
            "tmpfs-options",
            &["--tmpfs", "/place:size=64k,mode=750,uid=7,gid=8,exec"],
            &[
                "sh",
                "-c",
                "probe @/place; df -k /place | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2",
            ],
        )
        .shows(&["64"]),
        row(
            "tmpfs-mount",
            &[
                "--mount",
                "type=tmpfs,dst=/place,tmpfs-size=65536,tmpfs-mode=0700",
            ],
            &["probe", "@/place"],
        ),
    ]
}

fn own() -> Vec<Row> {
    const OFTEN: &[&str] = &[
        "probe",
        "@/",
        "@/proc",
        "@/dev",
        "@/dev/pts",
        "@/dev/shm",
        "@/dev/mqueue",
        "@/sys",
        "@/sys/fs/cgroup",
        "@/proc/sys",
        "@/proc/bus",
        "@/proc/irq",
        "@/proc/fs",
        "@/proc/sysrq-trigger",
    ];
    const HIDDEN: &[&str] = &[
        "probe",
        "read=/proc/kcore",
        "read=/proc/keys",
        "read=/proc/timer_list",
        "read=/proc/interrupts",
        "read=/proc/kmsg",
        "list=/sys/firmware",
        "list=/proc/acpi",
        "list=/proc/scsi",
        "write=/proc/sys",
        "write=/sys",
        "write=/sys/fs/cgroup",
    ];
    const FILES: &[&str] = &[
        "probe",
        "@/etc/hosts",
        "@/etc/hostname",
        "@/etc/resolv.conf",
    ];
    vec![
        row("places", &[], OFTEN).shows(&["mount /: overlay"]),
        row("places-hidden", &[], HIDDEN).shows(&["read=/proc/kcore: 0"]),
        row("places-files", &[], FILES),
        row("read-only", &["--read-only"], &[
            "probe", "@/", "write=/", "write=/tmp", "write=/dev", "write=/dev/shm", "@/dev/shm",
        ])
        .shows(&["write=/: no", "write=/dev/shm: yes"]),
        row(
            "read-only-with-places",
            &["--read-only", "--tmpfs", "/tmp", "-v", "{dir}:/place"],
            &["probe", "write=/", "write=/tmp", "write=/place"],
        )
        .shows(&["write=/: no", "write=/tmp: yes", "write=/place: yes"]),
        row("root-is-new", &[], &["sh", "-c", "ls /left; touch /left"]).twice(),
        row("devices-usual", &[], &["probe", "dev"]).shows(&["device /dev/null: character special file 1:3 666"]),
        row("device-added", &["--device", "/dev/kmsg:/dev/log-of-kernel:r"], &[
            "sh", "-c", "probe dev | grep log-of; head -c 1 /dev/log-of-kernel | wc -c; : >/dev/log-of-kernel",
        ]).code(1),
        row("device-that-is-not-there", &["--device", "/dev/no-such"], &["true"])
            .code(125)
            .says(&["/dev/no-such"]),
        row("shm-size", &["--shm-size", "1m"], &[
            "sh", "-c", "df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2",
        ])
        .shows(&["1024"]),
    ]
}
