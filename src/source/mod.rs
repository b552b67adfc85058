//! Images that do not come from a registry.
