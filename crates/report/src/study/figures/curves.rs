//! Training curves.

use super::lines;
use crate::chart::{LineChart, Look, Scale, Series, Stroke};
use crate::study::cells::{Cells, Site, distinct};
use crate::study::names;
use crate::study::report::Chart;
use lacuna_metrics::mean;
use lacuna_record::Training;

const CAPTION: &str = "Running median, over a tenth of the run and at most 200 iterations, of the \
    training DSC. Several seeds or folds: mean and, shaded, from lowest to highest; while they are \
    not equally far, a line each.";

/// A panel for each setting; `None` before anything has been trained.
pub(crate) fn curves(cells: &Cells) -> Option<Chart> {
    let heading = |s: &Site| {
        format!(
            "{}, patch {}, batch {}",
            s.family().text(),
            s.patch,
            s.batch
        )
    };
    let mut rows = Vec::new();
    for title in distinct(cells.sites.iter().map(heading)) {
        let sites = cells.sites.iter().filter(|s| heading(s) == title);
        let charts = sites.filter_map(|site| {
            let mut name = format!("learning rate {}", names::power(site.learning_rate));
            if !site.variant.is_empty() {
                name.push_str(&format!(", {}", site.variant));
            }
            let chart = chart(cells, site, &format!("{title}, {name}"))?;
            Some((name, chart))
        });
        let charts: Vec<_> = charts.collect();
        if !charts.is_empty() {
            rows.push((title, charts));
        }
    }
    if rows.is_empty() {
        return None;
    }
    Some(lines(
        "curves",
        "Training curves",
        CAPTION,
        &cells.losses,
        rows,
    ))
}

fn chart(cells: &Cells, site: &Site, title: &str) -> Option<LineChart> {
    let mut series = Vec::new();
    for (i, loss) in cells.losses.iter().enumerate() {
        let trained: Vec<&Training> = (cells.runs(site, loss))
            .filter_map(|r| r.training.as_ref())
            .collect();
        series.extend(of_loss(&names::loss(loss), Look::nth(i), &trained));
    }
    (!series.is_empty()).then(|| LineChart {
        title: format!("Training DSC: {title}"),
        x_label: "Iteration".to_owned(),
        y_label: "Training DSC".to_owned(),
        x_scale: Scale::Linear,
        y_range: Some([0.0, 1.0]),
        legend: false,
        series,
    })
}

/// The mean of runs that are equally far, else each of them.
fn of_loss(name: &str, look: Look, runs: &[&Training]) -> Vec<Series> {
    let series = |points, band| Series {
        name: name.to_owned(),
        points,
        band,
        look,
        stroke: Stroke::Strong,
    };
    let places = |run: &Training| run.curve.iter().map(|p| p[0]).collect::<Vec<_>>();
    let Some((first, others)) = runs.split_first() else {
        return Vec::new();
    };
    if others.iter().any(|run| places(run) != places(first)) {
        let each = runs.iter().map(|run| series(run.curve.clone(), Vec::new()));
        return each.collect();
    }
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for (i, &[x, _]) in first.curve.iter().enumerate() {
        let values = || runs.iter().map(|run| run.curve[i][1]);
        points.push([x, mean(values()).unwrap_or(f64::NAN)]);
        if !others.is_empty() {
            let low = values().fold(f64::INFINITY, f64::min);
            band.push([x, low, values().fold(f64::NEG_INFINITY, f64::max)]);
        }
    }
    vec![series(points, band)]
}
