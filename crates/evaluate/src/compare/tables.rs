//! The CSV files of a comparison.

use std::path::Path;

use lacuna_record::table::write_table;
use lacuna_record::{ComparedPredictions, Stratum};

use super::{each_two, metric_of};
use crate::EvaluateError;
use crate::tables::{PLACE, place_cells};

/// Writes all of them into `out`.
pub(super) fn write(compared: &ComparedPredictions, out: &Path) -> Result<(), EvaluateError> {
    write_table(&out.join("differences.csv"), differences(compared))?;
    write_table(&out.join("summary.csv"), summary(compared))?;
    write_table(&out.join("strata.csv"), strata(compared))?;
    write_table(&out.join("lesions.csv"), lesions(compared))?;
    Ok(())
}

fn header(names: &[&str]) -> Vec<Vec<String>> {
    vec![names.iter().map(|&name| name.to_owned()).collect()]
}

fn differences(compared: &ComparedPredictions) -> Vec<Vec<String>> {
    let mut rows = header(&[
        "first",
        "second",
        "subject",
        "class",
        "metric",
        "first_value",
        "second_value",
        "difference",
        "second_is",
    ]);
    for ([a, b], pair) in each_two(compared.predictions.len()).zip(&compared.pairs) {
        for row in &compared.values {
            let (first, second) = (row.values[a], row.values[b]);
            let higher = metric_of(&row.metric).is_none_or(|m| m.higher_is_better);
            let judged = match first == second {
                true => "equal",
                false if (second > first) == higher => "better",
                false => "worse",
            };
            rows.push(vec![
                pair.first.clone(),
                pair.second.clone(),
                row.subject.clone(),
                row.class.clone(),
                row.metric.clone(),
                first.to_string(),
                second.to_string(),
                (second - first).to_string(),
                judged.to_owned(),
            ]);
        }
    }
    rows
}

fn summary(compared: &ComparedPredictions) -> Vec<Vec<String>> {
    let mut rows = header(&[
        "first",
        "second",
        "class",
        "metric",
        "subjects",
        "first_mean",
        "second_mean",
        "mean_difference",
        "mean_low",
        "mean_high",
        "median_difference",
        "median_low",
        "median_high",
        "second_better",
        "second_worse",
        "equal",
        "pairs_that_differ",
        "wilcoxon_p",
        "exact",
        "smallest_p",
        "holm_p",
        "holm_tests",
    ]);
    for pair in &compared.pairs {
        for metric in &pair.metrics {
            let (d, test) = (&metric.comparison.difference, &metric.comparison.test);
            let end = |end: Option<f64>| end.map_or_else(String::new, |v| v.to_string());
            let mut row = vec![
                pair.first.clone(),
                pair.second.clone(),
                metric.class.clone(),
                metric.metric.clone(),
                d.subjects.to_string(),
            ];
            row.extend(metric.means.map(|v| v.to_string()));
            row.push(d.mean.to_string());
            row.push(end(d.mean_interval.map(|i| i.low)));
            row.push(end(d.mean_interval.map(|i| i.high)));
            row.push(d.quartiles.median.to_string());
            row.push(end(d.median_interval.map(|i| i.low)));
            row.push(end(d.median_interval.map(|i| i.high)));
            row.extend(metric.better_worse_equal.map(|n| n.to_string()));
            row.extend([
                test.pairs.to_string(),
                test.p.to_string(),
                test.exact.to_string(),
                test.smallest_p.to_string(),
                metric.holm_p.to_string(),
                metric.tests.to_string(),
            ]);
            rows.push(row);
        }
    }
    rows
}

fn strata(compared: &ComparedPredictions) -> Vec<Vec<String>> {
    let mut rows = header(&[
        "first",
        "second",
        "class",
        "from_mm3",
        "below_mm3",
        "lesions",
        "found_by_first",
        "found_by_second",
        "by_both",
        "only_first",
        "only_second",
        "by_neither",
        "mcnemar_p",
    ]);
    for pair in &compared.pairs {
        rows.extend(pair.strata.iter().map(|s: &Stratum| {
            let [first, second, neither] = s.found();
            vec![
                pair.first.clone(),
                pair.second.clone(),
                s.class.clone(),
                s.from_mm3.to_string(),
                s.below_mm3.map_or_else(String::new, |v| v.to_string()),
                s.lesions.to_string(),
                first.to_string(),
                second.to_string(),
                s.both.to_string(),
                s.only_first.to_string(),
                s.only_second.to_string(),
                neither.to_string(),
                s.mcnemar_p.to_string(),
            ]
        }));
    }
    rows
}

/// Places are voxels of the reference file, counted from 0, and world mm.
fn lesions(compared: &ComparedPredictions) -> Vec<Vec<String>> {
    let mut names = vec![
        "first", "second", "subject", "class", "kind", "only", "voxels", "mm3",
    ];
    names.extend(PLACE);
    let mut rows = header(&names);
    for pair in &compared.pairs {
        rows.extend(pair.lesions.iter().map(|lesion| {
            let mut row = vec![
                pair.first.clone(),
                pair.second.clone(),
                lesion.subject.clone(),
                lesion.class.clone(),
                lesion.kind.name().to_owned(),
                lesion.only.clone(),
                lesion.voxels.to_string(),
                lesion.mm3.to_string(),
            ];
            row.extend(place_cells(lesion.place.as_ref()));
            row
        }));
    }
    rows
}
