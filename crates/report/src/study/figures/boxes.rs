//! Figure 3 of Sudre et al. 2017: test DSC by patch size and by learning rate.

use crate::chart::{BoxPlot, BoxSeries, Drawing, Look, PanelRow};
use crate::study::cells::{Cells, Family, Site, distinct};
use crate::study::names;
use crate::study::report::Chart;

/// What a group of boxes has in common.
#[derive(Clone, Copy)]
struct Axis {
    name: &'static str,
    label: &'static str,
    text: fn(&Site) -> String,
}

const AXES: [Axis; 2] = [
    Axis {
        name: "patch size",
        label: "Input patch (effective patch)",
        text: |s| format!("{} ({})", s.patch, s.effective_patch),
    },
    Axis {
        name: "learning rate",
        label: "Learning rate",
        text: |s| names::power(s.learning_rate),
    },
];

const CAPTION: &str = "Foreground DSC of the test subjects, one value per subject, seed and fold: by \
    patch size over all learning rates, by learning rate over all patch sizes. Boxes: quartiles and \
    median; whiskers: the furthest values within 1.5 interquartile ranges; dots: values beyond. Fewer \
    than five values are all dots. Patches: edges of the input (of the effective patch) in voxels.";

/// Two panels for each network that was tested; `None` before any was.
pub(crate) fn boxes(cells: &Cells) -> Option<Chart> {
    let mut rows = Vec::new();
    for family in cells.families() {
        let panel = |axis: Axis| Some((format!("by {}", axis.name), plot(cells, &family, axis)?));
        let panels: Vec<_> = AXES.into_iter().filter_map(panel).collect();
        if !panels.is_empty() {
            rows.push(PanelRow {
                title: family.text(),
                panels,
            });
        }
    }
    let title = "Figure 3: test DSC by patch size and by learning rate";
    (!rows.is_empty()).then(|| Chart::broad("figure-3", title, CAPTION, rows))
}

fn plot(cells: &Cells, family: &Family, axis: Axis) -> Option<Drawing> {
    let sites = cells.sites.iter().filter(|s| s.family() == *family);
    let groups = distinct(sites.map(axis.text));
    let values = |loss: &String, group: &String| -> Vec<f64> {
        let here = |s: &Site| s.family() == *family && (axis.text)(s) == *group;
        let runs = cells.runs_where(loss, here);
        let rows = runs.iter().flat_map(|r| r.foreground());
        rows.map(|(_, row)| row.dsc).collect()
    };
    let series: Vec<BoxSeries> = (cells.losses.iter().enumerate())
        .map(|(i, loss)| BoxSeries {
            name: names::loss(loss),
            look: Look::nth(i),
            values: groups.iter().map(|group| values(loss, group)).collect(),
        })
        .collect();
    if series.iter().flat_map(|s| &s.values).all(Vec::is_empty) {
        return None;
    }
    let plot = BoxPlot {
        title: format!("Test DSC of {} by {}", family.text(), axis.name),
        x_label: axis.label.to_owned(),
        y_label: "Test DSC".to_owned(),
        y_range: Some([0.0, 1.0]),
        groups,
        series,
    };
    Some(plot.drawing())
}
