//! What a report tells of a run.

use lacuna_metrics::Quartiles;
use serde::{Deserialize, Serialize};

use crate::MetricTable;

/// Iterations summarised at the end of training, as in Tables 2 and 3 of
/// Sudre et al. 2017.
pub(crate) const LAST: usize = 200;

/// A trained, and perhaps tested, run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Heading of the page.
    pub title: String,
    /// One sentence below it; may be empty.
    pub subtitle: String,
    /// Network, loss, patch and whatever else describes the run.
    pub facts: Vec<Fact>,
    /// Training, in order.
    pub iterations: Vec<IterationRow>,
    /// Patches per iteration, for the rate of empty ones.
    pub patches_per_iteration: usize,
    /// What the sampler promises, in words; may be empty.
    pub sampler: String,
    /// Scores on test subjects; absent before a test.
    pub metrics: Option<MetricTable>,
    /// Overlay pictures.
    pub pictures: Vec<Picture>,
    /// Remarks at the end, a paragraph each.
    pub notes: Vec<String>,
}

/// A line of the table of facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// As "Network".
    pub name: String,
    /// As "unet".
    pub value: String,
}

impl Fact {
    /// A fact from anything that can be printed.
    pub fn new(name: &str, value: impl std::fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_string(),
        }
    }
}

/// One training iteration: these keys of a line of `events.jsonl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IterationRow {
    /// Counted from 1.
    pub iteration: u64,
    /// Loss before the step.
    pub loss: f64,
    /// Hard foreground DSC pooled over the batch's effective patches.
    pub dsc: f64,
    /// Share of foreground in the batch's effective patches.
    pub foreground_share: f64,
    /// Patches of the batch without foreground.
    pub empty_patches: u64,
    /// Duration in seconds.
    pub seconds: f64,
}

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Heading, as the subject's id.
    pub title: String,
    /// What it shows.
    pub caption: String,
    /// PNG.
    pub png: Vec<u8>,
    /// Pixels across and down.
    pub size: [usize; 2],
}

impl RunReport {
    /// Quartiles of the DSC over the last iterations, and their number.
    pub(crate) fn last_dsc(&self) -> Option<(Quartiles, usize)> {
        let last = &self.iterations[self.iterations.len().saturating_sub(LAST)..];
        let dsc: Vec<f64> = last.iter().map(|row| row.dsc).collect();
        Some((Quartiles::of(&dsc)?, last.len()))
    }

    /// Mean foreground share of the training patches.
    pub(crate) fn mean_foreground_share(&self) -> Option<f64> {
        let sum: f64 = self.iterations.iter().map(|row| row.foreground_share).sum();
        (!self.iterations.is_empty()).then(|| sum / self.iterations.len() as f64)
    }

    /// Share of training patches without foreground.
    pub(crate) fn empty_rate(&self) -> Option<f64> {
        let empty: u64 = self.iterations.iter().map(|row| row.empty_patches).sum();
        let all = self.iterations.len() * self.patches_per_iteration;
        (all > 0).then(|| empty as f64 / all as f64)
    }
}
