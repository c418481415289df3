//! Runs that end predicting one class alone, or a checkerboard.

use super::share_of;
use crate::study::cells::Cells;
use crate::study::names;
use crate::study::table::{Cell, Column, StudyTable};
use lacuna_record::{Ending, RunResult};

const CONVENTION: &str = "Over all settings, seeds and folds. A run has collapsed to the background \
    when more than half of {last} predicted no foreground voxel in the effective \
    patches, to the foreground when more than half predicted nothing else, to a checkerboard when most edges \
    of what was predicted lie side by side. Batches without foreground do not count. Runs that did \
    not record it are judged by their test subjects. Rate: collapsed runs over judged ones. Empty test maps: \
    runs whose label maps of all test subjects together hold no foreground voxel, over tested runs.";

/// Collapsed runs by network and loss.
pub(crate) fn collapse(cells: &Cells) -> StudyTable {
    let mut rows = Vec::new();
    for family in cells.families() {
        for loss in &cells.losses {
            let runs = cells.runs_where(loss, |site| site.family() == family);
            rows.push(row(&family.text(), loss, &runs));
        }
    }
    StudyTable {
        id: "collapse".to_owned(),
        title: "Collapsed runs".to_owned(),
        columns: vec![
            Column::words("Network"),
            Column::words("Loss"),
            Column::numbers("Runs trained"),
            Column::numbers("To background"),
            Column::numbers("To foreground"),
            Column::numbers("To checkerboard"),
            Column::numbers("Rate"),
            Column::numbers("Empty test maps"),
        ],
        rows,
        convention: cells.last().told(CONVENTION),
    }
}

fn row(network: &str, loss: &str, runs: &[&RunResult]) -> Vec<Cell> {
    let trained = runs.iter().filter(|r| r.trained().is_some()).count();
    let ended = |ending| runs.iter().filter(|r| r.final_ending() == ending).count();
    let [background, foreground, checkerboard] =
        [Ending::Background, Ending::Foreground, Ending::Checkerboard].map(ended);
    let judged = runs.len() - ended(Ending::Unknown);
    let tested = |wanted: fn(Ending) -> bool| {
        let endings = runs.iter().map(|r| r.test_ending());
        endings.filter(|e| wanted(*e)).count()
    };
    let (empty, tested) = (
        tested(|e| e == Ending::Background),
        tested(|e| e != Ending::Unknown),
    );
    vec![
        network.into(),
        names::loss(loss).into(),
        trained.into(),
        background.into(),
        foreground.into(),
        checkerboard.into(),
        share_of(background + foreground + checkerboard, judged).into(),
        format!("{empty} of {tested}").into(),
    ]
}
