//! A table, whatever it will be written as.

/// A table of a study's report: the same cells in HTML, Markdown, LaTeX and CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyTable {
    /// Names its file and its place in the page; letters, digits and hyphens.
    pub id: String,
    /// Heading.
    pub title: String,
    /// Columns from left to right.
    pub columns: Vec<Column>,
    /// Rows with one cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// What the numbers mean, printed below.
    pub convention: String,
}

/// A column of a [`StudyTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading above it and its neighbours of the same group; may be empty.
    pub group: String,
    /// Heading.
    pub name: String,
    /// True where cells hold numbers.
    pub numeric: bool,
    /// What a page shows of it to a pointer, as the name of a convention; may be empty.
    pub hint: String,
}

/// A cell of a [`StudyTable`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// The best of its kind in the row, shown bold.
    pub best: bool,
}

impl Column {
    /// A column of words.
    pub fn words(name: &str) -> Self {
        Self {
            group: String::new(),
            name: name.to_owned(),
            numeric: false,
            hint: String::new(),
        }
    }

    /// A column of numbers.
    pub fn numbers(name: &str) -> Self {
        Self {
            numeric: true,
            ..Self::words(name)
        }
    }

    /// The column below a common heading.
    pub fn under(self, group: &str) -> Self {
        Self {
            group: group.to_owned(),
            ..self
        }
    }

    /// The column with a hint.
    pub fn hinted(self, hint: &str) -> Self {
        Self {
            hint: hint.to_owned(),
            ..self
        }
    }

    /// Both headings in one line.
    pub fn full_name(&self) -> String {
        match self.group.is_empty() {
            true => self.name.clone(),
            false => format!("{}, {}", self.group, self.name),
        }
    }
}

impl<T: std::fmt::Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.to_string(),
            best: false,
        }
    }
}

impl StudyTable {
    /// Neighbouring columns of one group: the group and their number.
    pub(crate) fn groups(&self) -> Vec<(&str, usize)> {
        let mut groups: Vec<(&str, usize)> = Vec::new();
        for column in &self.columns {
            match groups.last_mut() {
                Some((group, n)) if *group == column.group => *n += 1,
                _ => groups.push((&column.group, 1)),
            }
        }
        groups
    }

    /// True when columns have common headings.
    pub(crate) fn is_grouped(&self) -> bool {
        self.columns.iter().any(|c| !c.group.is_empty())
    }
}

/// Marks as best the cells whose value is the largest of those given, when there
/// are at least two to compare.
pub(crate) fn mark_best(cells: &mut [(Cell, Option<f64>)]) {
    let values: Vec<f64> = cells.iter().filter_map(|(_, value)| *value).collect();
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (cell, value) in cells {
        cell.best = values.len() > 1 && *value == Some(best);
    }
}
