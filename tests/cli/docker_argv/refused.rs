//! What docker is not asked for: message and hint.

use caps::Capability;

use super::{BARE, Case, HERE, OLD, OLDER, Place, at, case};

/// An image without a command.
const BARE_IMAGE: Place = Place {
    image: BARE,
    ..HERE
};

/// An Engine in a container.
const BOX: Place = Place {
    lacks: &[Capability::CAP_SYS_ADMIN],
    ..HERE
};

/// A host without AppArmor and SELinux.
const NO_MODULES: Place = Place {
    apparmor: false,
    selinux: false,
    ..HERE
};

pub(super) const REFUSED: &[(Case, &str, &str)] = &[
    (
        case("", "oci:/dir:tag"),
        "image: Docker Engine reads no oci: images",
        "say --runtime native, or give it the image: skopeo copy IMAGE docker-daemon:NAME:TAG, and run NAME:TAG",
    ),
    (
        case("", "oci-archive:/f.tar"),
        "image: Docker Engine reads no oci-archive: images",
        "say --runtime native, or give it the image: skopeo copy IMAGE docker-daemon:NAME:TAG, and run NAME:TAG",
    ),
    (
        case("", "--network front --network back app"),
        "more_networks[0] (--network back): a container gets one network when it is made",
        "say --runtime native, or connect it to others with 'docker network connect'",
    ),
    (
        case("", r#"{"rootfs":"/"}"#),
        "rootfs (--rootfs): Docker Engine makes containers of images only",
        "say --runtime native, or name an image",
    ),
    (
        case("", "--secret file=/k,env=K --secret file=/k,target=/k app"),
        "secrets[1] (--secret): Docker Engine has no files in memory only",
        "say --runtime native, or let the container have another variable, or a file that is mounted",
    ),
    (
        case("", r#"{"env":["HOME"]}"#),
        "env[0] (--env): the variable HOME has no value",
        "say --runtime native, or give it an empty one: NAME=",
    ),
    (
        case("", r#"{"args":["a\u0000b"]}"#),
        "'a': no argument of a program can have a NUL in it",
        "",
    ),
    (
        case("", r#"{"working_dir":"x"}"#),
        "working directory 'x' is not absolute",
        "say -w /DIR",
    ),
    (
        Case {
            name: "",
            place: BARE_IMAGE,
            says: "app",
        },
        "image app has no default command",
        "say what to run: ucr run IMAGE COMMAND [ARGS…]",
    ),
    (
        case("", r#"{"entrypoint":["","x"]}"#),
        "the command's name is empty",
        "",
    ),
    (
        case("", "-v /a:/b:noexec app"),
        "mounts[0] (--mount noexec): Docker Engine has it for tmpfs only",
        "say --runtime native, or mount the source so on the host",
    ),
    (
        case("", "-v data:/b:nosuid app"),
        "mounts[0] (--mount nosuid): Docker Engine has it for tmpfs only",
        "say --runtime native, or mount the source so on the host",
    ),
    (
        case("", "-v /x:/y -v /a:/b:nodev app"),
        "mounts[1] (--mount nodev): Docker Engine has it for tmpfs only",
        "say --runtime native, or mount the source so on the host",
    ),
    (
        case("", "-v /a:/b:idmap app"),
        "mounts[0] (--mount idmap): Docker Engine maps no owners of files",
        "say --runtime native, or chown the source",
    ),
    (
        case("", "--mount type=image,src=other,dst=/o app"),
        "mounts[0] (--mount type=image): Docker Engine shows no other image's files",
        "say --runtime native, or copy them into a volume",
    ),
    (
        case("", "-v d:/b app"),
        "mounts[0] (--mount source): Docker Engine's names of volumes have two letters or more",
        "say --runtime native, or choose a longer one",
    ),
    (
        at(
            OLD,
            "",
            "--mount type=volume,src=data,dst=/d,volume-subpath=a app",
        ),
        "mounts[0] (--mount volume-subpath): it needs version 1.45 of Docker Engine's API, this one has 1.41",
        "say --runtime native, or use a newer Engine",
    ),
    (
        at(
            OLD,
            "",
            "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=readonly app",
        ),
        "mounts[0] (--mount bind-recursive=readonly): it needs version 1.44 of Docker Engine's API, this one has 1.41",
        "say --runtime native, or use a newer Engine",
    ),
    (
        at(
            OLD,
            "",
            "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=enabled app",
        ),
        "mounts[0] (--mount bind-recursive=enabled): it needs version 1.44 of Docker Engine's API, this one has 1.41",
        "say --runtime native, or use a newer Engine",
    ),
    (
        at(
            OLDER,
            "",
            "--mount type=bind,src=/a,dst=/b,bind-recursive=disabled app",
        ),
        "mounts[0] (--mount bind-recursive=disabled): it needs version 1.40 of Docker Engine's API, this one has 1.39",
        "say --runtime native, or use a newer Engine",
    ),
    (
        case(
            "",
            "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rslave app",
        ),
        "mounts[0] (--mount bind-recursive=readonly): docker takes it with rprivate only, not with rslave",
        "say --runtime native, or leave one of them out",
    ),
    (
        case("", "--tmpfs /t --mount type=tmpfs,dst=/t app"),
        "two mounts on /t",
        "keep one of them",
    ),
    (
        case("", "-v /a:/proc/x app"),
        "nothing can be mounted on /proc/x",
        "/proc shows the container's own processes",
    ),
    (
        case(
            "",
            r#"{"mounts":[{"type":"tmpfs","target":"/a:b","uid":7}]}"#,
        ),
        "mounts[0] (--tmpfs): docker takes no ':' in a path here, as in /a:b",
        "say --runtime native, or rename it",
    ),
    (
        case(
            "",
            r#"{"mounts":[{"type":"bind","source":"/a\r\nb","target":"/b"}]}"#,
        ),
        "mounts[0] (--mount): docker takes no carriage return in it",
        "say --runtime native, or rename it",
    ),
    (
        case("", r#"{"devices":[{"path":"/dev/a:b"}]}"#),
        "devices[0] (--device): docker takes no ':' in a path here, as in /dev/a:b",
        "say --runtime native, or rename it",
    ),
    (
        at(OLD, "", "--gpus all app"),
        "devices[0] (--device nvidia.com/gpu=all): it needs version 1.44 of Docker Engine's API, this one has 1.41",
        "say --runtime native, or use a newer Engine",
    ),
    (
        case("", "--network cni:podman app"),
        "network (--network cni:podman): Docker Engine does not use CNI",
        "say --runtime native, or name a network of 'docker network ls'",
    ),
    (
        case("", "--network bridge --ip 192.0.2.7 app"),
        "endpoint.ip (--ip): Docker Engine chooses the addresses on its own bridge",
        "say --runtime native, or make a network with 'docker network create --subnet' and name it",
    ),
    (
        case("", "--network bridge --ip6 2001:db8::7 app"),
        "endpoint.ip6 (--ip6): Docker Engine chooses the addresses on its own bridge",
        "say --runtime native, or make a network with 'docker network create --subnet' and name it",
    ),
    (
        case("", "--network none --add-host h:host-gateway app"),
        "naming.hosts[0] (--add-host h:host-gateway): on the network 'none' nothing leads to the host",
        "leave one of them out",
    ),
    (
        at(OLDER, "", "--network bridge --add-host h:host-gateway app"),
        "naming.hosts[0] (--add-host h:host-gateway): it needs version 1.41 of Docker Engine's API, this one has 1.39",
        "say --runtime native, or use a newer Engine",
    ),
    (
        at(OLDER, "", "--cgroupns private app"),
        "sharing.cgroup (--cgroupns private): it needs version 1.41 of Docker Engine's API, this one has 1.39",
        "say --runtime native, or use a newer Engine",
    ),
    (
        case("", "--sysctl kernel.domainname=d app"),
        "sysctls.kernel.domainname (--sysctl): Docker Engine does not set it",
        "say --runtime native, or say --domainname",
    ),
    (
        case("", "--sysctl net.ipv4.ip_forward=1 app"),
        "--sysctl net.ipv4.ip_forward: the network is not the container's own",
        "give it one with --network",
    ),
    (
        case(
            "",
            "--network none --sysctl net/ipv4/conf/eth0.1/rp_filter=1 app",
        ),
        "sysctls.net/ipv4/conf/eth0.1/rp_filter (--sysctl): docker takes no '.' within a part of a name",
        "say --runtime native, or set it from inside",
    ),
    (
        case(
            "",
            r#"{"resources":{"device_read_bps":[{"path":"/dev/a:b","rate":1}]}}"#,
        ),
        "resources.device_read_bps[0] (--device-read-bps): docker takes no ':' in a path here, as in /dev/a:b",
        "say --runtime native, or rename it",
    ),
    (
        case("", "--ulimit core=0 --ulimit as=1 app"),
        "resources.ulimits[1] (--ulimit as): Docker Engine does not limit address space",
        "say --runtime native, or limit --memory",
    ),
    (
        case("", "--privileged --security-opt seccomp=/etc/s.json app"),
        "security.seccomp (--security-opt seccomp): Docker Engine gives a privileged container no filter",
        "say --runtime native, or leave out --privileged",
    ),
    (
        case("", "--userns auto app"),
        "security.userns (--userns): Docker Engine maps the users of all containers alike, or of none",
        "say --runtime native, or set up the Engine's userns-remap and say --docker-param userns=",
    ),
    (
        case("", "--userns 0:100000:65536 app"),
        "security.userns (--userns): Docker Engine maps the users of all containers alike, or of none",
        "say --runtime native, or set up the Engine's userns-remap and say --docker-param userns=",
    ),
    (
        Case {
            name: "",
            place: NO_MODULES,
            says: "--security-opt label=type:t app",
        },
        "security.selinux[0] (--security-opt label): the Engine's host does not run SELinux",
        "leave it out for this Engine",
    ),
    (
        Case {
            name: "",
            place: NO_MODULES,
            says: "--security-opt apparmor=mine app",
        },
        "security.apparmor (--security-opt apparmor): the Engine's host does not run AppArmor",
        "leave it out for this Engine",
    ),
    (
        case("", r#"{"labels":{"a=b":"c"}}"#),
        "labels.a=b (--label): docker takes a name up to the first '='",
        "say --runtime native, or choose a name without '='",
    ),
    (
        at(OLD, "", "--annotation a=1 app"),
        "annotations (--annotation): it needs version 1.43 of Docker Engine's API, this one has 1.41",
        "say --runtime native, or use a newer Engine",
    ),
    (
        case("", r#"{"health":{"test":{"exec":["/bin/well"]}}}"#),
        "health.test.exec: docker has options for a check by the image's shell only",
        "say --runtime native, or say it as text for a shell",
    ),
    (
        at(OLD, "", "--health-start-interval 1s app"),
        "health.start_interval (--health-start-interval): it needs version 1.44 of Docker Engine's API, this one has 1.41",
        "say --runtime native, or use a newer Engine",
    ),
    (
        Case {
            name: "",
            place: BARE_IMAGE,
            says: "--health-interval 1s app true",
        },
        "health check: it is described, but the image has none",
        "say --health-cmd, too",
    ),
    (
        case("", "--docker-param attach=x app"),
        "docker_parameters[0] (--docker-param attach): ucr attaches itself",
        "say --attach",
    ),
    (
        case("", "--docker-param cidfile=x app"),
        "docker_parameters[0] (--docker-param cidfile): ucr writes it when the container has its ID",
        "say --cidfile",
    ),
    (
        case("", "--docker-param detach=x app"),
        "docker_parameters[0] (--docker-param detach): ucr waits for the container, or not",
        "say --detach",
    ),
    (
        case("", "--docker-param detach-keys=x app"),
        "docker_parameters[0] (--docker-param detach-keys): ucr has the terminal",
        "say --detach-keys",
    ),
    (
        case("", "--docker-param help=x app"),
        "docker_parameters[0] (--docker-param help): docker would make no container",
        "run 'docker create --help'",
    ),
    (
        case("", "--docker-param interactive=x app"),
        "docker_parameters[0] (--docker-param interactive): ucr passes standard input on",
        "say --interactive",
    ),
    (
        case("", "--docker-param label-file=x app"),
        "docker_parameters[0] (--docker-param label-file): ucr knows its containers by labels of its own",
        "say --label-file",
    ),
    (
        case("", "--docker-param name=x app"),
        "docker_parameters[0] (--docker-param name): ucr finds the container by the name it gives",
        "say --name",
    ),
    (
        case("", "--docker-param platform=x app"),
        "docker_parameters[0] (--docker-param platform): ucr has chosen the image",
        "say --platform",
    ),
    (
        case("", "--docker-param pull=x app"),
        "docker_parameters[0] (--docker-param pull): ucr has pulled the image",
        "say --pull",
    ),
    (
        case("", "--docker-param quiet=x app"),
        "docker_parameters[0] (--docker-param quiet): ucr has pulled the image",
        "say --quiet",
    ),
    (
        case("", "--docker-param restart=x app"),
        "docker_parameters[0] (--docker-param restart): ucr waits for the end of the last one",
        "say --restart",
    ),
    (
        case("", "--docker-param rm=x app"),
        "docker_parameters[0] (--docker-param rm): ucr reads how it ended, then removes it",
        "say --rm",
    ),
    (
        case("", "--docker-param sig-proxy=x app"),
        "docker_parameters[0] (--docker-param sig-proxy): ucr passes signals on",
        "say --sig-proxy",
    ),
    (
        case("", "--docker-param tty=x app"),
        "docker_parameters[0] (--docker-param tty): ucr has the terminal",
        "say --tty",
    ),
    (
        Case {
            name: "",
            place: BOX,
            says: "--cap-add SYS_ADMIN app",
        },
        "security.cap_add (--cap-add): the Engine itself does not have all of them",
        "start the Engine with them, or leave them out",
    ),
];
