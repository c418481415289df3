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
use crate::chart::{Drawing, LineChart, Look, PanelRow, Panels, key};

/// A chart that a page shows as it lies in its file.
fn single(id: &str, title: &str, caption: &str, drawing: &Drawing) -> Chart {
    let svg = drawing.svg();
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        html: svg.clone(),
        svg,
    }
}

/// Small charts that a page lays out by its width.
fn panels(id: &str, title: &str, caption: &str, panels: &Panels) -> Chart {
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        html: panels.html(),
        svg: panels.svg(),
    }
}

/// Rows of charts of full size, as many side by side as the page holds.
fn broad(id: &str, title: &str, caption: &str, rows: Vec<PanelRow>) -> Chart {
    let all = Panels {
        title: title.to_owned(),
        key: None,
        columns: 2,
        rows,
    };
    let chart = panels(id, title, caption, &all);
    Chart {
        html: format!("<div class=\"broad\">{}</div>", chart.html),
        ..chart
    }
}

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
        return single(id, title, caption, &chart.drawing());
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
    let chart = panels(id, title, caption, &all);
    Chart {
        html: format!("<div class=\"lines\">{}</div>", chart.html),
        ..chart
    }
}
