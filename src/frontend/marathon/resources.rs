//! What an app may use: Mesos's rules (reference/marathon.md, section 1.12). Pure.

use super::App;
use super::app::Limit;
use crate::spec::{CgroupPolicy, Cpus, Resources};

/// Mesos gives no container less memory, in MiB.
const LEAST_MEMORY: f64 = 32.0;
/// Shares of one processor, and the least that the kernel takes.
const SHARES: (f64, f64) = (1024.0, 2.0);
/// Least processor time that Mesos gives: a millisecond of a period of a hundred.
const LEAST_CPUS: f64 = 0.01;

/// What only this machine and its operator can tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Bytes of memory.
    pub memory: u64,
    /// Hold apps to the processors that they ask for, even if others idle.
    pub limit_cpus: bool,
    /// What was said about limits that cannot be had.
    pub cgroups: Option<CgroupPolicy>,
}

/// Limits, and weights where the app says them: Marathon's default is the kernel's own.
pub(super) fn resources(app: &App, machine: &Machine) -> Resources {
    let mut resources = Resources {
        cpu_shares: app
            .written
            .contains("cpus")
            .then(|| whole((app.cpus * SHARES.0).max(SHARES.1)).min(262_144)),
        cgroups: policy(app, machine),
        ..Resources::default()
    };
    let quota = match app.resource_limits.cpus {
        Some(Limit::At(cpus)) => Some(cpus),
        Some(Limit::Unlimited) => None,
        None => machine.limit_cpus.then_some(app.cpus),
    };
    resources.cpus = quota.map(|cpus| Cpus::from_nanos(whole(cpus.max(LEAST_CPUS) * 1e9)));
    let request = bytes(app.mem);
    match app.resource_limits.mem {
        None => resources.memory = Some(request),
        Some(limit) => {
            resources.memory_reservation = Some(request);
            if let Limit::At(mib) = limit {
                resources.memory = Some(bytes(mib));
            }
            if resources.memory != Some(request) {
                resources.oom_score_adj = Some(score(request, machine.memory));
            }
        }
    }
    resources
}

/// What nobody has asked for may be missing.
fn policy(app: &App, machine: &Machine) -> Option<CgroupPolicy> {
    let asks = ["cpus", "mem"]
        .iter()
        .any(|name| app.written.contains(*name));
    let asks = asks || app.resource_limits.cpus.is_some() || app.resource_limits.mem.is_some();
    match (machine.cgroups, asks) {
        (Some(said), _) => Some(said),
        (None, false) => Some(CgroupPolicy::BestEffort),
        (None, true) => None,
    }
}

pub(in crate::frontend) fn bytes(mib: f64) -> u64 {
    whole(mib.max(LEAST_MEMORY) * 1_048_576.0)
}

/// Whoever may have more than he asked for goes first, the sooner the less he asked for, as in
/// Kubernetes and Mesos.
pub(in crate::frontend) fn score(request: u64, memory: u64) -> i16 {
    let part = request.saturating_mul(1000) / memory.max(1);
    i16::try_from(1000_u64.saturating_sub(part)).map_or(2, |score| score.clamp(2, 999))
}

/// Without its fraction; what is out of range is at the end of it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and negative numbers were refused"
)]
pub(in crate::frontend) fn whole(number: f64) -> u64 {
    number as u64
}
