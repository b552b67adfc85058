//! What is decided before a container is made: the plan of a description, an image and a host, as
//! `run --dry-run` prints it. A pure function, so one file for each case says all of it:
//! `tests/data/plans`, rewritten by `UCR_BLESS=1 cargo test --test cli plans` after a change that
//! is meant.

use std::fs;
use std::path::{Path, PathBuf};

use ucr::error;
use ucr::image::ImageConfig;
use ucr::runtime::native::cgroup::{Controller, Hierarchy, Host, Rlimit, Unified};
use ucr::runtime::native::{HostFacts, plan};
use ucr::spec::{ContainerSpec, UlimitName};

const ID: &str = "0123456789ab";

const IMAGE: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
    "config":{"Entrypoint":["/bin/app"],"Cmd":["--serve"],"Env":["PATH=/bin","A=image"],
              "WorkingDir":"/srv","User":"ada","Volumes":{"/data":{}}}}"#;

/// A host with version 1 cgroups, whose root lacks CAP_SYS_RESOURCE.
fn v1_host() -> HostFacts {
    let mut capabilities = caps::all();
    capabilities.remove(&caps::Capability::CAP_SYS_RESOURCE);
    let tree = |number: u32, controller: Controller| Hierarchy {
        controllers: vec![controller],
        top: PathBuf::from("/sys/fs/cgroup").join(controller.v1_name()),
        directory: PathBuf::from("/sys/fs/cgroup").join(controller.v1_name()),
        device: format!("0:{number}"),
    };
    let limit = |name, hard| Rlimit {
        name,
        soft: hard,
        hard,
    };
    HostFacts {
        name: "host".into(),
        resolv_conf: b"nameserver 192.0.2.1\n".to_vec(),
        hosts: b"127.0.0.1 localhost\n".to_vec(),
        kernel: (6, 18),
        capabilities,
        cgroups: Host {
            refused_v1: Vec::new(),
            refused_v2: None,
            v1: vec![
                tree(30, Controller::Cpu),
                tree(31, Controller::Cpuset),
                tree(32, Controller::Memory),
                tree(33, Controller::Pids),
                tree(34, Controller::Devices),
                tree(35, Controller::Blkio),
            ],
            v2: None,
            processors: 4,
            is_root: true,
        },
        limits: vec![
            limit(UlimitName::Nofile, 20_000),
            limit(UlimitName::Core, u64::MAX),
        ],
        may_raise: false,
        ..HostFacts::default()
    }
}

/// A host with version 2 alone, and everything allowed.
fn v2_host() -> HostFacts {
    let controllers = vec![
        Controller::Cpu,
        Controller::Cpuset,
        Controller::Memory,
        Controller::Pids,
        Controller::Blkio,
    ];
    HostFacts {
        capabilities: caps::all(),
        may_raise: true,
        cgroups: Host {
            refused_v1: Vec::new(),
            refused_v2: None,
            v1: Vec::new(),
            v2: Some(Unified {
                top: "/sys/fs/cgroup".into(),
                directory: "/sys/fs/cgroup/box".into(),
                device: "0:30".into(),
                controllers: controllers.clone(),
                top_controllers: controllers,
                top_is_root: true,
                alone: true,
                in_leaf: false,
            }),
            processors: 4,
            is_root: true,
        },
        ..v1_host()
    }
}

/// Name, whether the host has version 2, the description without its version and image.
const PLANS: &[(&str, bool, &str)] = &[
    ("default", false, ""),
    ("default-v2", true, ""),
    (
        "process",
        false,
        r#""entrypoint":["/bin/sh","-c"],"args":["it's"],"env":["A=own","B="],"working_dir":"/tmp",
           "user":"7:8","groups":["video","44"],"tty":true,"stdin":true,"init":true"#,
    ),
    (
        "limits",
        false,
        r#""resources":{"cpus":1.5,"cpu_shares":512,"cpuset_cpus":"0-1","memory":67108864,
           "memory_reservation":33554432,"memory_swap":-1,"pids_limit":10,"blkio_weight":500,
           "ulimits":[{"name":"nofile","soft":100,"hard":200}],"oom_score_adj":500,
           "shm_size":1048576}"#,
    ),
    (
        "limits-v2",
        true,
        r#""resources":{"cpus":1.5,"cpu_shares":512,"memory":67108864,"pids_limit":-1,
           "oom_score_adj":-500}"#,
    ),
    (
        "mounts",
        false,
        r#""mounts":[{"type":"bind","source":"/a","target":"/b/c","read_only":true},
           {"type":"tmpfs","target":"/b"},{"type":"volume","source":"v","target":"/v"}],
           "sandbox":"/box","read_only":true,
           "secrets":[{"source":{"file":"/k"},"target":{"file":"/run/k"}},
                      {"source":{"environment":"K"},"target":{"environment":"KEY"}}]"#,
    ),
    (
        "security",
        false,
        r#""network":"none","security":{"cap_add":["NET_RAW"],"cap_drop":["KILL","CHOWN"],
           "no_new_privileges":false,"seccomp":"unconfined","unmask_system_paths":true}"#,
    ),
    (
        "users",
        false,
        r#""network":"none","security":{"userns":{"map":[{"inside":0,"outside":100000,"count":4}]}}"#,
    ),
    ("users-auto", false, r#""security":{"userns":"auto"}"#),
    ("privileged", false, r#""security":{"privileged":true}"#),
];

fn describe(keys: &str) -> ContainerSpec {
    let comma = if keys.is_empty() { "" } else { "," };
    let text = format!(r#"{{"version":1,"image":"example.com/app:1"{comma}{keys}}}"#);
    let spec = ContainerSpec::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    // What is read is what would be written.
    let written = serde_json::to_vec(&spec).unwrap();
    assert_eq!(ContainerSpec::parse(&written).unwrap(), spec);
    spec
}

#[test]
fn plans_are_as_they_were() {
    let image = ImageConfig::parse(IMAGE.as_bytes()).unwrap();
    for (name, has_v2, keys) in PLANS {
        let host = if *has_v2 { v2_host() } else { v1_host() };
        let spec = describe(keys);
        let plan =
            plan(&spec, &image, &host, ID).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let spec = serde_json::to_string_pretty(&spec).unwrap();
        check(&format!("{name}.txt"), &format!("{spec}\n\n{plan}"));
        if *name == "limits" {
            let json = serde_json::to_string_pretty(&plan).unwrap();
            check(&format!("{name}.json"), &(json + "\n"));
        }
    }
}

fn check(name: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/plans")
        .join(name);
    if std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, now).unwrap();
    }
    let then = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        now == then,
        "{} differs; UCR_BLESS=1 cargo test --test cli plans rewrites it\nnow:\n{now}\nin the file:\n{then}",
        path.display()
    );
}

