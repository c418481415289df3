//! Out-of-fold predictions judged: temperature, rules, scores.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_evaluate::{Request, evaluate, in_axes_of, reference_of};
use lacuna_metrics::Options as MetricOptions;
use lacuna_record::{Evaluation, prediction_path, probabilities_path, write_json};
use lacuna_train::apply::TrainedRun;
use lacuna_train::outputs::Outputs;
use lacuna_train::postprocess::{Postprocess, Rules};
use lacuna_tune::{
    Calibration, ClassCalibration, LogOdds, MOST_CLASSES, Maps, Observed, Options, Temperature,
    Tuned, tune_class,
};
use lacuna_volume::{LabelMap, Volume};

use crate::auto::Step;
use crate::error::AutoError;
use crate::plan::{Plan, Training};

/// How the held-out subjects were segmented, and what was tuned on them.
pub struct Judged {
    /// The temperature.
    pub temperature: Temperature,
    /// Each class but the background, before and after it.
    pub calibration: Vec<ClassCalibration>,
    /// Rules and curves of each class.
    pub tuned: Tuned,
    /// Scores of the label maps as the networks gave them.
    pub before: Evaluation,
    /// Scores by the temperature and rules.
    pub after: Evaluation,
}

/// Where the subjects that a training held out are predicted.
pub(crate) fn fold_folder(out: &Path, training: &Training) -> PathBuf {
    out.join("out-of-fold").join(&training.name)
}

/// The file of rules.
pub(crate) fn postprocess_file(out: &Path) -> PathBuf {
    out.join("postprocess.toml")
}

/// One held-out subject: its number, where its prediction is.
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

