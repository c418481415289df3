//! Losses against each other, on the same subjects.

use std::collections::BTreeMap;

use lacuna_metrics::{Bootstrap, Comparison, MetricsError, holm, mean, smallest_p};

use crate::study::cells::{Cells, Site};
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable};

/// The level at which differences are called significant.
const ALPHA: f64 = 0.05;

/// Foreground DSC of one loss by subject, then by site, seed and fold.
type BySubject<'a> = BTreeMap<&'a str, BTreeMap<(usize, u64, Option<usize>), f64>>;

/// All pairs of losses over the networks with `rank` axes; `None` when fewer
/// than two losses were tested alike.
///
/// # Errors
/// When a score is not finite.
pub(crate) fn compare(cells: &Cells, rank: usize) -> Result<Option<StudyTable>, MetricsError> {
    let scores: Vec<BySubject> = (cells.losses.iter())
        .map(|loss| by_subject(cells, loss, rank))
        .collect();
    let mut pairs = Vec::new();
    for first in 0..scores.len() {
        for second in first + 1..scores.len() {
            let losses = [first, second].map(|i| names::loss(&cells.losses[i]));
            pairs.extend(Pair::of(losses, &scores[first], &scores[second])?);
        }
    }
    if pairs.is_empty() {
        return Ok(None);
    }
    let p: Vec<f64> = pairs.iter().map(|p| p.compared.test.p).collect();
    let rows = pairs.iter().zip(holm(&p)?).map(|(pair, p)| pair.row(p));
    Ok(Some(StudyTable {
        id: format!("comparison-{rank}d"),
        title: format!("Losses compared on the same subjects, {rank}-D networks"),
        columns: columns(),
        rows: rows.collect(),
        convention: convention(&pairs),
    }))
}

fn by_subject<'a>(cells: &Cells<'a>, loss: &str, rank: usize) -> BySubject<'a> {
    let mut scores = BySubject::new();
    let sites = cells.sites.iter().enumerate();
    for (place, site) in sites.filter(|(_, s): &(usize, &Site)| s.rank == rank) {
        for run in cells.runs(site, loss) {
            let key = (place, run.plan.seed, run.plan.fold);
            for (subject, row) in run.foreground() {
                scores.entry(subject).or_default().insert(key, row.dsc);
            }
        }
    }
    scores
}

struct Pair {
    losses: [String; 2],
    /// Most runs of each loss that a subject's means are over.
    runs: usize,
    means: [f64; 2],
    compared: Comparison,
}

impl Pair {
    /// One value per subject and loss: the mean over the sites, seeds and folds
    /// at which both losses were tested on it.
    fn of(
        losses: [String; 2],
        first: &BySubject,
        second: &BySubject,
    ) -> Result<Option<Self>, MetricsError> {
        let (mut a, mut b, mut runs) = (Vec::new(), Vec::new(), 0);
        for (subject, first) in first {
            let Some(second) = second.get(subject) else {
                continue;
            };
            let matched = || {
                first
                    .iter()
                    .filter_map(|(k, a)| Some((*a, *second.get(k)?)))
            };
            let means = (mean(matched().map(|m| m.0)), mean(matched().map(|m| m.1)));
            if let (Some(mean_a), Some(mean_b)) = means {
                a.push(mean_a);
                b.push(mean_b);
                runs = runs.max(matched().count());
            }
        }
        let (Some(mean_a), Some(mean_b)) = (mean(a.iter().copied()), mean(b.iter().copied()))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            losses,
            runs,
            means: [mean_a, mean_b],
            compared: Comparison::of(&a, &b, &Bootstrap::default())?,
        }))
    }

    fn row(&self, holm: f64) -> Vec<Cell> {
        let difference = &self.compared.difference;
        vec![
            self.losses[0].as_str().into(),
            self.losses[1].as_str().into(),
            difference.subjects.into(),
            self.runs.into(),
            score(self.means[0]).into(),
            score(self.means[1]).into(),
            match difference.mean_interval {
                Some(i) => format!("{:+.3} [{:+.3}, {:+.3}]", difference.mean, i.low, i.high),
                None => format!("{:+.3} (n = 1)", difference.mean),
            }
            .into(),
            probability(self.compared.test.p).into(),
            Cell {
                text: probability(holm),
                best: holm <= ALPHA,
            },
        ]
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::words("First"),
        Column::words("Second"),
        Column::numbers("Subjects"),
        Column::numbers("Runs each"),
        Column::numbers("DSC, first"),
        Column::numbers("DSC, second"),
        Column::numbers("Difference [95 %]"),
        Column::numbers("p"),
        Column::numbers("p, Holm"),
    ]
}

fn convention(pairs: &[Pair]) -> String {
    let bootstrap = Bootstrap::default();
    let subjects = (pairs.iter().map(|p| p.compared.difference.subjects))
        .max()
        .unwrap_or(0);
    let least = (smallest_p(subjects) * pairs.len() as f64).min(1.0);
    let mut text = format!(
        "The unit is the subject: its value for a loss is the mean foreground DSC over the settings, \
         seeds and folds at which both losses were tested on it. Difference: first minus second, \
         mean over subjects with the {:.0} % percentile bootstrap interval ({} resamples of \
         subjects, seed {}). p: Wilcoxon's signed-rank test, two-sided, exact up to 25 subjects. \
         Holm: corrected for the {} comparisons of this table. Bold: at most {ALPHA}.",
        100.0 * bootstrap.level,
        bootstrap.resamples,
        bootstrap.seed,
        pairs.len()
    );
    let plain = match least > ALPHA {
        true => format!(
            " With {subjects} subjects and {} comparisons the smallest corrected p there can be is \
             {}: these data are too few to show any difference significant at {ALPHA}, however \
             large it is.",
            pairs.len(),
            probability(least)
        ),
        false => format!(
            " With {subjects} subjects the smallest corrected p there can be is {}.",
            probability(least)
        ),
    };
    text.push_str(&plain);
    text
}

fn probability(p: f64) -> String {
    match p < 0.001 {
        true => format!("{p:.1e}"),
        false => format!("{p:.3}"),
    }
}
