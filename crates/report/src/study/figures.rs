//! The charts of a study's report.

mod boxes;
mod collapse;
mod curves;
mod examples;
mod isolines;
mod reliability;
mod shares;

pub(crate) use boxes::boxes;
pub(crate) use collapse::collapse;
pub(crate) use curves::curves;
pub(crate) use examples::examples;
pub use examples::{Example, ExampleError, ExampleReader};
pub(crate) use isolines::{Score, isolines};
pub(crate) use reliability::reliability;
pub(crate) use shares::shares;

use super::names;
use super::report::Chart;
use crate::chart::{LineChart, Look, PanelRow, Panels, key};

/// Rows of line charts with the losses as series: one chart with a legend, or
/// panels below a common key.
fn lines(
    id: &str,
    title: &str,
    caption: &str,
    losses: &[String],
    mut rows: Vec<(String, Vec<(String, LineChart)>)>,
) -> Chart {
    if let [(_, charts)] = &mut rows[..]
        && let [(_, chart)] = &mut charts[..]
    {
        chart.legend = true;
        return Chart::single(id, title, caption, &chart.drawing());
    }
    let names: Vec<String> = losses.iter().map(|l| names::loss(l)).collect();
    let entries = names.iter().enumerate();
    let draw = |(name, chart): (String, LineChart)| (name, chart.drawing());
    let all = Panels {
        title: title.to_owned(),
        key: Some(key(
            "Losses",
            entries.map(|(i, n)| (Look::nth(i), n.as_str())),
        )),
        columns: 3,
        rows: (rows.into_iter())
            .map(|(title, charts)| PanelRow {
                title,
                panels: charts.into_iter().map(draw).collect(),
            })
            .collect(),
    };
    let chart = Chart::panels(id, title, caption, &all);
    Chart {
        html: format!("<div class=\"lines\">{}</div>", chart.html),
        ..chart
    }
}
