//! What happens as foreground grows rarer.

use super::{SiteColumns, mean_range};
use crate::study::cells::{Cells, Site, distinct};
use crate::study::names::{self, score, share as share_text};
use crate::study::table::{Cell, Column, StudyTable, mark_best};
use lacuna_metrics::mean;
use lacuna_record::RunResult;

/// A mean test DSC below this is no segmentation.
pub(crate) const LEARNS: f64 = 0.1;

const BY_SHARE: &str = "Lesion share: lesion voxels over all voxels of the phantoms. DSC and lesion \
    recall: mean over test subjects, then over seeds [lowest, highest seed]. A lesion is recalled \
    when at least one of its voxels is predicted. Bold: the highest of the row.";

/// Test DSC and lesion recall by lesion share; `None` when the study does not
/// vary it.
pub(crate) fn by_share(cells: &Cells) -> Option<StudyTable> {
    if !varies(cells) {
        return None;
    }
    let sites: Vec<&Site> = cells.sites.iter().collect();
    let site_columns = SiteColumns::of(&sites);
    let mut columns = site_columns.columns();
    for loss in &cells.losses {
        let loss = names::loss(loss);
        columns.push(Column::numbers("DSC").under(&loss));
        columns.push(Column::numbers("recall").under(&loss));
    }
    let row = |site: &Site| {
        let of = |value: fn(&RunResult) -> Option<f64>| {
            let cell = |loss: &String| {
                let values: Vec<f64> = cells.runs(site, loss).filter_map(value).collect();
                let cell = Cell::from(mean_range(&values, score));
                (cell, mean(values.iter().copied()))
            };
            let mut cells: Vec<_> = cells.losses.iter().map(cell).collect();
            mark_best(&mut cells);
            cells.into_iter().map(|(cell, _)| cell)
        };
        let mut row = site_columns.cells(site);
        for (dsc, recall) in of(RunResult::mean_test_dsc).zip(of(lesion_recall)) {
            row.extend([dsc, recall]);
        }
        row
    };
    Some(StudyTable {
        id: "shares".to_owned(),
        title: "DSC and lesion recall by lesion share".to_owned(),
        rows: cells.sites.iter().map(row).collect(),
        columns,
        convention: BY_SHARE.to_owned(),
    })
}

/// The share at which each loss stops learning; `None` when the study does not
/// vary it.
pub(crate) fn stops(cells: &Cells) -> Option<StudyTable> {
    if !varies(cells) {
        return None;
    }
    let without_share = |site: &Site| Site {
        share: None,
        ..site.clone()
    };
    let bases = distinct(cells.sites.iter().map(without_share));
    let base_columns = SiteColumns::of(&bases.iter().collect::<Vec<_>>());
    let mut columns = base_columns.columns();
    columns.push(Column::words("Loss"));
    columns.push(Column::words("Stops learning at"));
    columns.push(Column::words("Rarest share learnt"));
    columns.push(Column::numbers("Shares tested"));
    let mut rows = Vec::new();
    for base in &bases {
        let sites = || cells.sites.iter().filter(|s| without_share(s) == *base);
        for loss in &cells.losses {
            // Largest share first, as the sites are.
            let judged: Vec<(f64, bool)> = sites()
                .filter_map(|s| Some((s.share?, learns(&cells.runs(s, loss).collect::<Vec<_>>())?)))
                .collect();
            let stopped = judged.iter().find(|(_, learns)| !learns);
            let learnt = judged.iter().rfind(|(_, learns)| *learns);
            let text = |found: Option<&(f64, bool)>| match (found, judged.is_empty()) {
                (_, true) => "–".to_owned(),
                (Some((share, _)), _) => share_text(*share),
                (None, _) => "none".to_owned(),
            };
            let mut row = base_columns.cells(base);
            row.push(names::loss(loss).into());
            row.push(text(stopped).into());
            row.push(text(learnt).into());
            row.push(judged.len().into());
            rows.push(row);
        }
    }
    Some(StudyTable {
        id: "stops".to_owned(),
        title: "Where each loss stops learning".to_owned(),
        columns,
        rows,
        convention: format!(
            "A loss has stopped learning at a lesion share when more than half of its runs there \
             collapsed to one class, or when their mean test DSC is below {LEARNS}. Stops learning \
             at: the largest such share. Rarest share learnt: the smallest share at which it has \
             not stopped. Shares without a finished run are not counted."
        ),
    })
}

/// True when the runs at one share have learnt; `None` when none is done.
pub(crate) fn learns(runs: &[&RunResult]) -> Option<bool> {
    let dsc = mean(runs.iter().filter_map(|r| r.mean_test_dsc()))?;
    let done = runs.iter().filter(|r| r.outcome.is_some());
    let judged: Vec<bool> = done.filter_map(|r| r.collapsed()).collect();
    let collapsed = judged.iter().filter(|c| **c).count();
    Some(dsc >= LEARNS && collapsed * 2 <= judged.len())
}

fn varies(cells: &Cells) -> bool {
    distinct(cells.sites.iter().filter_map(|s| s.share)).len() > 1
}

fn lesion_recall(run: &RunResult) -> Option<f64> {
    mean(run.foreground().map(|(_, row)| row.lesion_recall))
}
