//! What training and testing cost.

use super::mean_range;
use crate::study::cells::{Cells, distinct};
use crate::study::names::{self, duration};
use crate::study::table::{Cell, Column, StudyTable};
use lacuna_record::RunResult;

const CONVENTION: &str = "Runs that are done, over losses, learning rates, seeds and folds. Seconds \
    per iteration: median over a run's iterations, waiting for patches included. Training: the sum of \
    a run's iterations. Test: predicting and scoring its test subjects. Mean over runs [lowest, \
    highest]. Total: training and test of all runs together. Runs beside each other share the \
    machine, so that times of one study compare only within it.";

/// Times by network and patch; `None` when no run is done.
pub(crate) fn time(cells: &Cells) -> Option<StudyTable> {
    let alike = |s: &crate::study::Site| (s.network.clone(), s.patch, s.batch, s.iterations);
    let mut rows = Vec::new();
    for kind in distinct(cells.sites.iter().map(alike)) {
        let of = |loss: &String| cells.runs_where(loss, |site| alike(site) == kind);
        let runs: Vec<&RunResult> = cells.losses.iter().flat_map(of).collect();
        let (network, patch, batch, iterations) = kind;
        let heading = [
            names::network(&network),
            patch.to_string(),
            batch.to_string(),
            iterations.to_string(),
        ];
        rows.extend(row(&heading, &runs));
    }
    (!rows.is_empty()).then(|| StudyTable {
        id: "time".to_owned(),
        title: "Wall time".to_owned(),
        columns: vec![
            Column::words("Network"),
            Column::numbers("Patch"),
            Column::numbers("Batch"),
            Column::numbers("Iterations"),
            Column::numbers("Runs"),
            Column::numbers("Threads"),
            Column::numbers("Seconds per iteration"),
            Column::numbers("Training per run"),
            Column::numbers("Test per run"),
            Column::numbers("Total"),
        ],
        rows,
        convention: CONVENTION.to_owned(),
    })
}

fn row(heading: &[String; 4], runs: &[&RunResult]) -> Option<Vec<Cell>> {
    let done: Vec<_> = runs.iter().filter_map(|r| r.outcome.as_ref()).collect();
    if done.is_empty() {
        return None;
    }
    let done_runs = runs.iter().filter(|r| r.outcome.is_some());
    let summaries = done_runs.filter_map(|r| r.summary.as_ref());
    let iteration: Vec<f64> = summaries.map(|s| s.seconds_per_iteration).collect();
    let train: Vec<f64> = done.iter().map(|o| o.train_seconds).collect();
    let test: Vec<f64> = done.iter().map(|o| o.test_seconds).collect();
    let threads = distinct(done.iter().map(|o| o.threads.to_string())).join(", ");
    let mut row: Vec<Cell> = heading.iter().map(Cell::from).collect();
    row.extend([
        done.len().into(),
        threads.into(),
        mean_range(&iteration, |s| format!("{s:.3}")).into(),
        mean_range(&train, duration).into(),
        mean_range(&test, duration).into(),
        duration(train.iter().chain(&test).sum()).into(),
    ]);
    Some(row)
}
