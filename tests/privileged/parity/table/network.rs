//! Networks, ports, and names.

use super::super::row::{Act, Row, row};

const SERVER: &[&str] = &["nc", "-l", "-p", "8080", "-e", "echo", "hello from inside"];

pub fn rows() -> Vec<Row> {
    let names = &["probe", "names", "hosts"];
    vec![
        row(
            "network-by-default",
            &[],
            &["probe", "interfaces", "names", "hosts", "resolv"],
        )
        .shows(&["interface lo: yes", "interface docker0: yes"]),
        row(
            "network-host",
            &["--network", "host"],
            &["probe", "interfaces", "namespaces"],
        )
        .shows(&["namespace net: host"]),
        row(
            "network-none",
            &["--network", "none", "-h", "box"],
            &[
                "probe",
                "interfaces",
                "names",
                "hosts",
                "resolv",
                "namespaces",
            ],
        )
        .shows(&["host name: box", "namespace net: own"]),
        row(
            "network-bridge",
            &["--network", "bridge", "-h", "box"],
            &["probe", "interfaces", "names", "hosts", "resolv"],
        )
        .shows(&["interface eth0: yes", "host name: box"]),
        row(
            "network-that-is-not-there",
            &["--network", "no-such"],
            &["true"],
        )
        .code(125)
        .says(&["no-such"]),
        row("port", &["-p", "127.0.0.1:{port}:8080"], SERVER).act(Act::Connect("127.0.0.1")),
        row(
            "port-of-all-addresses",
            &["--network", "bridge", "-p", "{port}:8080"],
            SERVER,
        )
        .act(Act::Connect("127.0.0.1")),
        row(
            "port-on-the-hosts-network",
            &["--network", "host", "-p", "{port}:80"],
            &["true"],
        )
        .code(125)
        .says(&["network"]),
        row("host-name", &["-h", "box", "--network", "none"], names)
            .shows(&["host name: box", "hostname 1: box"]),
        row("host-name-on-the-hosts-network", &["-h", "box"], names).shows(&["host name: box"]),
        row(
            "domain-name",
            &[
                "-h",
                "box",
                "--domainname",
                "example.test",
                "--network",
                "none",
            ],
            names,
        )
        .shows(&["domain name: example.test"]),
        row(
            "host-added",
            &[
                "--add-host",
                "db:192.0.2.7",
                "--network",
                "none",
                "-h",
                "box",
            ],
            names,
        ),
        row(
            "host-added-on-the-hosts-network",
            &["--add-host", "db:192.0.2.7"],
            names,
        ),
        row(
            "host-added-of-version-6",
            &[
                "--add-host",
                "db:2001:db8::7",
                "--network",
                "none",
                "-h",
                "box",
            ],
            names,
        ),
        row("host-added-that-is-none", &["--add-host", "db"], &["true"])
            .code(125)
            .says(&["db"]),
        row(
            "dns",
            &[
                "--dns",
                "192.0.2.53",
                "--dns",
                "192.0.2.54",
                "--dns-search",
                "example.test",
                "--dns-search",
                "test",
                "--dns-option",
                "ndots:3",
            ],
            &["probe", "resolv"],
        ),
        row(
            "dns-on-a-bridge",
            &[
                "--network",
                "bridge",
                "--dns",
                "192.0.2.53",
                "--dns-search",
                "example.test",
                "--dns-option",
                "ndots:3",
            ],
            &["probe", "resolv"],
        ),
        row("dns-that-is-none", &["--dns", "x"], &["true"])
            .code(125)
            .says(&["x"]),
    ]
}
