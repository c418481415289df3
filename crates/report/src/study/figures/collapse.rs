//! How often runs collapse.

use crate::chart::{Bar, BarChart};
use crate::study::cells::Cells;
use crate::study::names;
use crate::study::report::Chart;

/// A bar for each network and loss; `None` before any run can be judged.
pub(crate) fn collapse(cells: &Cells) -> Option<Chart> {
    let mut bars = Vec::new();
    for family in cells.families() {
        for loss in &cells.losses {
            let runs = cells.runs_where(loss, |s| s.family() == family);
            let judged: Vec<bool> = runs.iter().filter_map(|r| r.collapsed()).collect();
            let collapsed = judged.iter().filter(|c| **c).count();
            if !judged.is_empty() {
                bars.push(Bar {
                    name: format!("{}, {}", family.text(), names::loss(loss)),
                    value: collapsed as f64 / judged.len() as f64,
                    interval: None,
                    text: format!("{collapsed} of {}", judged.len()),
                });
            }
        }
    }
    if bars.is_empty() {
        return None;
    }
    let title = "Collapse rate";
    let chart = BarChart {
        title: title.to_owned(),
        x_label: "Share of the runs that end predicting one class alone".to_owned(),
        x_end: Some(1.0),
        bars,
    };
    let caption = "Collapsed over judged runs, over all settings, seeds and folds, by the rule stated \
                   under the table.";
    Some(Chart::single(
        "collapse-rate",
        title,
        caption,
        &chart.drawing(),
    ))
}
