//! The program: container stage or command line? Run it, and turn the outcome into an exit code.

use std::process::ExitCode;

use ucr::runtime::native::reaper;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if reaper::is_wanted(&arguments) {
        return ExitCode::from(reaper::run(arguments));
    }
    ExitCode::from(ucr::cli::main(arguments))
}
