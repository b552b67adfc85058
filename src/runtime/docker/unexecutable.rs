//! Files that are there and cannot be executed: docker answers 1 where ucr tells 126 from 127.

use std::io::Read;

use super::Docker;
use super::create::Made;
use super::run::Asked;
use super::verdict::{State, suspect};
use crate::engine::LONG;
use crate::error::Fault;
use crate::runtime::interpreter::{is_program, named_in};

impl Docker {
    /// What is wrong with the command's file, if the end of the container was only that. The OCI
    /// runtime's own line says it, which a container could print, too; so the file is looked at.
    pub(super) fn unexecutable(
        &self,
        asked: &Asked,
        made: &Made,
        state: &State,
        stderr: &str,
    ) -> Option<Fault> {
        let suspect = suspect(state, stderr)?;
        let process = crate::spec::process(asked.spec, &asked.image.config, "").ok()?;
        let command = process.argv.first()?;
        let path = match suspect.path {
            "" => command,
            path => path,
        };
        let place = format!("{}:{path}", made.full_id);
        let words = ["cp", "--follow-link", &place, "-"];
        let archive = self.engine.call(&words, LONG, None).ok()?;
        let head = first_file(&archive)?;
        let interpreter = named_in(&head);
        let interpreter = interpreter.first().map(|it| it.to_string_lossy());
        suspect.fault(path, interpreter.as_deref(), is_program(&head))
    }
}

/// What is in the first file of an archive.
fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
