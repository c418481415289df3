//! What a training has come to when it ends.

use lacuna_metrics::Quartiles;
use lacuna_record::{Ending, LastIterations, Summary, write_json};

use super::Session;
use crate::checkpoint;
use crate::run::{RunError, peak_memory_bytes};

impl Session {
    /// Saves what is not saved yet and writes the summary.
    pub(in crate::training) fn finish(mut self) -> Result<Summary, RunError> {
        self.check_folder()?;
        self.save()?;
        let summary = self.summary()?;
        write_json(&self.run().join("summary.json"), &summary)?;
        Ok(summary)
    }

    fn summary(&self) -> Result<Summary, RunError> {
        let events = &self.events;
        let seconds: Vec<f64> = events.iter().map(|e| e.seconds).collect();
        let spent: f64 = seconds.iter().sum();
        let waited: f64 = events.iter().map(|e| e.wait_seconds).sum();
        let realised = &self.state.realised;
        let parts = realised.per_part.iter();
        let drawn = parts.map(|(part, drawn)| (part.clone(), [drawn.patches, drawn.empty]));
        Ok(Summary {
            iterations: self.done(),
            finished: self.is_complete(),
            last_iterations: LastIterations::of(events),
            ending: Some(Ending::of(events)),
            restarts: self.state.restarts,
            drawn: match realised.per_part.len() {
                0 | 1 => Default::default(),
                _ => drawn.collect(),
            },
            foreground_share: realised.foreground_share().unwrap_or(0.0),
            empty_patch_rate: realised.empty_rate().unwrap_or(0.0),
            seconds_per_iteration: Quartiles::of(&seconds).map_or(0.0, |q| q.median),
            wait_share: if spent > 0.0 { waited / spent } else { 0.0 },
            parameters: self.network.parameter_count(),
            peak_memory_bytes: peak_memory_bytes(),
            validation_dsc: self.validated.map(|v| v.dsc),
            best_iteration: checkpoint::best(&self.run())?.map(|(_, state)| state.iteration),
        })
    }
}
