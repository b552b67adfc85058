//! A JSON value that knows where it is, so that every complaint names its place.

use anyhow::Result;
use serde_json::Value;

use crate::error::{Fault, Kind};

/// A value and its path, such as `syscalls[3].args[0].op`.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// The whole document.
    pub(super) fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { value, path }
    }

    /// A member of an object; `null` counts as absent, as in Go's programs.
    pub(super) fn field(&self, name: &str) -> Result<Option<Node<'a>>> {
        let Value::Object(members) = self.value else {
            return Err(self.fault("should be an object").into());
        };
        let value = members.get(name).filter(|value| !value.is_null());
        Ok(value.map(|value| Node {
            value,
            path: self.join(name),
        }))
    }

    /// The names of all members that are not among these.
    pub(super) fn others(&self, known: &[&str]) -> impl Iterator<Item = String> {
        let members = self
            .value
            .as_object()
            .into_iter()
            .flat_map(|all| all.keys());
        let others = members.filter(|name| !known.contains(&name.as_str()));
        others.map(|name| self.join(name))
    }

    /// The elements of a member that is an array; none if it is absent.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Node<'a>>> {
        let Some(list) = self.field(name)? else {
            return Ok(Vec::new());
        };
        let Value::Array(values) = list.value else {
            return Err(list.fault("should be an array").into());
        };
        let nodes = values.iter().enumerate().map(|(at, value)| Node {
            value,
            path: format!("{}[{at}]", list.path),
        });
        Ok(nodes.collect())
    }

    /// The elements of a member that is an array of strings.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        self.list(name)?.iter().map(Node::text).collect()
    }

    /// A string.
    pub(super) fn text(&self) -> Result<&'a str> {
        let text = self.value.as_str();
        text.ok_or_else(|| self.fault("should be a string").into())
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self) -> Result<u64> {
        let number = self.value.as_u64();
        number.ok_or_else(|| self.fault("should be a number from 0 to 2^64 - 1").into())
    }

    /// The number in a member, 0 if it is absent.
    pub(super) fn number_or_zero(&self, name: &str) -> Result<u64> {
        self.field(name)?.map_or(Ok(0), |node| node.number())
    }

    /// Something is wrong here.
    pub(super) fn fault(&self, what: &str) -> Fault {
        let colon = if self.path.is_empty() { "" } else { ": " };
        Fault::new(
            Kind::Spec,
            format!("seccomp profile: {}{colon}{what}", self.path),
        )
    }

    /// Where this is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}
