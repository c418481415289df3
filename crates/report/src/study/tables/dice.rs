//! Tables 2 and 3 of Sudre et al. 2017.

use lacuna_metrics::{Quartiles, mean};
use lacuna_record::RunResult;

use super::{SITE_CONVENTION, SiteColumns, standing};
use crate::study::cells::{Cells, Site};
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable, mark_best};

const CONVENTION: &str = "{Last}: median (IQR) of the training DSC of {last}: \
    hard, foreground, pooled over the effective patches of each batch. With several seeds or folds: \
    mean of their medians (mean of their IQRs) [lowest, highest median]. Test: median (IQR) of the \
    foreground DSC of whole test subjects, pooled over seeds and folds; both masks empty gives 1. \
    Quartiles by linear interpolation. Bold: the highest median of the row. †: more than half of \
    the cell's finished runs collapsed to one class. n of m: only n of the m planned runs count.";

/// The table of the networks with `rank` axes; `None` when the study has none.
pub(crate) fn dice(cells: &Cells, rank: usize) -> Option<StudyTable> {
    let sites: Vec<&Site> = cells.sites.iter().filter(|s| s.rank == rank).collect();
    if sites.is_empty() {
        return None;
    }
    let site_columns = SiteColumns::of(&sites);
    let mut columns = site_columns.columns();
    let last = cells.last();
    for loss in &cells.losses {
        let loss = names::loss(loss);
        columns.push(Column::numbers(&last.column).under(&loss));
        columns.push(Column::numbers("test").under(&loss));
    }
    let row = |site: &&Site| {
        let of = |loss: &String| cells.runs(site, loss).collect::<Vec<_>>();
        let runs: Vec<_> = cells.losses.iter().map(of).collect();
        let mut trained: Vec<_> = runs.iter().map(|r| training_cell(r)).collect();
        let mut tested: Vec<_> = runs.iter().map(|r| test_cell(r)).collect();
        mark_best(&mut trained);
        mark_best(&mut tested);
        let mut row = site_columns.cells(site);
        for ((trained, _), (tested, _)) in trained.into_iter().zip(tested) {
            row.extend([trained, tested]);
        }
        row
    };
    // The paper's numbers: Table 2 is 2-D, Table 3 is 3-D.
    Some(StudyTable {
        id: format!("table-{rank}"),
        title: format!("Table {rank}: DSC of the {rank}-D networks"),
        rows: sites.iter().map(row).collect(),
        columns,
        convention: format!("{} {SITE_CONVENTION}", last.told(CONVENTION)),
    })
}

/// The cell of one site and loss, and the value that it is compared by.
fn training_cell(runs: &[&RunResult]) -> (Cell, Option<f64>) {
    let trained: Vec<_> = runs.iter().filter_map(|r| r.trained()).collect();
    let medians: Vec<f64> = trained.iter().map(|t| t.last.median).collect();
    let iqrs = trained.iter().map(|t| t.last.iqr);
    let (Some(median), Some(iqr)) = (mean(medians.iter().copied()), mean(iqrs)) else {
        return (standing(runs).into(), None);
    };
    let mut text = format!("{} ({})", score(median), score(iqr));
    if let Some([low, high]) = super::range(&medians)
        && medians.len() > 1
    {
        text.push_str(&format!(" [{}, {}]", score(low), score(high)));
    }
    let judged: Vec<bool> = runs.iter().filter_map(|r| r.collapsed()).collect();
    if judged.iter().filter(|c| **c).count() * 2 > judged.len() {
        text.push_str(" †");
    }
    text.push_str(&counted(medians.len(), runs.len()));
    (text.into(), Some(median))
}

fn test_cell(runs: &[&RunResult]) -> (Cell, Option<f64>) {
    let tested = runs.iter().filter(|r| r.foreground().next().is_some());
    let counted = counted(tested.count(), runs.len());
    let dsc: Vec<f64> = (runs.iter().flat_map(|r| r.foreground()))
        .map(|(_, row)| row.dsc)
        .collect();
    match Quartiles::of(&dsc) {
        None => (standing(runs).into(), None),
        Some(q) => {
            let text = format!("{} ({}){counted}", score(q.median), score(q.iqr()));
            (text.into(), Some(q.median))
        }
    }
}

fn counted(counted: usize, planned: usize) -> String {
    match counted == planned {
        true => String::new(),
        false => format!(" {counted} of {planned}"),
    }
}
