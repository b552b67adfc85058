//! What runs: command rules, environment, user, directory, and what cannot run.

use super::super::row::{Input, Row, row};

pub fn rows() -> Vec<Row> {
    let mut rows = words();
    rows.extend(environment());
    rows.extend(users());
    rows.extend(cannot_run());
    rows
}

fn words() -> Vec<Row> {
    vec![
        row("cmd-of-the-image", &[], &[])
            .of("cmd")
            .shows(&["its cmd"]),
        row("arguments-replace-cmd", &[], &["echo", "mine"])
            .of("cmd")
            .shows(&["mine"]),
        row("entrypoint-and-cmd", &[], &[])
            .of("entry")
            .shows(&["entry its cmd"]),
        row("entrypoint-and-arguments", &[], &["mine"])
            .of("entry")
            .shows(&["entry mine"]),
        row("entrypoint-replaced", &["--entrypoint", "env"], &[])
            .of("entry")
            .shows(&["IMAGE=its value"]),
        row(
            "entrypoint-taken-away",
            &["--entrypoint", ""],
            &["echo", "mine"],
        )
        .of("entry")
        .shows(&["mine"]),
        row(
            "arguments-like-options",
            &[],
            &["echo", "--rm", "-it", "--", "{}", "", "a  b"],
        )
        .shows(&["--rm -it -- {}  a  b"]),
        row(
            "arguments-beyond-ascii",
            &[],
            &["echo", "Ada\nLovelace\t\u{1f980} $HOME `id` \\"],
        )
        .shows(&["Ada"]),
        row("no-command", &[], &[])
            .of("nothing")
            .code(125)
            .says(&["command"]),
        row(
            "entrypoint-taken-away-and-nothing-left",
            &["--entrypoint", ""],
            &[],
        )
        .of("entry")
        .code(125)
        .says(&["command"]),
        row("directory", &["-w", "/etc"], &["probe", "cwd"]).shows(&["cwd: /etc"]),
        row("directory-of-the-image", &[], &["probe", "cwd"])
            .of("workdir")
            .shows(&["cwd: /made/here"]),
        row(
            "directory-that-is-made",
            &["-w", "/made/too/deep"],
            &["probe", "cwd"],
        )
        .shows(&["cwd: /made/too/deep"]),
        row(
            "directory-made-for-a-user",
            &["-w", "/sticky/own", "-u", "ada"],
            &["probe", "cwd"],
        )
        .shows(&["cwd: /sticky/own"]),
        row(
            "directory-that-is-a-file",
            &["-w", "/etc/passwd"],
            &["true"],
        )
        .code(125)
        .says(&["/etc/passwd"]),
        row("directory-that-is-relative", &["-w", "etc"], &["true"])
            .code(125)
            .says(&["etc"]),
        row("init", &["--init"], &["sh", "-c", "[ $$ != 1 ] && exit 9"]).code(9),
        row("umask", &[], &["probe", "umask", "first"]).shows(&["umask: 0022"]),
    ]
}

fn environment() -> Vec<Row> {
    vec![
        row("environment", &["-h", "box"], &["probe", "env"]).shows(&[
            "env IMAGE: its value",
            "env HOME: /root",
            "env HOSTNAME: box",
        ]),
        row(
            "environment-of-a-user",
            &["-u", "ada", "-h", "box"],
            &["probe", "env"],
        )
        .shows(&["env HOME: /home/ada"]),
        row(
            "environment-of-a-number",
            &["-u", "4711", "-h", "box"],
            &["probe", "env"],
        )
        .shows(&["env HOME: /"]),
        row(
            "environment-on-a-terminal",
            &["-t", "-h", "box"],
            &["probe", "env"],
        )
        .shows(&["env TERM: xterm"]),
        row(
            "variables",
            &[
                "-h",
                "box",
                "-e",
                "A=b c",
                "-e",
                "EMPTY=",
                "-e",
                "PARITY_GIVEN",
                "-e",
                "PARITY_NOT_THERE",
                "-e",
                "IMAGE=mine",
                "-e",
                "A=last=1",
            ],
            &["probe", "env"],
        )
        .shows(&[
            "env A: last=1",
            "env EMPTY: ",
            "env IMAGE: mine",
            "env PARITY_GIVEN: given",
        ]),
        row(
            "variables-of-a-file",
            &[
                "-h",
                "box",
                "--env-file",
                "{dir}/variables",
                "-e",
                "FLAG=flag",
            ],
            &["probe", "env"],
        )
        .shows(&[
            "env FILE: \"in quotes\" # all",
            "env FLAG: flag",
            "env PARITY_GIVEN: given",
        ]),
        row(
            "variable-of-an-empty-home",
            &["-h", "box", "-e", "HOME="],
            &["probe", "env"],
        ),
        row(
            "variable-path",
            &["-h", "box", "-e", "PATH=/bin"],
            &["probe", "env"],
        )
        .shows(&["env PATH: /bin"]),
        row(
            "variable-of-many-lines",
            &["-e", "A=1\n2 = \u{e9}"],
            &["sh", "-c", "echo \"$A\""],
        )
        .shows(&["1", "2 = \u{e9}"]),
        row("variable-without-a-name", &["-e", "=x"], &["true"])
            .code(125)
            .says(&["=x"]),
    ]
}

