//! Figure 3 of Sudre et al. 2017: test DSC by patch size and by learning rate.

use super::single;
use crate::chart::{BoxPlot, BoxSeries, Look};
use crate::study::cells::{Cells, Family, Site, distinct};
use crate::study::names;
use crate::study::report::Chart;

/// What a group of boxes has in common.
#[derive(Clone, Copy)]
struct Axis {
    id: &'static str,
    name: &'static str,
    others: &'static str,
    text: fn(&Site) -> String,
}

const AXES: [Axis; 2] = [
    Axis {
        id: "patch",
        name: "patch size",
        others: "learning rates",
        text: |s| format!("{} ({})", s.patch, s.effective_patch),
    },
    Axis {
        id: "rate",
        name: "learning rate",
        others: "patch sizes",
        text: |s| names::power(s.learning_rate),
    },
];

/// Two charts for each network that was tested.
pub(crate) fn boxes(cells: &Cells) -> Vec<Chart> {
    let families = cells.families();
    let draw = |(i, family): (usize, &Family)| AXES.map(|axis| chart(cells, i, family, axis));
    families
        .iter()
        .enumerate()
        .flat_map(draw)
        .flatten()
        .collect()
}

fn chart(cells: &Cells, place: usize, family: &Family, axis: Axis) -> Option<Chart> {
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
    let title = format!("Figure 3: test DSC of {} by {}", family.text(), axis.name);
    let caption = format!(
        "Foreground DSC of the test subjects, one value per subject, seed and fold, over all {}. \
         Boxes: quartiles and median; whiskers: the furthest values within 1.5 interquartile ranges; \
         dots: values beyond. Fewer than five values are all dots.{}",
        axis.others,
        match axis.id {
            "patch" => " Patches: edge of the input (of the effective patch) in voxels.",
            _ => "",
        }
    );
    let plot = BoxPlot {
        title: title.clone(),
        x_label: match axis.id {
            "patch" => "Input patch (effective patch)".to_owned(),
            _ => "Learning rate".to_owned(),
        },
        y_label: "Test DSC".to_owned(),
        y_range: Some([0.0, 1.0]),
        groups,
        series,
    };
    let id = format!("figure-3-{}-{}", axis.id, place + 1);
    Some(single(&id, &title, &caption, &plot.drawing()))
}
