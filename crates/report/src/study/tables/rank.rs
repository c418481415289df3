//! Which loss is ahead, setting by setting.

use super::mean_range;
use crate::study::cells::{Cells, Site};
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable};
use lacuna_metrics::mean;
use lacuna_record::RunResult;

const CONVENTION: &str = "Over the settings at which every loss has a value. Rank 1 is the highest \
    value of a setting; equal values share the mean of their ranks. First: settings at which no \
    other loss is higher. {Last}: mean over seeds and folds of the median training DSC of \
    {last}. Test: mean over test subjects, seeds and folds of the foreground DSC. Means are \
    over settings, with the lowest and highest in brackets.";

/// The value of a run that losses are ranked by.
type Value = fn(&RunResult) -> Option<f64>;

/// Losses by their ranks, for each network and for all.
pub(crate) fn ranks(cells: &Cells) -> StudyTable {
    let networks = cells.networks();
    let mut rows = Vec::new();
    for network in &networks {
        let sites: Vec<&Site> = (cells.sites.iter())
            .filter(|s| s.network == *network)
            .collect();
        rows.extend(network_rows(cells, &names::network(network), &sites));
    }
    if networks.len() > 1 {
        let all: Vec<&Site> = cells.sites.iter().collect();
        rows.extend(network_rows(cells, "all", &all));
    }
    let mut columns = vec![Column::words("Network"), Column::words("Loss")];
    let last = cells.last();
    for group in [&*last.heading(), "Test"] {
        for name in ["settings", "mean rank", "first", "mean DSC"] {
            columns.push(Column::numbers(name).under(group));
        }
    }
    StudyTable {
        id: "ranks".to_owned(),
        title: "Ranks of the losses".to_owned(),
        columns,
        rows,
        convention: last.told(CONVENTION),
    }
}

fn network_rows(cells: &Cells, network: &str, sites: &[&Site]) -> Vec<Vec<Cell>> {
    let trained = Ranking::of(cells, sites, |r| Some(r.trained()?.last.median));
    let tested = Ranking::of(cells, sites, RunResult::mean_test_dsc);
    let row = |(i, loss): (usize, &String)| {
        let mut row: Vec<Cell> = vec![network.into(), names::loss(loss).into()];
        row.extend(trained.cells(i));
        row.extend(tested.cells(i));
        row
    };
    cells.losses.iter().enumerate().map(row).collect()
}

/// The values of all losses at the settings where all have one.
struct Ranking(Vec<Vec<f64>>);

impl Ranking {
    fn of(cells: &Cells, sites: &[&Site], value: Value) -> Self {
        let at = |site: &&Site| -> Option<Vec<f64>> {
            let of = |loss: &String| mean(cells.runs(site, loss).filter_map(value));
            cells.losses.iter().map(of).collect()
        };
        Self(sites.iter().filter_map(at).collect())
    }

    fn cells(&self, loss: usize) -> [Cell; 4] {
        let ranks = self.0.iter().map(|values| rank(values, loss));
        let first = self.0.iter().filter(|v| v.iter().all(|o| *o <= v[loss]));
        let dsc: Vec<f64> = self.0.iter().map(|values| values[loss]).collect();
        [
            self.0.len().into(),
            mean(ranks)
                .map_or("–".to_owned(), |r| format!("{r:.2}"))
                .into(),
            first.count().into(),
            mean_range(&dsc, score).into(),
        ]
    }
}

/// The place of a value among others, 1 for the highest; equal ones share theirs.
fn rank(values: &[f64], of: usize) -> f64 {
    let higher = values.iter().filter(|v| **v > values[of]).count();
    let equal = values.iter().filter(|v| **v == values[of]).count();
    higher as f64 + (equal as f64 + 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    #[test]
    fn equal_values_share_their_rank() {
        let values = [0.5, 0.9, 0.5, 0.1];
        let ranks = [0, 1, 2, 3].map(|i| super::rank(&values, i));
        assert_eq!(ranks, [2.5, 1.0, 2.5, 4.0]);
    }
}
