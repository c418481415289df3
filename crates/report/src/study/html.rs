//! A study's report as one HTML page.

use std::fmt::Write;

use super::report::{Chart, Gallery, Item, Section, StudyReport};
use super::table::{Cell, Column, StudyTable};
use crate::document::{self, fact_list, figure, picture_key};
use crate::markup::escape;

const STYLE: &str = include_str!("style.css");
/// Words of a cell with fewer characters stand in one line.
const LONG: usize = 40;

/// The report as one page that needs no other file and no network. All text of
/// the report is shown as text, never as markup.
pub fn html(report: &StudyReport) -> String {
    let mut page = document::start(&report.title, &report.description, STYLE);
    contents(&mut page, &report.sections);
    page.push_str("<section><h2>At a glance</h2>");
    fact_list(&mut page, &report.facts);
    let _ = writeln!(
        page,
        "<p class=\"convention\">{}</p></section>",
        escape(report.abbreviations)
    );
    for section in &report.sections {
        let _ = write!(page, "<section><h2>{}</h2>", escape(&section.title));
        for text in &section.text {
            let _ = write!(page, "<p>{}</p>", escape(text));
        }
        for item in &section.items {
            match item {
                Item::Table(t) => table(&mut page, t),
                Item::Chart(c) => chart(&mut page, c),
                Item::Gallery(g) => gallery(&mut page, g),
            }
        }
        page.push_str("</section>\n");
    }
    page.push_str(document::END);
    page
}

fn contents(page: &mut String, sections: &[Section]) {
    page.push_str("<nav><h2>Contents</h2><ul>");
    for section in sections {
        let _ = write!(page, "<li>{}<ul>", escape(&section.title));
        for item in &section.items {
            let (id, title) = (escape(item.id()), escape(item.title()));
            let _ = write!(page, "<li><a href=\"#{id}\">{title}</a></li>");
        }
        page.push_str("</ul></li>");
    }
    page.push_str("</ul></nav>\n");
}

fn table(page: &mut String, table: &StudyTable) {
    let (id, title) = (escape(&table.id), escape(&table.title));
    let _ = write!(
        page,
        "<h3 id=\"{id}\">{title}</h3><div class=\"wide\"><table class=\"study\"><thead>"
    );
    if table.is_grouped() {
        page.push_str("<tr>");
        for (group, n) in table.groups() {
            match group.is_empty() {
                true => {
                    let _ = write!(page, "<td colspan=\"{n}\"></td>");
                }
                false => {
                    let group = escape(group);
                    let _ = write!(
                        page,
                        "<th class=\"group\" scope=\"colgroup\" colspan=\"{n}\">{group}</th>"
                    );
                }
            }
        }
        page.push_str("</tr>");
    }
    page.push_str("<tr>");
    for column in &table.columns {
        let class = if column.numeric { " class=\"n\"" } else { "" };
        let hint = match column.hint.is_empty() {
            true => String::new(),
            false => format!(" title=\"{}\"", escape(&column.hint)),
        };
        let _ = write!(
            page,
            "<th scope=\"col\"{class}{hint}>{}</th>",
            escape(&column.name)
        );
    }
    page.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        page.push_str("<tr>");
        for (column, cell) in table.columns.iter().zip(row) {
            self::cell(page, column, cell);
        }
        page.push_str("</tr>");
    }
    let _ = write!(
        page,
        "</tbody></table></div><p class=\"convention\">{}</p>",
        escape(&table.convention)
    );
}

fn cell(page: &mut String, column: &Column, cell: &Cell) {
    let mut text = escape(&cell.text);
    let mut class = match cell.text.chars().count() {
        0..LONG => "",
        _ => " class=\"long\"",
    };
    if column.numeric {
        class = " class=\"n\"";
        // A line breaks only before and after brackets, and a mark stays.
        text = text.replace(' ', "\u{A0}").replace("\u{A0}[", " [");
        text = text.replace("\u{A0}(", " (");
        text = text.replace(")\u{A0}", ") ").replace("]\u{A0}", "] ");
        text = text
            .replace(" †\u{A0}", "\u{A0}† ")
            .replace(" †", "\u{A0}†");
    }
    let _ = match cell.best {
        true => write!(page, "<td{class}><b>{text}</b></td>"),
        false => write!(page, "<td{class}>{text}</td>"),
    };
}

fn chart(page: &mut String, chart: &Chart) {
    let _ = write!(
        page,
        "<figure id=\"{}\"><h3>{}</h3>{}<figcaption>{}</figcaption></figure>",
        escape(&chart.id),
        escape(&chart.title),
        chart.html,
        escape(&chart.caption)
    );
}

fn gallery(page: &mut String, gallery: &Gallery) {
    let (id, title) = (escape(&gallery.id), escape(&gallery.title));
    let _ = write!(page, "<h3 id=\"{id}\">{title}</h3>");
    picture_key(page);
    page.push_str("<div class=\"wide gallery\">");
    for picture in &gallery.pictures {
        figure(page, picture);
    }
    let caption = escape(&gallery.caption);
    let _ = write!(page, "</div><p class=\"convention\">{caption}</p>");
}
