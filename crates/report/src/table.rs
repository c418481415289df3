//! Scores per subject and their summary.

use lacuna_metrics::{ClassScores, Conventions, MetricsError, Summary};
use serde::{Deserialize, Serialize};

/// A metric: a column of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricColumn {
    /// Heading, with the unit.
    pub name: String,
    /// Name of the convention, printed below it.
    pub convention: String,
}

/// The scores of one subject and class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectRow {
    /// Subject id.
    pub subject: String,
    /// Class name.
    pub class: String,
    /// One value per column.
    pub values: Vec<f64>,
}

/// One metric of one class over all subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// Class name.
    pub class: String,
    /// Heading of the metric's column.
    pub metric: String,
    /// Number of subjects.
    pub subjects: usize,
    /// Median over the subjects.
    pub median: f64,
    /// Third minus first quartile.
    pub iqr: f64,
    /// Arithmetic mean; none of AVD, whose mean one tiny reference would decide.
    pub mean: Option<f64>,
    /// Low and high end of the bootstrap interval of the mean; of one subject there is none.
    pub interval: Option<[f64; 2]>,
}

/// Scores of a set of subjects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricTable {
    /// The metrics.
    pub columns: Vec<MetricColumn>,
    /// One row per subject and class.
    pub rows: Vec<SubjectRow>,
    /// One row per class and metric.
    pub summary: Vec<SummaryRow>,
    /// How the intervals were drawn.
    pub interval: String,
}

impl MetricTable {
    /// The table of evaluated subjects: for each its id and the rows of
    /// [`lacuna_metrics::evaluate_pair`].
    ///
    /// # Errors
    /// When there is no subject, or they were not evaluated alike.
    pub fn of_scores(
        subjects: &[(String, Vec<ClassScores>)],
        bootstrap: &lacuna_metrics::Bootstrap,
    ) -> Result<Self, MetricsError> {
        let scores: Vec<Vec<ClassScores>> = subjects.iter().map(|(_, s)| s.clone()).collect();
        let summary = Summary::of(&scores, bootstrap)?;
        let columns = columns(&summary.conventions);
        let row = |subject: &str, scores: &ClassScores| SubjectRow {
            subject: subject.to_owned(),
            class: scores.class.clone(),
            values: scores.metrics().to_vec(),
        };
        let rows = subjects
            .iter()
            .flat_map(|(id, scores)| scores.iter().map(move |s| row(id, s)));
        let summaries = summary.classes.iter().flat_map(|class| {
            class
                .metrics
                .iter()
                .zip(&columns)
                .map(|(m, column)| (m, column, m.metric != "avd_percent"))
                .map(|(m, column, has_mean)| SummaryRow {
                    class: class.class.clone(),
                    metric: column.name.clone(),
                    subjects: m.distribution.subjects,
                    median: m.distribution.quartiles.median,
                    iqr: m.distribution.iqr,
                    mean: has_mean.then_some(m.distribution.mean),
                    interval: (m.distribution.mean_interval)
                        .filter(|_| has_mean)
                        .map(|i| [i.low, i.high]),
                })
        });
        Ok(Self {
            rows: rows.collect(),
            summary: summaries.collect(),
            interval: format!(
                "{:.0} % percentile bootstrap interval of the mean over subjects, {} resamples, seed {}; \
                 none of AVD, whose mean one tiny reference would decide",
                100.0 * bootstrap.level,
                bootstrap.resamples,
                bootstrap.seed
            ),
            columns,
        })
    }
}

/// Headings in the order of [`ClassScores::METRICS`].
fn columns(c: &Conventions) -> Vec<MetricColumn> {
    let surface = |rest: &str| format!("{}; {rest}", c.surface);
    let texts = [
        ("DSC", c.overlap.to_string()),
        ("Generalised Dice", c.generalised_dice.to_string()),
        ("Sensitivity", c.overlap.to_string()),
        ("Precision", c.overlap.to_string()),
        ("AVD (%)", c.avd.to_string()),
        ("Volume difference (mm³)", c.volume_difference.to_string()),
        ("HD95 (mm)", surface(&c.hd95)),
        (
            "NSD",
            surface(&format!("{}; tolerance {} mm", c.nsd, c.nsd_tolerance_mm)),
        ),
        ("Lesion recall", c.lesion.to_string()),
        ("Lesion precision", c.lesion.to_string()),
        ("Lesion F1", c.lesion.to_string()),
        ("Lesion recall 1:1", c.lesion_one_to_one.to_string()),
        ("Lesion precision 1:1", c.lesion_one_to_one.to_string()),
        ("Lesion F1 1:1", c.lesion_one_to_one.to_string()),
    ];
    texts
        .map(|(name, convention)| MetricColumn {
            name: name.to_owned(),
            convention,
        })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_metrics::{Bootstrap, Options, evaluate_pair};
    use lacuna_volume::{Affine, LabelMap};

    fn labels(data: [u8; 4]) -> LabelMap {
        LabelMap::new([4, 1, 1], Affine::identity(), data.to_vec()).unwrap()
    }

    #[test]
    fn columns_are_in_the_order_of_the_scores() {
        let classes = ["background".to_owned(), "lesion".to_owned()];
        let score = |r, p| evaluate_pair(&labels(r), &labels(p), &classes, &Options::default());
        // DSC 2/3 and 1; precision 1/2 and 1; volume difference 1 and 0 mm3.
        let subjects = [
            ("a".to_owned(), score([0, 1, 0, 0], [0, 1, 1, 0]).unwrap()),
            ("b".to_owned(), score([1, 1, 0, 0], [1, 1, 0, 0]).unwrap()),
        ];
        let table = MetricTable::of_scores(&subjects, &Bootstrap::default()).unwrap();
        let value = |row: usize, name: &str| {
            let column = table.columns.iter().position(|c| c.name == name).unwrap();
            table.rows[row].values[column]
        };
        assert!((value(0, "DSC") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(value(0, "Precision"), 0.5);
        assert_eq!(value(0, "Sensitivity"), 1.0);
        assert_eq!(value(0, "AVD (%)"), 100.0);
        assert_eq!(value(0, "Volume difference (mm³)"), 1.0);
        assert_eq!(value(1, "HD95 (mm)"), 0.0);
        assert_eq!(table.columns.len(), ClassScores::METRICS.len());
        assert_eq!(table.rows[1].subject, "b");
        let dsc = &table.summary[0];
        assert_eq!((dsc.metric.as_str(), dsc.subjects), ("DSC", 2));
        assert!((dsc.mean.unwrap() - 5.0 / 6.0).abs() < 1e-12);
        let avd = table.summary.iter().find(|row| row.metric == "AVD (%)");
        let avd = avd.unwrap();
        assert_eq!((avd.median, avd.mean, avd.interval), (50.0, None, None));
        assert!(table.columns[0].convention.contains("both-empty=1"));
    }
}
