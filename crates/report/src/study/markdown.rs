//! A study's report as Markdown, with pictures in files beside it.

use std::fmt::Write;

use super::report::{Item, StudyReport};
use super::table::StudyTable;

/// The report as Markdown with tables as GitHub writes them. Pictures are links
/// to the files that [`write()`](super::write()) makes.
pub fn markdown(report: &StudyReport) -> String {
    let mut text = format!(
        "# {}\n\n{}\n\n",
        escape(&report.title),
        escape(&report.description)
    );
    for fact in &report.facts {
        let _ = writeln!(text, "- {}: {}", escape(&fact.name), escape(&fact.value));
    }
    let _ = writeln!(text, "\n{}", report.abbreviations);
    for section in &report.sections {
        let _ = writeln!(text, "\n## {}", escape(&section.title));
        for paragraph in &section.text {
            let _ = writeln!(text, "\n{}", escape(paragraph));
        }
        for item in &section.items {
            let _ = writeln!(text, "\n### {}\n", escape(item.title()));
            match item {
                Item::Table(table) => self::table(&mut text, table),
                Item::Chart(chart) => {
                    let (id, title) = (&chart.id, escape(&chart.title));
                    let _ = writeln!(text, "![{title}](figures/{id}.svg)\n");
                    let _ = writeln!(text, "{}", escape(&chart.caption));
                }
                Item::Gallery(gallery) => {
                    for (picture, file) in gallery.pictures.iter().zip(&gallery.files) {
                        let title = escape(&picture.title);
                        let _ = writeln!(text, "![{title}](<{file}>)\n");
                        let _ = writeln!(text, "{title}: {}\n", escape(&picture.caption));
                    }
                    let _ = writeln!(text, "{}", escape(&gallery.caption));
                }
            }
        }
    }
    text
}

fn table(text: &mut String, table: &StudyTable) {
    let line = |text: &mut String, cells: Vec<String>| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let names = table.columns.iter().map(|c| escape(&c.full_name()));
    line(text, names.collect());
    let rules = table
        .columns
        .iter()
        .map(|c| if c.numeric { "---:" } else { "---" }.to_owned());
    line(text, rules.collect());
    for row in &table.rows {
        let cells = row.iter().map(|cell| match cell.best {
            true => format!("**{}**", escape(&cell.text)),
            false => escape(&cell.text),
        });
        line(text, cells.collect());
    }
    let _ = writeln!(text, "\n{}", escape(&table.convention));
}

/// Text in one line in which no character is markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '#' | '|' | '~' | '[' | ']' | '!' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            super::escape("a|b *c* <i>\n[x](y)"),
            "a\\|b \\*c\\* &lt;i> \\[x\\](y)"
        );
    }
}
