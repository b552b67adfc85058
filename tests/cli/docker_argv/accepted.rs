//! What docker is told.

use caps::Capability;

use super::{BARE, Case, HERE, OLD, OLDER, Place, at, case};

/// An Engine in a container.
const BOX: Place = Place {
    lacks: &[Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_RESOURCE],
    ..HERE
};

pub(super) const ACCEPTED: &[Case] = &[
    // What is executed.
    case("default", "app"),
    case("args", "app sh -c 'echo a b' --x"),
    case("entrypoint", "--entrypoint /bin/sh app -c true"),
    case("entrypoint-alone", "--entrypoint /bin/true app"),
    case("entrypoint-dash", "--entrypoint -x app"),
    case("entrypoint-none", "--entrypoint '' app /bin/true"),
    case(
        "entrypoint-words",
        r#"{"entrypoint":["/bin/sh","-c"],"args":["it's"]}"#,
    ),
    case("env", "-e A=1 -e A=2 -e B= -e 'C= d' -e container=mine app"),
    case(
        "env-sandbox",
        "--sandbox /s -e MESOS_SANDBOX=mine -e A=1 app",
    ),
    case(
        "env-secrets",
        "--secret file=/k,env=K --secret environment=V,env=L -e K=1 app",
    ),
    case("env-lines", r#"{"env":["A=1\n2\t\"3\"","-=x"]}"#),
    Case {
        name: "env-of-image",
        place: Place {
            image: BARE,
            ..HERE
        },
        says: "app true",
    },
    case("workdir", "-w /tmp app"),
    case("workdir-of-image", r#"{"fallback_working_dir":"/box"}"#),
    Case {
        name: "workdir-fallback",
        place: Place {
            image: BARE,
            ..HERE
        },
        says: r#"{"fallback_working_dir":"/box","args":["/bin/true"]}"#,
    },
    case("user", "-u web:7 app"),
    case("user-empty", "-u '' app"),
    case("user-group-alone", "-u :7 app"),
    case("groups", "--group-add video --group-add 44 app"),
    case("streams", "-i -t app"),
    case("init", "--init app"),
    case("read-only", "--read-only app"),
    // Mounts.
    case("bind", "-v /a:/b app"),
    case("bind-read-only", "-v /a:/b:ro app"),
    at(OLD, "bind-read-only-old", "-v /a:/b:ro app"),
    case(
        "bind-propagation",
        "-v /a:/b:slave -v /c:/d:rshared -v /e:/f:private app",
    ),
    case("bind-restrictions-lifted", "-v /a:/b:exec,suid,dev app"),
    case("bind-nonrecursive", "-v /a:/b:bind app"),
    at(OLD, "bind-nonrecursive-old", "-v /a:/b:bind,ro app"),
    case(
        "bind-recursive-enabled",
        "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=enabled app",
    ),
    case(
        "bind-recursive-readonly",
        "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=readonly app",
    ),
    case(
        "bind-recursive-writable",
        "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=writable app",
    ),
    at(
        OLD,
        "bind-recursive-writable-old",
        "--mount type=bind,src=/a,dst=/b,ro,bind-recursive=writable app",
    ),
    at(
        OLD,
        "bind-recursive-of-writable",
        "--mount type=bind,src=/a,dst=/b,bind-recursive=readonly app",
    ),
    case(
        "bind-quoted",
        r#"--mount 'type=bind,"src=/a,""b",dst=/c d' app"#,
    ),
    case("bind-colons", "--mount type=bind,src=/a:b,dst=/c:d app"),
    case("volume", "-v data:/var/data app"),
    case("volume-anonymous", "-v /var/data app"),
    case("volume-options", "-v data:/var/data:ro,nocopy app"),
    case(
        "volume-subpath",
        "--mount type=volume,src=data,dst=/d,volume-subpath=a/b app",
    ),
    case("tmpfs", "--tmpfs /t app"),
    case(
        "tmpfs-options",
        "--tmpfs /t:size=64m,mode=1770,ro,noexec,nosuid,nodev app",
    ),
    case("tmpfs-owner", "--tmpfs /t:uid=7,gid=8,size=1k,mode=700 app"),
    case("tmpfs-exec", "--tmpfs /t:exec,suid,dev,ro app"),
    case(
        "mounts-in-order",
        "-v /b:/z --mount type=tmpfs,dst=/y --tmpfs /x app",
    ),
    case("sandbox", "--sandbox /box -e MESOS_SANDBOX=/mine app"),
    case(
        "sandbox-relative",
        r#"{"sandbox":"/box","mounts":[{"type":"volume","source":"v1","target":"cache"}]}"#,
    ),
    // Devices.
    case(
        "devices",
        "--device /dev/fuse --device /dev/sda:/dev/xvda:r app",
    ),
    case(
        "devices-cdi",
        "--device example.com/net=eth0 --gpus all app",
    ),
    case(
        "device-rules",
        "--device-cgroup-rule 'c 1:* rmw' --device-cgroup-rule 'b 8:0 r' app",
    ),
    // Networks.
    case("network-none", "--network none app"),
    case("network-host", "--network host app"),
    case("network-bridge", "--network bridge app"),
    case(
        "network-named",
        "--network web --ip 192.0.2.7 --ip6 2001:db8::7 --mac-address 02:42:AC:11:00:02 app",
    ),
    case("network-container", "--network container:0123 app"),
    case(
        "network-own-words",
        "--docker-param network=web --docker-param network-alias=db app",
    ),
    case(
        "publish",
        "-p 80 -p 8080:80 -p 127.0.0.1::53/udp -p '[::1]:443:443' -p 9000-9002:9000-9002 app",
    ),
    case("publish-all", "-P --expose 80 --expose 90-91/udp app"),
    case("expose", "--expose 80 app"),
    case("hostname", "--hostname h --domainname d.example app"),
    case(
        "names",
        "--dns 192.0.2.1 --dns 2001:db8::1 --dns-search a --dns-search . --dns-option ndots:2 --add-host a:192.0.2.9 --add-host b=::1 app",
    ),
    case("host-gateway-host", "--add-host h:host-gateway app"),
    case(
        "host-gateway-bridge",
        "--network bridge --add-host h:host-gateway app",
    ),
    // Namespaces.
    case(
        "sharing-host",
        "--pid host --ipc host --uts host --cgroupns host app",
    ),
    case(
        "sharing-container",
        "--pid container:0123 --ipc container:4567 app",
    ),
    case(
        "sharing-own",
        "--ipc private --uts private --cgroupns private app",
    ),
    case("ipc-shareable", "--ipc shareable --shm-size 1m app"),
    case("ipc-none", "--ipc none app"),
    at(OLDER, "older", "app"),
    at(OLDER, "older-cgroup-host", "--cgroupns host app"),
    case(
        "sysctls",
        "--network none --sysctl net.ipv4.ip_forward=1 --sysctl kernel/shmmax=1 --sysctl fs.mqueue.msg_max=7 app",
    ),
    // Limits.
    case(
        "cpus",
        "--cpus 1.5 --cpu-shares 512 --cpuset-cpus 0-1,3 --cpuset-mems 0 app",
    ),
    case("cpu-quota", "--cpu-period 50000 --cpu-quota 25000 app"),
    case(
        "cpu-real-time",
        "--cpu-rt-period 1000000 --cpu-rt-runtime 950000 app",
    ),
    case("cpu-unlimited", "--cpu-quota -1 app"),
    case(
        "memory",
        "--memory 64m --memory-reservation 32m --memory-swap 128m --memory-swappiness 10 app",
    ),
    case(
        "memory-unlimited-swap",
        "--memory 64m --memory-swap -1 --oom-kill-disable app",
    ),
    case("pids", "--pids-limit 7 app"),
    case("pids-unlimited", "--pids-limit 0 app"),
    case(
        "blkio",
        "--blkio-weight 500 --blkio-weight-device /dev/sda:200 app",
    ),
    case(
        "device-rates",
        "--device-read-bps /dev/sda:1m --device-write-bps /dev/sdb:2m --device-read-iops /dev/sda:10 --device-write-iops /dev/sda:20 app",
    ),
    case(
        "ulimits",
        "--ulimit nofile=100:200 --ulimit core=-1 --ulimit nproc=5 app",
    ),
    Case {
        name: "ulimits-of-engine",
        place: Place {
            max_files: 20_000,
            ..HERE
        },
        says: "app",
    },
    case("oom-score", "--oom-score-adj -500 app"),
    case("shm-size", "--shm-size 128m app"),
    case("shm-size-zero", "--shm-size 0 app"),
    case("cgroup-parent", "--cgroup-parent a/b/ app"),
    case("cgroup-parent-slice", "--cgroup-parent machine.slice app"),
    case("cgroups", "--cgroups best-effort --memory 64m app"),
    // What its processes may do.
    case(
        "capabilities",
        "--cap-add net_raw --cap-add CAP_SYS_PTRACE --cap-drop KILL app",
    ),
    case("capabilities-none", "--cap-drop ALL app"),
    case("capabilities-only", "--cap-drop all --cap-add CHOWN app"),
    case(
        "capabilities-all",
        "--cap-add ALL --cap-drop SYS_ADMIN --cap-drop CAP_NET_RAW app",
    ),
    Case {
        name: "capabilities-of-engine",
        place: BOX,
        says: "--cap-add ALL --cap-drop KILL app",
    },
    case("privileged", "--privileged app"),
    case(
        "privileged-less",
        "--privileged --security-opt no-new-privileges --security-opt apparmor=mine app",
    ),
    case(
        "new-privileges",
        "--security-opt no-new-privileges=false app",
    ),
    case("seccomp-file", "--security-opt seccomp=/etc/s.json app"),
    case(
        "seccomp-unconfined",
        "--security-opt seccomp=unconfined app",
    ),
    case("seccomp-own", "--security-opt seccomp=builtin app"),
    case(
        "labels-of-modules",
        "--security-opt apparmor=mine --security-opt label=type:t --security-opt label=level:s0 app",
    ),
    Case {
        name: "labels-without-modules",
        place: Place {
            apparmor: false,
            selinux: false,
            ..HERE
        },
        says: "--security-opt apparmor=unconfined --security-opt label=disable app",
    },
    case("system-paths", "--security-opt systempaths=unconfined app"),
    case("userns-host", "--userns host app"),
    // Life.
    case("name", "--name web app"),
    case("labels", "-l b=2 -l a=1=1 -l c app"),
    case("annotations", "--annotation a=1 --annotation b= app"),
    case("restart", "--restart on-failure:3 app"),
    case("restart-always", "--restart unless-stopped app"),
    case("stopping", "--stop-signal usr1 --stop-timeout 3 app"),
    case(
        "stopping-real-time",
        "--stop-signal RTMIN+3 --stop-timeout 0 app",
    ),
    case("log-none", "--log-driver none app"),
    case("log-size", "--log-opt max-size=1m app"),
    case(
        "health",
        "--health-cmd 'test -e /x' --health-interval 1m30s --health-timeout 500ms --health-retries 2 --health-start-period 1s --health-start-interval 250ms app",
    ),
    case("health-times", "--health-interval 2s app"),
    case("health-none", "--no-healthcheck app"),
    // Recorded only.
    case(
        "app",
        r#"{"app":{"id":"/shop/web","task":"shop_web.instance-1._app.1","version":"2026-11-23T00:00:00.000Z","discovery_name":"web.shop","ports":[{"index":0,"number":31000,"container_port":80,"host_port":31000,"service_port":10000,"protocol":"tcp","network_scope":"host"}]}}"#,
    ),
    // Docker's own.
    case(
        "parameters",
        "--docker-param runtime=runc --docker-param label=a=b=c --docker-param oom-kill-disable=true --privileged app x",
    ),
];
