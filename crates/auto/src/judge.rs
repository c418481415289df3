//! Out-of-fold predictions judged: temperature, rules, scores.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_evaluate::{Request, evaluate, in_axes_of, reference_of, regions_with, shown};
use lacuna_io::Classes;
use lacuna_metrics::Options as MetricOptions;
use lacuna_record::{
    Evaluation, PREDICTION_ENDING, prediction_path, probabilities_path, write_json,
};
use lacuna_train::apply::TrainedRun;
use lacuna_train::outputs::Outputs;
use lacuna_train::postprocess::{Postprocess, Rules};
use lacuna_train::run::RunError;
use lacuna_tune::{
    Calibration, ClassCalibration, LogOdds, MOST_CLASSES, Maps, Observed, Options, Temperature,
    Tuned, tune_class,
};
use lacuna_volume::{IGNORED, LabelMap, Volume};

use crate::auto::Step;
use crate::error::AutoError;
use crate::model::RULES;
use crate::plan::{Plan, Training};

/// How the held-out subjects were segmented, and what was tuned on them.
pub struct Judged {
    /// The temperature.
    pub temperature: Temperature,
    /// Each class but the background, before and after it.
    pub calibration: Vec<ClassCalibration>,
    /// Rules and curves of each class.
    pub tuned: Tuned,
    /// The rules of the classes together gained nothing, and none is used.
    pub dropped: bool,
    /// Scores of the label maps as the networks gave them.
    pub before: Evaluation,
    /// Scores by the temperature and rules.
    pub after: Evaluation,
}

/// Where the subjects that a training held out are predicted.
pub(crate) fn fold_folder(out: &Path, training: &Training) -> PathBuf {
    out.join("out-of-fold").join(&training.name)
}

/// One held-out subject, and where its prediction is.
struct HeldOut<'a> {
    subject: &'a Subject,
    fold: usize,
    folder: PathBuf,
}

/// What one subject's files hold.
struct Loaded {
    probabilities: Vec<Volume<f32>>,
    reference: LabelMap,
}

impl Loaded {
    /// Where the reference has what stands for each class but the background.
    fn references(&self, outputs: &Outputs) -> Vec<Volume<bool>> {
        let of_class = |class| self.reference.map(|label| outputs.holds(class, *label));
        (1..outputs.classes() as u8).map(of_class).collect()
    }
}

/// Judges all out-of-fold predictions in `out`. `None` where nothing was held out.
///
/// # Errors
/// [`RunError::Stopped`] when `stop` was set; files that cannot be read or written.
pub(crate) fn judge(
    out: &Path,
    plan: &Plan,
    manifest: &Manifest,
    stop: &AtomicBool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Option<Judged>, AutoError> {
    let Some(first) = plan.trainings.iter().find(|t| !t.held_out.is_empty()) else {
        return Ok(None);
    };
    let (config, facts, outputs) = TrainedRun::described(&out.join(&first.name))?;
    let judging = Judging {
        held_out: held_out(out, plan, manifest)?,
        manifest,
        classes: facts.classes,
        regions: config.regions,
        outputs,
        stop,
    };
    let temperature = judging.temperature(told)?;
    let (observed, calibration) = judging.observe(temperature, told)?;
    let tuned = judging.tune(&observed)?;
    let tuning = out.join("tuning");
    std::fs::create_dir_all(&tuning).map_err(AutoError::io(&tuning))?;
    tuned.write(&tuning)?;
    write_json(&tuning.join("calibration.json"), &calibration)?;

    let maps = out.join("out-of-fold").join("labels");
    judging.gather(&maps)?;
    let evaluation = out.join("evaluation");
    let before = judging.score(&maps, &evaluation.join("untuned"), told)?;
    let mut rules = rules_of(&tuned, temperature, &judging.classes, &plan.dataset, out);
    let by_rules = |rules: &Postprocess, told: &mut dyn FnMut(Step<'_>)| {
        let maps = out.join("tuned");
        judging.segment(&maps, temperature, rules)?;
        judging.score(&maps, &evaluation.join("tuned"), told)
    };
    let mut after = by_rules(&rules, told)?;
    // Classes were tuned each by itself, and may take voxels from each other.
    let dropped = objective(&after) < objective(&before);
    if dropped {
        rules.class.clear();
        after = by_rules(&rules, told)?;
    }
    let text = toml::to_string(&rules).expect("names and finite numbers");
    lacuna_io::atomic::write_bytes(out.join(RULES), text.as_bytes())?;
    Ok(Some(Judged {
        temperature,
        calibration,
        tuned,
        dropped,
        before,
        after,
    }))
}

/// What was tuned, of label maps as they are: mean over subjects and classes of DSC and lesion
/// F1 together.
fn objective(evaluation: &Evaluation) -> f64 {
    let classes = || evaluation.rows().map(|(_, row)| row);
    let sum: f64 = classes().map(|row| row.dsc + row.lesion_f1).sum();
    sum / (2 * classes().count()).max(1) as f64
}

/// What the parts of the judgement share.
struct Judging<'a> {
    held_out: Vec<HeldOut<'a>>,
    manifest: &'a Manifest,
    /// Background first.
    classes: Vec<String>,
    regions: Vec<Vec<String>>,
    outputs: Outputs,
    stop: &'a AtomicBool,
}

