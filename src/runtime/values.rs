//! The values of secrets, read when a container is made: in memory only, wiped when dropped, and in
//! no message.

use std::fs;

use anyhow::{Context, Result};
use zeroize::Zeroizing;

use crate::error::{Fault, Kind};
use crate::spec::{GivenValues, SecretSource};

/// Largest value, in bytes: Kubernetes' limit for all of one object.
const MAX_VALUE: u64 = 1 << 20;

/// Reads one. `given` has those that ucr has already.
pub(super) fn read(source: &SecretSource, given: &GivenValues) -> Result<Zeroizing<Vec<u8>>> {
    match source {
        SecretSource::File(path) => {
            let what = || format!("secret file {}", path.display());
            let metadata = fs::metadata(path).with_context(what)?;
            if !metadata.is_file() || metadata.len() > MAX_VALUE {
                let message = format!("it is no file of at most {MAX_VALUE} bytes");
                return Err(Fault::new(Kind::Spec, message)).with_context(what);
            }
            fs::read(path).map(Zeroizing::new).with_context(what)
        }
        SecretSource::Environment(name) => match std::env::var_os(name) {
            Some(value) => {
                let value = std::os::unix::ffi::OsStringExt::into_vec(value);
                Ok(Zeroizing::new(value))
            }
            None => {
                let message = format!("secret: the environment has no variable {name}");
                Err(Fault::new(Kind::Spec, message).into())
            }
        },
        SecretSource::Given(name) => match given.get(name) {
            Some(value) => Ok(Zeroizing::new(value.to_vec())),
            None => {
                let message = format!("secret: no value was given for {name}");
                Err(Fault::new(Kind::Spec, message).into())
            }
        },
    }
}
