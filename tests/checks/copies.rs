//! Copies of a process, which only a process with one thread may make.

use std::panic::set_hook;

use ucr::sys::process::{Exit, Namespaces, spawn};

use super::Test;

pub const TESTS: &[Test] = &[("copies::one_that_panics", one_that_panics)];

/// It ends with a fault and alone; what it was told in words is not shown.
fn one_that_panics() {
    let (read, write) = std::io::pipe().unwrap();
    let child = spawn(Namespaces::default(), || {
        rustix::stdio::dup2_stderr(&write).unwrap();
        set_hook(Box::new(ucr::cli::at_panic));
        panic!("what nobody is to see")
    });
    drop(write);
    assert_eq!(child.unwrap().wait().unwrap(), Exit::Code(125));
    let said = std::io::read_to_string(read).unwrap();
    assert!(
        said.starts_with("ucr: internal fault: at tests/checks/copies.rs:"),
        "{said}"
    );
    assert!(
        said.contains("hint: ") && !said.contains("nobody"),
        "{said}"
    );
}
