//! The page: one HTML file with everything in it.

use std::fmt::Write;

use crate::chart::{LineChart, Look, Scale, Series, Stroke, running_median};
use crate::colour::{BLUE, GREEN, VERMILLION, css};
use crate::markup::{base64, escape, number};
use crate::run::{LAST, RunReport};
use crate::{Fact, MetricTable, Picture};

const STYLE: &str = include_str!("style.css");

/// The page up to its heading, `subtitle` a paragraph below it unless empty.
/// `style` comes after the style of all pages.
pub(crate) fn start(title: &str, subtitle: &str, style: &str) -> String {
    let title = escape(title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>\n{STYLE}{style}</style></head><body><main>\n\
         <header><h1>{title}</h1>"
    );
    if !subtitle.is_empty() {
        let _ = write!(page, "<p>{}</p>", escape(subtitle));
    }
    page.push_str("</header>\n");
    page
}

/// What [`start`] leaves open.
pub(crate) const END: &str = "</main></body></html>\n";

/// The report as one HTML page that needs no other file and no network. All
/// text of the report is shown as text, never as markup.
pub fn render(report: &RunReport) -> String {
    let mut page = start(&report.title, &report.subtitle, "");
    facts(&mut page, report);
    training(&mut page, report);
    if let Some(table) = &report.metrics {
        scores(&mut page, table);
    }
    pictures(&mut page, &report.pictures);
    notes(&mut page, &report.notes);
    page.push_str(END);
    page
}

fn facts(page: &mut String, report: &RunReport) {
    if report.facts.is_empty() {
        return;
    }
    page.push_str("<section><h2>Run</h2>");
    fact_list(page, &report.facts);
    page.push_str("</section>\n");
}

