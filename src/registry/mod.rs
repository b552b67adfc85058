//! The distribution protocol.
