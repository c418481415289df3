//! Studies whose results are made up by formulas, written as `lacuna sweep` does.

use std::path::Path;

use lacuna_metrics::{
    Bootstrap, ClassScores, Conventions, Counts, Lesion, Lesions, SurfaceConvention,
};
use lacuna_record::{
    AxisValue, Evaluation, Event, LastIterations, Outcome, Overlay, PlannedRun, State, Status,
    Study, StudyFolder, SubjectScores, Summary,
};
use lacuna_report::study::{Example, ExampleError};
use lacuna_volume::{Affine, Spacing, Volume};

/// A planned run with everything that a test does not care for.
pub fn plan(name: &str, network: &str, loss: &str) -> PlannedRun {
    PlannedRun {
        name: name.to_owned(),
        axes: Vec::new(),
        network: network.to_owned(),
        loss: loss.to_owned(),
        patch: 64.into(),
        effective_patch: 24.into(),
        rank: if matches!(network, "deep-medic" | "high-res-3d-net") {
            3
        } else {
            2
        },
        batch: 3,
        learning_rate: 1e-4,
        iterations: 4,
        seed: 0,
        fold: None,
        phantom_share: None,
    }
}

/// What a run found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Training DSC of each iteration.
    pub dsc: Vec<f64>,
    /// Share predicted as foreground in all iterations.
    pub predicted_share: Option<f64>,
    /// Test subjects with their DSC.
    pub subjects: Vec<(String, f64)>,
    /// Reference lesions of each subject: voxels and overlap.
    pub lesions: Vec<(usize, usize)>,
    /// Bins of the calibration: voxels, sum of probabilities, foreground.
    pub bins: Vec<(u64, f64, u64)>,
}

/// Makes the folder of a study in which nothing has run.
pub fn write_study(folder: &Path, description: &str, runs: Vec<PlannedRun>) -> StudyFolder {
    let study = Study {
        device: "cpu".to_owned(),
        name: "synthetic".to_owned(),
        description: description.to_owned(),
        runs,
    };
    std::fs::create_dir_all(folder.join("states")).unwrap();
    write_json(&folder.join("study.json"), &study);
    StudyFolder(folder.to_owned())
}

/// Writes a run that is done.
pub fn write_done(folder: &StudyFolder, plan: &PlannedRun, found: &Found) {
    write_trained(folder, plan, found);
    let run = folder.run(&plan.name);
    let subjects = found.subjects.iter().map(|(subject, dsc)| SubjectScores {
        subject: subject.clone(),
        prediction: None,
        overlay: Overlay {
            file: "overlays/a.png".into(),
            caption: String::new(),
            size: [1, 1],
        },
        classes: vec![class_row(*dsc, &found.lesions)],
    });
    let subjects: Vec<SubjectScores> = subjects.collect();
    let rows: Vec<Vec<ClassScores>> = subjects.iter().map(|s| s.classes.clone()).collect();
    let bootstrap = Bootstrap {
        resamples: 10,
        ..Bootstrap::default()
    };
    // A run without test subjects is not evaluated.
    if let Ok(summary) = lacuna_metrics::Summary::of(&rows, &bootstrap) {
        let scores = Evaluation {
            provenance: None,
            predictions: "test/predictions".into(),
            dataset: None,
            label_values: false,
            notes: Vec::new(),
            summary,
            froc: Vec::new(),
            precision_recall: Vec::new(),
            subjects,
        };
        write_json(&run.join("test/summary.json"), &scores);
    }
    let calibration = lacuna_metrics::Reliability {
        voxels: found.bins.iter().map(|b| b.0).collect(),
        probability: found.bins.iter().map(|b| b.1).collect(),
        foreground: found.bins.iter().map(|b| b.2).collect(),
        predicted: 30,
    };
    write_json(&run.join("test/calibration.json"), &calibration);
    let outcome = Outcome {
        train_seconds: 0.5 * found.dsc.len() as f64,
        test_seconds: 20.0,
        threads: 2,
        wall_time: 1.8e9,
    };
    write_json(&run.join("outcome.json"), &outcome);
    status(folder, plan, State::Done, None);
}

/// Writes the training of a run, finished.
pub fn write_trained(folder: &StudyFolder, plan: &PlannedRun, found: &Found) {
    let run = folder.run(&plan.name);
    std::fs::create_dir_all(run.join("test")).unwrap();
    let events: Vec<Event> = (found.dsc.iter().enumerate())
        .map(|(i, &dsc)| event(i, dsc, found.predicted_share))
        .collect();
    let lines: Vec<String> = (events.iter())
        .map(|e| serde_json::to_string(e).unwrap() + "\n")
        .collect();
    std::fs::write(run.join("events.jsonl"), lines.concat()).unwrap();
    let summary = Summary {
        iterations: events.len() as u64,
        finished: true,
        last_iterations: LastIterations::of(&events),
        ending: None,
        restarts: 0,
        drawn: Default::default(),
        foreground_share: 0.25,
        empty_patch_rate: 0.0,
        seconds_per_iteration: 0.5,
        wait_share: 0.0,
        parameters: 1000,
        peak_memory_bytes: None,
        validation_dsc: None,
        best_iteration: None,
    };
    write_json(&run.join("summary.json"), &summary);
}

