//! What is found wrong or noteworthy in an app definition.

use std::fmt;

/// Something about one place of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: `/container/portMappings(0)/hostPort`, as Marathon writes it; empty for the whole.
    pub path: String,
    /// What in plain words.
    pub text: String,
    /// Stable name: `E:…` refuses the app, `W:…` does not.
    pub id: &'static str,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// Whether the app can't be run because of it.
    pub fn is_error(&self) -> bool {
        self.id.starts_with("E:")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} [{}]", self.text, self.id)
    }
}

/// More than anybody reads.
const MAX: usize = 1000;

/// All that was found, in the order of the document's checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn add(&mut self, path: impl Into<String>, id: &'static str, text: impl Into<String>) {
        self.push(path.into(), id, text.into(), None);
    }

    /// Adds one with what to do about it.
    pub fn advise(
        &mut self,
        path: impl Into<String>,
        id: &'static str,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(path.into(), id, text.into(), Some(hint.into()));
    }

    /// A document made to fill the memory or the screen is refused for that.
    fn push(&mut self, path: String, id: &'static str, text: String, hint: Option<String>) {
        let finding = match self.0.len() {
            0..MAX => Finding {
                path,
                text,
                id,
                hint,
            },
            MAX => Finding {
                path: String::new(),
                text: format!("there is more than these {MAX} findings"),
                id: "E:too-many",
                hint: None,
            },
            _ => return,
        };
        self.0.push(finding);
    }

    /// Whether the app is refused.
    pub fn refuse(&self) -> bool {
        self.0.iter().any(Finding::is_error)
    }

    /// Whether something of this identifier was found.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|finding| finding.id == id)
    }
}