/// What makes no container, or none on this host, and the words that say so.
#[test]
fn what_is_refused() {
    let rows = [
        (
            r#""security":{"cap_add":["SYS_RESOURCE"]}"#,
            "CAP_SYS_RESOURCE: ucr itself does not",
        ),
        (
            r#""security":{"cap_add":["NO_SUCH"]}"#,
            "'NO_SUCH' is no capability",
        ),
        (
            r#""security":{"apparmor":"x"}"#,
            "apparmor: this host does not run AppArmor",
        ),
        (
            r#""security":{"selinux":["type:x"]}"#,
            "label: this host does not run SELinux",
        ),
        (
            r#""security":{"privileged":true,"userns":"auto"}"#,
            "cannot have users of its own",
        ),
        (
            r#""security":{"userns":{"map":[{"inside":1,"outside":1,"count":1}]}}"#,
            "it has no ID 0",
        ),
        (
            r#""resources":{"ulimits":[{"name":"nofile","soft":1,"hard":30000}]}"#,
            "--ulimit nofile",
        ),
        (r#""resources":{"oom_score_adj":-1}"#, "--oom-score-adj -1"),
        (r#""resources":{"memory":1}"#, "memory"),
        (r#""resources":{"cpus":100}"#, "there are 4 processors"),
        (r#""hostname":"a b""#, "host name 'a b'"),
        (r#""working_dir":"x""#, "'x' is not absolute"),
        (
            r#""mounts":[{"type":"tmpfs","target":"/x"},{"type":"tmpfs","target":"/x"}]"#,
            "/x",
        ),
        (
            r#""secrets":[{"source":{"file":"/k"},"target":{"environment":"A=B"}}]"#,
            "secrets[0]: the variable has no usable name",
        ),
        (r#""env":["=x"]"#, "no usable name"),
    ];
    let image = ImageConfig::parse(IMAGE.as_bytes()).unwrap();
    for (keys, expected) in rows {
        let refused = plan(&describe(keys), &image, &v1_host(), ID).unwrap_err();
        let words = error::render(&refused);
        assert!(words.contains(expected), "{keys}: {words}");
    }
}

/// Docker's zero is the default; the kernel's would be no limit.
#[test]
fn shared_memory_always_has_a_size() {
    let image = ImageConfig::parse(IMAGE.as_bytes()).unwrap();
    let shown = |keys: &str| {
        let plan = plan(&describe(keys), &image, &v1_host(), ID).unwrap();
        let shown = plan.to_string();
        let line = shown.lines().find(|line| line.contains("/dev/shm"));
        line.expect("it is mounted").to_owned()
    };
    assert_eq!(shown(r#""resources":{"shm_size":0}"#), shown(""));
    assert_ne!(shown(r#""resources":{"shm_size":1}"#), shown(""));
}

/// A machine without cgroups has no default limits, and says so; what was asked for it refuses.
#[test]
fn a_host_without_cgroups() {
    let image = ImageConfig::parse(IMAGE.as_bytes()).unwrap();
    let host = HostFacts {
        cgroups: Host::default(),
        ..v1_host()
    };
    let plain = plan(&describe(""), &image, &host, ID).unwrap();
    assert!(plain.cgroups.groups.is_empty());
    assert!(!plain.notes.is_empty());
    let asked = describe(r#""resources":{"memory":67108864}"#);
    let words = error::render(&plan(&asked, &image, &host, ID).unwrap_err());
    assert!(words.contains("--memory"), "{words}");
    let best = describe(r#""resources":{"memory":67108864,"cgroups":"best-effort"}"#);
    let best = plan(&best, &image, &host, ID).unwrap();
    assert!(
        best.notes.iter().any(|note| note.contains("--memory")),
        "{:?}",
        best.notes
    );
}
