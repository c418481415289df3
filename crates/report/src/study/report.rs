//! What the report of a study holds, before it is written as anything.

use lacuna_record::{State, StudyResults};

use super::StudyError;
use super::cells::{Cells, distinct};
use super::figures::{self, ExampleReader, Score};
use super::names::{self, duration};
use super::table::StudyTable;
use super::tables;
use crate::chart::{Drawing, PanelRow, Panels};
use crate::{Fact, Picture};

/// The report of a study, or of anything else that has tables and figures.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyReport {
    /// Heading.
    pub title: String,
    /// What the study is for and what was scaled down.
    pub description: String,
    /// The study at a glance.
    pub facts: Vec<Fact>,
    /// What abbreviations mean.
    pub abbreviations: &'static str,
    /// Parts with a heading each.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// Paragraphs below it.
    pub text: Vec<String>,
    /// Tables and figures.
    pub items: Vec<Item>,
}

/// A table or a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A table.
    Table(StudyTable),
    /// A chart.
    Chart(Chart),
    /// Pictures side by side.
    Gallery(Gallery),
}

/// A chart as SVG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Names its file and its place in the page; letters, digits and hyphens.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What it shows and by which convention.
    pub caption: String,
    /// An `<svg>` element, for a file.
    pub svg: String,
    /// The same for a page, which may lay out its parts by its width.
    pub html: String,
}

/// Pictures of one subject, a column each.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    /// Names its files and its place in the page; letters, digits and hyphens.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What is the same in all columns.
    pub caption: String,
    /// The columns.
    pub pictures: Vec<Picture>,
    /// Their files below the report's folder, divided by `/`.
    pub files: Vec<String>,
}

impl Chart {
    /// A chart that a page shows as it lies in its file.
    pub fn single(id: &str, title: &str, caption: &str, drawing: &Drawing) -> Self {
        let svg = drawing.svg();
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            caption: caption.to_owned(),
            html: svg.clone(),
            svg,
        }
    }

    /// Small charts that a page lays out by its width.
    pub fn panels(id: &str, title: &str, caption: &str, panels: &Panels) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            caption: caption.to_owned(),
            html: panels.html(),
            svg: panels.svg(),
        }
    }

    /// Rows of charts of full size, as many side by side as the page holds.
    pub fn broad(id: &str, title: &str, caption: &str, rows: Vec<PanelRow>) -> Self {
        let all = Panels {
            title: title.to_owned(),
            key: None,
            columns: 2,
            rows,
        };
        let chart = Self::panels(id, title, caption, &all);
        Self {
            html: format!("<div class=\"broad\">{}</div>", chart.html),
            ..chart
        }
    }
}

impl Section {
    /// A part with `items`; `None` without any.
    pub(crate) fn of(title: &str, items: Vec<Item>) -> Option<Self> {
        (!items.is_empty()).then(|| Self {
            title: title.to_owned(),
            text: Vec::new(),
            items,
        })
    }
}

impl Item {
    /// Its name in links and files.
    pub fn id(&self) -> &str {
        match self {
            Self::Table(table) => &table.id,
            Self::Chart(chart) => &chart.id,
            Self::Gallery(gallery) => &gallery.id,
        }
    }

    /// Its heading.
    pub fn title(&self) -> &str {
        match self {
            Self::Table(table) => &table.title,
            Self::Chart(chart) => &chart.title,
            Self::Gallery(gallery) => &gallery.title,
        }
    }
}

impl StudyReport {
    /// Tabulates and draws what a study found. `read` gives the volumes of the
    /// example segmentations.
    ///
    /// # Errors
    /// When scores cannot be compared, or an example cannot be read or drawn.
    pub fn of(results: &StudyResults, read: &ExampleReader) -> Result<Self, StudyError> {
        let cells = Cells::of(results);
        let sections = [
            Section::of("DSC by setting and loss", dice(&cells)),
            Section::of("Losses compared", losses(&cells)?),
            Section::of("Training, collapse and seeds", training(&cells)),
            Section::of("Rarer and rarer foreground", shares(&cells)),
            Section::of("Lesions", lesions(&cells, read)?),
            Section::of("Calibration", calibration(&cells)),
            Section::of(
                "The paper's findings",
                vec![Item::Table(tables::findings(&cells))],
            ),
            Section::of("Time and runs", runs(results, &cells)),
        ];
        Ok(Self {
            title: format!("Study {}", results.study.name),
            description: results.study.description.clone(),
            facts: facts(results, &cells),
            abbreviations: names::ABBREVIATIONS,
            sections: sections.into_iter().flatten().collect(),
        })
    }

