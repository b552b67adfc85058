//! Kernels without the newest mount calls, made by a filter that refuses them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::process;
use crate::support::samples;

use super::world::World;

const LIMIT: Duration = Duration::from_secs(60);

/// A system call to refuse, perhaps only with this second argument, and the error to give.
#[derive(Clone, Copy)]
struct Missing {
    call: i64,
    second_argument: Option<u32>,
    errno: i32,
}

const NO_FSOPEN: Missing = Missing {
    call: libc::SYS_fsopen,
    second_argument: None,
    errno: libc::ENOSYS,
};
/// Before Linux 6.13 overlay knew no layers by descriptor (FSCONFIG_SET_FD is 5).
const NO_LAYERS_BY_DESCRIPTOR: Missing = Missing {
    call: libc::SYS_fsconfig,
    second_argument: Some(5),
    errno: libc::EINVAL,
};
/// Before Linux 6.5 overlay took no descriptors at all.
const NO_DESCRIPTORS: Missing = Missing {
    errno: libc::EOPNOTSUPP,
    ..NO_LAYERS_BY_DESCRIPTOR
};
/// Before Linux 6.7 overlay knew no `lowerdir+`; strings are FSCONFIG_SET_STRING, 1.
const NO_OPTIONS_ONE_BY_ONE: Missing = Missing {
    call: libc::SYS_fsconfig,
    second_argument: Some(1),
    errno: libc::EINVAL,
};

/// The filter as the kernel wants it: compare the number, then the argument, then decide.
fn filter(missing: Missing) -> Vec<libc::sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = u32::try_from(missing.call).unwrap();
    let (argument, wanted) = match missing.second_argument {
        Some(argument) => (24, argument),
        // The number again: always equal.
        None => (0, number),
    };
    vec![
        step(LOAD, 0, 0, 0),
        step(EQUAL, 0, 3, number),
        step(LOAD, 0, 0, argument),
        step(EQUAL, 0, 1, wanted),
        step(
            RETURN,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | missing.errno.unsigned_abs(),
        ),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[allow(unsafe_code, reason = "a filter is installed between fork and exec")]
fn without(missing: Missing, command: &mut Command) {
    let filter = filter(missing);
    let install = move || {
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).map_err(io::Error::other)?,
            filter: filter.as_ptr().cast_mut(),
        };
        rustix::thread::set_no_new_privs(true)?;
        // SAFETY: the call reads integers and a filter that lives across it.
        let done = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// 120 layers mount one way or the other, and look the same.
#[test]
fn overlays_of_120_layers() {
    let image = (0..119).fold(samples::small(), |image: Image, number| {
        image.layer(Layer::new().file(&format!("layers/{number}"), number.to_string()))
    });
    let world = World::of(&image);
    for (name, missing) in [
        ("fsopen", NO_FSOPEN),
        ("layers by descriptor", NO_LAYERS_BY_DESCRIPTOR),
        ("descriptors", NO_DESCRIPTORS),
        ("strings", NO_OPTIONS_ONE_BY_ONE),
    ] {
        let target = world.ucr.scratch().join(name);
        let mut command = world.ucr.command();
        command.arg("provision").arg(&world.image).arg(&target);
        without(missing, &mut command);
        process::run(&mut command, b"", LIMIT).ok();
        assert_eq!(
            std::fs::read_dir(target.join("layers")).unwrap().count(),
            119,
            "{name}"
        );
        std::fs::write(target.join("new"), "x").unwrap();
        world.ucr.run(["rm", target.to_str().unwrap()]).ok();
    }
    world.assert_clean();
}