/// Facts in a grid.
pub(crate) fn fact_list(page: &mut String, facts: &[Fact]) {
    page.push_str("<dl class=\"facts\">");
    for fact in facts {
        let (name, value) = (escape(&fact.name), escape(&fact.value));
        let _ = write!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    page.push_str("</dl>");
}

fn training(page: &mut String, report: &RunReport) {
    let Some((last, count)) = report.last_dsc() else {
        return;
    };
    page.push_str("<section><h2>Training</h2><dl class=\"facts\">");
    let mut fact = |name: &str, value: String, convention: &str| {
        let _ = write!(
            page,
            "<div><dt>{name}</dt><dd>{value}<small>{}</small></dd></div>",
            escape(convention)
        );
    };
    fact(
        &format!("DSC of the last {count} iterations"),
        format!("{} ({})", number(last.median), number(last.iqr())),
        "median (interquartile range) of the training DSC: hard, foreground, pooled over the \
         effective patches of each batch",
    );
    if let Some(share) = report.mean_foreground_share() {
        let convention = "mean share of foreground in the effective patches";
        fact("Foreground share", percent(share), convention);
    }
    if let Some(rate) = report.empty_rate() {
        let convention = "effective patches without foreground over all";
        fact("Empty patches", percent(rate), convention);
    }
    let seconds: f64 = report.iterations.iter().map(|row| row.seconds).sum();
    let per_iteration = number(seconds / report.iterations.len() as f64);
    fact(
        "Time",
        format!("{} s", number(seconds)),
        &format!("{per_iteration} s per iteration, sum over iterations"),
    );
    page.push_str("</dl>");
    if !report.sampler.is_empty() {
        let _ = write!(page, "<p>{}</p>", escape(&report.sampler));
    }
    for chart in charts(report) {
        let _ = write!(
            page,
            "<figure>{}<figcaption>{}</figcaption></figure>",
            chart.svg(),
            escape(&chart.title)
        );
    }
    page.push_str("</section>\n");
}

/// Loss, DSC and foreground share against the iteration, with running medians.
fn charts(report: &RunReport) -> [LineChart; 3] {
    // A tenth of the run, yet no more than the summary at its end.
    let window = (report.iterations.len() / 10).clamp(1, LAST);
    let x: Vec<f64> = report
        .iterations
        .iter()
        .map(|r| r.iteration as f64)
        .collect();
    let chart = |name: &str, unit_range: bool, colour, values: Vec<f64>| {
        let points = |values: &[f64]| -> Vec<[f64; 2]> {
            x.iter().zip(values).map(|(&x, &y)| [x, y]).collect()
        };
        let series = |name: String, values: &[f64], stroke| Series {
            name,
            points: points(values),
            band: Vec::new(),
            look: Look::plain(colour),
            stroke,
        };
        let median = running_median(&values, window);
        LineChart {
            title: format!(
                "{name} by iteration: pale, single iterations; strong, the running median of {window}."
            ),
            x_label: "Iteration".to_owned(),
            y_label: name.to_owned(),
            x_scale: Scale::Linear,
            y_range: unit_range.then_some([0.0, 1.0]),
            legend: false,
            series: vec![
                series(format!("{name}, single iterations"), &values, Stroke::Faint),
                series(format!("{name}, running median"), &median, Stroke::Strong),
            ],
        }
    };
    let of = |get: fn(&crate::IterationRow) -> f64| report.iterations.iter().map(get).collect();
    [
        chart("Loss", false, VERMILLION, of(|r| r.loss)),
        chart("DSC", true, BLUE, of(|r| r.dsc)),
        chart("Foreground share", false, GREEN, of(|r| r.foreground_share)),
    ]
}

fn scores(page: &mut String, table: &MetricTable) {
    page.push_str("<section><h2>Test subjects</h2><div class=\"wide\"><table><thead><tr>");
    page.push_str("<th scope=\"col\">Subject</th><th scope=\"col\">Class</th>");
    for column in &table.columns {
        let _ = write!(
            page,
            "<th scope=\"col\">{}<small>{}</small></th>",
            escape(&column.name),
            escape(&column.convention)
        );
    }
    page.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td>",
            escape(&row.subject),
            escape(&row.class)
        );
        for value in &row.values {
            let _ = write!(page, "<td class=\"n\">{}</td>", number(*value));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
    if !table.summary.is_empty() {
        summary(page, table);
    }
    page.push_str("</section>\n");
}

fn summary(page: &mut String, table: &MetricTable) {
    let _ = write!(
        page,
        "<h3>Over subjects</h3><div class=\"wide\"><table><thead><tr>\
         <th scope=\"col\">Class</th><th scope=\"col\">Metric</th><th scope=\"col\">Subjects</th>\
         <th scope=\"col\">Median (IQR)<small>quartiles by linear interpolation</small></th>\
         <th scope=\"col\">Mean [interval]<small>{}</small></th></tr></thead><tbody>",
        escape(&table.interval)
    );
    for row in &table.summary {
        let _ = write!(
            page,
            "<tr><td>{}</td><th scope=\"row\">{}</th><td class=\"n\">{}</td>\
             <td class=\"n\">{} ({})</td><td class=\"n\">{}</td></tr>",
            escape(&row.class),
            escape(&row.metric),
            row.subjects,
            number(row.median),
            number(row.iqr),
            match (row.mean, row.interval) {
                (None, _) => "–".to_owned(),
                (Some(mean), Some([low, high])) =>
                    format!("{} [{}, {}]", number(mean), number(low), number(high)),
                (Some(mean), None) => format!("{} (n = 1)", number(mean)),
            }
        );
    }
    page.push_str("</tbody></table></div>");
}

fn pictures(page: &mut String, pictures: &[Picture]) {
    if pictures.is_empty() {
        return;
    }
    page.push_str("<section><h2>Pictures</h2>");
    picture_key(page);
    for picture in pictures {
        figure(page, picture);
    }
    page.push_str("</section>\n");
}

/// What the colours of overlay pictures mean.
pub(crate) fn picture_key(page: &mut String) {
    let _ = write!(
        page,
        "<p class=\"legend\">\
         <span class=\"key\" style=\"border:3px solid {}\"></span> reference, outlined \
         <span class=\"key\" style=\"background:{}\"></span> prediction, filled</p>",
        css(crate::colour::REFERENCE),
        css(crate::colour::PREDICTION)
    );
}

/// A picture between its heading and its caption.
pub(crate) fn figure(page: &mut String, picture: &Picture) {
    let title = escape(&picture.title);
    let [width, height] = picture.size;
    let _ = write!(
        page,
        "<figure><h3>{title}</h3><img width=\"{width}\" height=\"{height}\" \
         alt=\"Overlay of {title}\" src=\"data:image/png;base64,{}\">\
         <figcaption>{}</figcaption></figure>",
        base64(&picture.png),
        escape(&picture.caption)
    );
}

fn notes(page: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    page.push_str("<section><h2>Notes</h2>");
    for note in notes {
        let _ = write!(page, "<p>{}</p>", escape(note));
    }
    page.push_str("</section>\n");
}

fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}
