//! The flags about what a container may do.

use clap::Args;

use crate::error::Fault;
use crate::spec::{Device, Security, Userns, gpus};

/// Isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Security options")]
pub struct SecurityFlags {
    /// Give the container a capability that it does not have by default, or ALL; repeatable
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Take a capability of the default ones away, or ALL; repeatable
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// Change the isolation: seccomp=FILE|unconfined, no-new-privileges=false,
    /// apparmor=PROFILE, label=OPTION, systempaths=unconfined; repeatable
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Lift all isolation but the namespaces; root inside can then do what the host's root can
    #[arg(long)]
    privileged: bool,
    /// Whose users the container's are: host (default: the same numbers), auto (a range that
    /// nobody else has), or INSIDE:OUTSIDE:COUNT[,…]
    #[arg(long, value_name = "MODE")]
    userns: Option<Userns>,
    /// Give the container a device, by path or by CDI name; repeatable
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]|NAME")]
    device: Vec<Device>,
    /// Give the container NVIDIA GPUs, by CDI: all, a number, or device=NAME
    #[arg(long, value_name = "GPUS")]
    gpus: Option<String>,
}

impl SecurityFlags {
    pub(super) fn security(&self) -> Result<Security, Fault> {
        let mut security = Security {
            privileged: self.privileged,
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            userns: self.userns.clone(),
            ..Security::default()
        };
        for option in &self.security_opt {
            security.apply(option)?;
        }
        Ok(security)
    }

    pub(super) fn devices(&self) -> Result<Vec<Device>, Fault> {
        let mut devices = self.device.clone();
        if let Some(text) = &self.gpus {
            devices.extend(gpus(text)?);
        }
        Ok(devices)
    }
}
