//! What differs between the two runtimes, and why: also in ucr-docker(7).

/// A fact that need not be the same.
#[derive(Debug)]
pub struct Difference {
    /// Its name; with `*` at the end, that of several.
    pub fact: &'static str,
    /// Of these rows only, if there are any.
    pub rows: &'static [&'static str],
    /// What it is and why, in a sentence or two.
    pub reason: &'static str,
}

impl Difference {
    /// Is it about this fact of this row?
    pub fn covers(&self, row: &str, fact: &str) -> bool {
        let is_row = self.rows.is_empty() || self.rows.contains(&row);
        let is_fact = match self.fact.strip_suffix('*') {
            Some(start) => fact.starts_with(start),
            None => fact == self.fact,
        };
        is_row && is_fact
    }
}

pub const DIFFERENCES: &[Difference] = &[];
