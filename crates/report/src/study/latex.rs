//! A study's tables as LaTeX, with `booktabs`.

use std::fmt::Write;

use super::report::{Item, StudyReport};
use super::table::{Cell, StudyTable};

const PREAMBLE: &str = r"\documentclass[10pt]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{textcomp}
\usepackage[a3paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage{caption}
\captionsetup{justification=raggedright,singlelinecheck=false}
\usepackage{longtable}
\usepackage{graphicx}
\setlength{\LTleft}{0pt}
\setlength{\LTcapwidth}{\textwidth}
\setlength{\tabcolsep}{3pt}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\begin{document}
";

/// The report as a document that compiles on its own with any LaTeX engine;
/// pictures are those that [`write()`](super::write()) makes beside it. Charts, which
/// LaTeX does not read as SVG, are named.
pub fn latex(report: &StudyReport) -> String {
    let mut text = PREAMBLE.to_owned();
    let _ = writeln!(
        text,
        "\\section*{{{}}}\n{}\n",
        escape(&report.title),
        escape(&report.description)
    );
    for fact in &report.facts {
        let _ = writeln!(text, "{}: {}\\\\", escape(&fact.name), escape(&fact.value));
    }
    let _ = writeln!(text, "{}", escape(report.abbreviations));
    for section in &report.sections {
        let _ = writeln!(text, "\n\\section*{{{}}}", escape(&section.title));
        for paragraph in &section.text {
            let _ = writeln!(text, "\n{}", escape(paragraph));
        }
        for item in &section.items {
            match item {
                Item::Table(table) => self::table(&mut text, table),
                Item::Chart(chart) => {
                    let (title, caption) = (escape(&chart.title), escape(&chart.caption));
                    let file = escape(&format!("figures/{}.svg", chart.id));
                    let _ = writeln!(
                        text,
                        "\n\\textbf{{{title}}} (\\texttt{{{file}}}). {caption}"
                    );
                }
                Item::Gallery(gallery) => {
                    let _ = writeln!(
                        text,
                        "\n\\textbf{{{}}}\\nopagebreak\n",
                        escape(&gallery.title)
                    );
                    let width = 0.98 / gallery.pictures.len().max(1) as f64;
                    for (picture, file) in gallery.pictures.iter().zip(&gallery.files) {
                        let _ = writeln!(
                            text,
                            "\\parbox[t]{{{width:.3}\\textwidth}}{{{}\\\\\
                             \\includegraphics[width=0.95\\linewidth,height=0.6\\textheight,\
                             keepaspectratio]{{{file}}}}}%",
                            escape(&picture.title)
                        );
                    }
                    let _ = writeln!(text, "\n{}", escape(&gallery.caption));
                }
            }
        }
    }
    text.push_str("\\end{document}\n");
    text
}

fn table(text: &mut String, table: &StudyTable) {
    let alignment: String = (0..table.columns.len())
        .map(|i| alignment(table, i))
        .collect();
    let size = match table.columns.len() {
        0..=10 => "\\footnotesize",
        _ => "\\tiny",
    };
    let _ = writeln!(
        text,
        "\n{{{size}\n\\begin{{longtable}}{{@{{}}{alignment}@{{}}}}\n\\caption*{{{}}}\\\\\n\\toprule",
        escape(&table.title)
    );
    if table.is_grouped() {
        heading_groups(text, table);
    }
    let names = table.columns.iter().map(|c| escape(&c.name));
    let _ = writeln!(
        text,
        "{} \\\\\n\\midrule\n\\endhead",
        names.collect::<Vec<_>>().join(" & ")
    );
    for row in &table.rows {
        let cells = row.iter().map(|cell| match cell.best {
            true => format!("\\textbf{{{}}}", escape(&cell.text)),
            false => escape(&cell.text),
        });
        let _ = writeln!(text, "{} \\\\", cells.collect::<Vec<_>>().join(" & "));
    }
    let _ = writeln!(
        text,
        "\\bottomrule\n\\end{{longtable}}\n}}\n{{\\footnotesize {}\\par}}",
        escape(&table.convention)
    );
}

/// Numbers to the right, words to the left, long words in lines.
fn alignment(table: &StudyTable, column: usize) -> &'static str {
    let long = |row: &Vec<Cell>| row[column].text.chars().count() > 50;
    match table.columns[column].numeric {
        true => "r",
        false if table.rows.iter().any(long) => "p{70mm}",
        false => "l",
    }
}

/// The common headings with a rule below each.
fn heading_groups(text: &mut String, table: &StudyTable) {
    let (mut cells, mut rules, mut first) = (Vec::new(), String::new(), 1);
    for (group, n) in table.groups() {
        cells.push(format!("\\multicolumn{{{n}}}{{c}}{{{}}}", escape(group)));
        if !group.is_empty() {
            let _ = write!(rules, "\\cmidrule(lr){{{first}-{}}}", first + n - 1);
        }
        first += n;
    }
    let _ = writeln!(text, "{} \\\\ {rules}", cells.join(" & "));
}

/// Text in which no character is a command. Characters that not every engine
/// can print are named by their number.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '"' => out.push_str("\\textquotedbl{}"),
            '\'' => out.push_str("\\textquotesingle{}"),
            '`' => out.push_str("\\textasciigrave{}"),
            // Braced, so that `[` never opens the option of a command before it,
            // as of `\\` at the end of a row, and `--` is no dash.
            '[' | ']' | '*' | '-' => out.extend(['{', c, '}']),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '†' => out.push_str("\\dag{}"),
            '–' => out.push_str("\\textendash{}"),
            '³' => out.push_str("\\textthreesuperior{}"),
            c if c.is_control() => out.push(' '),
            // Latin letters, which the encoding has.
            c if c.is_ascii() || ('À'..='ÿ').contains(&c) => out.push(c),
            c => {
                let _ = write!(out, "{{[}}U+{:04X}{{]}}", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands_are_escaped() {
        assert_eq!(
            super::escape("a_b & 5 % \\input{x} [1] 1e-4 é ∑"),
            "a\\_b \\& 5 \\% \\textbackslash{}input\\{x\\} {[}1{]} 1e{-}4 é {[}U+2211{]}"
        );
    }
}
