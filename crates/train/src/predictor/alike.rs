//! Which runs have a mean: those that see the same image and say the same of it.

use std::collections::BTreeSet;

use lacuna_nets::Architecture;
use lacuna_volume::PatchSize;

use crate::apply::TrainedRun;
use crate::predict::{Average, Averaged, WindowModel};
use crate::run::RunError;

/// Refuses runs of which no mean can be taken.
pub(super) fn check(runs: &[TrainedRun], average: Average) -> Result<(), RunError> {
    let Some((first, others)) = runs.split_first() else {
        return Ok(());
    };
    let mut files = BTreeSet::new();
    for run in runs {
        let file = run.weights().canonicalize();
        if !files.insert(file.unwrap_or_else(|_| run.weights().to_owned())) {
            return Err(RunError::RunTwice {
                run: run.path.clone(),
            });
        }
    }
    for other in others {
        let found = differences(first, other, average);
        if !found.is_empty() {
            return Err(RunError::unlike(first, other, found.join("; ")));
        }
    }
    // Each may share a window with the first, and the others not with each other.
    let networks = runs.iter().map(|run| &run.model).collect();
    match Averaged::new(networks, first.model.outputs(), average) {
        Some(_) => Ok(()),
        None => Err(RunError::NoCommonWindow {
            runs: runs.iter().map(of_run).collect::<Vec<_>>().join("; "),
        }),
    }
}

/// What the mean depends on and what differs: "the classes are A and B".
fn differences(first: &TrainedRun, other: &TrainedRun, average: Average) -> Vec<String> {
    let lists = [
        ("classes", &first.facts.classes, &other.facts.classes),
        (
            "modalities",
            &first.facts.modalities,
            &other.facts.modalities,
        ),
    ];
    let mut found: Vec<String> = (lists.into_iter())
        .filter(|(_, first, other)| first != other)
        .map(|(what, first, other)| format!("the {what} are {first:?} and {other:?}"))
        .collect();
    let planes = first.model.architecture().rank() == 2;
    let matters = |key: &str| match key {
        "regions" | "geometry.spacing" => true,
        "patch.plane" => planes,
        "loss.activation" => average == Average::Logits,
        key => key.starts_with("normalise.") || key.starts_with("nnunet."),
    };
    for (key, first, other) in first.config.differences(&other.config) {
        if matters(&key) {
            found.push(format!("`{key}` is {first} and {other}"));
        }
    }
    let (a, b) = (first.model.architecture(), other.model.architecture());
    if a.beside(&b).is_none() {
        let [a, b] = [a, b].map(|architecture| windows(&architecture));
        found.push(format!("no window fits both networks, {a} and {b}"));
    }
    found
}

fn of_run(run: &TrainedRun) -> String {
    let windows = windows(&run.model.architecture());
    format!("{}: {windows}", run.path.display())
}

/// The windows of a network in words.
fn windows(architecture: &Architecture) -> String {
    let written = |lengths| PatchSize::of(lengths, architecture.rank());
    format!(
        "a {}-D {} of {} voxels in steps of {} with a border of {}",
        architecture.rank(),
        architecture.name(),
        written(architecture.smallest_legal()),
        written(architecture.alignment()),
        written(architecture.border())
    )
}
