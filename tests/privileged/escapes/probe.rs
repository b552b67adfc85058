//! What an attacker's program inside a container tries, one attempt a line: name, tab, `ok` or the
//! error's number.
//!
//! Compiled by escapes.rs with nothing but the standard library, linked statically, and put into an
//! image. Attempts that would harm the host if they worked are only begun: a file is opened and not
//! written to, a call gets arguments that the kernel finds invalid once it is allowed at all.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn chroot(path: *const i8) -> i32;
    fn fchdir(fd: i32) -> i32;
}

const BAD: i64 = -1;
const TIOCSTI: i64 = 0x5412;
const TIOCLINUX: i64 = 0x541c;
const O_NONBLOCK: i32 = 0o4000;
const EPERM: i32 = 1;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const EROFS: i32 = 30;
const O_NOCTTY: i32 = 0o400;
/// The type of key that has no rules, and the name and value of ours.
const KEY: [&std::ffi::CStr; 3] = [c"user", c"ucr-test-key", c"secret"];
const SESSION_KEYRING: i64 = -3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["calls", pid] => calls(pid.parse().unwrap()),
        ["writable", roots @ ..] => roots.iter().for_each(|root| writable(Path::new(root))),
        ["chroot", canary] => leave_by_chroot(canary),
        ["handle", place] => open_by_handle(place),
        ["put-key", program @ ..] => put_key(program),
        ["find-key"] => find_key(),
        ["trace", end] => trace(Path::new(end)),
        _ => panic!("{words:?}"),
    }
}

fn say(name: &str, result: i64) {
    match result {
        -1 => println!(
            "{name}\t{}",
            io::Error::last_os_error().raw_os_error().unwrap()
        ),
        _ => println!("{name}\tok"),
    }
}

/// In a child of its own: it may change whoever makes it.
fn attempt(name: &str, call: impl FnOnce() -> i64) {
    // SAFETY: this program has one thread.
    match unsafe { fork() } {
        0 => {
            say(name, call());
            // SAFETY: println of a whole line has written it.
            unsafe { _exit(0) }
        }
        child => {
            // SAFETY: a null status is allowed.
            unsafe { waitpid(child, std::ptr::null_mut(), 0) };
        }
    }
}

