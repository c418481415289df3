//! What was drawn.

use std::collections::BTreeMap;

use lacuna_volume::is_foreground;
use serde::{Deserialize, Serialize};

use super::Batch;

/// What a sampler really drew, summed over batches: how rare the structure
/// is for the network, whatever it is in the volumes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Realised {
    /// Patches drawn.
    pub patches: u64,
    /// Of these, patches whose effective part holds no foreground.
    pub empty: u64,
    /// Elements of all effective patches.
    pub elements: u64,
    /// Of these, foreground (any class but 0).
    pub foreground: u64,
    /// Patches drawn from each subject.
    pub per_subject: BTreeMap<String, u64>,
    /// What each part of the mixture drew, by its name; version 0.1.0 did not count it.
    #[serde(default)]
    pub per_part: BTreeMap<String, DrawnPart>,
}

/// What one part of the mixture drew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawnPart {
    /// Patches.
    pub patches: u64,
    /// Of these, patches whose effective part holds no foreground.
    pub empty: u64,
}

impl Realised {
    /// Counts one more batch.
    pub fn add(&mut self, batch: &Batch) {
        let per_patch = batch.labels.len() / batch.places.len().max(1);
        for (place, labels) in batch
            .places
            .iter()
            .zip(batch.labels.chunks_exact(per_patch.max(1)))
        {
            let foreground = labels.iter().filter(|&&class| is_foreground(class)).count() as u64;
            self.patches += 1;
            self.empty += u64::from(foreground == 0);
            self.elements += labels.len() as u64;
            self.foreground += foreground;
            *self.per_subject.entry(place.subject.clone()).or_default() += 1;
            let part = self.per_part.entry(place.drawn_by.to_string()).or_default();
            part.patches += 1;
            part.empty += u64::from(foreground == 0);
        }
    }

    /// Share of foreground among all elements drawn, 0 to 1; `None` before the
    /// first patch. The paper's Table 1 lists it.
    pub fn foreground_share(&self) -> Option<f64> {
        (self.elements > 0).then(|| self.foreground as f64 / self.elements as f64)
    }

    /// Share of patches without any foreground, 0 to 1; `None` before the first.
    pub fn empty_rate(&self) -> Option<f64> {
        (self.patches > 0).then(|| self.empty as f64 / self.patches as f64)
    }
}
