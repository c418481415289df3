//! From axes to runs with stable names.
//!
//! An axis is a table of keys with lists of equal length; several keys vary
//! together. A run's name joins the labels of its values, so that it stays the
//! same when an axis gains values.

use lacuna_record::AxisValue;
use toml::{Table, Value};

use crate::file::{StudyFile, is_plain, lay_over};

/// Most runs of a study.
const MOST_RUNS: usize = 10_000;
/// Longest name of a run: with its endings it must be a file name.
const LONGEST_NAME: usize = 200;

/// One axis of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Dotted keys that vary together; those of the phantom begin with `phantom.`.
    pub keys: Vec<String>,
    /// For each step along the axis a value for each key.
    pub steps: Vec<Vec<Value>>,
    /// For each step its part of the run's name.
    pub labels: Vec<String>,
}

/// One run of the grid, keys not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct GridRun {
    /// Unique name.
    pub name: String,
    /// What each axis gave it.
    pub axes: Vec<AxisValue>,
    /// Its `run.toml`.
    pub run: Table,
    /// The phantom that makes its dataset, with the name of that cohort.
    pub phantom: Option<(String, Table)>,
}

impl Axis {
    /// Reads an `[[axis]]` table.
    pub(crate) fn of(mut table: Table) -> Result<Self, String> {
        let labels = table.remove("labels");
        let mut lists = Vec::new();
        flatten(&table, "", &mut lists)?;
        let Some((first, length)) = lists.first().map(|(key, list)| (key.clone(), list.len()))
        else {
            return Err(
                "names no key; expected for example \"train.learning_rate\" = [1e-3, 1e-4]"
                    .to_owned(),
            );
        };
        if let Some((key, _)) = lists.iter().find(|(_, list)| list.is_empty()) {
            return Err(format!(
                "`{key}` is an empty list; give at least one value or remove the axis"
            ));
        }
        if let Some((key, list)) = lists.iter().find(|(_, list)| list.len() != length) {
            return Err(format!(
                "`{first}` has {length} values and `{key}` has {}; keys of one axis vary together \
                 and need lists of equal length",
                list.len()
            ));
        }
        let (keys, columns): (Vec<String>, Vec<Vec<Value>>) = lists.into_iter().unzip();
        let steps: Vec<Vec<Value>> = (0..length)
            .map(|step| columns.iter().map(|list| list[step].clone()).collect())
            .collect();
        let labels = match labels {
            None => (steps.iter()).map(|values| label(&keys, values)).collect(),
            Some(labels) => read_labels(labels, length)?,
        };
        Ok(Self {
            keys,
            steps,
            labels,
        })
    }

    /// Its keys, joined by `+`.
    pub fn name(&self) -> String {
        self.keys.join("+")
    }
}

/// The lists of a table and of the tables in it, with dotted keys.
fn flatten(table: &Table, above: &str, out: &mut Vec<(String, Vec<Value>)>) -> Result<(), String> {
    for (key, value) in table {
        let key = match above {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        match value {
            Value::Array(list) => out.push((key, list.clone())),
            Value::Table(inner) => flatten(inner, &key, out)?,
            other => {
                return Err(format!(
                    "`{key}` is {other}, expected a list of values such as [{other}]"
                ));
            }
        }
    }
    Ok(())
}

fn read_labels(labels: Value, length: usize) -> Result<Vec<String>, String> {
    let list: Vec<String> = labels
        .try_into()
        .map_err(|_| "`labels` is not a list of strings".to_owned())?;
    if list.len() != length {
        return Err(format!(
            "`labels` has {} entries for {length} values; give one for each",
            list.len()
        ));
    }
    match list.iter().find(|label| !is_plain(label)) {
        Some(label) => Err(format!(
            "`labels` has {label:?}, expected letters, digits, `-`, `_`, `.` or `+`"
        )),
        None => Ok(list),
    }
}

/// The label of one step: that of each value, joined by `-`.
fn label(keys: &[String], values: &[Value]) -> String {
    let parts: Vec<String> = (keys.iter().zip(values))
        .map(|(key, value)| value_label(key.rsplit('.').next().unwrap_or(key), value))
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("-")
}

/// A value as a part of a name: texts as they are, numbers after their key.
fn value_label(key: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.rsplit('/').next().unwrap_or_default().to_owned(),
        Value::Float(number) => format!("{key}{}", number_label(*number)),
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(|v| value_label("", v)).collect();
            format!("{key}{}", parts.join("x"))
        }
        Value::Table(table) => {
            // The name says most, so it comes first.
            let name = table.get("name").map(|v| value_label("name", v));
            let rest = (table.iter())
                .filter(|(key, _)| *key != "name")
                .map(|(key, value)| value_label(key, value));
            name.into_iter().chain(rest).collect::<Vec<_>>().join("-")
        }
        other => format!("{key}{other}"),
    };
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-_.+".contains(c) {
        true => c,
        false => '-',
    };
    text.chars().map(plain).collect()
}

