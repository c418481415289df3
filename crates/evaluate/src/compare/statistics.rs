//! Differences of two predictions within subjects.

use lacuna_metrics::{Bootstrap, ClassScores, Comparison, holm, smallest_p};
use lacuna_record::{MetricDifference, SubjectValues};

use super::each_two;
use super::measure::Measured;
use crate::EvaluateError;

/// A metric that is compared.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in files.
    pub name: &'static str,
    /// Its name in tables, with the unit.
    pub title: &'static str,
    /// Digits behind the point in tables.
    pub decimals: usize,
    /// Better when larger; else when smaller.
    pub higher_is_better: bool,
    of: fn(&ClassScores) -> f64,
}

/// Those that are compared. Of volumes it is the absolute difference: a signed one is not
/// better for being larger.
const METRICS: [Metric; 10] = [
    share("dsc", "DSC", |s| s.dsc),
    share("lesion_f1", "Lesion F1", |s| s.lesion_f1),
    share("lesion_f1_one_to_one", "Lesion F1 1:1", |s| {
        s.lesion_f1_one_to_one
    }),
    share("lesion_recall", "Lesion recall", |s| s.lesion_recall),
    share("lesion_precision", "Lesion precision", |s| {
        s.lesion_precision
    }),
    share("sensitivity", "Sensitivity", |s| s.sensitivity),
    share("precision", "Precision", |s| s.precision),
    Metric {
        name: "hd95_mm",
        title: "HD95 (mm)",
        decimals: 2,
        higher_is_better: false,
        of: |s| s.hd95_mm,
    },
    share("nsd", "NSD", |s| s.nsd),
    Metric {
        name: "absolute_volume_difference_mm3",
        title: "|Volume difference| (mm³)",
        decimals: 1,
        higher_is_better: false,
        of: |s| s.volume_difference_mm3.abs(),
    },
];

const fn share(name: &'static str, title: &'static str, of: fn(&ClassScores) -> f64) -> Metric {
    Metric {
        name,
        title,
        decimals: 3,
        higher_is_better: true,
        of,
    }
}

/// The metric of this name in files.
pub fn metric_of(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The metrics that every subject and prediction has.
pub(super) fn metrics_of(measured: &[Measured], notes: &mut Vec<String>) -> Vec<&'static Metric> {
    let rows = || measured.iter().flat_map(|m| &m.scores).flatten();
    let (known, unknown): (Vec<&Metric>, Vec<&Metric>) =
        (METRICS.iter()).partition(|metric| rows().all(|row| (metric.of)(row).is_finite()));
    for metric in unknown {
        notes.push(format!(
            "{}: not in an evaluation of version 0.1.0, so not compared",
            metric.name
        ));
    }
    known
}

/// One entry per subject, class and metric.
pub(super) fn values(measured: &[Measured], metrics: &[&Metric]) -> Vec<SubjectValues> {
    let mut out = Vec::new();
    for one in measured {
        for (row, first) in one.scores[0].iter().enumerate() {
            out.extend(metrics.iter().map(|metric| {
                SubjectValues {
                    subject: one.subject.clone(),
                    class: first.class.clone(),
                    metric: metric.name.to_owned(),
                    values: (one.scores.iter())
                        .map(|rows| (metric.of)(&rows[row]))
                        .collect(),
                }
            }));
        }
    }
    out
}

/// For each two predictions, the differences of each class and metric. Holm's adjustment is
/// over the metrics and pairs of a class.
pub(super) fn differences(
    measured: &[Measured],
    metrics: &[&Metric],
    bootstrap: &Bootstrap,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<MetricDifference>>, EvaluateError> {
    let sources = measured[0].scores.len();
    let pairs: Vec<[usize; 2]> = each_two(sources).collect();
    let tests = pairs.len() * metrics.len();
    let mut out = vec![Vec::new(); pairs.len()];
    for row in 0..measured[0].scores[0].len() {
        let mut family = Vec::with_capacity(tests);
        for &pair in &pairs {
            for metric in metrics {
                family.push(difference(measured, row, metric, pair, bootstrap)?);
            }
        }
        let p: Vec<f64> = family.iter().map(|d| d.comparison.test.p).collect();
        let adjusted = holm(&p)?;
        for (place, (mut difference, holm_p)) in family.into_iter().zip(adjusted).enumerate() {
            (difference.holm_p, difference.tests) = (holm_p, tests);
            out[place / metrics.len()].push(difference);
        }
    }
    notes.extend(small(measured.len(), tests));
    Ok(out)
}

fn difference(
    measured: &[Measured],
    row: usize,
    metric: &Metric,
    pair: [usize; 2],
    bootstrap: &Bootstrap,
) -> Result<MetricDifference, EvaluateError> {
    let [first, second] = pair.map(|source| -> Vec<f64> {
        let value = |m: &Measured| (metric.of)(&m.scores[source][row]);
        measured.iter().map(value).collect()
    });
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut better_worse_equal = [0; 3];
    for (a, b) in first.iter().zip(&second) {
        let place = match a == b {
            true => 2,
            false => usize::from((b > a) != metric.higher_is_better),
        };
        better_worse_equal[place] += 1;
    }
    Ok(MetricDifference {
        class: measured[0].scores[0][row].class.clone(),
        metric: metric.name.to_owned(),
        means: [mean(&first), mean(&second)],
        comparison: Comparison::of(&second, &first, bootstrap)?,
        better_worse_equal,
        holm_p: 1.0,
        tests: 1,
    })
}

/// What so few subjects cannot show.
fn small(subjects: usize, tests: usize) -> Option<String> {
    let least = smallest_p(subjects);
    let adjusted = (least * tests as f64).min(1.0);
    let said = match (least >= 0.05, adjusted >= 0.05) {
        (true, _) => format!(
            "no signed-rank p below {least:.3} is possible, whatever the differences: p cannot \
             show anything here"
        ),
        (_, true) => format!(
            "no p adjusted over {tests} tests below {adjusted:.3} is possible, whatever the \
             differences"
        ),
        (false, false) => return None,
    };
    Some(format!("with {subjects} subject(s) {said}"))
}

#[cfg(test)]
mod tests {
    use super::small;

    #[test]
    fn what_few_subjects_cannot_show_is_said() {
        // 2 / 2^5 = 0.0625; 2 / 2^8 = 0.0078, times 10 0.078; 2 / 2^9 x 10 = 0.039.
        assert!(small(5, 10).unwrap().contains("below 0.062"));
        assert!(small(8, 10).unwrap().contains("over 10 tests below 0.078"));
        assert_eq!(small(9, 10), None);
    }
}
