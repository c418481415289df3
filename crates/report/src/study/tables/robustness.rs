//! How far a loss depends on its setting and on luck.

use lacuna_metrics::{Quartiles, mean};
use lacuna_record::RunResult;

use super::share_of;
use crate::study::cells::{Cells, Family, Site};
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable};

/// How far below the best of all a run may be.
const NEAR: f64 = 0.05;

const CONVENTION: &str = "Over all settings, seeds and folds of a network, by the mean foreground \
    DSC over a run's test subjects. Best: the highest mean over seeds and folds that any loss has \
    at any setting. Near the best: share of the runs within .05 of that, or above it. Losses of \
    the largest share are first, then those of the highest median. IQR: interquartile range. Best \
    setting: mean over seeds and folds at the loss's own best setting, which no one knows \
    beforehand.";

/// Losses by the share of their runs that are near the best, for each network and lesion share;
/// `None` before two runs of a loss were tested.
pub(crate) fn robustness(cells: &Cells) -> Option<StudyTable> {
    let families = cells.families();
    let rows = families
        .iter()
        .flat_map(|family| family_rows(cells, family));
    let rows: Vec<Vec<Cell>> = rows.collect();
    (!rows.is_empty()).then(|| StudyTable {
        id: "robustness".to_owned(),
        title: "Robustness of the losses".to_owned(),
        columns: vec![
            Column::words("Network"),
            Column::words("Loss"),
            Column::numbers("Runs"),
            Column::numbers("Near the best"),
            Column::numbers("Median DSC"),
            Column::numbers("IQR"),
            Column::numbers("Lowest"),
            Column::numbers("Best setting"),
        ],
        rows,
        convention: CONVENTION.to_owned(),
    })
}

fn family_rows(cells: &Cells, family: &Family) -> Vec<Vec<Cell>> {
    let sites: Vec<&Site> = (cells.sites.iter())
        .filter(|site| site.family() == *family)
        .collect();
    let best_of = |loss: &String| {
        let means = sites
            .iter()
            .filter_map(|site| mean(cells.runs(site, loss).filter_map(RunResult::mean_test_dsc)));
        means.reduce(f64::max)
    };
    let tested = (cells.losses.iter()).filter_map(|loss| Some((loss, best_of(loss)?)));
    let tested: Vec<(&String, f64)> = tested.collect();
    let best = tested.iter().map(|(_, own)| *own).fold(0.0, f64::max);
    let losses = tested.into_iter().filter_map(|(loss, own)| {
        let runs = cells.runs_where(loss, |site| site.family() == *family);
        let dsc = runs.iter().filter_map(|run| run.mean_test_dsc());
        Some((loss, own, Robustness::of(dsc.collect(), best)?))
    });
    let mut losses: Vec<(&String, f64, Robustness)> = losses.collect();
    if losses.iter().all(|(.., found)| found.runs < 2) {
        return Vec::new();
    }
    losses.sort_by(|(.., a), (.., b)| b.key().partial_cmp(&a.key()).expect("DSC are finite"));
    let row = |(loss, own, found): (&String, f64, Robustness)| {
        vec![
            family.text().into(),
            names::loss(loss).into(),
            found.runs.into(),
            share_of(found.near, found.runs).into(),
            score(found.quartiles.median).into(),
            score(found.quartiles.q3 - found.quartiles.q1).into(),
            score(found.lowest).into(),
            score(own).into(),
        ]
    };
    losses.into_iter().map(row).collect()
}

/// What the runs of a loss have in common.
struct Robustness {
    runs: usize,
    /// Runs that are near the best.
    near: usize,
    quartiles: Quartiles,
    lowest: f64,
}

impl Robustness {
    /// Of the test DSC of each run; `None` without any.
    fn of(dsc: Vec<f64>, best: f64) -> Option<Self> {
        Some(Self {
            runs: dsc.len(),
            near: dsc.iter().filter(|dsc| **dsc >= best - NEAR).count(),
            quartiles: Quartiles::of(&dsc)?,
            lowest: dsc.iter().copied().reduce(f64::min)?,
        })
    }

    fn key(&self) -> [f64; 2] {
        [self.near as f64 / self.runs as f64, self.quartiles.median]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_on_the_border_are_near_the_best() {
        let found = Robustness::of(vec![0.75, 0.5, 0.7, 0.8], 0.75).unwrap();
        assert_eq!((found.runs, found.near), (4, 3));
        assert_eq!(found.key(), [0.75, 0.725]);
        assert_eq!(found.lowest, 0.5);
        assert!(Robustness::of(Vec::new(), 0.75).is_none());
    }
}
