//! What runs, studies, predictions and evaluations leave on disk, and the pages made of it.

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{CompareRequest, Request, compare, error_page, evaluate};
use lacuna_metrics::{Options, Reliability};
use lacuna_record::{
    ComparedPredictions, Ending, Evaluation, Event, Fingerprint, KeptRun, KeptStudy,
    LastIterations, Outcome as End, PlannedRun, Predictions, Provenance, RunResult, Sessions,
    State, Status, Study, StudyFolder, StudyResults, Summary, Training, ValidationScore,
    read_calibration, read_events, read_validation,
};
use lacuna_report::study::{StudyReport, html, latex, markdown};
use lacuna_report::{RunPage, fingerprint_page};

use super::Outcome;
use super::tiny::Tiny;
use crate::input::Input;

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("records are JSON")
}

fn lines<T: serde::Serialize>(values: impl IntoIterator<Item = T>) -> String {
    values
        .into_iter()
        .map(|value| json(&value) + "\n")
        .collect()
}

fn events() -> Vec<Event> {
    let event = |i: u64| Event {
        iteration: i,
        loss: 1.0 - i as f64 / 20.0,
        dsc: i as f64 / 20.0,
        foreground_share: 0.25,
        predicted_share: Some(0.2),
        alternation: None,
        empty_patches: i % 2,
        seconds: 0.5,
        wait_seconds: 0.1,
        wall_time: 1.8e9 + i as f64,
    };
    (1..=12).map(event).collect()
}

fn summary() -> Summary {
    Summary {
        last_iterations: LastIterations::of(&events()),
        ending: Some(Ending::of(&events())),
        iterations: 12,
        validation_dsc: Some(0.5),
        best_iteration: Some(6),
        peak_memory_bytes: Some(1 << 20),
        ..Summary::imported(1000)
    }
}

fn validation() -> Vec<ValidationScore> {
    let score = |iteration: u64| ValidationScore {
        iteration,
        subject: format!("s{}", iteration % 2),
        dsc: 0.5,
        class_dsc: None,
        lesion_f1: Some(0.5),
    };
    (6..10).map(score).collect()
}

fn of_run(folder: &str) -> Vec<(String, String)> {
    let calibration = Reliability {
        voxels: vec![10, 20, 30],
        probability: vec![1.0, 10.0, 27.0],
        foreground: vec![0, 9, 30],
        predicted: 30,
    };
    let end = End {
        train_seconds: 6.0,
        test_seconds: 1.0,
        threads: 2,
        wall_time: 1.8e9,
    };
    let files = [
        ("events.jsonl", lines(events())),
        ("summary.json", json(&summary())),
        ("validation.jsonl", lines(validation())),
        ("test/calibration.json", json(&calibration)),
        ("outcome.json", json(&end)),
    ];
    files
        .map(|(name, text)| (format!("{folder}{name}"), text))
        .into()
}

/// An evaluation of a tiny dataset, a comparison, its fingerprint.
fn measured() -> [String; 3] {
    let tiny = Tiny::new();
    let manifest = Manifest::read(&tiny.path("dataset.toml")).expect("it was written");
    let predictions = tiny.path("predictions");
    let request = Request {
        manifest: &manifest,
        predictions: &predictions,
        out: &tiny.path("evaluation"),
        subjects: &["a".to_owned()],
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    let evaluation = evaluate(&request, &mut |_, _| {}).expect("a sound prediction");
    let compared = CompareRequest {
        manifest: &manifest,
        folders: &[predictions.clone(), tiny.path("evaluation")],
        names: &["x".to_owned(), "y".to_owned()],
        label_values: &[],
        out: &tiny.path("comparison"),
        subjects: &["a".to_owned()],
        options: Options::default(),
        force: false,
        overlay: None,
        pictures: 0,
    };
    let compared = compare(&compared, &mut |_, _| {});
    let compared = compared.map_or_else(|_| "{}".to_owned(), |found| tiny.anywhere(&found));
    let ids = ["a".to_owned()];
    let fingerprint = lacuna_data::fingerprint::of(&manifest, &ids, &mut |_, _| {});
    [
        tiny.anywhere(&Evaluation {
            // With the time and the words of the command.
            provenance: None,
            ..evaluation
        }),
        compared,
        tiny.anywhere(&fingerprint.expect("a sound dataset")),
    ]
}

pub fn seeds() -> Vec<Input> {
    let [evaluation, compared, fingerprint] = measured();
    let sessions = r#"{"sessions": [{"provenance": {"version": "0.1.0", "command": ["lacuna"],
        "time": 1.8e9, "threads": 2}, "iteration": 3, "spacing_mm": [[1, 1, 1], [2, 2, 2]],
        "files": [{"path": "/data/a", "bytes": 5, "modified": 1.5, "sha256": "00"}]}]}"#;
    let predictions = Predictions {
        run: "/data/run".into(),
        classes: vec!["background".to_owned(), "lesion".to_owned()],
        subjects: vec!["a".to_owned()],
        values: Some(vec![0, 4]),
        parts: vec![Provenance::default()],
        ..Predictions::default()
    };
    let comparison = ComparedPredictions::path(Path::new(""));
    let comparison = comparison.to_string_lossy().into_owned();
    let run = of_run("")
        .into_iter()
        .map(|(name, text)| Input::new(name, text));
    let mut inputs: Vec<Input> = run.collect();
    inputs.extend([
        Input::new("provenance.json", sessions),
        Input::new("predictions.json", json(&predictions)),
        Input::new("evaluation/summary.json", evaluation),
        Input::new(format!("comparison/{comparison}"), compared),
        Input::new("fingerprint.json", fingerprint),
    ]);
    inputs
}

