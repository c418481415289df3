//! Test DSC as foreground grows rarer.

use super::lines;
use crate::chart::{Decades, LineChart, Look, Scale, Series, Stroke};
use crate::study::cells::{Cells, Site, distinct};
use crate::study::names;
use crate::study::report::Chart;
use lacuna_metrics::mean;
use lacuna_record::RunResult;

const CAPTION: &str = "Foreground DSC, mean over test subjects, then over seeds; shaded, from the \
    lowest to the highest seed. Lesion share: lesion voxels over all voxels of the phantoms, \
    logarithmic.";

/// A chart for each setting; `None` when the study does not vary the share.
pub(crate) fn shares(cells: &Cells) -> Option<Chart> {
    if distinct(cells.sites.iter().filter_map(|s| s.share)).len() < 2 {
        return None;
    }
    let base = |s: &Site| (names::network(&s.network), s.text());
    let mut rows: Vec<(String, Vec<_>)> = Vec::new();
    for (network, setting) in distinct(cells.sites.iter().map(base)) {
        let here = |s: &&Site| base(s) == (network.clone(), setting.clone());
        let sites: Vec<&Site> = cells.sites.iter().filter(here).collect();
        let chart = chart(cells, &sites, &format!("{network}, {setting}"));
        match rows.last_mut() {
            Some((title, charts)) if *title == network => charts.push((setting, chart)),
            _ => rows.push((network, vec![(setting, chart)])),
        }
    }
    Some(lines(
        "shares-dsc",
        "Test DSC by lesion share",
        CAPTION,
        &cells.losses,
        rows,
    ))
}

fn chart(cells: &Cells, sites: &[&Site], title: &str) -> LineChart {
    let series = |(i, loss): (usize, &String)| {
        let (mut points, mut band) = (Vec::new(), Vec::new());
        // Shares ascending; sites have them descending.
        for site in sites.iter().rev() {
            let Some(share) = site.share else { continue };
            let runs = cells.runs(site, loss);
            let dsc: Vec<f64> = runs.filter_map(RunResult::mean_test_dsc).collect();
            let low = dsc.iter().copied().fold(f64::INFINITY, f64::min);
            let high = dsc.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            points.push([share, mean(dsc).unwrap_or(f64::NAN)]);
            band.push([share, low, high]);
        }
        Series {
            name: names::loss(loss),
            points,
            band,
            look: Look::nth(i),
            stroke: Stroke::Strong,
        }
    };
    LineChart {
        title: format!("Test DSC by lesion share: {title}"),
        x_label: "Lesion share".to_owned(),
        y_label: "Test DSC".to_owned(),
        x_scale: Scale::Log(Decades::Fraction),
        y_range: Some([0.0, 1.0]),
        legend: false,
        series: cells.losses.iter().enumerate().map(series).collect(),
    }
}