impl Judging<'_> {
    /// The files of a subject, unless all is to end.
    fn load(&self, held: &HeldOut) -> Result<Loaded, AutoError> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(RunError::Stopped.into()),
            false => load(held, self.manifest, &self.outputs),
        }
    }

    /// The temperature of all held-out voxels.
    fn temperature(&self, told: &mut dyn FnMut(Step<'_>)) -> Result<Temperature, AutoError> {
        if self.outputs.regions().is_none() && self.classes.len() > MOST_CLASSES {
            told(Step::Note(format!(
                "no temperature is fitted to more than {MOST_CLASSES} classes; it stays 1"
            )));
            return Ok(Temperature::new(1.0)?);
        }
        let mut odds = LogOdds::default();
        for (number, held) in self.held_out.iter().enumerate() {
            add_odds(&mut odds, &self.load(held)?, &self.outputs)?;
            told(Step::Tune(number + 1, 2 * self.held_out.len()));
        }
        Ok(Temperature::fit(&odds)?)
    }

    /// What the tempered maps say at every threshold, by class and subject, and how far each
    /// class can be believed before and after. Memory holds one subject.
    fn observe(
        &self,
        temperature: Temperature,
        told: &mut dyn FnMut(Step<'_>),
    ) -> Result<(Vec<Vec<lacuna_tune::Subject>>, Vec<ClassCalibration>), AutoError> {
        let outputs = &self.outputs;
        let mut observed: Vec<Vec<_>> = vec![Vec::new(); self.classes.len() - 1];
        let mut calibration: Vec<ClassCalibration> = (self.classes[1..].iter())
            .map(|class| ClassCalibration {
                class: class.clone(),
                before: Calibration::default(),
                after: Calibration::default(),
            })
            .collect();
        for (number, held) in self.held_out.iter().enumerate() {
            let mut loaded = self.load(held)?;
            let untuned = outputs.labels(&loaded.probabilities);
            let inside = predicted_voxels(&loaded.probabilities, outputs);
            let references = loaded.references(outputs);
            for ((label, of_class), reference) in (1..).zip(&mut calibration).zip(&references) {
                let map = channel(&loaded, outputs, label).data();
                (of_class.before).add(map, reference.data(), Some(&inside))?;
            }
            temper(temperature, &mut loaded.probabilities, outputs)?;
            for ((label, of_class), reference) in (1..).zip(&mut calibration).zip(&references) {
                let map = channel(&loaded, outputs, label);
                (of_class.after).add(map.data(), reference.data(), Some(&inside))?;
                let maps = Maps {
                    probability: map,
                    reference,
                    untuned: Some(&untuned.map(|l| outputs.holds(label, *l))),
                    mask: None,
                };
                observed[usize::from(label) - 1].push(lacuna_tune::Subject {
                    name: held.subject.id.clone(),
                    fold: held.fold,
                    observed: Observed::of(&maps)?,
                });
            }
            told(Step::Tune(
                self.held_out.len() + number + 1,
                2 * self.held_out.len(),
            ));
        }
        Ok((observed, calibration))
    }

    /// The rules of each class.
    fn tune(&self, observed: &[Vec<lacuna_tune::Subject>]) -> Result<Tuned, AutoError> {
        let options = Options {
            components: self.outputs.regions().is_none(),
            ..Options::default()
        };
        let classes = self.classes[1..].iter().zip(observed);
        let classes = classes.map(|(name, subjects)| tune_class(name, subjects, &options));
        Ok(Tuned {
            options,
            classes: classes.collect::<Result<_, _>>()?,
        })
    }

    /// Brings the label maps of all held-out subjects, as each fold wrote them, into one folder.
    fn gather(&self, folder: &Path) -> Result<(), AutoError> {
        std::fs::create_dir_all(folder).map_err(AutoError::io(folder))?;
        for held in &self.held_out {
            let from = prediction_path(&held.folder, &held.subject.id, PREDICTION_ENDING);
            let bytes = std::fs::read(&from).map_err(AutoError::io(&from))?;
            let to = prediction_path(folder, &held.subject.id, PREDICTION_ENDING);
            lacuna_io::atomic::write_bytes(to, &bytes)?;
        }
        Ok(())
    }

    /// Writes the label maps of all held-out subjects by a temperature and rules.
    fn segment(
        &self,
        folder: &Path,
        temperature: Temperature,
        rules: &Postprocess,
    ) -> Result<(), AutoError> {
        std::fs::create_dir_all(folder).map_err(AutoError::io(folder))?;
        for held in &self.held_out {
            let id = &held.subject.id;
            let mut loaded = self.load(held)?;
            temper(temperature, &mut loaded.probabilities, &self.outputs)?;
            let (labels, _) = rules.labels(&self.outputs, &loaded.probabilities);
            let reference =
                lacuna_io::read_reference(prediction_path(&held.folder, id, PREDICTION_ENDING))?;
            let to = prediction_path(folder, id, PREDICTION_ENDING);
            let classes = Classes {
                names: &self.classes,
                values: None,
            };
            lacuna_io::write_class_labels(to, &labels, classes, &reference)?;
        }
        Ok(())
    }

    /// Scores the label maps of a folder.
    fn score(
        &self,
        predictions: &Path,
        out: &Path,
        told: &mut dyn FnMut(Step<'_>),
    ) -> Result<Evaluation, AutoError> {
        let ids: Vec<String> = self.held_out.iter().map(|h| h.subject.id.clone()).collect();
        let request = Request {
            manifest: self.manifest,
            predictions,
            out,
            subjects: &ids,
            options: MetricOptions {
                regions: regions_with(self.manifest, &self.regions),
                ..MetricOptions::default()
            },
            label_values: false,
            force: true,
            overlay: None,
        };
        let scored = evaluate(&request, &mut |done, total| told(Step::Scored(done, total)))?;
        Ok(scored)
    }
}

/// Every subject that some training held out, once.
fn held_out<'a>(
    out: &Path,
    plan: &Plan,
    manifest: &'a Manifest,
) -> Result<Vec<HeldOut<'a>>, AutoError> {
    let mut found: Vec<HeldOut> = Vec::new();
    for (fold, training) in plan.trainings.iter().enumerate() {
        for id in &training.held_out {
            if found.iter().any(|held| held.subject.id == *id) {
                continue;
            }
            found.push(HeldOut {
                subject: manifest.subject(id)?,
                fold,
                folder: fold_folder(out, training),
            });
        }
    }
    Ok(found)
}

