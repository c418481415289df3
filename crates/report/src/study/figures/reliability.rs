//! Reliability diagrams.

use crate::chart::{Drawing, Look, PanelRow, Reliability, ReliabilitySeries};
use crate::study::cells::{Cells, Family};
use crate::study::names;
use crate::study::report::Chart;

const CAPTION: &str = "Share of reference foreground against mean foreground probability, in equal \
    bins of probability, over the voxels of all test subjects inside their masks; on the dotted line \
    both agree. Each loss at its best setting, seeds and folds pooled. Below: voxels in each bin.";

/// A diagram for each network that was tested; `None` before any was.
pub(crate) fn reliability(cells: &Cells) -> Option<Chart> {
    let families = cells.families();
    let panel = |family| Some((Family::text(family), diagram(cells, family)?));
    let panels: Vec<_> = families.iter().filter_map(panel).collect();
    if panels.is_empty() {
        return None;
    }
    let row = PanelRow {
        title: String::new(),
        panels,
    };
    Some(Chart::broad(
        "reliability",
        "Reliability",
        CAPTION,
        vec![row],
    ))
}

fn diagram(cells: &Cells, family: &Family) -> Option<Drawing> {
    let losses = cells.losses.iter().enumerate();
    let series = losses.filter_map(|(i, loss)| of_loss(cells, family, loss, Look::nth(i)));
    let series: Vec<_> = series.collect();
    (!series.is_empty()).then(|| {
        let drawn = Reliability {
            title: format!("Reliability of {}", family.text()),
            series,
        };
        drawn.drawing()
    })
}

/// The bins of a loss at its best setting, summed over its runs. Runs with other
/// bins than the first are left out.
fn of_loss(cells: &Cells, family: &Family, loss: &str, look: Look) -> Option<ReliabilitySeries> {
    let site = cells.best_site(family, loss)?;
    let mut found = cells
        .runs(site, loss)
        .filter_map(|r| r.calibration.as_ref());
    let mut sum = found.next()?.clone();
    for other in found
        .filter(|c| c.voxels.len() == sum.voxels.len())
        .collect::<Vec<_>>()
    {
        for bin in 0..sum.voxels.len() {
            sum.voxels[bin] += other.voxels[bin];
            sum.probability[bin] += other.probability[bin];
            sum.foreground[bin] += other.foreground[bin];
        }
    }
    Some(ReliabilitySeries {
        name: names::loss(loss),
        look,
        voxels: sum.voxels,
        probability: sum.probability,
        foreground: sum.foreground,
    })
}
