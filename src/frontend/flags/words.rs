//! The flags that say something about a container and change nothing in it, and those that take
//! something from elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Fault, Kind};
use crate::spec::DockerParameter;

/// Words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Container options")]
pub struct WordFlags {
    /// A word about the container, for ucr inspect; repeatable
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// The words of a file, NAME=VALUE a line; those of -l win; repeatable
    #[arg(long, value_name = "FILE")]
    pub(super) label_file: Vec<PathBuf>,
    /// A word for programs around the container, for ucr inspect; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Pass an option on to Docker Engine as --KEY=VALUE, with --runtime docker; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) docker_param: Vec<DockerParameter>,
    /// Show what is mounted in a running container in the same places; repeatable
    #[arg(long, value_name = "ID[:ro|:rw]")]
    pub(super) volumes_from: Vec<String>,
}

impl WordFlags {
    /// `from_files` is what the files say.
    pub(super) fn labels(
        &self,
        from_files: Vec<String>,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let all = from_files.iter().chain(&self.label);
        all.map(|word| pair("--label", word)).collect()
    }

    pub(super) fn annotations(&self) -> Result<BTreeMap<String, String>, Fault> {
        let all = self.annotation.iter();
        all.map(|word| pair("--annotation", word)).collect()
    }
}

/// A name without a value has an empty one.
fn pair(flag: &str, word: &str) -> Result<(String, String), Fault> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    if name.is_empty() {
        let message = format!("{flag} '{word}': it has no name");
        return Err(Fault::new(Kind::Usage, message).hint(format!("say {flag} NAME=VALUE")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_counts() {
        let flags = WordFlags {
            label: vec!["a=1".into(), "b".into(), "a=2=3".into()],
            ..WordFlags::default()
        };
        let labels = flags.labels(vec!["a=0".into(), "c=4".into()]).unwrap();
        let expected = [("a", "2=3"), ("b", ""), ("c", "4")];
        assert_eq!(labels, expected.map(|(k, v)| (k.into(), v.into())).into());
        let bad = WordFlags {
            annotation: vec!["=x".into()],
            ..WordFlags::default()
        };
        assert!(bad.annotations().is_err());
    }
}
