# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ucr_global_optspecs
    string join \n root= state= runtime= engine-timeout= format= q/quiet v/verbose h/help V/version
end

function __fish_ucr_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ucr_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ucr_using_subcommand
    set -l cmd (__fish_ucr_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ucr -n "__fish_ucr_needs_command" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_needs_command" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_needs_command" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_needs_command" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_needs_command" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_needs_command" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_needs_command" -s v -l verbose -d 'Say more on stderr: which credential is used, what is waited for'
complete -c ucr -n "__fish_ucr_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_needs_command" -s V -l version -d 'Print version'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "pull" -d 'Pull an image into the store'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "provision" -d 'Make a root filesystem, or an OCI bundle, from an image'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "run" -d 'Run a command in a new container and return its exit code'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "inspect" -d 'Show all that is known of an image, a container or a root filesystem'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "images" -d 'List the images in the store'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "ps" -d 'List running containers and provisioned root filesystems'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "exec" -d 'Run another command in a running container'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "executor" -d 'Run the tasks of a Mesos agent'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "rm" -d 'Remove containers, root filesystems and image names'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "stop" -d 'Ask containers to end, and kill those that do not'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "kill" -d 'Send a signal to containers'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "logs" -d 'Print what a container in the background printed'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "attach" -d 'Attach to a container in the background'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "top" -d 'List the processes of a running container'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "stats" -d 'Show what running containers use'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "cp" -d 'Copy files out of a container or into it'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "prune" -d 'Remove everything that no image, root filesystem or container refers to'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "volume" -d 'List, make, show and remove named volumes'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "network" -d 'List, make, show and remove networks'
complete -c ucr -n "__fish_ucr_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l policy -d 'When to ask [default: newer for files and docker-daemon:; else always for pull, missing elsewhere]' -r -f -a "always\t'Ask every time, fetch what is missing'
missing\t'Only if the image is not in the store'
newer\t'Fetch if the registry has another one; without an answer use the store\'s'
never\t'Never; the image must be in the store'"
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l platform -d 'Platform to choose from a multi-platform image [default: this machine\'s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l creds -d 'User and password for the registry; others on this machine can see them while ucr runs' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l auth-file -d 'File with credentials, in docker\'s config.json or podman\'s auth.json form' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l pull-secret -d 'Mesos or DC/OS pull secret: the text of a docker config.json or .dockercfg; - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l tls-ca -d 'PEM file of certificates to trust beside the system\'s; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l pull-timeout -d 'Give up pulling after this time, as in 90s, 10m, 1h' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l mirror -d 'Where to look first for a registry\'s images; repeatable, also from $UCR_MIRRORS' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l limit -d 'Change a limit of layers that guards against bombs, as in bytes=2T; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l app -d 'Take all from a Marathon app definition, ucr-app(5); - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l default-network -d 'The network for apps that say "mode": "container" without a name' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l app-secret -d 'Value of a secret of the app, by name or source: NAME=file:PATH, env:VARIABLE or fd:NUMBER; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l secrets-dir -d 'Directory in which the value of source a/b is file a/b [default: /etc/ucr/secrets, if it is there]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l secret-env-prefix -d 'The value of source a/b is environment variable PREFIXA_B' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l secret-command -d 'Program that prints a value, with {source} where the source goes, as in \'get {source}\'; no shell' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand pull" -s v -l verbose -d 'Say more on stderr: which credential is used, what is waited for'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l password-stdin -d 'Read the password of --creds USER from stdin'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l plain-http -d 'Speak http to the registry; without this only loopback addresses may'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l tls-skip-verify -d 'Accept any certificate: of the registry, its mirrors, and whomever they send ucr to'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l no-sync -d 'Do not wait until layers are on the disk; after the next boot they are fetched again'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l strict -d 'Refuse keys that Marathon does not know, instead of warning'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l override-runtime -d 'Let --runtime overrule the app\'s container.type; the app is then checked for that one'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l allow-privileged -d 'Honour "privileged" of type MESOS, which Marathon refuses'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l allow-parameters -d 'Honour "parameters" of type MESOS: each is the option of ucr run of that name'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -l enforce-spaces -d 'Give an app only secrets whose directory begins its id, as DC/OS does: /shop/web gets shop/key'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l backend -d 'How the root filesystem is made [default: overlay, or copy for users]' -r -f -a "overlay\t'An overlay mount over the store\'s layers: instant, no space'
copy\t'A full copy: needs neither mount nor store afterwards'"
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l bundle -d 'Make an OCI bundle in DIR: rootfs and config.json, for runc, crun, youki or runsc' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l policy -d 'When to ask [default: newer for files and docker-daemon:; else always for pull, missing elsewhere]' -r -f -a "always\t'Ask every time, fetch what is missing'
missing\t'Only if the image is not in the store'
newer\t'Fetch if the registry has another one; without an answer use the store\'s'
never\t'Never; the image must be in the store'"
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l platform -d 'Platform to choose from a multi-platform image [default: this machine\'s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l creds -d 'User and password for the registry; others on this machine can see them while ucr runs' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l auth-file -d 'File with credentials, in docker\'s config.json or podman\'s auth.json form' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l pull-secret -d 'Mesos or DC/OS pull secret: the text of a docker config.json or .dockercfg; - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l tls-ca -d 'PEM file of certificates to trust beside the system\'s; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l pull-timeout -d 'Give up pulling after this time, as in 90s, 10m, 1h' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l mirror -d 'Where to look first for a registry\'s images; repeatable, also from $UCR_MIRRORS' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l limit -d 'Change a limit of layers that guards against bombs, as in bytes=2T; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l app -d 'Take all from a Marathon app definition, ucr-app(5); - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l default-network -d 'The network for apps that say "mode": "container" without a name' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l app-secret -d 'Value of a secret of the app, by name or source: NAME=file:PATH, env:VARIABLE or fd:NUMBER; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l secrets-dir -d 'Directory in which the value of source a/b is file a/b [default: /etc/ucr/secrets, if it is there]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l secret-env-prefix -d 'The value of source a/b is environment variable PREFIXA_B' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l secret-command -d 'Program that prints a value, with {source} where the source goes, as in \'get {source}\'; no shell' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand provision" -s v -l verbose -d 'Say more on stderr: which credential is used, what is waited for'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l password-stdin -d 'Read the password of --creds USER from stdin'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l plain-http -d 'Speak http to the registry; without this only loopback addresses may'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l tls-skip-verify -d 'Accept any certificate: of the registry, its mirrors, and whomever they send ucr to'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l no-sync -d 'Do not wait until layers are on the disk; after the next boot they are fetched again'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l strict -d 'Refuse keys that Marathon does not know, instead of warning'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l override-runtime -d 'Let --runtime overrule the app\'s container.type; the app is then checked for that one'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l allow-privileged -d 'Honour "privileged" of type MESOS, which Marathon refuses'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l allow-parameters -d 'Honour "parameters" of type MESOS: each is the option of ucr run of that name'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -l enforce-spaces -d 'Give an app only secrets whose directory begins its id, as DC/OS does: /shop/web gets shop/key'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand provision" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l spec -d 'Take the whole description from a JSON document, ucr-spec(5); - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l rootfs -d 'Take a directory of the host instead of an image as the root filesystem; / is the host\'s own. The first word is then the command' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l entrypoint -d 'Replace the image\'s entrypoint, and with it its command; \'\' removes both' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s e -l env -d 'Set an environment variable; NAME alone copies ucr\'s own, if it is set; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l env-file -d 'Set the variables of a file, NAME=VALUE a line; those of -e win; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l secret -d 'Give the container a value that is in no argument and no record: file=PATH or environment=NAME, then env=NAME or target=PATH; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s w -l workdir -d 'Working directory inside; made if it is missing' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s u -l user -d 'User and perhaps group, by the image\'s names or by number' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l group-add -d 'Add a group to the user\'s, by the image\'s name or by number; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s v -l volume -d 'Show a path of the host or a named volume inside; DIR alone is a new volume; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l mount -d 'The same in fields, as in type=bind|volume|tmpfs|image,source=…,target=…; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l tmpfs -d 'Show an empty directory in memory inside; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l sandbox -d 'Directory of the host to mount as the Mesos sandbox; sets MESOS_SANDBOX' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l name -d 'A name for the container, which no other one has' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l restart -d 'Start the container again when it ends: no (default), on-failure[:NUMBER], always or unless-stopped' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l stop-signal -d 'The signal that asks it to end [default: the image\'s, or TERM]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l stop-timeout -d 'How long \'ucr stop\' waits before it kills [default: 10]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l log-driver -d 'What becomes of the output of a container in the background: k8s-file (default) or none' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l log-opt -d 'How it is kept, as in max-size=10m; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l health-cmd -d 'A shell command in the container that succeeds while the container is well' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l health-interval -d 'Time between checks [default: the image\'s, or 30s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l health-timeout -d 'How long a check may take [default: the image\'s, or 30s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l health-retries -d 'Failures in a row that make it unhealthy [default: the image\'s, or 3]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l health-start-period -d 'Time after the start in which failures do not count [default: the image\'s, or 0s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l health-start-interval -d 'Time between checks during that time [default: the image\'s, or 5s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l network -d 'Network: host (default), none, bridge, container:ID, cni:NAME, or one of \'ucr network ls\'; repeatable with cni:NAME: eth0, eth1 and so on; options about addresses and ports are for the first' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s p -l publish -d 'Let a port of the host, or a free one, lead to one of the container, which is on a bridge unless the network is said; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l expose -d 'Name ports that the container serves, for --publish-all; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l ip -d 'IPv4 address of the container, of its network\'s' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l ip6 -d 'IPv6 address of the container, of its network\'s' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l mac-address -d 'Hardware address of the container\'s device' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s l -l label -d 'A word about the container, for ucr inspect; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l label-file -d 'The words of a file, NAME=VALUE a line; those of -l win; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l annotation -d 'A word for programs around the container, for ucr inspect; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l docker-param -d 'Pass an option on to Docker Engine as --KEY=VALUE, with --runtime docker; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l volumes-from -d 'Show what is mounted in a running container in the same places; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s h -l hostname -d 'Host name inside' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l domainname -d 'NIS domain name inside, and the rest of the own name in /etc/hosts' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l add-host -d 'A line of /etc/hosts; host-gateway is the host\'s address; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l dns -d 'A name server, instead of the host\'s; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l dns-search -d 'A domain to look names up in, instead of the host\'s; \'.\' is none; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l dns-option -d 'An option of resolv.conf(5), instead of the host\'s; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l pid -d 'Whose processes it sees, and may signal: host, or container:ID [default: its own]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l ipc -d 'Whose message queues and /dev/shm it has: private (default), shareable, none, host, or container:ID' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l uts -d 'Whose host name it has: private (default), or host' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cgroupns -d 'Whose tree of cgroups it sees: private (default), or host' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l sysctl -d 'Set a value of sysctl(8) that the kernel keeps for each container; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpus -d 'How many processors it may keep busy, as in 1.5' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s c -l cpu-shares -d 'Weight against others where processors are busy; 1024 is usual' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpu-period -d 'Length of a scheduling period, in microseconds' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpu-quota -d 'Processor time in each period, in microseconds' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpu-rt-period -d 'Length of a period of real-time processes, in microseconds; cgroups of version 1' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpu-rt-runtime -d 'Time of real-time processes in each such period, in microseconds; cgroups of version 1' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpuset-cpus -d 'Processors that it may run on, as in 0-2,5' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cpuset-mems -d 'Memory nodes that it may use, as in 0-1' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -s m -l memory -d 'Most memory, as in 512m or 2g' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l memory-reservation -d 'Memory that it keeps when others want it' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l memory-swap -d 'Most memory and swap together; -1 is unlimited; the default is twice the memory' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l memory-swappiness -d 'How readily its memory goes to swap, 0 to 100; -1 is the machine\'s; cgroups of version 1' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l pids-limit -d 'Most processes and threads; -1 is unlimited [default: 2048]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l blkio-weight -d 'Weight of disk accesses against others, 10 to 1000' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l blkio-weight-device -d 'The same for one disk; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l device-read-bps -d 'Most bytes that are read from a disk in a second; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l device-write-bps -d 'Most bytes that are written to a disk in a second; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l device-read-iops -d 'Most reads from a disk in a second; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l device-write-iops -d 'Most writes to a disk in a second; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l device-cgroup-rule -d 'Device nodes that may be opened or made besides those that it has; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l ulimit -d 'A limit of setrlimit(2), as in nofile=1024:4096; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l oom-score-adj -d 'How soon it is killed where memory runs out, -1000 (last) to 1000' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l shm-size -d 'Size of /dev/shm [default: 64m]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cgroups -d 'Whether limits that this machine cannot keep are an error: strict (default) or best-effort' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cgroup-parent -d 'Make its cgroups in this one, from the top of each tree; made if it is missing' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cap-add -d 'Give the container a capability that it does not have by default, or ALL; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cap-drop -d 'Take a capability of the default ones away, or ALL; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l security-opt -d 'Change the isolation: seccomp=FILE|unconfined, no-new-privileges=false, apparmor=PROFILE, label=OPTION, systempaths=unconfined; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l userns -d 'Whose users the container\'s are: host (default: the same numbers), auto (a range that nobody else has), or INSIDE:OUTSIDE:COUNT[,…]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l device -d 'Give the container a device, by path or by CDI name; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l gpus -d 'Give the container NVIDIA GPUs, by CDI: all, a number, or device=NAME' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cdi-spec-dir -d 'Look for the files of CDI devices here, not in /etc/cdi and /var/run/cdi; later ones win; repeatable, also from $UCR_CDI_DIRS' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cni-config-dir -d 'Look for the CNI lists of --network cni:NAME here, not in /etc/cni/net.d; repeatable, also from $UCR_CNI_CONFIG_DIR' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cni-plugin-dir -d 'Look for CNI plugins here first, then in $CNI_PATH, /opt/cni/bin and /usr/lib/cni; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l rm -d 'Remove the container when it ends [default: unless --detach]' -r -f -a "true\t''
false\t''"
complete -c ucr -n "__fish_ucr_using_subcommand run" -s a -l attach -d 'Attach to these streams only: stdin, stdout, stderr; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l detach-keys -d 'Keys that let go of a container with a terminal, which goes on' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l sig-proxy -d 'Pass signals on to the container [default: true]' -r -f -a "true\t''
false\t''"
complete -c ucr -n "__fish_ucr_using_subcommand run" -l cidfile -d 'Write the container\'s ID to a new file' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l status-fd -d 'Write what happens to this open descriptor, a line of JSON each: created, started, health, exited, failed' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l policy -d 'When to ask [default: newer for files and docker-daemon:; else always for pull, missing elsewhere]' -r -f -a "always\t'Ask every time, fetch what is missing'
missing\t'Only if the image is not in the store'
newer\t'Fetch if the registry has another one; without an answer use the store\'s'
never\t'Never; the image must be in the store'"
complete -c ucr -n "__fish_ucr_using_subcommand run" -l platform -d 'Platform to choose from a multi-platform image [default: this machine\'s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l creds -d 'User and password for the registry; others on this machine can see them while ucr runs' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l auth-file -d 'File with credentials, in docker\'s config.json or podman\'s auth.json form' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l pull-secret -d 'Mesos or DC/OS pull secret: the text of a docker config.json or .dockercfg; - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l tls-ca -d 'PEM file of certificates to trust beside the system\'s; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l pull-timeout -d 'Give up pulling after this time, as in 90s, 10m, 1h' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l mirror -d 'Where to look first for a registry\'s images; repeatable, also from $UCR_MIRRORS' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l limit -d 'Change a limit of layers that guards against bombs, as in bytes=2T; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l app -d 'Take all from a Marathon app definition, ucr-app(5); - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l default-network -d 'The network for apps that say "mode": "container" without a name' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l app-secret -d 'Value of a secret of the app, by name or source: NAME=file:PATH, env:VARIABLE or fd:NUMBER; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l secrets-dir -d 'Directory in which the value of source a/b is file a/b [default: /etc/ucr/secrets, if it is there]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l secret-env-prefix -d 'The value of source a/b is environment variable PREFIXA_B' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l secret-command -d 'Program that prints a value, with {source} where the source goes, as in \'get {source}\'; no shell' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l ports -d 'Ports of the host to choose from, as in 8000-8999,9090 [default: 31000-32000]; if said, fixed ones must be among them, too' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l service-ports -d 'Service ports to choose from [default: 10000-20000]' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l seccomp-dir -d 'Directory of profiles for linuxInfo.seccomp [default: /etc/ucr/seccomp]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l launch-timeout -d 'Give up if the app does not run after this time, pull and fetch included, as in 15m' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand run" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand run" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand run" -l help -d 'Print help; -h is --hostname here, as in docker'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l verbose -d 'Say more on stderr; -v is --volume here, as in docker'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l dry-run -d 'Print what would be done, step by step, and do nothing; with --format json as a document'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l read-only -d 'Refuse writes to the root filesystem; /dev, /dev/shm and volumes stay writable'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l init -d 'Put a process before the command that reaps orphans and passes signals on'
complete -c ucr -n "__fish_ucr_using_subcommand run" -s i -l interactive -d 'Keep stdin open for the command; without this it is /dev/null'
complete -c ucr -n "__fish_ucr_using_subcommand run" -s t -l tty -d 'Give the container a terminal'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l no-healthcheck -d 'Make no checks, whatever the image says'
complete -c ucr -n "__fish_ucr_using_subcommand run" -s P -l publish-all -d 'Let free ports of the host lead to all that the image or --expose names'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l oom-kill-disable -d 'Let its processes wait where memory is used up, and kill none; cgroups of version 1'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l privileged -d 'Lift all isolation but the namespaces; root inside can then do what the host\'s root can'
complete -c ucr -n "__fish_ucr_using_subcommand run" -s d -l detach -d 'Start the container in the background and print its ID'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l password-stdin -d 'Read the password of --creds USER from stdin'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l plain-http -d 'Speak http to the registry; without this only loopback addresses may'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l tls-skip-verify -d 'Accept any certificate: of the registry, its mirrors, and whomever they send ucr to'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l no-sync -d 'Do not wait until layers are on the disk; after the next boot they are fetched again'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l strict -d 'Refuse keys that Marathon does not know, instead of warning'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l override-runtime -d 'Let --runtime overrule the app\'s container.type; the app is then checked for that one'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l allow-privileged -d 'Honour "privileged" of type MESOS, which Marathon refuses'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l allow-parameters -d 'Honour "parameters" of type MESOS: each is the option of ucr run of that name'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l enforce-spaces -d 'Give an app only secrets whose directory begins its id, as DC/OS does: /shop/web gets shop/key'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l limit-cpus -d 'Hold the app to its "cpus" even if other processors idle (Mesos: cgroups_enable_cfs)'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l wait-ready -d 'With --detach: return when the readiness check says that the app is ready'
complete -c ucr -n "__fish_ucr_using_subcommand run" -l force -d 'Start it even if "instances" is 0'
complete -c ucr -n "__fish_ucr_using_subcommand run" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l raw -d 'Print a document of the image exactly as it was fetched' -r -f -a "manifest\t'The image manifest'
config\t'The image configuration'
index\t'The index that the manifest was chosen from'"
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l app -d 'Take all from a Marathon app definition, ucr-app(5); - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l default-network -d 'The network for apps that say "mode": "container" without a name' -r
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l ports -d 'Ports of the host to choose from, as in 8000-8999,9090 [default: 31000-32000]; if said, fixed ones must be among them, too' -r
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l service-ports -d 'Service ports to choose from [default: 10000-20000]' -r
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l seccomp-dir -d 'Directory of profiles for linuxInfo.seccomp [default: /etc/ucr/seccomp]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l strict -d 'Refuse keys that Marathon does not know, instead of warning'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l override-runtime -d 'Let --runtime overrule the app\'s container.type; the app is then checked for that one'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l allow-privileged -d 'Honour "privileged" of type MESOS, which Marathon refuses'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l allow-parameters -d 'Honour "parameters" of type MESOS: each is the option of ucr run of that name'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -l limit-cpus -d 'Hold the app to its "cpus" even if other processors idle (Mesos: cgroups_enable_cfs)'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand images" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand images" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand images" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand images" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand images" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand images" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand images" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand ps" -s f -l filter -d 'Only containers with name=TEXT in their name, or with status=STATUS, health=STATUS, id=START, label=NAME or label=NAME=VALUE; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand ps" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand ps" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand ps" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand ps" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand ps" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand ps" -s a -l all -d 'Also containers that ended and were kept'
complete -c ucr -n "__fish_ucr_using_subcommand ps" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand ps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l detach-keys -d 'Keys that let go of a command with a terminal, which goes on' -r
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s e -l env -d 'Set an environment variable; NAME alone copies ucr\'s own, if it is set; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l env-file -d 'Set the variables of a file, NAME=VALUE a line; those of -e win; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s u -l user -d 'User and perhaps group, by the container\'s names or by number' -r
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s w -l workdir -d 'Working directory inside' -r
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s d -l detach -d 'Do not wait for the command, and drop what it prints'
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s i -l interactive -d 'Keep stdin open for the command; without this it is /dev/null'
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s t -l tty -d 'Give the command a terminal'
complete -c ucr -n "__fish_ucr_using_subcommand exec" -l privileged -d 'Lift the isolation as for a privileged container'
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l linger -d 'How long to wait for another task when all are over' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l seccomp-dir -d 'Directory of profiles for LinuxInfo.seccomp [default: /etc/ucr/seccomp]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l cgroups -d 'What to do where a limit cannot be had: require (default) or best-effort' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l cdi-spec-dir -d 'Look for the files of CDI devices here; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l cni-config-dir -d 'Look for the CNI lists of --network cni:NAME here, not in /etc/cni/net.d; repeatable, also from $UCR_CNI_CONFIG_DIR' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l cni-plugin-dir -d 'Look for CNI plugins here first, then in $CNI_PATH, /opt/cni/bin and /usr/lib/cni; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l policy -d 'When to ask [default: newer for files and docker-daemon:; else always for pull, missing elsewhere]' -r -f -a "always\t'Ask every time, fetch what is missing'
missing\t'Only if the image is not in the store'
newer\t'Fetch if the registry has another one; without an answer use the store\'s'
never\t'Never; the image must be in the store'"
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l platform -d 'Platform to choose from a multi-platform image [default: this machine\'s]' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l creds -d 'User and password for the registry; others on this machine can see them while ucr runs' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l auth-file -d 'File with credentials, in docker\'s config.json or podman\'s auth.json form' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l pull-secret -d 'Mesos or DC/OS pull secret: the text of a docker config.json or .dockercfg; - is stdin' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l tls-ca -d 'PEM file of certificates to trust beside the system\'s; repeatable' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l pull-timeout -d 'Give up pulling after this time, as in 90s, 10m, 1h' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l mirror -d 'Where to look first for a registry\'s images; repeatable, also from $UCR_MIRRORS' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l limit -d 'Change a limit of layers that guards against bombs, as in bytes=2T; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l limit-cpus -d 'Hold tasks to their "cpus" even if other processors idle (Mesos: cgroups_enable_cfs)'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l password-stdin -d 'Read the password of --creds USER from stdin'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l plain-http -d 'Speak http to the registry; without this only loopback addresses may'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l tls-skip-verify -d 'Accept any certificate: of the registry, its mirrors, and whomever they send ucr to'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -l no-sync -d 'Do not wait until layers are on the disk; after the next boot they are fetched again'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand executor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand rm" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand rm" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand rm" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand rm" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand rm" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand rm" -s f -l force -d 'Kill containers that run, and do not mind what is not there'
complete -c ucr -n "__fish_ucr_using_subcommand rm" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand stop" -s t -l time -l timeout -d 'How long to wait before killing [default: the container\'s --stop-timeout, or 10]' -r
complete -c ucr -n "__fish_ucr_using_subcommand stop" -s s -l signal -d 'Another signal than the container\'s' -r
complete -c ucr -n "__fish_ucr_using_subcommand stop" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand stop" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand stop" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand stop" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand stop" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand stop" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand kill" -s s -l signal -d 'The signal, by name or number' -r
complete -c ucr -n "__fish_ucr_using_subcommand kill" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand kill" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand kill" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand kill" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand kill" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand kill" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand kill" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand wait" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand wait" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand wait" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand wait" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand wait" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand wait" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand logs" -s n -l tail -d 'Only the last lines' -r
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l since -d 'Only what was printed since then: a time (RFC 3339, or seconds since 1970) or how long ago, as in 10m' -r
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l until -d 'Only what was printed until then' -r
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand logs" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand logs" -s f -l follow -d 'Go on until the container ends'
complete -c ucr -n "__fish_ucr_using_subcommand logs" -s t -l timestamps -d 'Show the time of each line'
complete -c ucr -n "__fish_ucr_using_subcommand logs" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l detach-keys -d 'Keys that let go of a container with a terminal' -r
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l sig-proxy -d 'Pass signals on to the container [default: true]' -r -f -a "true\t''
false\t''"
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand attach" -l no-stdin -d 'Type nothing for it'
complete -c ucr -n "__fish_ucr_using_subcommand attach" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand attach" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand top" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand top" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand top" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand top" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand top" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand top" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand stats" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand stats" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand stats" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand stats" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand stats" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand stats" -l no-stream -d 'Show it once'
complete -c ucr -n "__fish_ucr_using_subcommand stats" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand cp" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand cp" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand cp" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand cp" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand cp" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand cp" -s a -l archive -d 'Keep owners, by number; else what goes into a container is its root\'s, and what comes out belongs to whoever runs ucr'
complete -c ucr -n "__fish_ucr_using_subcommand cp" -s L -l follow-link -d 'Copy what a symbolic link at SOURCE leads to, not the link'
complete -c ucr -n "__fish_ucr_using_subcommand cp" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand prune" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand prune" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand prune" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand prune" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand prune" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand prune" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -f -a "ls" -d 'List the volumes'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -f -a "create" -d 'Make an empty volume; one that is there stays as it is. Prints its name'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -f -a "inspect" -d 'Show all that is known of volumes'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -f -a "rm" -d 'Remove volumes and everything in them. Prints what was removed'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and not __fish_seen_subcommand_from ls create inspect rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List the volumes'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make an empty volume; one that is there stays as it is. Prints its name'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show all that is known of volumes'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove volumes and everything in them. Prints what was removed'
complete -c ucr -n "__fish_ucr_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -f -a "ls" -d 'List the networks, and the lists of CNI plugins that --network cni:NAME takes'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -f -a "create" -d 'Make a network. Prints its name'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -f -a "inspect" -d 'Show all that is known of networks'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -f -a "check" -d 'Ask the CNI plugins of a running container whether its network is as they made it'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -f -a "rm" -d 'Remove networks that no container is on. Prints what was removed. Of the network named bridge, the devices and rules go, until the next container needs them'
complete -c ucr -n "__fish_ucr_using_subcommand network; and not __fish_seen_subcommand_from ls create inspect check rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l subnet -d 'Its addresses; a free subnet where none is said; once for IPv4, once for IPv6' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l gateway -d 'The host\'s address on it; the first one where none is said; once for IPv4, once for IPv6' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l ip-range -d 'Give only these addresses to containers that do not ask for one' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -s o -l opt -d 'Options of the bridge: mtu=BYTES; repeatable' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l ipv6 -d 'IPv6 addresses, too'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -l internal -d 'No way out of the network, and none in'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -l root -d 'Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -l state -d 'Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]' -r -F
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -l runtime -d 'What runs containers: native (default), docker, or a list of which the first that can serves' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -l engine-timeout -d 'How long Docker Engine may take to answer [default: 20s]; six times that to make or remove' -r
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -l format -d 'How results and errors are printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print no progress'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List the networks, and the lists of CNI plugins that --network cni:NAME takes'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a network. Prints its name'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show all that is known of networks'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "check" -d 'Ask the CNI plugins of a running container whether its network is as they made it'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove networks that no container is on. Prints what was removed. Of the network named bridge, the devices and rules go, until the next container needs them'
complete -c ucr -n "__fish_ucr_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "pull" -d 'Pull an image into the store'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "provision" -d 'Make a root filesystem, or an OCI bundle, from an image'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "run" -d 'Run a command in a new container and return its exit code'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "inspect" -d 'Show all that is known of an image, a container or a root filesystem'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "images" -d 'List the images in the store'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "ps" -d 'List running containers and provisioned root filesystems'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "exec" -d 'Run another command in a running container'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "executor" -d 'Run the tasks of a Mesos agent'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "rm" -d 'Remove containers, root filesystems and image names'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "stop" -d 'Ask containers to end, and kill those that do not'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "kill" -d 'Send a signal to containers'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "logs" -d 'Print what a container in the background printed'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "attach" -d 'Attach to a container in the background'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "top" -d 'List the processes of a running container'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "stats" -d 'Show what running containers use'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "cp" -d 'Copy files out of a container or into it'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "prune" -d 'Remove everything that no image, root filesystem or container refers to'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "volume" -d 'List, make, show and remove named volumes'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "network" -d 'List, make, show and remove networks'
complete -c ucr -n "__fish_ucr_using_subcommand help; and not __fish_seen_subcommand_from pull provision run inspect images ps exec executor rm stop kill wait logs attach top stats cp prune volume network help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from volume" -f -a "ls" -d 'List the volumes'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from volume" -f -a "create" -d 'Make an empty volume; one that is there stays as it is. Prints its name'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from volume" -f -a "inspect" -d 'Show all that is known of volumes'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from volume" -f -a "rm" -d 'Remove volumes and everything in them. Prints what was removed'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "ls" -d 'List the networks, and the lists of CNI plugins that --network cni:NAME takes'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "create" -d 'Make a network. Prints its name'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "inspect" -d 'Show all that is known of networks'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "check" -d 'Ask the CNI plugins of a running container whether its network is as they made it'
complete -c ucr -n "__fish_ucr_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "rm" -d 'Remove networks that no container is on. Prints what was removed. Of the network named bridge, the devices and rules go, until the next container needs them'
