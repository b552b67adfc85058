//! Loading eBPF programs that decide over device nodes, and attaching them to cgroups of version 2;
//! nothing about what is in them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One eBPF instruction, as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// The register that is changed or looked at, and the one that is read.
    registers: u8,
    /// How many instructions to skip, or where in memory.
    pub offset: i16,
    /// Constant.
    pub constant: i32,
}

impl Instruction {
    /// One of this operation; registers are 0 to 10.
    pub const fn new(code: u8, target: u8, source: u8, offset: i16, constant: i32) -> Self {
        // Bit fields of C, whose first one is in the low bits of little-endian machines only.
        let registers = match cfg!(target_endian = "little") {
            true => target | source << 4,
            false => source | target << 4,
        };
        Self {
            code,
            registers,
            offset,
            constant,
        }
    }

    /// The register that is changed or looked at.
    pub fn target(self) -> u8 {
        match cfg!(target_endian = "little") {
            true => self.registers & 15,
            false => self.registers >> 4,
        }
    }
}

// include/uapi/linux/bpf.h
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The beginning of `union bpf_attr` for loading: what Linux 4.15 knew of it.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    cgroup: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Lets a program decide, beside those of the cgroups above, which devices the processes of a
/// cgroup of version 2 may open and make; until the cgroup is removed. It takes CAP_BPF or
/// CAP_SYS_ADMIN in the initial user namespace: else the kernel says EPERM.
pub fn decide_devices(cgroup: BorrowedFd, program: &[Instruction]) -> io::Result<()> {
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        // No function of the kernel's is called that would ask for another one.
        license: c"Apache-2.0".as_ptr() as u64,
        ..Load::default()
    };
    // SAFETY: the instructions, as many as `count` says, and the text live across the call, which
    // writes nothing as there is no log.
    let descriptor = unsafe { bpf(BPF_PROG_LOAD, &load)? };
    // SAFETY: the kernel has just opened this descriptor for us; nobody else owns it.
    let loaded = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let attach = Attach {
        cgroup: cgroup.as_raw_fd().unsigned_abs(),
        program: loaded.as_raw_fd().unsigned_abs(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the call has no pointers.
    unsafe { bpf(BPF_PROG_ATTACH, &attach) }.map(drop)
}

/// # Safety
/// What `attributes` points to must be what the command wants.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads `size` bytes of plain integers; the caller answers for the rest.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => libc::c_int::try_from(result).map_err(io::Error::other),
    }
}