/// Reads a record by its name, and makes the page that is made of it.
pub fn read(folder: &Path, input: &Input) -> Outcome {
    match input.name() {
        "events.jsonl" | "summary.json" | "validation.jsonl" => {
            let events = match read_events(folder) {
                Ok(events) => events,
                Err(error) => return Outcome::Refused(error.to_string()),
            };
            let validation = match read_validation(folder) {
                Ok(validation) => validation,
                Err(error) => return Outcome::Refused(error.to_string()),
            };
            let summary = match input.name() {
                "summary.json" => match Summary::read(folder) {
                    Ok(summary) => Some(summary),
                    Err(error) => return Outcome::Refused(error.to_string()),
                },
                _ => None,
            };
            let page = RunPage {
                rates: vec![1e-3; events.len()],
                events,
                validation,
                summary,
                patches_per_iteration: 2,
                ..RunPage::default()
            };
            html(&page.report());
            Outcome::Decoded
        }
        "test/calibration.json" => Outcome::of(read_calibration(folder)),
        "outcome.json" => Outcome::of(End::read(folder)),
        "provenance.json" => Outcome::of(Sessions::read(folder)),
        "predictions.json" => Outcome::of(Predictions::read(folder)),
        "fingerprint.json" => match Fingerprint::read(&folder.join(input.name())) {
            Ok(Some(found)) => {
                fingerprint_page(&found);
                Outcome::Decoded
            }
            other => Outcome::of(other),
        },
        name if name.starts_with("evaluation/") => {
            let folder = folder.join("evaluation");
            match Evaluation::read(&folder) {
                Ok(Some(found)) => {
                    Outcome::of(error_page(&found, &folder, None, &mut |_, _| {}).map(|p| html(&p)))
                }
                other => Outcome::of(other),
            }
        }
        _ => Outcome::of(ComparedPredictions::read(&folder.join("comparison"))),
    }
}

/// Studies of two runs, each file of which is damaged in its turn.
pub fn studies() -> Vec<Input> {
    let plan = |name: &str, loss: &str| PlannedRun {
        name: name.to_owned(),
        axes: Vec::new(),
        network: "unet".to_owned(),
        loss: loss.to_owned(),
        patch: 64.into(),
        effective_patch: 24.into(),
        rank: 2,
        batch: 3,
        learning_rate: 1e-4,
        iterations: 12,
        seed: 0,
        fold: None,
        phantom_share: None,
    };
    let study = Study {
        name: "two".to_owned(),
        description: "made up".to_owned(),
        device: "cpu".to_owned(),
        runs: vec![plan("x", "cross-entropy"), plan("y", "dice")],
    };
    let status = Status {
        state: State::Done,
        attempts: 1,
        seconds: 10.0,
        ..Status::default()
    };
    let [evaluation, _, _] = measured();
    let mut files = vec![("study.json".to_owned(), json(&study))];
    for run in ["x", "y"] {
        files.push((format!("states/{run}.json"), json(&status)));
        files.push((format!("runs/{run}/test/summary.json"), evaluation.clone()));
        files.extend(of_run(&format!("runs/{run}/")));
    }
    let all = Input {
        files: files
            .into_iter()
            .map(|(name, text)| (name, text.into_bytes()))
            .collect(),
    };
    let first = |at: usize| {
        let mut input = all.clone();
        input.files.swap(0, at);
        input
    };
    let mut inputs: Vec<Input> = (0..all.files.len()).map(first).collect();
    inputs.push(Input::new("results.jsonl.gz", kept(&study, &status)));
    inputs
}

/// The same as one file, with one run done and one waiting.
fn kept(study: &Study, status: &Status) -> String {
    let training = Training::of(&events());
    let result = |plan: &PlannedRun, done: bool| RunResult {
        plan: plan.clone(),
        status: if done {
            status.clone()
        } else {
            Status::default()
        },
        training: training.clone().filter(|_| done),
        summary: done.then(summary),
        scores: None,
        calibration: None,
        outcome: None,
    };
    let run = |(at, plan): (usize, &PlannedRun)| {
        let config = "seed = 0\n".to_owned();
        let result = result(plan, at == 0);
        json(&KeptRun { config, result })
    };
    let head = KeptStudy {
        name: study.name.clone(),
        description: study.description.clone(),
        device: study.device.clone(),
        phantoms: [("cohort".to_owned(), "seed = 1\n".to_owned())].into(),
    };
    let runs = study.runs.iter().enumerate().map(run);
    let lines: Vec<String> = std::iter::once(json(&head)).chain(runs).collect();
    lines.join("\n") + "\n"
}

/// Reads a study and makes its report.
pub fn read_study(folder: &Path, _: &Input) -> Outcome {
    let results = match StudyResults::read(&StudyFolder(folder.to_owned())) {
        Ok(results) => results,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let report = StudyReport::of(&results, &|_, _| Ok(None));
    Outcome::of(report.map(|report| {
        html(&report);
        latex(&report);
        markdown(&report)
    }))
}
