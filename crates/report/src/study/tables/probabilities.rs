//! How far probabilities can be believed.

use lacuna_metrics::Reliability;
use lacuna_record::RunResult;

use super::mean_range;
use crate::study::cells::Cells;
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable};

const CONVENTION: &str = "ECE: expected calibration error of the foreground probability over the \
    voxels of all test subjects inside their masks, equal bins of probability: the mean over voxels \
    of the gap, in their bin, between mean probability and share of reference foreground. Above the \
    lowest bin: the same without the voxels of the lowest bin, which are nearly all where the target \
    is rare. Mean over runs [lowest, highest]. Volume ratio: predicted over reference foreground voxels, \
    pooled over runs. All: over all settings. Best: at the loss's best setting, the highest median \
    training DSC of {last}.";

/// Calibration errors by network and loss; `None` when nothing was tested.
pub(crate) fn probabilities(cells: &Cells) -> Option<StudyTable> {
    let mut rows = Vec::new();
    for family in cells.families() {
        for loss in &cells.losses {
            let best = cells.best_site(&family, loss);
            let of_best = cells.runs_where(loss, |s| Some(s) == best);
            let of_all = cells.runs_where(loss, |s| s.family() == family);
            for (settings, runs) in [("best", of_best), ("all", of_all)] {
                let heading = [family.text(), names::loss(loss), settings.to_owned()];
                rows.extend(row(&heading, &runs));
            }
        }
    }
    (!rows.is_empty()).then(|| StudyTable {
        id: "calibration".to_owned(),
        title: "Calibration".to_owned(),
        columns: vec![
            Column::words("Network"),
            Column::words("Loss"),
            Column::words("Settings"),
            Column::numbers("Runs"),
            Column::numbers("ECE"),
            Column::numbers("ECE above the lowest bin"),
            Column::numbers("Volume ratio"),
        ],
        rows,
        convention: cells.last().told(CONVENTION),
    })
}

fn row(heading: &[String; 3], runs: &[&RunResult]) -> Option<Vec<Cell>> {
    let found: Vec<&Reliability> = runs.iter().filter_map(|r| r.calibration.as_ref()).collect();
    if found.is_empty() {
        return None;
    }
    let ece: Vec<f64> = found.iter().filter_map(|r| r.ece()).collect();
    let above: Vec<f64> = found
        .iter()
        .filter_map(|r| r.ece_above_lowest_bin())
        .collect();
    let predicted: u64 = found.iter().map(|c| c.predicted).sum();
    let reference: u64 = found.iter().flat_map(|c| &c.foreground).sum();
    let volume = match reference {
        0 => "–".to_owned(),
        reference => format!("{:.2}", predicted as f64 / reference as f64),
    };
    let mut row: Vec<Cell> = heading.iter().map(Cell::from).collect();
    row.extend([
        found.len().into(),
        mean_range(&ece, error).into(),
        mean_range(&above, score).into(),
        volume.into(),
    ]);
    Some(row)
}

/// An error over all voxels is small where foreground is rare.
fn error(value: f64) -> String {
    format!("{value:.5}")
}
