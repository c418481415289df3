//! The first steps of a training, at its own rate, with its own sampler and network.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use lacuna_losses::doctor::Finding;
use lacuna_metrics::Quartiles;
use lacuna_record::Event;

use crate::config::RunConfig;
use crate::run::RunError;
use crate::training::{Progress, train};

/// Share of the steps at both ends that are compared.
const END: usize = 4;

/// How the first steps went.
#[derive(Clone, Debug, PartialEq)]
pub struct TriedSteps {
    /// What each came to.
    pub events: Vec<Event>,
    /// Mean loss of the first and of the last quarter.
    pub loss: [f64; 2],
    /// Mean DSC of the batches that hold foreground, likewise.
    pub dsc: [Option<f64>; 2],
    /// Median seconds of a step.
    pub seconds: f64,
    /// What to know of them.
    pub findings: Vec<Finding>,
}

/// Takes the first `steps` steps of the run that `config` asks for, in the folder
/// `scratch`, which must not be there. `note` hears what takes time.
///
/// # Errors
/// Those of [`train`], but for numbers that cease to be finite: these are a finding.
pub fn try_steps(
    config: &RunConfig,
    steps: usize,
    scratch: &Path,
    device: &Device,
    note: &mut dyn FnMut(String),
) -> Result<TriedSteps, RunError> {
    let mut config = config.clone();
    // No step is to be followed by anything else.
    config.train.checkpoint_every = u64::MAX;
    config.train.validate_every = 0;
    config.train.iterations = config.train.iterations.max(steps as u64 + 1);
    config.train.budget = None;
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let mut hear = |progress: Progress<'_>| match progress {
        Progress::Note(text) => note(text),
        Progress::Iteration(event) => {
            events.push(*event);
            stop.store(events.len() >= steps, Ordering::Relaxed);
        }
        Progress::Start { .. } | Progress::Subject { .. } | Progress::Validation(_) => {}
    };
    let diverged = match train(&config, scratch, false, device, &stop, &mut hear) {
        Ok(_) => None,
        Err(error @ RunError::NonFinite { .. }) => Some(error),
        Err(error) => return Err(error),
    };
    Ok(TriedSteps::of(
        events,
        diverged.is_some(),
        config.train.learning_rate,
    ))
}

impl TriedSteps {
    /// What steps at this rate came to; they `diverged` where the next had no finite output.
    fn of(events: Vec<Event>, diverged: bool, rate: f64) -> Self {
        let quarter = events.len().div_ceil(END);
        let ends = [&events[..quarter], &events[events.len() - quarter..]];
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let loss = ends.map(|end| mean(&end.iter().map(|e| e.loss).collect::<Vec<_>>()));
        let held = |end: &[Event]| -> Vec<Event> {
            let held = end.iter().filter(|e| e.foreground_share > 0.0);
            held.copied().collect()
        };
        let dsc = ends.map(|end| {
            let dsc: Vec<f64> = held(end).iter().map(|e| e.dsc).collect();
            (!dsc.is_empty()).then(|| mean(&dsc))
        });
        let seconds: Vec<f64> = events.iter().map(|e| e.seconds).collect();
        let slower = format!(
            "train.learning_rate = {:.0e}, or train.warm_up = 50",
            rate / 10.0
        );
        let mut findings = Vec::new();
        let mut find = |kind, what, remedy: &str| {
            findings.push(Finding {
                kind,
                what,
                remedy: remedy.to_owned(),
            });
        };
        let last = held(ends[1]);
        let all = |of: fn(f64) -> bool| {
            !last.is_empty() && last.iter().all(|e| e.predicted_share.is_some_and(of))
        };
        if diverged {
            let what = format!(
                "after {} steps the numbers are no longer finite",
                events.len()
            );
            find("diverging", what, &slower);
        } else if loss[1] > loss[0] {
            let what = format!(
                "over {} steps the loss rises from {:.3} to {:.3} (means of the first and last \
                 quarter)",
                events.len(),
                loss[0],
                loss[1]
            );
            find("rising loss", what, &slower);
        }
        if last.is_empty() {
            let what = "no patch of the last quarter of the steps holds foreground".to_owned();
            find(
                "no foreground",
                what,
                "patch.sampler = \"foreground\", or a mixture with \"components\"",
            );
        }
        if all(|share| share <= 0.0) {
            let what = "the network has come to call every voxel background".to_owned();
            find(
                "falling to the background",
                what,
                "a lower rate, cross-entropy beside an overlap loss, or patch.sampler = \
                 \"foreground\"; some networks leave it again",
            );
        }
        if all(|share| share >= 1.0) {
            let what = "the network calls every voxel foreground".to_owned();
            find(
                "falling to the foreground",
                what,
                "a lower rate, or cross-entropy beside an overlap loss; some networks leave it \
                 again",
            );
        }
        Self {
            loss,
            dsc,
            seconds: Quartiles::of(&seconds).map_or(0.0, |q| q.median),
            findings,
            events,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(steps: &[(f64, f64)], diverged: bool) -> TriedSteps {
        let event = |(loss, predicted): &(f64, f64)| Event {
            iteration: 1,
            loss: *loss,
            dsc: *predicted,
            foreground_share: 0.1,
            predicted_share: Some(*predicted),
            alternation: None,
            empty_patches: 0,
            seconds: 2.0,
            wait_seconds: 0.0,
            wall_time: 0.0,
        };
        TriedSteps::of(steps.iter().map(event).collect(), diverged, 1e-2)
    }

    fn kinds(tried: &TriedSteps) -> Vec<&str> {
        tried.findings.iter().map(|f| f.kind).collect()
    }

    #[test]
    fn what_goes_wrong_is_found() {
        // Quarters of two of eight steps.
        let well = [1.0, 0.8, 0.7, 0.7, 0.6, 0.6, 0.5, 0.3].map(|loss| (loss, 0.2));
        let found = tried(&well, false);
        assert_eq!(kinds(&found), [""; 0]);
        assert!((found.loss[0] - 0.9).abs() < 1e-12 && (found.loss[1] - 0.4).abs() < 1e-12);
        assert_eq!((found.dsc, found.seconds), ([Some(0.2); 2], 2.0));

        let mut badly = well;
        badly.reverse();
        assert_eq!(kinds(&tried(&badly, false)), ["rising loss"]);
        assert_eq!(kinds(&tried(&well, true)), ["diverging"]);
        let nothing = well.map(|(loss, _)| (loss, 0.0));
        assert_eq!(
            kinds(&tried(&nothing, false)),
            ["falling to the background"]
        );
        let all = well.map(|(loss, _)| (loss, 1.0));
        assert_eq!(kinds(&tried(&all, false)), ["falling to the foreground"]);
    }
}
