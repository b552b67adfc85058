//! Whether a container is well, as its last checks say: a small file that is replaced whole after
//! each, so that it never grows, beside the record, which only tells what happens rarely.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Published, State};
use crate::store::{Lock, Patience};
use crate::sys;

/// How many results are kept, as in docker.
const RESULTS: usize = 5;
/// Below the state directory.
const DIRECTORY: &str = "health";
/// Of locks of those who check containers in the Engine.
pub(super) const MARKS: &str = "checked";

/// What the checks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Nothing yet.
    #[default]
    Starting,
    /// The last one was passed, or too few failed since.
    Healthy,
    /// Too many failed.
    Unhealthy,
}

impl HealthStatus {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What is known of a container's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthState {
    /// In a word.
    pub status: HealthStatus,
    /// So many of the last checks in a row failed.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<HealthResult>,
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// Milliseconds since 1970.
    pub started_at: u64,
    /// Milliseconds since 1970.
    pub ended_at: u64,
    /// The command's; -1 if it was killed because it took too long.
    pub exit_code: i32,
    /// What it printed, or why it could not be executed.
    pub output: String,
}

impl HealthState {
    /// Takes a result into account. Failures count if `is_grace` is over, or a check was passed.
    pub fn add(&mut self, result: HealthResult, retries: u32, is_grace: bool) {
        if result.exit_code == 0 {
            (self.status, self.failing_streak) = (HealthStatus::Healthy, 0);
        } else if !is_grace || self.status != HealthStatus::Starting {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.keep(result);
    }

    /// Adds a result to the last ones.
    pub fn keep(&mut self, result: HealthResult) {
        self.log.push(result);
        let old = self.log.len().saturating_sub(RESULTS);
        self.log.drain(..old);
    }
}

/// The file of a container's health; removed when dropped.
#[derive(Debug)]
pub struct HealthFile {
    path: PathBuf,
}

impl State {
    fn health_path(&self, id: &OsStr) -> PathBuf {
        self.directory.join(DIRECTORY).join(id)
    }

    /// The file of a container that is about to have one.
    pub fn publish_health(&self, id: &str) -> Result<HealthFile> {
        let path = self.health_path(id.as_ref());
        let parent = path.parent().unwrap_or(Path::new("/"));
        sys::make_private(parent).with_context(|| format!("make {}", parent.display()))?;
        Ok(HealthFile { path })
    }

    /// What a process that is there says of the health of a container in the Engine.
    pub fn told_health(&self, id: &str) -> Option<HealthState> {
        let mark = self.directory.join(MARKS).join(id);
        let is_dead = !mark.exists() || Lock::exclusive(&mark, Patience::Try).ok()?.is_some();
        if is_dead {
            return None;
        }
        beside(&self.containers().join(id), id)
    }

    /// As long as this lives, what is told of the health of a container in the Engine holds.
    pub fn tell_health(&self, id: &str) -> Result<Option<Published>> {
        self.take(MARKS, id)
    }

    /// Removes what a dead ucr left.
    pub(super) fn forget_health(&self, id: &OsStr) {
        drop(HealthFile {
            path: self.health_path(id),
        });
    }
}

/// What is known of the health of a container with this record; `None` before it is executed.
pub(super) fn beside(record: &Path, id: &str) -> Option<HealthState> {
    let state = record.parent()?.parent()?;
    let bytes = fs::read(state.join(DIRECTORY).join(id)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl HealthFile {
    /// Readers see the old state or the new one.
    pub fn write(&self, state: &HealthState) -> Result<()> {
        let new = self.new_path();
        let write = || fs::write(&new, serde_json::to_vec(state)?);
        write()
            .and_then(|()| fs::rename(&new, &self.path))
            .with_context(|| format!("write {}", self.path.display()))
    }

    fn new_path(&self) -> PathBuf {
        self.path.with_extension("new")
    }
}

impl Drop for HealthFile {
    fn drop(&mut self) {
        for path in [&self.new_path(), &self.path] {
            // What stays is removed by the next command, if this process dies first.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i32) -> HealthResult {
        HealthResult {
            started_at: 0,
            ended_at: 1,
            exit_code,
            output: exit_code.to_string(),
        }
    }

    /// Exit codes, each with whether it came in the time of grace; then status and streak.
    #[test]
    fn results_make_a_status() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        type Row<'a> = (&'a [(i32, bool)], HealthStatus, u32);
        let rows: [Row; 7] = [
            (&[], Starting, 0),
            (&[(0, false)], Healthy, 0),
            (&[(1, false), (1, false)], Starting, 2),
            (&[(1, false), (7, false), (-1, false)], Unhealthy, 3),
            (&[(1, true), (1, true), (1, true), (1, true)], Starting, 0),
            (&[(0, true), (1, true), (1, true), (1, true)], Unhealthy, 3),
            (
                &[(1, false), (1, false), (1, false), (0, false)],
                Healthy,
                0,
            ),
        ];
        for (codes, status, streak) in rows {
            let mut state = HealthState::default();
            for (code, is_grace) in codes {
                state.add(result(*code), 3, *is_grace);
            }
            let found = (state.status, state.failing_streak);
            assert_eq!(found, (status, streak), "{codes:?}");
        }
    }

    #[test]
    fn only_the_last_results_are_kept() {
        let mut state = HealthState::default();
        (0..9).for_each(|code| state.add(result(code), 3, false));
        let codes: Vec<_> = state.log.iter().map(|it| it.exit_code).collect();
        assert_eq!(codes, [4, 5, 6, 7, 8]);
    }
}