/// Without waiting for the disk, as the program would.
fn write_json(path: &Path, value: &impl serde::Serialize) {
    std::fs::write(path, serde_json::to_vec(value).unwrap()).unwrap();
}

/// Writes where a run stands.
pub fn status(folder: &StudyFolder, plan: &PlannedRun, state: State, message: Option<&str>) {
    let status = Status {
        state,
        message: message.map(str::to_owned),
        attempts: 1,
        seconds: 10.0,
        job: None,
    };
    let name = format!("states/{}.json", plan.name);
    write_json(&folder.path().join(name), &status);
}

fn event(i: usize, dsc: f64, predicted_share: Option<f64>) -> Event {
    Event {
        iteration: i as u64 + 1,
        loss: 1.0 - dsc,
        dsc,
        foreground_share: 0.25,
        predicted_share,
        alternation: None,
        empty_patches: 0,
        seconds: 0.5,
        wait_seconds: 0.0,
        wall_time: 1.8e9 + i as f64,
    }
}

fn class_row(dsc: f64, lesions: &[(usize, usize)]) -> ClassScores {
    let lesion = |&(voxels, overlap_voxels): &(usize, usize)| Lesion {
        voxels,
        mm3: voxels as f64,
        overlap_voxels,
        touching_voxels: overlap_voxels,
        detected: overlap_voxels > 0,
        place: None,
    };
    let reference: Vec<Lesion> = lesions.iter().map(lesion).collect();
    let detected = reference.iter().filter(|l| l.detected).count();
    let recall = detected as f64 / reference.len().max(1) as f64;
    // Some voxels are predicted whenever the score is above zero.
    let hits = (1000.0 * dsc).round() as u64;
    ClassScores {
        class: "lesion".to_owned(),
        counts: Counts {
            true_positive: hits,
            false_positive: 1000 * u64::from(hits > 0) - hits,
            false_negative: 1000 - hits,
            true_negative: 100_000,
        },
        dsc,
        generalised_dice: dsc,
        volume_difference_mm3: 0.0,
        conventions: Conventions::new(SurfaceConvention::default(), 1.0),
        sensitivity: dsc,
        precision: dsc,
        reference_mm3: 1000.0,
        prediction_mm3: 1000.0,
        avd_percent: 0.0,
        hd95_mm: 1.0,
        nsd: dsc,
        lesion_recall: recall,
        lesion_precision: 1.0,
        lesion_f1: recall,
        lesion_recall_one_to_one: recall,
        lesion_precision_one_to_one: 1.0,
        lesion_f1_one_to_one: recall,
        lesions: Lesions {
            reference,
            prediction: Vec::new(),
            pairs: None,
        },
        lesion_detections: Vec::new(),
    }
}

/// A study of every kind of axis: networks of both ranks, all losses, up to
/// three patches,
/// learning rates, seeds, and the lesion share with `shares`; a few runs have
/// failed, been killed or not begun.
#[allow(
    dead_code,
    reason = "not every program that includes this draws a whole study"
)]
pub fn write_whole_study(
    folder: &Path,
    networks: &[&str],
    patches: usize,
    shares: &[f64],
) -> StudyFolder {
    let losses = [
        "generalised-dice",
        "dice",
        "weighted-cross-entropy",
        "sensitivity-specificity as-printed",
        "sensitivity-specificity symmetric",
    ];
    let shares: Vec<Option<f64>> = match shares {
        [] => vec![None],
        shares => shares.iter().copied().map(Some).collect(),
    };
    let sizes = [(56, 16, 5), (64, 24, 3), (88, 48, 1)];
    let mut runs = Vec::new();
    for network in networks {
        for loss in losses {
            for &(patch, effective_patch, batch) in &sizes[..patches] {
                for learning_rate in [1e-3, 1e-4, 1e-5] {
                    for &phantom_share in &shares {
                        for seed in 0..2 {
                            let name = format!("run-{:04}", runs.len());
                            let axes = vec![AxisValue {
                                axis: "model.name".to_owned(),
                                label: (*network).to_owned(),
                            }];
                            runs.push(PlannedRun {
                                axes,
                                patch: patch.into(),
                                effective_patch: effective_patch.into(),
                                batch,
                                learning_rate,
                                iterations: 300,
                                seed,
                                phantom_share,
                                ..plan(&name, network, loss)
                            });
                        }
                    }
                }
            }
        }
    }
    let study = write_study(
        folder,
        "Every axis at once.\nNumbers are made up by a formula.",
        runs.clone(),
    );
    for (i, run) in runs.iter().enumerate() {
        match i % 29 {
            7 => status(
                &study,
                run,
                State::Failed,
                Some("the loss is not finite at iteration 12"),
            ),
            11 => status(&study, run, State::Killed, Some("out of memory")),
            13 => {}
            _ => write_done(&study, run, &made_up(run)),
        }
    }
    study
}

