//! The build script: compiles the built-in seccomp filter of the usual capabilities into constants,
//! with the same compiler that the product has for all others.
#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "profiles need more of the compiler than this; cargo listens on standard output"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

#[path = "bpf.rs"]
mod bpf;
#[path = "../../../spec/seccomp/capability.rs"]
mod capability;
#[path = "compile.rs"]
mod compile;
#[path = "../../../spec/seccomp/policy.rs"]
mod policy;
#[path = "../../../spec/seccomp/rule.rs"]
mod rule;
#[path = "../../../spec/seccomp/syscalls.rs"]
mod syscalls;

use policy::Circumstances;
use rule::Architecture;

/// The same as `sys::seccomp::Instruction`, which is out of reach here.
#[derive(Debug)]
struct Instruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src/runtime/native/seccomp");
    println!("cargo::rerun-if-changed=src/spec/seccomp");
    let variable = |name| env::var(name).map_err(io::Error::other);
    let machine = variable("CARGO_CFG_TARGET_ARCH")?;
    let family = match machine.as_str() {
        "x86_64" => [Architecture::X86_64, Architecture::I386],
        "aarch64" => [Architecture::Aarch64, Architecture::Arm],
        _ => {
            let message = format!("there is no table of system calls for {machine}");
            return Err(io::Error::other(message));
        }
    };
    let usual = constant("USUAL", family, Circumstances::USUAL);
    let bare = constant("BARE", family, Circumstances::BARE);
    let file = Path::new(&variable("OUT_DIR")?).join("seccomp.rs");
    fs::write(file, usual + &bare)
}

fn constant(name: &str, family: [Architecture; 2], circumstances: Circumstances) -> String {
    let mut text = format!("static {name}: &[Instruction] = &[\n");
    for Instruction { code, jt, jf, k } in compile::compile(&policy::tables(family, circumstances))
    {
        let _ = writeln!(
            text,
            "Instruction {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }},"
        );
    }
    text + "];\n"
}