fn users() -> Vec<Row> {
    let seen = &["probe", "id", "status", "env"];
    let user = |name, image, options: &[&'static str], lines: &[&'static str]| {
        let options = [&["-h", "box"], options].concat();
        row(name, &options, seen).of(image).shows(lines)
    };
    vec![
        user("user-root", "base", &[], &["uid: 0", "groups: 0"]),
        user(
            "user-name",
            "base",
            &["-u", "ada"],
            &["uid: 1815", "groups: 1816 1788 1843"],
        ),
        user(
            "user-number",
            "base",
            &["-u", "4711"],
            &["uid: 4711", "gid: 0"],
        ),
        user(
            "user-number-of-a-name",
            "base",
            &["-u", "1815"],
            &["gid: 1816"],
        ),
        user(
            "user-and-group-numbers",
            "base",
            &["-u", "4711:4712"],
            &["groups: 4712"],
        ),
        user(
            "user-and-group-names",
            "base",
            &["-u", "ada:engines"],
            &["groups: 1843"],
        ),
        user(
            "user-name-and-number",
            "base",
            &["-u", "charles:7"],
            &["uid: 1791", "gid: 7"],
        ),
        user("user-of-the-image", "user", &[], &["uid: 1815"]),
        user(
            "user-and-group-of-the-image",
            "user-group",
            &[],
            &["gid: 1843"],
        ),
        user("user-number-of-the-image", "number", &[], &["uid: 4711"]),
        user("user-replaced", "user", &["-u", "0"], &["uid: 0"]),
        user(
            "groups",
            "base",
            &["-u", "ada:ada", "--group-add", "poets", "--group-add", "99"],
            &["groups: 1816 99 1788"],
        ),
        user(
            "groups-of-a-number",
            "base",
            &["-u", "4711", "--group-add", "7"],
            &["groups: 0 7"],
        ),
        row("user-unknown", &["-u", "nobody-knows"], &["true"])
            .code(125)
            .says(&["nobody-knows"]),
        row("group-unknown", &["-u", "ada:nobody-knows"], &["true"])
            .code(125)
            .says(&["nobody-knows"]),
        row(
            "group-to-add-unknown",
            &["--group-add", "nobody-knows"],
            &["true"],
        )
        .code(125)
        .says(&["nobody-knows"]),
    ]
}

fn cannot_run() -> Vec<Row> {
    let ends =
        |name, word, code, says: &[&'static str]| row(name, &[], &[word]).code(code).says(says);
    vec![
        ends("no-such-name", "no-such-command", 127, &["no-such-command"]),
        ends(
            "no-such-path",
            "/no/such/command",
            127,
            &["/no/such/command"],
        ),
        ends(
            "a-link-to-nothing",
            "/bin/dangling",
            127,
            &["/bin/dangling"],
        ),
        ends(
            "no-interpreter",
            "/bin/no-interpreter",
            127,
            &["/no/such/interpreter"],
        ),
        ends("a-directory", "/etc", 126, &["/etc"]),
        ends(
            "not-executable",
            "/bin/not-executable",
            126,
            &["/bin/not-executable"],
        ),
        ends(
            "no-first-line",
            "/bin/plain-text",
            126,
            &["/bin/plain-text"],
        ),
        ends(
            "another-architecture",
            "/bin/foreign",
            126,
            &["/bin/foreign"],
        ),
        ends("below-a-file", "/etc/passwd/x", 126, &["/etc/passwd/x"]),
        row("not-for-this-user", &["-u", "ada"], &["/bin/only-root"])
            .code(126)
            .says(&["/bin/only-root"]),
        row("no-such-image", &[], &["true"])
            .of("absent")
            .code(125)
            .says(&["absent"]),
        row("no-such-image-and-no-pull", &["--pull", "never"], &["true"])
            .of("absent")
            .code(125)
            .says(&["absent"]),
        row(
            "another-platform",
            &["--platform", "linux/s390x", "--pull", "always"],
            &["true"],
        )
        .code(125),
    ]
}

/// What is typed, and what is written.
pub fn streams() -> Vec<Row> {
    let script = "echo out; echo err >&2; printf 'no end'";
    vec![
        row("streams-out", &[], &["sh", "-c", script]).shows(&["out", "no end"]),
        row("streams-out-on-a-terminal", &["-t"], &["sh", "-c", script]),
        row(
            "streams-many-bytes",
            &[],
            &["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"],
        ),
        row(
            "stdin-not-asked-for",
            &[],
            &["sh", "-c", "cat; probe streams"],
        )
        .input(Input::File("typed\n"))
        .shows(&["stream 0: null"]),
        row("stdin-a-file", &["-i"], &["sh", "-c", "cat; probe streams"])
            .input(Input::File("typed\n"))
            .shows(&["typed"]),
        row("stdin-a-pipe", &["-i"], &["cat"])
            .input(Input::Pipe("typed\n"))
            .shows(&["typed"]),
        row("stdin-many-bytes", &["-i"], &["sh", "-c", "wc -c"])
            .input(Input::Pipe(BIG))
            .shows(&["500000"]),
        row("stdin-closed", &["-i"], &["sh", "-c", "cat; echo end"])
            .input(Input::Closed)
            .shows(&["end"]),
        row("stdin-not-read", &["-i"], &["echo", "end"])
            .input(Input::Pipe(BIG))
            .shows(&["end"]),
        row("terminal", &["-t"], &["sh", "-c", "tty; probe streams"])
            .shows(&["stream 0: terminal"]),
        row("terminal-and-input-that-is-none", &["-i", "-t"], &["true"]).code(125),
    ]
}

/// Half a million bytes.
const BIG: &str = match str::from_utf8(&[b'x'; 500_000]) {
    Ok(text) => text,
    Err(_) => "",
};
