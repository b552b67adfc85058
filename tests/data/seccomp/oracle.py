#!/usr/bin/python3
"""What libseccomp makes of profiles, when it is used as runc and moby use it.

One request per line of stdin, as JSON: the profile, the capabilities, the architectures to add to
the machine's own, and the kernel. One answer per line: the program in hexadecimal, or '!' and the
error. First of all comes a line with the names of its argument 1 (comma separated) that libseccomp
does not know, each with the architecture: a test must not hold us to those.
"""

import json
import sys
import tempfile

import seccomp

OPERATORS = {
    "SCMP_CMP_EQ": seccomp.EQ,
    "SCMP_CMP_NE": seccomp.NE,
    "SCMP_CMP_LT": seccomp.LT,
    "SCMP_CMP_LE": seccomp.LE,
    "SCMP_CMP_GT": seccomp.GT,
    "SCMP_CMP_GE": seccomp.GE,
    "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ,
}


def action(name, errno):
    errno = 1 if errno is None else errno
    return {
        "SCMP_ACT_ALLOW": seccomp.ALLOW,
        "SCMP_ACT_LOG": seccomp.LOG,
        "SCMP_ACT_TRAP": seccomp.TRAP,
        "SCMP_ACT_KILL": seccomp.KILL,
        "SCMP_ACT_KILL_PROCESS": seccomp.KILL_PROCESS,
        "SCMP_ACT_ERRNO": seccomp.ERRNO(errno),
        "SCMP_ACT_TRACE": seccomp.TRACE(errno),
    }[name]


def applies(rule, request):
    includes, excludes = rule.get("includes", {}), rule.get("excludes", {})
    has = lambda capability: capability in request["capabilities"]
    new_enough = lambda version: request["kernel"] >= [int(part) for part in version.split(".")]
    if any(map(has, excludes.get("caps", []))) or "amd64" in excludes.get("arches", []):
        return False
    if "minKernel" in excludes and new_enough(excludes["minKernel"]):
        return False
    if not all(map(has, includes.get("caps", []))):
        return False
    if "amd64" not in includes.get("arches", ["amd64"]):
        return False
    return "minKernel" not in includes or new_enough(includes["minKernel"])


def program(request):
    profile = request["profile"]
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    made = seccomp.SyscallFilter(default)
    for architecture in request["architectures"]:
        made.add_arch(getattr(seccomp.Arch, architecture))
    for rule in profile["syscalls"]:
        wanted = action(rule["action"], rule.get("errnoRet"))
        if wanted == default or not applies(rule, request):
            continue
        arguments = [
            seccomp.Arg(a["index"], OPERATORS[a["op"]], a.get("value", 0), a.get("valueTwo", 0))
            for a in rule.get("args") or []
        ]
        indexes = [a["index"] for a in rule.get("args") or []]
        for name in rule["names"]:
            if seccomp.resolve_syscall(seccomp.Arch.X86_64, name) == -1:
                continue
            if len(set(indexes)) < len(indexes):
                for argument in arguments:
                    made.add_rule(wanted, name, argument)
            else:
                made.add_rule(wanted, name, *arguments)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read().hex()


def main():
    architectures = {"X86_64": seccomp.Arch.X86_64, "I386": seccomp.Arch.X86}
    unknown = [
        f"{label}:{name}"
        for label, architecture in architectures.items()
        for name in sys.argv[1].split(",")
        if seccomp.resolve_syscall(architecture, name) < 0
    ]
    print(",".join(unknown))
    for line in sys.stdin:
        try:
            print(program(json.loads(line)))
        except Exception as error:
            print("!", error)


main()