/// The probabilities and the reference of a subject, on the grid of the prediction.
/// Voxels that the manifest leaves out are as if nothing was there.
fn load(held: &HeldOut, manifest: &Manifest, outputs: &Outputs) -> Result<Loaded, AutoError> {
    let path = probabilities_path(&held.folder, &held.subject.id, PREDICTION_ENDING);
    let mut probabilities = lacuna_io::read(&path)?.volumes;
    let reference = in_axes_of(&probabilities[0], reference_of(manifest, held.subject)?)?;
    if reference.data().contains(&IGNORED) {
        for (map, outside) in probabilities.iter_mut().zip(outputs.outside()) {
            let values = map.data_mut().iter_mut().zip(reference.data());
            values
                .filter(|(_, label)| **label == IGNORED)
                .for_each(|(p, _)| *p = outside);
        }
    }
    Ok(Loaded {
        probabilities,
        reference: shown(&reference),
    })
}

/// The probability map that stands for a class.
fn channel<'a>(loaded: &'a Loaded, outputs: &Outputs, label: u8) -> &'a Volume<f32> {
    &loaded.probabilities[outputs.channel_of(label).unwrap_or_default()]
}

/// Where something was predicted: outside of a subject's mask nothing is.
fn predicted_voxels(probabilities: &[Volume<f32>], outputs: &Outputs) -> Vec<bool> {
    let outside = outputs.outside();
    (0..probabilities[0].data().len())
        .map(|at| (probabilities.iter().zip(&outside)).any(|(map, p)| map.data()[at] != *p))
        .collect()
}

fn add_odds(odds: &mut LogOdds, loaded: &Loaded, outputs: &Outputs) -> Result<(), AutoError> {
    match outputs.regions() {
        None => {
            let maps: Vec<&[f32]> = loaded.probabilities.iter().map(Volume::data).collect();
            odds.add_classes(&maps, loaded.reference.data(), None)?;
        }
        Some(_) => {
            for (label, reference) in (1..).zip(loaded.references(outputs)) {
                let map = channel(loaded, outputs, label);
                odds.add_region(map.data(), reference.data(), None)?;
            }
        }
    }
    Ok(())
}

fn temper(
    temperature: Temperature,
    probabilities: &mut [Volume<f32>],
    outputs: &Outputs,
) -> Result<(), AutoError> {
    let mut maps: Vec<&mut [f32]> = probabilities.iter_mut().map(Volume::data_mut).collect();
    Ok(outputs.temper_by(temperature, &mut maps)?)
}

/// What was tuned, as `predict --postprocess` reads it.
fn rules_of(
    tuned: &Tuned,
    temperature: Temperature,
    classes: &[String],
    dataset: &str,
    out: &Path,
) -> Postprocess {
    let of_class = |class: &lacuna_tune::TunedClass| {
        let rules = Rules {
            threshold: class.rule.threshold,
            min_volume_mm3: class.rule.min_volume_mm3,
            min_peak_probability: class.rule.min_peak_probability,
            largest_component: None,
        };
        (class.class.clone(), rules)
    };
    Postprocess {
        path: out.join(RULES),
        dataset: Some(dataset.to_owned()),
        classes: classes.to_vec(),
        temperature: Some(temperature.value),
        foreground: Rules::default(),
        class: (tuned.classes.iter())
            .filter(|class| !class.rule.is_none())
            .map(of_class)
            .collect(),
    }
}
