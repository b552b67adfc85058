//! The typed fault that travels inside [`anyhow::Error`].
//!
//! A [`Fault`] is made where something is recognised to be wrong; context added on the way up never
//! changes its [`Kind`]. Only `main` prints errors: one line, then a `hint:` line if there is
//! something to do. Messages are lower case, without a full stop, and name the object.

use std::fmt;

use anyhow::Error;

/// What sort of fault this is: for exit codes, for `--format json`, and for callers that must tell
/// one from another. Closed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// An image name that cannot be understood.
    Reference,
    /// The named image, container or file does not exist.
    NotFound,
    /// A registry refused the credential, or there was none.
    Denied,
    /// A registry answered something that is not an image.
    Registry,
    /// No answer, or one that was cut short.
    Network,
    /// Bytes that do not match their digest or size.
    Integrity,
    /// The image has nothing for the wanted platform.
    Platform,
    /// Something ucr, this kernel or this machine cannot do.
    Unsupported,
    /// A layer that is not a valid tar stream, or that tries to leave its directory.
    Layer,
    /// A limit that guards against bombs.
    Limit,
    /// A container description that contradicts itself or the image.
    Spec,
    /// The store on disk.
    Store,
    /// No space, no inodes or no quota left.
    NoSpace,
    /// The command exists but cannot be executed: exit code 126.
    NotExecutable,
    /// The command does not exist: exit code 127.
    NoCommand,
    /// A system call failed.
    Kernel,
    /// A signal ended the work.
    Interrupted,
}

impl Kind {
    const ALL: [Self; 18] = [
        Self::Usage,
        Self::Reference,
        Self::NotFound,
        Self::Denied,
        Self::Registry,
        Self::Network,
        Self::Integrity,
        Self::Platform,
        Self::Unsupported,
        Self::Layer,
        Self::Limit,
        Self::Spec,
        Self::Store,
        Self::NoSpace,
        Self::NotExecutable,
        Self::NoCommand,
        Self::Kernel,
        Self::Interrupted,
    ];

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name used in `--format json`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Reference => "reference",
            Kind::NotFound => "not-found",
            Kind::Denied => "denied",
            Kind::Registry => "registry",
            Kind::Network => "network",
            Kind::Integrity => "integrity",
            Kind::Platform => "platform",
            Kind::Unsupported => "unsupported",
            Kind::Layer => "layer",
            Kind::Limit => "limit",
            Kind::Spec => "spec",
            Kind::Store => "store",
            Kind::NoSpace => "no-space",
            Kind::NotExecutable => "not-executable",
            Kind::NoCommand => "no-command",
            Kind::Kernel => "kernel",
            Kind::Interrupted => "interrupted",
        }
    }
}

/// A recognised fault: a kind for programs, a sentence and perhaps a hint for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// The kind of the outermost [`Fault`] in the chain; without one, what the I/O error says.
pub fn kind(error: &Error) -> Kind {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return fault.kind;
    }
    match error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
    {
        Some(io) => kind_of_io(io),
        None => Kind::Store,
    }
}

/// What an operating-system error means to a user.
pub fn kind_of_io(error: &std::io::Error) -> Kind {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::NoSpace,
        _ => Kind::Kernel,
    }
}

/// The hint, if any fault in the chain has one, or if the kind alone suggests what to do.
pub fn hint(error: &Error) -> Option<String> {
    let own = error
        .downcast_ref::<Fault>()
        .and_then(|fault| fault.hint.clone());
    own.or_else(|| match kind(error) {
        Kind::NoSpace => {
            Some("free space with 'ucr prune', or put the store elsewhere with --root DIR".into())
        }
        _ => None,
    })
}

/// The whole chain on one line, outermost first, control characters escaped.
pub fn render(error: &Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Some libraries repeat their source in their own text; say everything once.
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
    }
    escape(&parts.join(": "))
}

/// Makes text from outside harmless for a terminal: control characters become `\u{..}` escapes,
/// as do the invisible characters that reorder text.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || reorders {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn context_keeps_kind_and_hint() {
        let fault = Fault::new(Kind::Denied, "registry refused").hint("log in");
        let error = Err::<(), _>(fault)
            .context("pull x")
            .context("run")
            .unwrap_err();
        assert_eq!(kind(&error), Kind::Denied);
        assert_eq!(hint(&error).as_deref(), Some("log in"));
        assert_eq!(render(&error), "run: pull x: registry refused");
    }

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
        let error = Error::new(full).context("write blob");
        assert_eq!(kind(&error), Kind::NoSpace);
        assert!(hint(&error).is_some());
    }

    #[test]
    fn terminal_escapes_are_disarmed() {
        assert_eq!(escape("a\x1b[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(escape("naïve"), "naïve");
        assert_eq!(escape("a\u{202e}b"), "a\\u{202e}b");
    }
}