/// `pid` is a process of the host's that has another number here, or none.
fn calls(pid: i64) {
    // Namespaces, one by one: mount, cgroup, uts, ipc, user, pid, net, time.
    for flag in [
        0x2_0000_i64,
        0x200_0000,
        0x400_0000,
        0x800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000,
        0x80,
    ] {
        // SAFETY: all calls below get numbers and addresses of constants.
        attempt(&format!("unshare {flag:#x}"), || unsafe {
            syscall(272, flag)
        });
    }
    let mut memory = [0_u8; 8];
    let vector = [memory.as_mut_ptr() as i64, 8];
    let vector = vector.as_ptr() as i64;
    let rows: [(&str, i64, [i64; 5]); 25] = [
        ("clone of a user namespace", 56, [0x1000_0011, 0, 0, 0, 0]),
        (
            "mount",
            165,
            [
                c"x".as_ptr() as i64,
                c"/tmp".as_ptr() as i64,
                c"tmpfs".as_ptr() as i64,
                0,
                0,
            ],
        ),
        (
            "remount",
            165,
            [0, c"/proc/sys".as_ptr() as i64, 0, 0x1020, 0],
        ),
        ("umount", 166, [c"/proc/sys".as_ptr() as i64, 2, 0, 0, 0]),
        (
            "pivot_root",
            155,
            [c"/tmp".as_ptr() as i64, c"/tmp".as_ptr() as i64, 0, 0, 0],
        ),
        ("fsopen", 430, [c"tmpfs".as_ptr() as i64, 0, 0, 0, 0]),
        ("open_tree", 428, [-100, c"/".as_ptr() as i64, 1, 0, 0]),
        (
            "mount_setattr",
            442,
            [-100, c"/proc/sys".as_ptr() as i64, 0, BAD, 0],
        ),
        ("setns", 308, [0, 0, 0, 0, 0]),
        ("AF_ALG", 41, [38, 5, 0, 0, 0]),
        ("AF_VSOCK", 41, [40, 1, 0, 0, 0]),
        ("AF_PACKET", 41, [17, 3, 0, 0, 0]),
        ("io_uring_setup", 425, [1, BAD, 0, 0, 0]),
        ("userfaultfd", 323, [1, 0, 0, 0, 0]),
        ("bpf", 321, [0, BAD, 0, 0, 0]),
        ("perf_event_open", 298, [BAD, 0, BAD, BAD, 0]),
        ("keyctl", 250, [0, SESSION_KEYRING, 0, 0, 0]),
        (
            "add_key",
            248,
            [
                KEY[0].as_ptr() as i64,
                KEY[1].as_ptr() as i64,
                KEY[2].as_ptr() as i64,
                6,
                SESSION_KEYRING,
            ],
        ),
        ("ptrace", 101, [0x4206, pid, 0, 0, 0]),
        ("process_vm_readv", 310, [pid, vector, 1, vector, 1]),
        ("init_module", 175, [BAD, 0, BAD, 0, 0]),
        ("kexec_load", 246, [0, 0, 0, 0, 0]),
        ("settimeofday", 164, [BAD, 0, 0, 0, 0]),
        ("TIOCSTI", 16, [0, TIOCSTI, c"x".as_ptr() as i64, 0, 0]),
        ("TIOCLINUX", 16, [0, TIOCLINUX, c"x".as_ptr() as i64, 0, 0]),
    ];
    for (name, number, [a, b, c, d, e]) in rows {
        // A process of ours is no stranger: there is none with that number here.
        let is_of_pid = matches!(name, "ptrace" | "process_vm_readv");
        if is_of_pid && Path::new(&format!("/proc/{pid}")).exists() {
            println!("{name}\tseen");
            continue;
        }
        attempt(name, || unsafe { syscall(number, a, b, c, d, e, 0_i64) });
    }
    attempt("high bits of TIOCSTI", || unsafe {
        syscall(16, 0_i64, 1 << 32 | TIOCSTI, c"x".as_ptr())
    });
    // The numbers of i386.
    for (name, number, arguments) in [
        ("32-bit mount", 21, [0, 0, 0]),
        ("32-bit unshare", 310, [0x1000_0000, 0, 0]),
        ("32-bit socket of AF_ALG", 359, [38, 5, 0]),
        ("32-bit TIOCSTI", 54, [0, 0x5412, 0]),
        ("32-bit keyctl", 288, [0, -3, 0]),
        ("32-bit io_uring_setup", 425, [1, 0, 0]),
    ] {
        attempt(name, || {
            let result = call32(number, arguments);
            match result {
                0.. => 0,
                _ => {
                    println!("{name}\t{}", -result);
                    // SAFETY: the line is written.
                    unsafe { _exit(0) }
                }
            }
        });
    }
}

#[cfg(target_arch = "x86_64")]
fn call32(number: i32, [a, b, c]: [i32; 3]) -> i32 {
    let mut result = i64::from(number);
    // SAFETY: the kernel keeps all registers but these; LLVM's own rbx is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {a}", "int 0x80", "xchg rbx, {a}",
            a = inout(reg) i64::from(a) => _,
            inout("rax") result, in("rcx") b, in("rdx") c,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result as i32
}

#[cfg(not(target_arch = "x86_64"))]
fn call32(_number: i32, _arguments: [i32; 3]) -> i32 {
    -38
}

/// Names every file below `root` that can be opened for writing; processes, of which there are only
/// our own, are left out.
fn writable(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
            continue;
        };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_process = root == Path::new("/proc") && name.bytes().all(|b| b.is_ascii_digit());
        if kind.is_dir() && !is_process {
            writable(&path);
        } else if fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            let flags = O_NONBLOCK | O_NOCTTY;
            let file = OpenOptions::new()
                .write(true)
                .custom_flags(flags)
                .open(&path);
            // Root may open what has no way to be written, which says so then.
            let written = file.and_then(|mut file| file.write(b""));
            let code = written.map_or_else(|error| error.raw_os_error(), |_| None);
            if !matches!(code, Some(EIO | EINVAL | EACCES | EPERM | EROFS)) {
                println!("{} {code:?}", path.display());
            }
        }
    }
    if fs::create_dir(root.join("ucr-made")).is_ok() {
        println!("{}/ucr-made", root.display());
    }
}

