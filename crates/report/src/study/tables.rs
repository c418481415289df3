//! The tables of a study's report, one file each.

mod collapse;
mod compare;
mod dice;
mod findings;
mod lesions;
mod probabilities;
mod rank;
mod robustness;
mod runs;
mod seeds;
mod shares;
mod time;

pub(crate) use collapse::collapse;
pub(crate) use compare::compare;
pub(crate) use dice::dice;
pub use findings::finding_cells;
pub(crate) use findings::findings;
pub(crate) use lesions::lesions;
pub(crate) use probabilities::probabilities;
pub(crate) use rank::ranks;
pub(crate) use robustness::robustness;
pub(crate) use runs::runs;
pub(crate) use seeds::seeds;
pub(crate) use shares::{by_share, stops};
pub(crate) use time::time;

use lacuna_metrics::mean;
use lacuna_record::{RunResult, State};

use super::cells::{Site, distinct};
use super::names::{self, score};
use super::table::{Cell, Column};

/// What a column says of a site.
type SiteText = fn(&Site) -> String;

/// The columns that tell sites apart.
struct SiteColumns(Vec<(Column, SiteText)>);

impl SiteColumns {
    /// Network, patch, batch and learning rate, and what else differs.
    fn of(sites: &[&Site]) -> Self {
        let mut columns: Vec<(Column, SiteText)> = vec![
            (Column::words("Network"), |s| names::network(&s.network)),
            (Column::numbers("Patch"), |s| s.patch.to_string()),
            (Column::numbers("Effective"), |s| {
                s.effective_patch.to_string()
            }),
            (Column::numbers("Batch"), |s| s.batch.to_string()),
            (Column::numbers("Rate"), |s| names::power(s.learning_rate)),
        ];
        if distinct(sites.iter().map(|s| s.iterations)).len() > 1 {
            columns.push((Column::numbers("Iterations"), |s| s.iterations.to_string()));
        }
        if sites.iter().any(|s| s.share.is_some()) {
            columns.push((Column::numbers("Lesion share"), |s| {
                s.share.map_or("–".to_owned(), names::share)
            }));
        }
        if sites.iter().any(|s| !s.variant.is_empty()) {
            columns.push((Column::words("Variant"), |s| s.variant.clone()));
        }
        Self(columns)
    }

    fn columns(&self) -> Vec<Column> {
        self.0.iter().map(|(column, _)| column.clone()).collect()
    }

    fn cells(&self, site: &Site) -> Vec<Cell> {
        self.0.iter().map(|(_, text)| text(site).into()).collect()
    }
}

/// What the columns of [`SiteColumns`] mean.
const SITE_CONVENTION: &str = "Patch and effective patch: edges of the input and of the predicted \
    part in voxels; batch: patches per iteration; rate: constant learning rate.";

/// Where runs without a value stand, as `2 failed, 1 waiting`.
fn standing(runs: &[&RunResult]) -> String {
    let text = |state: State| {
        let n = runs.iter().filter(|r| r.status.state == state).count();
        match n {
            0 => None,
            n if n == runs.len() => Some(state.to_string()),
            n => Some(format!("{n} {}", state)),
        }
    };
    let states = [
        State::Waiting,
        State::Running,
        State::Interrupted,
        State::Killed,
        State::Failed,
        State::Done,
    ];
    let texts: Vec<String> = states.into_iter().filter_map(text).collect();
    match texts.is_empty() {
        true => "–".to_owned(),
        false => texts.join(", "),
    }
}

/// The mean, and in brackets the lowest and highest where there are several;
/// a dash for none.
fn mean_range(values: &[f64], text: impl Fn(f64) -> String) -> String {
    match (mean(values.iter().copied()), range(values)) {
        (Some(mean), Some([low, high])) if values.len() > 1 => {
            format!("{} [{}, {}]", text(mean), text(low), text(high))
        }
        (Some(mean), _) => text(mean),
        (None, _) => "–".to_owned(),
    }
}

fn range(values: &[f64]) -> Option<[f64; 2]> {
    let low = values.iter().copied().reduce(f64::min)?;
    Some([low, values.iter().copied().reduce(f64::max)?])
}

/// A share of 1 as a score, a dash of nothing.
fn share_of(part: usize, all: usize) -> String {
    match all {
        0 => "–".to_owned(),
        all => score(part as f64 / all as f64),
    }
}
