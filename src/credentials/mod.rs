//! Which credential goes to which registry, and why.
