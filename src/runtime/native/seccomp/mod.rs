//! The seccomp filter: which system calls a container may make.
//!
//! Pure: from a set of capabilities, or a profile in moby's or the OCI's form, to a BPF program that
//! `sys::seccomp` loads. The filter of the usual capabilities is a constant in the binary, made by
//! the build script from the same compiler; any other is compiled in 0.15 milliseconds.
//!
//! ```text
//! spec::seccomp ──────┐
//!                    ├─► Table (rules by number) ─► compile ─► bpf ─► Filter
//! profile (JSON)   ──┘
//! ```

mod bpf;
mod compile;
mod merge;
mod node;
mod profile;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use caps::CapsHashSet;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::error::{Fault, Kind};
use crate::spec::seccomp::{policy, rule, syscalls};
pub use crate::sys::seccomp::Instruction;
use policy::Circumstances;
use profile::{Host, Profile};
use rule::Architecture;

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// This machine's architectures; the build script refuses to build for others.
const FAMILY: [Architecture; 2] = if cfg!(target_arch = "aarch64") {
    [Architecture::Aarch64, Architecture::Arm]
} else {
    [Architecture::X86_64, Architecture::I386]
};

/// BPF_MAXINSNS.
const MAX_INSTRUCTIONS: usize = 4096;

/// A program that judges every system call, and how to load it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Cow<'static, [Instruction]>,
    flags: u32,
}

impl Filter {
    /// The filter for containers without a profile of their own: moby's, but calls that nobody has
    /// judged fail with ENOSYS, and nobody types into a terminal.
    pub fn built_in(bounding: &CapsHashSet, kernel: (u32, u32)) -> Self {
        let circumstances = Circumstances::new(bits(bounding), kernel);
        let program = match circumstances {
            Circumstances::USUAL => Cow::Borrowed(USUAL),
            Circumstances::BARE => Cow::Borrowed(BARE),
            other => Cow::Owned(compile::compile(&policy::tables(FAMILY, other))),
        };
        Self { program, flags: 0 }
    }

    /// The filter that a profile describes, and what is odd about the profile. A bounding set and a
    /// kernel decide which of its entries apply.
    pub fn from_profile(
        json: &[u8],
        bounding: &CapsHashSet,
        kernel: (u32, u32),
    ) -> Result<(Self, Vec<String>)> {
        let host = Host {
            capabilities: bounding,
            kernel,
            family: FAMILY,
        };
        let profile = Profile::parse(json, host)?;
        let program = compile::compile(&merge::tables(&profile));
        if program.len() > MAX_INSTRUCTIONS {
            let message = format!(
                "seccomp profile: makes a program of {} instructions, the kernel takes {}",
                program.len(),
                MAX_INSTRUCTIONS
            );
            return Err(Fault::new(Kind::Limit, message).into());
        }
        let filter = Self {
            program: Cow::Owned(program),
            flags: profile.flags,
        };
        Ok((filter, profile.warnings))
    }

    /// Puts this thread, and what it becomes or starts, under the filter.
    pub fn load(&self) -> Result<()> {
        crate::sys::seccomp::load(&self.program, self.flags).context("load the seccomp filter")
    }

    /// Writes it to a file in memory, for the program that this one becomes.
    pub fn to_memory(&self) -> Result<OwnedFd> {
        let memory = memfd_create("filter", MemfdFlags::CLOEXEC)?;
        let mut bytes = self.flags.to_ne_bytes().to_vec();
        bytes.extend(self.program.iter().flat_map(Instruction::to_bytes));
        let mut file = File::from(memory);
        file.write_all(&bytes)?;
        file.rewind()?;
        Ok(file.into())
    }

    /// Reads what [`Self::to_memory`] has written.
    pub fn from_memory(memory: OwnedFd) -> Result<Self> {
        let mut bytes = Vec::new();
        File::from(memory).read_to_end(&mut bytes)?;
        let (flags, program) = bytes
            .split_first_chunk()
            .context("the filter is cut short")?;
        let (program, []) = program.as_chunks() else {
            anyhow::bail!("the filter is cut short");
        };
        Ok(Self {
            program: program.iter().map(Instruction::from_bytes).collect(),
            flags: u32::from_ne_bytes(*flags),
        })
    }

    /// What is loaded.
    pub fn program(&self) -> &[Instruction] {
        &self.program
    }

    /// How it is loaded: `SECCOMP_FILTER_FLAG_*`.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The length of the program.
    pub fn instructions(&self) -> usize {
        self.program.len()
    }
}

fn bits(capabilities: &CapsHashSet) -> u64 {
    capabilities
        .iter()
        .fold(0, |bits, capability| bits | capability.bitmask())
}
