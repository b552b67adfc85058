//! Requests to stop: a third one soon after the first is meant. The first process of a container may
//! ignore SIGTERM simply because it has no handler for it.

use std::time::{Duration, Instant};

/// Requests, within [`PATIENCE`], after which a container is killed.
const REQUESTS: u32 = 3;
/// How long requests count together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those that came so far.
#[derive(Debug, Default)]
pub(super) struct Stops {
    first: Option<Instant>,
    count: u32,
    any: bool,
}

impl Stops {
    /// Whether this request, at this time, is one too many.
    pub(super) fn is_enough(&mut self, now: Instant) -> bool {
        let is_late = |first| now.duration_since(first) > PATIENCE;
        if self.first.is_none_or(is_late) {
            (self.first, self.count) = (Some(now), 0);
        }
        self.any = true;
        self.count += 1;
        self.count >= REQUESTS
    }

    /// Whether one came, ever.
    pub(super) fn any(&self) -> bool {
        self.any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_requests_count_only_together() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let answers = |times: &[u64]| {
            let mut stops = Stops::default();
            times
                .iter()
                .map(|time| stops.is_enough(after(*time)))
                .collect::<Vec<_>>()
        };
        assert_eq!(answers(&[0, 1, 2]), [false, false, true]);
        assert_eq!(
            answers(&[0, 1, 60, 61, 62]),
            [false, false, false, false, true]
        );
    }
}
