//! The program: container stage or command line? Run it, and turn the outcome into an exit code.

use std::process::ExitCode;

use ucr::runtime::native::reaper;

/// musl's own gives memory back to the kernel at every turn, which then has to clear it again: 170
/// calls and twice as many page faults before a container is started.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(ucr::cli::at_panic));
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if reaper::is_wanted(&arguments) {
        return ExitCode::from(reaper::run(arguments));
    }
    ExitCode::from(ucr::cli::main(arguments))
}