    /// All tables in order.
    pub fn tables(&self) -> impl Iterator<Item = &StudyTable> {
        self.sections
            .iter()
            .flat_map(|s| &s.items)
            .filter_map(|item| match item {
                Item::Table(table) => Some(table),
                _ => None,
            })
    }
}

fn dice(cells: &Cells) -> Vec<Item> {
    let mut items = Vec::new();
    for rank in [2, 3] {
        items.extend(tables::dice(cells, rank).map(Item::Table));
        items.extend(figures::isolines(cells, rank, Score::Last).map(Item::Chart));
        items.extend(figures::isolines(cells, rank, Score::Test).map(Item::Chart));
    }
    items.extend(figures::boxes(cells).map(Item::Chart));
    items
}

fn losses(cells: &Cells) -> Result<Vec<Item>, StudyError> {
    let mut items = vec![Item::Table(tables::ranks(cells))];
    items.extend(tables::robustness(cells).map(Item::Table));
    for rank in [2, 3] {
        items.extend(tables::compare(cells, rank)?.map(Item::Table));
    }
    Ok(items)
}

fn training(cells: &Cells) -> Vec<Item> {
    let mut items = vec![Item::Table(tables::collapse(cells))];
    items.extend(figures::collapse(cells).map(Item::Chart));
    items.extend(tables::seeds(cells).map(Item::Table));
    items.extend(figures::curves(cells).map(Item::Chart));
    items
}

fn shares(cells: &Cells) -> Vec<Item> {
    let tables = [tables::stops(cells), tables::by_share(cells)];
    let mut items: Vec<Item> = tables.into_iter().flatten().map(Item::Table).collect();
    items.extend(figures::shares(cells).map(Item::Chart));
    items
}

fn lesions(cells: &Cells, read: &ExampleReader) -> Result<Vec<Item>, StudyError> {
    let mut items: Vec<Item> = tables::lesions(cells)
        .into_iter()
        .map(Item::Table)
        .collect();
    items.extend(
        figures::examples(cells, read)?
            .into_iter()
            .map(Item::Gallery),
    );
    Ok(items)
}

fn calibration(cells: &Cells) -> Vec<Item> {
    let table = tables::probabilities(cells).map(Item::Table);
    let chart = figures::reliability(cells).map(Item::Chart);
    table.into_iter().chain(chart).collect()
}

fn runs(results: &StudyResults, cells: &Cells) -> Vec<Item> {
    let mut items: Vec<Item> = tables::time(cells).into_iter().map(Item::Table).collect();
    items.push(Item::Table(tables::runs(results, cells)));
    items
}

/// The study at a glance.
fn facts(results: &StudyResults, cells: &Cells) -> Vec<Fact> {
    let count = |state| results.in_state(state).count();
    let done = count(State::Done);
    let mut facts = vec![Fact::new(
        "Runs done",
        format!("{done} of {}", results.runs.len()),
    )];
    for (name, state) in [
        ("Running", State::Running),
        ("Waiting", State::Waiting),
        ("Interrupted", State::Interrupted),
        ("Killed", State::Killed),
        ("Failed", State::Failed),
    ] {
        if count(state) > 0 {
            facts.push(Fact::new(name, count(state)));
        }
    }
    let list = |names: Vec<String>| names.join(", ");
    let networks = cells.networks().iter().map(|n| names::network(n)).collect();
    facts.push(Fact::new("Networks", list(networks)));
    let losses = cells.losses.iter().map(|l| names::loss(l)).collect();
    facts.push(Fact::new("Losses", list(losses)));
    let rates = distinct(cells.sites.iter().map(|s| names::power(s.learning_rate)));
    facts.push(Fact::new("Learning rates", list(rates)));
    let plans = || results.runs.iter().map(|r| &r.plan);
    facts.push(Fact::new("Seeds", distinct(plans().map(|p| p.seed)).len()));
    let folds = distinct(plans().filter_map(|p| p.fold)).len();
    if folds > 0 {
        facts.push(Fact::new("Folds", folds));
    }
    let subjects = results.runs.iter().flat_map(|r| r.foreground());
    let subjects = distinct(subjects.map(|(subject, _)| subject)).len();
    facts.push(Fact::new("Test subjects", subjects));
    let outcomes = results.runs.iter().filter_map(|r| r.outcome.as_ref());
    let seconds: f64 = outcomes.map(|o| o.train_seconds + o.test_seconds).sum();
    facts.push(Fact::new("Time of the runs done", duration(seconds)));
    facts
}
