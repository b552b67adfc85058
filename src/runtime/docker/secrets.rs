//! The values of secrets that become variables of a container in the Engine.

use std::fmt;

use anyhow::Result;
use zeroize::Zeroizing;

use crate::error::{Fault, Kind};
use crate::runtime::values;
use crate::spec::{GivenValues, Secret, SecretTarget};

/// Shown in place of a value that was not read.
const UNREAD: &str = "…";

/// A description's secrets as text, in its order; or none of them, where nothing is to be read.
#[derive(Default)]
pub struct Secrets(Vec<Zeroizing<String>>);

/// Of a container that is not made yet.
pub static UNREAD_SECRETS: Secrets = Secrets(Vec::new());

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the values. Fails with [`Kind::Spec`] on one that no variable can have.
    pub(super) fn read(secrets: &[Secret], given: &GivenValues) -> Result<Self> {
        let read = |(place, secret): (usize, &Secret)| -> Result<_> {
            if let SecretTarget::File(_) = secret.target {
                return Ok(Zeroizing::default());
            }
            let value = values::read(&secret.source, given)?;
            match std::str::from_utf8(&value) {
                Ok(text) => Ok(Zeroizing::new(text.to_owned())),
                Err(_) => {
                    let message = format!("secrets[{place}]: its value is no UTF-8 text");
                    let hint = "a variable in Docker Engine cannot be anything else";
                    Err(Fault::new(Kind::Spec, message).hint(hint).into())
                }
            }
        };
        let all = secrets.iter().enumerate().map(read);
        Ok(Self(all.collect::<Result<_>>()?))
    }

    /// That of the secret in this place.
    pub(super) fn value(&self, place: usize) -> &str {
        self.0.get(place).map_or(UNREAD, |value| value.as_str())
    }
}
