//! The hours that the runs of a study will take.
//!
//! Every combination of network, patch, batch, loss and precision is measured for
//! a few steps on random values with the threads that a run will have. A test
//! subject is taken to cost as many effective patches as cover it, without
//! overlap. [`Estimate::NOT_COUNTED`] says what is left out.

use std::collections::HashMap;

use lacuna_metrics::Quartiles;
use lacuna_train::config::RunConfig;
use lacuna_train::pace::Pace;
use lacuna_train::run::RunError;

use crate::plan::{DatasetShape, Plan};
use crate::{Executor, StudyError};

/// Least, middle and most of several measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// The least.
    pub low: f64,
    /// The median.
    pub middle: f64,
    /// The most.
    pub high: f64,
}

impl Range {
    fn of(values: &[f64]) -> Self {
        Self {
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            middle: Quartiles::of(values).map_or(0.0, |q| q.median),
            high: values.iter().copied().fold(0.0, f64::max),
        }
    }

    /// All three times `by`.
    pub fn times(self, by: f64) -> Self {
        Self {
            low: by * self.low,
            middle: by * self.middle,
            high: by * self.high,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            middle: self.middle + other.middle,
            high: self.high + other.high,
        }
    }
}

/// What one run will cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Seconds of a training step.
    pub step: Range,
    /// Subjects to test on.
    pub subjects: usize,
    /// Hours of training and test.
    pub hours: Range,
}

/// What the runs of a plan will cost on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// One for each run of the plan.
    pub runs: Vec<Cost>,
    /// Runs at a time.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
}

impl Estimate {
    /// Steps measured for each kind of run.
    pub const STEPS: u32 = 5;

    /// What the hours leave out.
    pub const NOT_COUNTED: &str = "not counted: reading and preparing subjects, validation, \
                                   checkpoints, scoring, overlap of windows, and that runs at a \
                                   time slow each other";

    /// Measures each kind of run of `plan` once; `told` hears how many runs are
    /// estimated and the name of the last.
    ///
    /// # Errors
    /// When a run cannot be computed on this machine.
    pub fn of(
        plan: &Plan,
        executor: &Executor,
        told: &mut dyn FnMut(usize, &str),
    ) -> Result<Self, StudyError> {
        let (jobs, threads) = match executor {
            Executor::Local(local) => (local.jobs, local.threads_each()),
            Executor::Slurm(slurm) => (
                slurm.at_once.unwrap_or(plan.runs.len()),
                usize::from(slurm.cpus),
            ),
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| StudyError::Threads {
                threads,
                found: e.to_string(),
            })?;
        let device = plan.device.open().map_err(RunError::from)?;
        let mut paces: HashMap<String, Pace> = HashMap::new();
        let mut runs = Vec::with_capacity(plan.runs.len());
        let planned = plan.runs.iter().zip(&plan.configs).zip(&plan.shapes);
        for (number, ((planned, config), shape)) in planned.enumerate() {
            let name = &planned.run.name;
            let kind = kind(config, shape);
            if !paces.contains_key(&kind) {
                let (modalities, classes) = (shape.modalities, &shape.classes);
                let pace = pool.install(|| {
                    Pace::measure(config, modalities, classes, &device, Self::STEPS)
                        .map_err(Box::new)
                });
                let pace = pace.map_err(|source| StudyError::Run {
                    run: name.clone(),
                    source,
                })?;
                paces.insert(kind.clone(), pace);
            }
            runs.push(cost(config, shape, &paces[&kind])?);
            told(number + 1, name);
        }
        Ok(Self {
            runs,
            jobs,
            threads,
        })
    }

    /// Hours of all runs one after the other.
    pub fn hours(&self) -> Range {
        let hours = self.runs.iter().map(|run| run.hours);
        hours.fold(Range::default(), Range::plus)
    }
}

/// Runs of one kind go at one pace.
fn kind(config: &RunConfig, shape: &DatasetShape) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} {:?} {} {:?}",
        config.model,
        config.patch.size,
        config.loss,
        config.regions,
        config.train.optimiser,
        config.train.batch,
        config.train.precision,
        shape.modalities,
        shape.classes
    )
}

fn cost(config: &RunConfig, shape: &DatasetShape, pace: &Pace) -> Result<Cost, StudyError> {
    let split = config.split.resolve(&shape.labelled, config.seed);
    let test = split.map_err(RunError::from)?.test;
    let voxels: u64 = test.iter().map(|id| shape.voxels[id]).sum();
    let batch = config.train.batch * pace.effective.0.iter().product::<usize>();
    let step = Range::of(&pace.steps);
    let training = step.times(config.train.iterations as f64);
    let testing = Range::of(&pace.forward).times(voxels as f64 / batch as f64);
    Ok(Cost {
        step,
        subjects: test.len(),
        hours: training.plus(testing).times(1.0 / 3600.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Zyx;

    #[test]
    fn hours_follow_from_steps_and_voxels() {
        let config = RunConfig::parse(
            "dataset = \"d.toml\"\n[split]\ntrain = [\"a\"]\ntest = [\"b\"]\n[train]\n\
             iterations = 1000\nbatch = 2\n",
            &[],
            "run.toml",
            std::path::Path::new(""),
        )
        .unwrap();
        let shape = DatasetShape {
            modalities: 1,
            classes: vec!["background".into(), "lesion".into()],
            voxels: [("a".to_owned(), 1), ("b".to_owned(), 8000)].into(),
            labelled: ["a", "b"]
                .map(|id| lacuna_data::split::Member {
                    id: id.to_owned(),
                    group: None,
                })
                .into(),
        };
        let pace = Pace {
            parameters: 1,
            effective: Zyx([10; 3]),
            rank: 3,
            steps: vec![3.6, 7.2, 1.8],
            forward: vec![0.9],
        };
        let cost = cost(&config, &shape, &pace).unwrap();
        assert_eq!(cost.subjects, 1);
        assert_eq!(
            (cost.step.low, cost.step.middle, cost.step.high),
            (1.8, 3.6, 7.2)
        );
        // 1000 steps, and 4 batches of 2 patches of 1000 voxels for the 8000 of subject b.
        let by_hand = [1.8, 3.6, 7.2].map(|step| (1000.0 * step + 4.0 * 0.9) / 3600.0);
        let hours = [cost.hours.low, cost.hours.middle, cost.hours.high];
        for (hours, by_hand) in hours.iter().zip(by_hand) {
            assert!((hours - by_hand).abs() < 1e-12, "{hours} {by_hand}");
        }
    }
}
