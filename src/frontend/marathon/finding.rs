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

/// All that was found, in the order of the document's checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn add(&mut self, path: impl Into<String>, id: &'static str, text: impl Into<String>) {
        self.0.push(Finding {
            path: path.into(),
            text: text.into(),
            id,
            hint: None,
        });
    }

    /// Adds one with what to do about it.
    pub fn advise(
        &mut self,
        path: impl Into<String>,
        id: &'static str,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(path, id, text);
        if let Some(last) = self.0.last_mut() {
            last.hint = Some(hint.into());
        }
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
