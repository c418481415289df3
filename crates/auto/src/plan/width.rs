//! How wide a network this machine can train in the time.

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_record::Fingerprint;
use lacuna_train::config::{MemoryLimit, RunConfig};
use lacuna_train::footprint::step_bytes;

use super::configuration::Chosen;
use super::{Asked, Decision, FEW, Speed, Training, sets};
use crate::error::AutoError;

/// Iterations for which the widest network is worth its time.
const MANY: u64 = 700;
/// Share of a training's time that finding errors may take.
const MOST_PASSES: f64 = 0.15;
/// Share of the machine's memory that a step may take, in per cent.
const MEMORY: u8 = 60;

/// What the width of a network is chosen by.
pub(super) struct Measuring<'a> {
    pub asked: &'a Asked,
    pub manifest: &'a Manifest,
    pub fingerprint: &'a Fingerprint,
    pub device: &'a Device,
    /// Seconds that reading a subject takes.
    pub reading: f64,
    /// Seconds of the budget that are left.
    pub left: f64,
}

impl Measuring<'_> {
    /// The widest network that fits into the memory and of which enough iterations fit into
    /// the time; the narrowest where none is so.
    pub fn widest(
        &self,
        chosen: &Chosen,
        trainings: &[Training],
        decisions: &mut Vec<Decision>,
    ) -> Result<(RunConfig, Speed), AutoError> {
        let of_features = [
            "model=",
            "model.name",
            "model.width",
            "model.stages=",
            "model.stages.features",
        ];
        let fixed = of_features.into_iter().any(|key| sets(self.asked, key));
        let mut tried: Vec<String> = Vec::new();
        let outputs = self.manifest.classes.len();
        let of_first = chosen.features();
        let (widest, narrowest) = (of_first[0], of_first[of_first.len() - 1]);
        for features in of_first {
            let mut config = chosen.config(self.asked, features, true)?;
            let needed = step_bytes(&config, self.manifest.modalities.len(), outputs)?;
            let free = MemoryLimit::Share(MEMORY).bytes();
            if needed > free && features == narrowest {
                return Err(AutoError::Memory {
                    needed: needed >> 20,
                    free: free >> 20,
                });
            }
            if needed > free {
                tried.push(format!("{features} features: {} MB a step", needed >> 20));
                continue;
            }
            let spacing_mm = self.fingerprint.spacing_mm.median;
            let speed = Speed::measure(
                &config,
                self.manifest,
                self.device,
                self.reading,
                spacing_mm,
            )?;
            let passes = speed.share_of_passes(&config, self.fingerprint, trainings, self.left);
            let too_long = passes > MOST_PASSES && !sets(self.asked, "patch.sampler");
            if too_long {
                config = chosen.config(self.asked, features, false)?;
            }
            let iterations = speed.iterations(&config, self.fingerprint, trainings, self.left, 0);
            tried.push(format!(
                "{features} features: {:.2} s an iteration, {iterations} fit",
                speed.step
            ));
            let wanted = if features == widest { MANY } else { FEW };
            if iterations >= wanted || features == narrowest || fixed {
                decisions.push(Decision::new(
                    "features of the first stage",
                    if fixed {
                        "as set".to_owned()
                    } else {
                        features.to_string()
                    },
                    match widest == narrowest {
                        true => "the recipe's",
                        false => {
                            "the widest of 24, 16, 12 and 8 of which enough iterations fit (700 \
                             of the first, 150 of the next)"
                        }
                    },
                    tried.join("; "),
                ));
                if too_long {
                    decisions.push(Decision::new(
                        "sampler, corrected",
                        "halves: lesions, anywhere inside".to_owned(),
                        "finding errors on whole training subjects would take more than 15 % of \
                         a training",
                        format!("{:.0} % of its time", 100.0 * passes),
                    ));
                }
                return Ok((config, speed));
            }
        }
        unreachable!("the narrowest network ends the search")
    }
}