/// Results by a formula: worse for large patches, far learning rates, rare
/// foreground and later losses.
fn made_up(plan: &PlannedRun) -> Found {
    let hard = match plan.loss.split_once(' ') {
        None if plan.loss == "generalised-dice" => 0.05,
        None if plan.loss == "dice" => 0.12,
        None => 0.25,
        Some((_, "symmetric")) => 0.3,
        Some(_) => 1.0,
    };
    let rate = (plan.learning_rate.log10() + 4.0).abs();
    let rare = plan.phantom_share.map_or(0.0, |s| -s.log10() * 0.5);
    let size = plan.effective_patch.mean_edge() / 48.0;
    let quality = (0.95 - hard * (0.5 + size + rate + rare)).max(0.0);
    let wave = |i: usize| ((i as f64 + 3.0 * plan.seed as f64) * 1.7).sin();
    let curve = |i: usize| {
        let reached = quality * (1.0 - (-(i as f64) / 60.0).exp());
        (reached * (1.0 + 0.12 * wave(i))).clamp(0.0, 1.0)
    };
    let subject = |i: usize| {
        let dsc = (quality * (0.85 + 0.1 * wave(7 * i))).clamp(0.0, 1.0);
        (format!("sub-{i:02}"), dsc)
    };
    let lesion = |i: usize| {
        let voxels = 3 * 4usize.pow(i as u32);
        let found = quality * (0.4 + 0.12 * i as f64);
        (voxels, (voxels as f64 * found).floor() as usize)
    };
    let bin = |b: usize| {
        let middle = (b as f64 + 0.5) / 20.0;
        let voxels = if b == 0 { 1_000_000 } else { 2000 };
        let share = middle.powf(1.0 + hard);
        (
            voxels,
            voxels as f64 * middle * 0.999f64.powi(b as i32),
            (voxels as f64 * share * 0.9) as u64,
        )
    };
    Found {
        dsc: (0..300).map(curve).collect(),
        predicted_share: Some(0.3 * quality),
        subjects: (0..6).map(subject).collect(),
        lesions: (0..6).map(lesion).collect(),
        bins: (0..20).map(bin).collect(),
    }
}

/// A head with three lesions, and a prediction that differs from run to run.
#[allow(
    dead_code,
    reason = "not every program that includes this draws pictures"
)]
pub fn example(run: &str, _subject: &str) -> Result<Option<Example>, ExampleError> {
    let shape = [96, 112, 12];
    let affine = Affine::from_spacing(Spacing([1.0, 1.0, 3.0]));
    let grown: f64 = run.bytes().map(f64::from).sum::<f64>() % 5.0 - 2.0;
    let balls = [
        ([40.0, 60.0, 6.0], 9.0),
        ([60.0, 40.0, 6.0], 3.0),
        ([55.0, 80.0, 3.0], 1.5),
    ];
    let (mut image, mut reference, mut prediction) = (Vec::new(), Vec::new(), Vec::new());
    for z in 0..shape[2] {
        for y in 0..shape[1] {
            for x in 0..shape[0] {
                let at = [x as f64, y as f64, z as f64];
                let far = |c: [f64; 3], sizes: [f64; 3]| {
                    let squares = (0..3).map(|i| ((at[i] - c[i]) / sizes[i]).powi(2));
                    squares.sum::<f64>().sqrt()
                };
                let within = |more: f64| {
                    balls
                        .iter()
                        .any(|(c, r)| far(*c, [1.0, 1.0, 0.4]) < r + more)
                };
                let head = far([48.0, 56.0, 6.0], [40.0, 50.0, 9.0]) < 1.0;
                let texture = ((x * 7 + y * 13 + z * 3) % 11) as f32;
                image.push(if head {
                    100.0 + texture + 60.0 * f32::from(u8::from(within(0.0)))
                } else {
                    0.0
                });
                reference.push(u8::from(within(0.0)));
                prediction.push(u8::from(within(grown)));
            }
        }
    }
    Ok(Some(Example {
        image: Volume::new(shape, affine, image)?,
        reference: Volume::new(shape, affine, reference)?,
        prediction: Volume::new(shape, affine, prediction)?,
    }))
}
