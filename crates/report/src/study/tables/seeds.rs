//! How far seeds and folds lie apart.

use super::{SITE_CONVENTION, SiteColumns, range};
use crate::study::cells::{Cells, Site};
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable};
use lacuna_metrics::mean;
use lacuna_record::RunResult;

const CONVENTION: &str = "Over the seeds and folds of each cell. SD: standard deviation with n - 1. \
    {Last}: the median training DSC of {last}. Test: the mean foreground DSC over \
    a run's test subjects. Folds are tested on different subjects, so that their spread holds that of \
    the subjects too.";

/// The spread over seeds and folds; `None` when no cell has two runs to compare.
pub(crate) fn seeds(cells: &Cells) -> Option<StudyTable> {
    let sites: Vec<&Site> = cells.sites.iter().collect();
    let site_columns = SiteColumns::of(&sites);
    let mut rows = Vec::new();
    for site in &cells.sites {
        for loss in &cells.losses {
            let runs: Vec<_> = cells.runs(site, loss).collect();
            let trained = values(&runs, |r| Some(r.trained()?.last.median));
            let tested = values(&runs, RunResult::mean_test_dsc);
            if trained.len().max(tested.len()) < 2 {
                continue;
            }
            let mut row = site_columns.cells(site);
            row.push(names::loss(loss).into());
            row.extend(spread(&trained));
            row.extend(spread(&tested));
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let mut columns = site_columns.columns();
    columns.push(Column::words("Loss"));
    let last = cells.last();
    for group in [&*last.heading(), "Test"] {
        for name in ["runs", "mean", "SD", "range"] {
            columns.push(Column::numbers(name).under(group));
        }
    }
    Some(StudyTable {
        id: "seeds".to_owned(),
        title: "Spread over seeds".to_owned(),
        columns,
        rows,
        convention: format!("{} {SITE_CONVENTION}", last.told(CONVENTION)),
    })
}

fn values(runs: &[&RunResult], value: impl Fn(&RunResult) -> Option<f64>) -> Vec<f64> {
    runs.iter().filter_map(|r| value(r)).collect()
}

fn spread(values: &[f64]) -> [Cell; 4] {
    let dash = || Cell::from("–");
    let (Some(mean), Some([low, high])) = (mean(values.iter().copied()), range(values)) else {
        return [Cell::from(0), dash(), dash(), dash()];
    };
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let several = values.len() > 1;
    [
        values.len().into(),
        score(mean).into(),
        match several {
            true => score((squares / (values.len() - 1) as f64).sqrt()).into(),
            false => dash(),
        },
        match several {
            true => format!("{}–{}", score(low), score(high)).into(),
            false => dash(),
        },
    ]
}