/// The way out of a chroot that is as old as chroot: a directory that is kept open, a new root below
/// it, and as many `..` as there may be.
fn leave_by_chroot(canary: &str) {
    fs::create_dir_all("/tmp/below").unwrap();
    let root = fs::File::open("/").unwrap();
    let below = CString::new("/tmp/below").unwrap();
    // SAFETY: a path that ends in NUL, and a descriptor that is open.
    say("chroot", i64::from(unsafe { chroot(below.as_ptr()) }));
    // SAFETY: as above.
    unsafe { fchdir(root.as_raw_fd()) };
    for _ in 0..64 {
        std::env::set_current_dir("..").unwrap();
    }
    let seen = Path::new(".").join(canary.trim_start_matches('/')).exists();
    println!("canary\t{}", if seen { "seen" } else { "not seen" });
    println!(
        "own\t{}",
        if Path::new("./probe").exists() {
            "seen"
        } else {
            "not seen"
        }
    );
}

/// Opens inode 2, the root of most filesystems, of the filesystem that a place is on ("shocker").
fn open_by_handle(place: &str) {
    let mount = fs::File::open(place).unwrap();
    let mut handle = [8_u32, 1, 2, 0];
    // SAFETY: a handle of 8 bytes, of type 1: inode number and generation.
    attempt("open_by_handle_at", || unsafe {
        syscall(
            304,
            i64::from(mount.as_raw_fd()),
            handle.as_mut_ptr(),
            0_i64,
        )
    });
}

/// Adds a key to the session keyring and becomes another program, which inherits it.
fn put_key(program: &[&str]) {
    use std::os::unix::process::CommandExt;
    // SAFETY: strings that end in NUL.
    let session = unsafe { syscall(250, 1_i64, 0_i64) };
    assert!(session > 0, "{}", io::Error::last_os_error());
    // SAFETY: as above.
    let key = unsafe {
        syscall(
            248,
            KEY[0].as_ptr(),
            KEY[1].as_ptr(),
            KEY[2].as_ptr(),
            6_i64,
            SESSION_KEYRING,
        )
    };
    assert!(key > 0, "{}", io::Error::last_os_error());
    let error = std::process::Command::new(program[0])
        .args(&program[1..])
        .exec();
    panic!("{}: {error}", program[0]);
}

fn find_key() {
    const SEARCH: i64 = 10;
    // SAFETY: strings that end in NUL.
    say("search", unsafe {
        syscall(
            250,
            SEARCH,
            SESSION_KEYRING,
            KEY[0].as_ptr(),
            KEY[1].as_ptr(),
            0_i64,
        )
    });
}

/// Traces every process that appears, until there is a file; prints what each that could be traced
/// had then: pid, command line, filter.
fn trace(end: &Path) {
    const PTRACE: i64 = 101;
    const SEIZE: i64 = 0x4206;
    const INTERRUPT: i64 = 0x4207;
    const DETACH: i64 = 17;
    const ALL: i32 = 0x4000_0000;
    let mut last = i64::from(std::process::id());
    while !end.exists() {
        for pid in last + 1..last + 50 {
            // SAFETY: no pointers but null ones.
            if unsafe { syscall(PTRACE, SEIZE, pid, 0_i64, 0_i64) } != 0 {
                continue;
            }
            let mut status = 0;
            // SAFETY: no pointers but null ones and that of a live integer.
            unsafe {
                syscall(PTRACE, INTERRUPT, pid, 0_i64, 0_i64);
                waitpid(pid as i32, &mut status, ALL);
            }
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let facts = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let filter = facts.lines().find(|line| line.starts_with("Seccomp:"));
            let filter = filter.unwrap_or_default().replace('\t', "");
            println!("{pid}\t{}\t{filter}", words.replace('\0', " "));
            // SAFETY: no pointers but null ones.
            unsafe { syscall(PTRACE, DETACH, pid, 0_i64, 0_i64) };
            last = pid;
        }
    }
}
