//! The only table from an outcome to an exit code (design D11).

use anyhow::Error;

use crate::error::{Kind, kind};
pub use crate::sys::process::Exit;

/// Any fault of ucr's own, usage included.
pub const FAULT: u8 = 125;
/// The command was found but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;

/// What a subcommand came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done.
    Done,
    /// A container ran, and ended like this.
    Exited(Exit),
}

/// The exit code of the whole program.
pub fn code(outcome: &Result<Outcome, Error>) -> u8 {
    match outcome {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Exited(exit)) => exit.code(),
        Err(error) => match kind(error) {
            Kind::NotExecutable => NOT_EXECUTABLE,
            Kind::NoCommand => NOT_FOUND,
            _ => FAULT,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    #[test]
    fn the_table() {
        let fault = |kind| Err(Error::new(Fault::new(kind, "x")));
        let rows = [
            (Ok(Outcome::Done), 0),
            (Ok(Outcome::Exited(Exit::Code(7))), 7),
            (Ok(Outcome::Exited(Exit::Signal(15))), 143),
            (Ok(Outcome::Exited(Exit::Signal(9))), 137),
            (fault(Kind::NotExecutable), 126),
            (fault(Kind::NoCommand), 127),
            (fault(Kind::Usage), 125),
            (fault(Kind::Denied), 125),
        ];
        for (outcome, expected) in rows {
            assert_eq!(code(&outcome), expected, "{outcome:?}");
        }
    }
}