/// Judges all out-of-fold predictions in `out`. `None` where nothing was held out, or when
/// `stop` was set.
pub(crate) fn judge(
    out: &Path,
    plan: &Plan,
    manifest: &Manifest,
    stop: &AtomicBool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Option<Judged>, AutoError> {
    let held_out = held_out(out, plan, manifest)?;
    let Some(first) = plan.trainings.iter().find(|t| !t.held_out.is_empty()) else {
        return Ok(None);
    };
    let run = out.join(&first.name);
    let (config, facts, outputs) = TrainedRun::described(&run)?;
    let classes = &facts.classes;
    let total = 2 * held_out.len();

    // All subjects once for the temperature, once more with it: memory holds one.
    let mut odds = LogOdds::default();
    let fits = outputs.regions().is_some() || classes.len() <= MOST_CLASSES;
    if !fits {
        told(Step::Note(format!(
            "no temperature is fitted to more than {MOST_CLASSES} classes; it stays 1"
        )));
    }
    for (number, held) in held_out.iter().enumerate().filter(|_| fits) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let loaded = load(held, manifest)?;
        add_odds(&mut odds, &loaded, &outputs)?;
        told(Step::Tune(number + 1, total));
    }
    let temperature = match fits {
        true => Temperature::fit(&odds)?,
        false => Temperature::new(1.0)?,
    };

    let mut observed: Vec<Vec<lacuna_tune::Subject>> = vec![Vec::new(); classes.len() - 1];
    let mut calibration: Vec<[Calibration; 2]> = vec![Default::default(); classes.len() - 1];
    for (number, held) in held_out.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut loaded = load(held, manifest)?;
        let untuned = outputs.labels(&loaded.probabilities);
        let inside = predicted_voxels(&loaded.probabilities, &outputs);
        for (class, of_class) in calibration.iter_mut().enumerate() {
            add_calibration(&mut of_class[0], &loaded, &outputs, class + 1, &inside)?;
        }
        temper(temperature, &mut loaded.probabilities, &outputs)?;
        for (class, of_class) in calibration.iter_mut().enumerate() {
            add_calibration(&mut of_class[1], &loaded, &outputs, class + 1, &inside)?;
            let label = class as u8 + 1;
            let maps = Maps {
                probability: channel(&loaded, &outputs, label),
                reference: &loaded.reference.map(|l| outputs.holds(label, *l)),
                untuned: Some(&untuned.map(|l| outputs.holds(label, *l))),
                mask: None,
            };
            observed[class].push(lacuna_tune::Subject {
                name: held.subject.id.clone(),
                fold: held.fold,
                observed: Observed::of(&maps)?,
            });
        }
        told(Step::Tune(held_out.len() + number + 1, total));
    }
    let options = Options {
        components: outputs.regions().is_none(),
        ..Options::default()
    };
    let tuned = Tuned {
        options,
        classes: (classes[1..].iter().zip(&observed))
            .map(|(name, subjects)| tune_class(name, subjects, &options))
            .collect::<Result<_, _>>()?,
    };
    let calibration: Vec<ClassCalibration> = (classes[1..].iter().zip(calibration))
        .map(|(class, [before, after])| ClassCalibration {
            class: class.clone(),
            before,
            after,
        })
        .collect();

    let rules = rules_of(&tuned, temperature, classes, &plan.dataset, out);
    let tuning = out.join("tuning");
    std::fs::create_dir_all(&tuning).map_err(AutoError::io(&tuning))?;
    tuned.write(&tuning)?;
    write_json(&tuning.join("calibration.json"), &calibration)?;
    let text = toml::to_string(&rules).expect("names and finite numbers");
    lacuna_io::atomic::write_bytes(postprocess_file(out), text.as_bytes())?;

    let untuned = out.join("out-of-fold").join("labels");
    let by_rules = out.join("tuned");
    for folder in [&untuned, &by_rules] {
        std::fs::create_dir_all(folder).map_err(AutoError::io(folder))?;
    }
    for held in &held_out {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let id = &held.subject.id;
        let mut loaded = load(held, manifest)?;
        let from = prediction_path(&held.folder, id);
        let reference = lacuna_io::read_reference(&from)?;
        lacuna_io::write_class_labels(
            prediction_path(&untuned, id),
            &outputs.labels(&loaded.probabilities),
            None,
            &reference,
        )?;
        temper(temperature, &mut loaded.probabilities, &outputs)?;
        let (labels, _) = rules.labels(&outputs, &loaded.probabilities);
        lacuna_io::write_class_labels(prediction_path(&by_rules, id), &labels, None, &reference)?;
    }
    let ids: Vec<String> = held_out.iter().map(|h| h.subject.id.clone()).collect();
    let mut score = |predictions: &Path, to: &Path| {
        let request = Request {
            manifest,
            predictions,
            out: to,
            subjects: &ids,
            options: MetricOptions {
                regions: config.regions.clone(),
                ..MetricOptions::default()
            },
            label_values: false,
            force: true,
            overlay: None,
        };
        let scored = evaluate(&request, &mut |done, total| told(Step::Scored(done, total)))?;
        Ok::<_, AutoError>(scored)
    };
    let evaluation = out.join("evaluation");
    let before = score(&untuned, &evaluation.join("untuned"))?;
    let after = score(&by_rules, &evaluation.join("tuned"))?;
    Ok(Some(Judged {
        temperature,
        calibration,
        tuned,
        before,
        after,
    }))
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
fn load(held: &HeldOut, manifest: &Manifest) -> Result<Loaded, AutoError> {
    let path = probabilities_path(&held.folder, &held.subject.id);
    let probabilities = lacuna_io::read(&path)?.volumes;
    let reference = in_axes_of(&probabilities[0], reference_of(manifest, held.subject)?)?;
    Ok(Loaded {
        probabilities,
        reference,
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
            for label in 1..outputs.classes() as u8 {
                let inside: Vec<bool> = (loaded.reference.data().iter())
                    .map(|l| outputs.holds(label, *l))
                    .collect();
                let map = channel(loaded, outputs, label);
                odds.add_region(map.data(), &inside, None)?;
            }
        }
    }
    Ok(())
}

fn add_calibration(
    calibration: &mut Calibration,
    loaded: &Loaded,
    outputs: &Outputs,
    label: usize,
    inside: &[bool],
) -> Result<(), AutoError> {
    let label = label as u8;
    let reference: Vec<bool> = (loaded.reference.data().iter())
        .map(|l| outputs.holds(label, *l))
        .collect();
    let map = channel(loaded, outputs, label);
    Ok(calibration.add(map.data(), &reference, Some(inside))?)
}

fn temper(
    temperature: Temperature,
    probabilities: &mut [Volume<f32>],
    outputs: &Outputs,
) -> Result<(), AutoError> {
    match outputs.regions() {
        None => {
            let mut maps: Vec<&mut [f32]> =
                probabilities.iter_mut().map(Volume::data_mut).collect();
            temperature.apply_classes(&mut maps)?;
        }
        Some(_) => {
            for map in probabilities {
                temperature.apply_region(map.data_mut())?;
            }
        }
    }
    Ok(())
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
        path: postprocess_file(out),
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
