//! Figures 1 and 2 of Sudre et al. 2017: DSC over patch size and learning rate.

use crate::chart::{IsolinePanel, IsolineRow, Isolines, Measured};
use crate::study::cells::{Cells, Family, Site, distinct};
use crate::study::names;
use crate::study::report::Chart;
use lacuna_metrics::mean;
use lacuna_record::RunResult;

/// What isolines are drawn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Score {
    /// Training DSC of the last 200 iterations.
    Last,
    /// DSC of the test subjects.
    Test,
}

impl Score {
    fn of(self, run: &RunResult) -> Option<f64> {
        match self {
            Self::Last => Some(run.trained()?.last.median),
            Self::Test => run.mean_test_dsc(),
        }
    }
}

/// Isolines of the networks with `rank` axes; `None` when there is but one
/// setting, or no value.
pub(crate) fn isolines(cells: &Cells, rank: usize, score: Score) -> Option<Chart> {
    let of_rank = |family: &Family| {
        let mut sites = cells.sites.iter().filter(|s| s.family() == *family);
        sites.next().is_some_and(|s| s.rank == rank)
    };
    let families: Vec<Family> = cells.families().into_iter().filter(of_rank).collect();
    let sites = cells.sites.iter().filter(|s| s.rank == rank);
    if distinct(sites.map(|s| (s.effective_patch, s.learning_rate.to_bits()))).len() < 2 {
        return None;
    }
    let row = |family: &Family| IsolineRow {
        title: family.text(),
        panels: (cells.losses.iter())
            .map(|loss| panel(cells, family, loss, score))
            .collect(),
    };
    let rows: Vec<IsolineRow> = families.iter().map(row).collect();
    let measured = rows.iter().flat_map(|r| &r.panels).flat_map(|p| &p.points);
    measured.into_iter().find(|p| p.value.is_finite())?;
    let last = cells.last();
    let (id, what, label, convention) = match score {
        Score::Last => (
            format!("figure-{}", rank - 1),
            format!("Figure {}: training DSC of the {rank}-D networks", rank - 1),
            format!("DSC, {}", last.text),
            last.told("Median training DSC of {last}, mean over seeds and folds."),
        ),
        Score::Test => (
            format!("isolines-test-{rank}d"),
            format!("Test DSC of the {rank}-D networks"),
            "Test DSC".to_owned(),
            "Foreground DSC, mean over test subjects, seeds and folds.".to_owned(),
        ),
    };
    let caption = format!(
        "{convention} Linear interpolation over effective patch size and logarithm of the learning \
         rate between the measured settings, which are marked; a cross: no value. Discs with values \
         alone where there are but two patches or rates, since two tell nothing of what lies \
         between. One scale of colours for all panels."
    );
    let drawn = Isolines {
        title: what.clone(),
        x_label: "Effective patch".to_owned(),
        y_label: "Learning rate".to_owned(),
        value_label: label,
        rows,
    };
    Some(Chart::panels(&id, &what, &caption, &drawn.panels()))
}

fn panel(cells: &Cells, family: &Family, loss: &str, score: Score) -> IsolinePanel {
    let sites = cells.sites.iter().filter(|s| s.family() == *family);
    let planned = sites.filter(|s| cells.runs(s, loss).next().is_some());
    let measured = |site: &Site| Measured {
        x: site.effective_patch.mean_edge(),
        y: site.learning_rate,
        value: mean(cells.runs(site, loss).filter_map(|r| score.of(r))).unwrap_or(f64::NAN),
    };
    IsolinePanel {
        title: names::loss(loss),
        points: planned.map(measured).collect(),
    }
}
