//! `tests/data/escapes.md` names tests that exist.