/// The shorter of plain and exponent form.
fn number_label(number: f64) -> String {
    let (plain, exponent) = (format!("{number}"), format!("{number:e}"));
    match exponent.len() <= plain.len() {
        true => exponent,
        false => plain,
    }
}

/// All runs of the grid, the last axis varying fastest.
pub(crate) fn expand(study: &StudyFile) -> Result<Vec<GridRun>, String> {
    let count = (study.axes.iter())
        .try_fold(1usize, |n, axis| n.checked_mul(axis.steps.len()))
        .filter(|n| *n <= MOST_RUNS)
        .ok_or_else(|| {
            format!("the axes make more than {MOST_RUNS} runs; split them into several studies")
        })?;
    let mut runs: Vec<GridRun> = Vec::with_capacity(count);
    for index in 0..count {
        let run = grid_run(study, index)?;
        if let Some(same) = runs.iter().position(|other| other.name == run.name) {
            return Err(format!(
                "runs {} and {} would both be named `{}`; give the axis `labels` that differ, or \
                 remove the repeated value",
                same + 1,
                index + 1,
                run.name
            ));
        }
        runs.push(run);
    }
    Ok(runs)
}

fn grid_run(study: &StudyFile, index: usize) -> Result<GridRun, String> {
    let mut left = index;
    let mut steps = vec![0; study.axes.len()];
    for (axis, step) in study.axes.iter().zip(&mut steps).rev() {
        *step = left % axis.steps.len();
        left /= axis.steps.len();
    }
    let mut whole = Table::new();
    whole.insert("run".to_owned(), Value::Table(study.run.clone()));
    let phantom = study.phantom.clone();
    if let Some(phantom) = &phantom {
        whole.insert("phantom".to_owned(), Value::Table(phantom.clone()));
    }
    let mut axes = Vec::new();
    let mut cohort = Vec::new();
    for (axis, step) in study.axes.iter().zip(steps) {
        for (key, value) in axis.keys.iter().zip(&axis.steps[step]) {
            let over = match key.strip_prefix("phantom.") {
                Some(_) if phantom.is_none() => {
                    return Err(format!(
                        "axis `{key}`: the study has no [phantom] section; add one, or remove the \
                         axis"
                    ));
                }
                Some(_) => nested(key, value.clone()),
                None => nested(&format!("run.{key}"), value.clone()),
            };
            lay_over(&mut whole, over);
        }
        let label = axis.labels[step].clone();
        if axis.keys.iter().any(|key| key.starts_with("phantom.")) {
            cohort.push(label.clone());
        }
        axes.push(AxisValue {
            axis: axis.name(),
            label,
        });
    }
    let labels: Vec<&str> = axes.iter().map(|a| a.label.as_str()).collect();
    let name = match labels.is_empty() {
        true => study.name.clone(),
        false => labels.join("_"),
    };
    if name.len() > LONGEST_NAME || !is_plain(&name) {
        return Err(format!(
            "a run would be named `{name}`, expected 1 to {LONGEST_NAME} letters, digits, `-`, \
             `_`, `.` or `+`; give the axes shorter `labels`"
        ));
    }
    let section = |whole: &mut Table, key: &str| match whole.remove(key) {
        Some(Value::Table(table)) => Some(table),
        _ => None,
    };
    let cohort = match cohort.is_empty() {
        true => "cohort".to_owned(),
        false => cohort.join("_"),
    };
    Ok(GridRun {
        name,
        axes,
        run: section(&mut whole, "run").unwrap_or_default(),
        phantom: section(&mut whole, "phantom").map(|table| (cohort, table)),
    })
}

/// A table that holds `value` under the dotted `key` alone.
fn nested(key: &str, value: Value) -> Table {
    let value = key.rsplit('.').fold(value, |inner, part| {
        Value::Table(Table::from_iter([(part.to_owned(), inner)]))
    });
    match value {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}

#[cfg(test)]
mod tests;
