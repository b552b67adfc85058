//! Limits and requests, and what a runtime can't give.

use crate::frontend::marathon::app::{Limit, Type};
use crate::frontend::marathon::read::{Moved, Sink};

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    let app = &moved.app;
    let limits = &app.resource_limits;
    for (key, limit, request) in [
        ("cpus", limits.cpus, app.cpus),
        ("mem", limits.mem, app.mem),
    ] {
        if let Some(Limit::At(limit)) = limit
            && limit < request
            && !sink.is_broken(&format!("/{key}"))
        {
            let path = format!("/resourceLimits/{key}");
            let text = format!("{limit} is less than the request, '{key}', which is {request}");
            sink.add(path, "E:limit-below-request", text);
        }
    }
    if app.gpus > 0 && moved.kind == Type::Docker {
        let text = "GPUs only work with containers of type MESOS";
        sink.advise("/gpus", "E:gpu-docker", text, "use \"type\": \"MESOS\"");
    }
}
