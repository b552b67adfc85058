//! Loading a seccomp filter, and nothing about what is in it.

use std::io;

/// One BPF instruction, as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many to skip if a comparison holds.
    pub jt: u8,
    /// How many to skip if it does not.
    pub jf: u8,
    /// Constant.
    pub k: u32,
}

impl Instruction {
    /// Its size, in bytes.
    pub const SIZE: usize = 8;

    /// In this machine's order.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let [a, b] = self.code.to_ne_bytes();
        let [c, d, e, f] = self.k.to_ne_bytes();
        [a, b, self.jt, self.jf, c, d, e, f]
    }

    /// The reverse.
    pub fn from_bytes(&[a, b, jt, jf, c, d, e, f]: &[u8; Self::SIZE]) -> Self {
        Self {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes([c, d, e, f]),
        }
    }
}

const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());

/// Puts the calling thread, and whatever it starts, under a filter for good. It takes
/// no_new_privs, or CAP_SYS_ADMIN in the user namespace: else the kernel says EACCES. EINVAL is a
/// program or a flag that this kernel does not take, ENOSYS or EINVAL one without seccomp filters.
pub fn load(program: &[Instruction], flags: u32) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len())
            .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `Instruction` has the layout of sock_filter; the kernel copies as many as `len` says,
    // which is the length of the slice, and writes none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
