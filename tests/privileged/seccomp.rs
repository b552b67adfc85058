//! The built-in seccomp filter in the real kernel: loaded in a child, asked by system calls.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use ucr::runtime::native::seccomp::{Filter, Instruction};
use ucr::spec::defaults::CAPABILITIES;
use ucr::sys::seccomp::load;

use crate::support::process;

const LIMIT: Duration = Duration::from_secs(60);
const KERNEL: (u32, u32) = (6, 1);
const PROBES: usize = 32;

/// A harmless call, and the error that the filter gives it; without the filter it gets another
/// answer, so that the filter's can be told from the kernel's.
struct Probe {
    number: i64,
    arguments: [u64; 5],
    errno: i32,
}

const fn probe(number: i64, arguments: [u64; 5], errno: i32) -> Probe {
    Probe {
        number,
        arguments,
        errno,
    }
}

/// Not a descriptor, not an address.
const BAD: u64 = u64::MAX;
const TCGETS: u64 = 0x5401;
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;
/// Not together with a new user namespace.
const FS: u64 = libc::CLONE_FS as u64;

const REFUSED: &[Probe] = &[
    probe(libc::SYS_setns, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_clone, [NEW_USER | FS, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_clone3, [0, 0, 0, 0, 0], libc::ENOSYS),
    probe(libc::SYS_socket, [38, 5, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_socket, [40, 1, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_io_uring_setup, [0, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_userfaultfd, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_keyctl, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_add_key, [BAD, BAD, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_bpf, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(
        libc::SYS_perf_event_open,
        [BAD, 0, 0, BAD, BAD],
        libc::EPERM,
    ),
    probe(libc::SYS_mount, [BAD, BAD, BAD, 0, 0], libc::EPERM),
    probe(libc::SYS_umount2, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_fsopen, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_pivot_root, [BAD, BAD, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_kexec_load, [0, 999, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_finit_module, [BAD, 0, 0, 0, 0], libc::EPERM),
    probe(
        libc::SYS_open_by_handle_at,
        [BAD, BAD, 0, 0, 0],
        libc::EPERM,
    ),
    probe(libc::SYS_ioctl, [BAD, TIOCSTI, 0, 0, 0], libc::EPERM),
    probe(
        libc::SYS_ioctl,
        [BAD, 1 << 32 | TIOCSTI, 0, 0, 0],
        libc::EPERM,
    ),
    probe(
        libc::SYS_ioctl,
        [BAD, 0xdead_beef << 32 | TIOCSTI, 0, 0, 0],
        libc::EPERM,
    ),
    probe(libc::SYS_ioctl, [BAD, TIOCLINUX, 0, 0, 0], libc::EPERM),
    probe(libc::SYS_personality, [0x1234, 0, 0, 0, 0], libc::EPERM),
    // The last: unrefused, it takes the right to the others away.
    probe(libc::SYS_unshare, [NEW_USER, 0, 0, 0, 0], libc::EPERM),
];

/// Answered as without a filter.
const ALLOWED: &[Probe] = &[
    probe(libc::SYS_ioctl, [BAD, TCGETS, 0, 0, 0], libc::EBADF),
    probe(libc::SYS_socket, [2, BAD, 0, 0, 0], libc::EINVAL),
    probe(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0], 0),
    probe(libc::SYS_chroot, [BAD, 0, 0, 0, 0], libc::EFAULT),
    probe(libc::SYS_openat, [BAD, BAD, 0, 0, 0], libc::EFAULT),
    probe(9999, [0; 5], libc::ENOSYS),
];

#[derive(Clone, Copy)]
enum Door {
    Native,
    /// A 32-bit call, which 64-bit programs can make, too.
    #[cfg(target_arch = "x86_64")]
    Interrupt80,
}

#[allow(unsafe_code, reason = "system calls are what is tested")]
fn call(door: Door, probe: &Probe) -> i32 {
    let [a, b, c, d, e] = probe.arguments;
    match door {
        Door::Native => {
            // SAFETY: all probes have arguments that the kernel finds invalid or that change nothing
            // but the child that asks.
            let result = unsafe { libc::syscall(probe.number, a, b, c, d, e) };
            match io::Error::last_os_error().raw_os_error() {
                Some(errno) if result == -1 => errno,
                _ => 0,
            }
        }
        #[cfg(target_arch = "x86_64")]
        Door::Interrupt80 => {
            let mut result = probe.number;
            // SAFETY: as above; the kernel keeps all registers but the result and r8 to r11, and
            // LLVM's own rbx is put back.
            unsafe {
                std::arch::asm!(
                    "xchg rbx, {b}", "int 0x80", "xchg rbx, {b}",
                    b = inout(reg) a => _,
                    inout("rax") result, in("rcx") b, in("rdx") c, in("rsi") d, in("rdi") e,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                );
            }
            let result = result as i32;
            if result < 0 { -result } else { 0 }
        }
    }
}

/// The end of a forked child, which tells its parent these words.
#[allow(unsafe_code, reason = "only async-signal-safe calls are allowed here")]
fn leave(writer: &io::PipeWriter, words: &[u32]) -> ! {
    // SAFETY: the words are there for as long as the call takes.
    unsafe {
        libc::write(
            writer.as_raw_fd(),
            words.as_ptr().cast(),
            size_of_val(words),
        )
    };
    // SAFETY: nothing of the parent's is flushed or dropped.
    unsafe { libc::_exit(0) }
}

/// The errors of all probes, asked in a forked child, below a filter if there is one.
#[allow(unsafe_code, reason = "only fork leaves the filter behind")]
fn answers(filter: Option<&Filter>, door: Door, probes: &[Probe]) -> Vec<i32> {
    let (mut reader, writer) = io::pipe().unwrap();
    // SAFETY: the child makes system calls, allocates nothing and does not return.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", io::Error::last_os_error()),
        0 => {
            let mut errors = [0_u32; PROBES];
            let loaded = filter.map_or(Ok(()), |filter| load(filter.program(), filter.flags()));
            for (error, probe) in errors.iter_mut().zip(probes) {
                *error = call(door, probe).cast_unsigned();
            }
            leave(&writer, &errors[..if loaded.is_ok() { PROBES } else { 0 }])
        }
        child => {
            drop(writer);
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            // SAFETY: our own child, which nobody else waits for.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            assert_eq!(bytes.len(), PROBES * 4, "the child did not come to the end");
            let words = bytes.chunks_exact(4).take(probes.len());
            words
                .map(|word| i32::from_ne_bytes(word.try_into().unwrap()))
                .collect()
        }
    }
}

fn built_in() -> Filter {
    Filter::built_in(&CAPABILITIES.into(), KERNEL)
}

#[test]
fn the_kernel_answers_as_the_filter_says() {
    let filter = built_in();
    let free = answers(None, Door::Native, REFUSED);
    let bound = answers(Some(&filter), Door::Native, REFUSED);
    for ((probe, free), bound) in REFUSED.iter().zip(free).zip(bound) {
        let Probe {
            number,
            arguments,
            errno,
        } = probe;
        assert_eq!(bound, *errno, "call {number} {arguments:x?}");
        assert_ne!(
            free, *errno,
            "call {number} {arguments:x?} tells nothing of the filter"
        );
    }
    for filter in [None, Some(&filter)] {
        let answers = answers(filter, Door::Native, ALLOWED);
        for (
            Probe {
                number,
                arguments,
                errno,
            },
            answer,
        ) in ALLOWED.iter().zip(answers)
        {
            assert_eq!(answer, *errno, "call {number} {arguments:x?}");
        }
    }
}

/// The numbers are those of i386; 32-bit programs work, and get no further than others.
#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_32_bit_programs() {
    let refused = [
        probe(21, [BAD, BAD, BAD, 0, 0], libc::EPERM),
        probe(359, [38, 5, 0, 0, 0], libc::EPERM),
        probe(54, [BAD, 0x5412, 0, 0, 0], libc::EPERM),
        probe(288, [BAD, 0, 0, 0, 0], libc::EPERM),
        probe(425, [0, 0, 0, 0, 0], libc::EPERM),
        probe(435, [0, 0, 0, 0, 0], libc::ENOSYS),
        probe(310, [NEW_USER, 0, 0, 0, 0], libc::EPERM),
    ];
    let allowed = [
        probe(54, [BAD, 0x5401, 0, 0, 0], libc::EBADF),
        probe(20, [0; 5], 0),
        probe(102, [99, 0, 0, 0, 0], libc::EINVAL),
        probe(9999, [0; 5], libc::ENOSYS),
    ];
    let filter = built_in();
    let free = answers(None, Door::Interrupt80, &refused);
    let bound = answers(Some(&filter), Door::Interrupt80, &refused);
    for ((probe, free), bound) in refused.iter().zip(free).zip(bound) {
        assert_eq!(bound, probe.errno, "call {}", probe.number);
        assert_ne!(free, probe.errno, "call {} tells nothing", probe.number);
    }
    let answers = answers(Some(&filter), Door::Interrupt80, &allowed);
    for (probe, answer) in allowed.iter().zip(answers) {
        assert_eq!(answer, probe.errno, "call {}", probe.number);
    }
}

/// A command below the filter, which is loaded between fork and exec.
#[allow(unsafe_code, reason = "a filter is installed between fork and exec")]
fn below(filter: Filter, command: &mut Command) {
    let install = move || {
        rustix::thread::set_no_new_privs(true)?;
        load(filter.program(), filter.flags())
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

#[test]
fn programs_see_one_filter() {
    let mut command = Command::new("cat");
    below(built_in(), command.arg("/proc/self/status"));
    let status = process::run(&mut command, b"", LIMIT).ok();
    let field = |name: &str| {
        let line = status
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    assert_eq!(field("Seccomp:").as_deref(), Some("2"));
    assert_eq!(field("Seccomp_filters:").as_deref(), Some("1"));
}

/// What it costs to load a program, in a child of its own each time: the median of 1,000.
#[allow(unsafe_code, reason = "only fork leaves the filter behind")]
fn load_time(program: &[Instruction]) -> Duration {
    let (mut reader, writer) = io::pipe().unwrap();
    for _ in 0..1000 {
        // SAFETY: the child makes system calls, allocates nothing and does not return.
        match unsafe { libc::fork() } {
            -1 => panic!("{}", io::Error::last_os_error()),
            0 => {
                let begin = Instant::now();
                let loaded = load(program, 0);
                let nanoseconds = begin.elapsed().subsec_nanos();
                let words = [nanoseconds, u32::from(loaded.is_err())];
                leave(&writer, &words)
            }
            // SAFETY: our own child, which nobody else waits for.
            child => unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) },
        };
    }
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    let word = |raw: &[u8]| u32::from_ne_bytes(raw.try_into().unwrap());
    let mut times: Vec<u32> = bytes
        .chunks_exact(8)
        .map(|raw| {
            assert_eq!(word(&raw[4..]), 0, "not loaded");
            word(&raw[..4])
        })
        .collect();
    assert_eq!(times.len(), 1000);
    times.sort_unstable();
    Duration::from_nanos(times[500].into())
}

/// As most programs do it: every allowed number compared in turn.
fn chain(numbers: u32) -> Vec<Instruction> {
    let instruction = |code, jt, jf, k| Instruction { code, jt, jf, k };
    let mut program = vec![instruction(0x20, 0, 0, 0)];
    for number in 0..numbers {
        program.push(instruction(0x15, 0, 1, number));
        program.push(instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    program.push(instruction(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | 38));
    program
}

/// The kernel runs the program for each number when it is loaded, so its shape is what it costs.
#[test]
fn loading_is_quick() {
    let filter = built_in();
    let ours = load_time(filter.program());
    let chain = load_time(&chain(400));
    println!(
        "{} instructions: {ours:?}; a chain of 400 numbers: {chain:?}",
        filter.instructions()
    );
    assert!(ours < chain, "{ours:?}, a chain takes {chain:?}");
    // Some 40 µs; a machine that is busy may take longer.
    assert!(ours < Duration::from_millis(1), "{ours:?}");
}

/// Without no_new_privs and without a capability the kernel says so, and nothing is loaded.
#[test]
#[allow(unsafe_code, reason = "an identity is given up between fork and exec")]
fn a_filter_takes_no_new_privs() {
    let filter = built_in();
    let mut command = Command::new("true");
    let install = move || {
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(12345))?;
        load(filter.program(), filter.flags())
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
    let error = command.spawn().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
}
