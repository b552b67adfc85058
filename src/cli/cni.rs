//! Where lists and plugins of CNI networks are, as options and variables say.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::context::Context;
use super::environment;
use crate::error::{Fault, Kind};
use crate::runtime::native::network::cni::{LISTS, PLUGINS, Places, TIME};

/// Longest time that one plugin may be given, in seconds.
const MAX_SECONDS: u64 = 3600;
/// Where plugins find other programs if our own environment does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Clone, Debug, Default, Args)]
pub(super) struct CniOptions {
    /// Look for the CNI lists of --network cni:NAME here, not in /etc/cni/net.d; repeatable, also
    /// from $UCR_CNI_CONFIG_DIR
    #[arg(long, value_name = "DIR", help_heading = "Network options")]
    cni_config_dir: Vec<PathBuf>,
    /// Look for CNI plugins here first, then in $CNI_PATH, /opt/cni/bin and /usr/lib/cni;
    /// repeatable
    #[arg(long, value_name = "DIR", help_heading = "Network options")]
    cni_plugin_dir: Vec<PathBuf>,
}

impl CniOptions {
    /// An option that was said.
    pub(super) fn said(&self) -> Option<&'static str> {
        match (
            self.cni_config_dir.is_empty(),
            self.cni_plugin_dir.is_empty(),
        ) {
            (false, _) => Some("--cni-config-dir"),
            (true, false) => Some("--cni-plugin-dir"),
            (true, true) => None,
        }
    }

    /// The same options for another command.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        let lists = self.cni_config_dir.iter();
        let lists = lists.map(|path| format!("--cni-config-dir={}", path.display()));
        let plugins = self.cni_plugin_dir.iter();
        lists.chain(plugins.map(|path| format!("--cni-plugin-dir={}", path.display())))
    }

    pub(super) fn places(&self, context: &Context) -> Result<Places> {
        let listed = |name: &str| -> Vec<PathBuf> {
            let value = environment::variable(name).unwrap_or_default();
            let parts = value.split(':').filter(|part| !part.is_empty());
            parts.map(PathBuf::from).collect()
        };
        let mut lists = self.cni_config_dir.clone();
        if lists.is_empty() {
            lists = listed("UCR_CNI_CONFIG_DIR");
        }
        if lists.is_empty() {
            lists.push(LISTS.into());
        }
        let said = self.cni_plugin_dir.iter().cloned();
        let plugins = said.chain(listed("CNI_PATH"));
        let plugins = plugins.chain(PLUGINS.map(PathBuf::from));
        let absolute = |path| context.absolute(path);
        Ok(Places {
            lists: lists.into_iter().map(absolute).collect::<Result<_>>()?,
            plugins: plugins.map(absolute).collect::<Result<_>>()?,
            path: environment::variable("PATH").unwrap_or_else(|| PATH.to_owned()),
            time: time()?,
        })
    }
}

fn time() -> Result<Duration, Fault> {
    let Some(text) = environment::variable("UCR_CNI_TIMEOUT").filter(|text| !text.is_empty())
    else {
        return Ok(TIME);
    };
    match text.parse() {
        Ok(seconds @ 1..=MAX_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => {
            let message = format!("$UCR_CNI_TIMEOUT is '{text}'");
            let hint = format!("say a number of seconds, at most {MAX_SECONDS}");
            Err(Fault::new(Kind::Usage, message).hint(hint))
        }
    }
}
