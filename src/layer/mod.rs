//! A layer: a tar stream onto a directory handle.
