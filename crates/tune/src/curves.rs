//! Mean scores along each part of a rule, the others as chosen.

use std::path::Path;

use lacuna_record::table::write_rows;
use lacuna_report::chart::{Decades, LineChart, Look, Scale, Series, Stroke};
use serde::{Deserialize, Serialize};

use crate::grid::{PEAKS, Place, SIZES};
use crate::observed::THRESHOLDS;
use crate::{Rule, Score, TuneError, Tuned, TunedClass};

/// A rule with its mean scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// What was asked.
    pub rule: Rule,
    /// Mean over subjects.
    pub score: Score,
    /// Whether its minimum volume could be chosen.
    pub allowed: bool,
}

/// Mean scores over all subjects along each part of the chosen rule. They are in-sample;
/// they show where the objective is flat, not what a rule gains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Every threshold, at the chosen size and peak; first the untuned label map.
    pub threshold: Vec<CurvePoint>,
    /// Every minimum volume, at the chosen threshold and peak; first none.
    pub min_volume_mm3: Vec<CurvePoint>,
    /// Every peak, at the chosen threshold and size; first none.
    pub min_peak_probability: Vec<CurvePoint>,
}

/// The curves through `chosen`; volumes above `largest_mm3` could not be chosen.
pub(crate) fn curves(chosen: Place, largest_mm3: f64, mean: impl Fn(&Rule) -> Score) -> Curves {
    let point = |place: Place| CurvePoint {
        rule: place.rule(),
        score: mean(&place.rule()),
        allowed: SIZES[place.size] <= largest_mm3,
    };
    let thresholds = std::iter::once(None).chain((0..THRESHOLDS.len()).map(Some));
    let thresholds = thresholds.map(|threshold| Place {
        threshold,
        ..chosen
    });
    let sizes = (0..SIZES.len()).map(|size| Place { size, ..chosen });
    let peaks = (0..PEAKS.len()).map(|peak| Place { peak, ..chosen });
    Curves {
        threshold: thresholds.map(point).collect(),
        min_volume_mm3: sizes.map(point).collect(),
        min_peak_probability: peaks.map(point).collect(),
    }
}

impl Tuned {
    /// Writes `tuning.json` (everything) and `tuning.csv` (the curves, one row per class,
    /// curve and rule) into `folder`, which is there. An empty cell of a rule asks for
    /// nothing.
    ///
    /// # Errors
    /// [`TuneError::Record`], [`TuneError::Write`]
    pub fn write(&self, folder: &Path) -> Result<(), TuneError> {
        lacuna_record::write_json(&folder.join("tuning.json"), self)?;
        lacuna_io::atomic::write_bytes(folder.join("tuning.csv"), self.csv().as_bytes())?;
        Ok(())
    }

    fn csv(&self) -> String {
        let mut rows = vec![HEADER.map(str::to_owned)];
        for class in &self.classes {
            for (curve, points) in class.curves.named() {
                rows.extend(points.iter().map(|point| row(&class.class, curve, point)));
            }
        }
        let mut bytes = Vec::new();
        write_rows(&mut bytes, rows).expect("memory takes every row, all of one length");
        String::from_utf8(bytes).expect("made of text")
    }
}

const HEADER: [&str; 14] = [
    "class",
    "curve",
    "threshold",
    "min_volume_mm3",
    "min_peak_probability",
    "allowed",
    "objective",
    "dsc",
    "lesion_f1",
    "lesion_recall",
    "lesion_precision",
    "false_lesions",
    "predicted_lesions",
    "predicted_mm3",
];

fn row(class: &str, curve: &str, point: &CurvePoint) -> [String; 14] {
    let cell = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    let CurvePoint { rule, score, .. } = point;
    [
        class.to_owned(),
        curve.to_owned(),
        cell(rule.threshold),
        cell(rule.min_volume_mm3),
        cell(rule.min_peak_probability),
        point.allowed.to_string(),
        score.objective().to_string(),
        score.dsc.to_string(),
        score.lesion_f1.to_string(),
        score.lesion_recall.to_string(),
        score.lesion_precision.to_string(),
        score.false_lesions.to_string(),
        score.predicted_lesions.to_string(),
        score.predicted_mm3.to_string(),
    ]
}

impl Curves {
    /// Each with the key of the rule that it goes along.
    fn named(&self) -> [(&'static str, &[CurvePoint]); 3] {
        [
            ("threshold", &self.threshold),
            ("min_volume_mm3", &self.min_volume_mm3),
            ("min_peak_probability", &self.min_peak_probability),
        ]
    }
}

impl TunedClass {
    /// Scores along the threshold.
    pub fn threshold_chart(&self) -> LineChart {
        let chart = Chart {
            along: "threshold",
            x_label: "Threshold",
            x_scale: Scale::Linear,
        };
        chart.draw(self, &self.curves.threshold, |rule| rule.threshold)
    }

    /// Scores along the minimum volume; that of none has no place on the axis.
    pub fn size_chart(&self) -> LineChart {
        let chart = Chart {
            along: "minimum volume",
            x_label: "Minimum volume (mm³)",
            x_scale: Scale::Log(Decades::Power),
        };
        chart.draw(self, &self.curves.min_volume_mm3, |rule| {
            rule.min_volume_mm3
        })
    }
}

/// The name of a line and its values.
type Line = (&'static str, fn(&Score) -> f64);

const LINES: [Line; 5] = [
    ("objective", Score::objective),
    ("DSC", |s| s.dsc),
    ("lesion F1", |s| s.lesion_f1),
    ("lesion recall", |s| s.lesion_recall),
    ("lesion precision", |s| s.lesion_precision),
];

struct Chart {
    along: &'static str,
    x_label: &'static str,
    x_scale: Scale,
}

impl Chart {
    fn draw(
        self,
        class: &TunedClass,
        points: &[CurvePoint],
        x: impl Fn(&Rule) -> Option<f64>,
    ) -> LineChart {
        let series = |(index, (name, y)): (usize, Line)| Series {
            name: name.to_owned(),
            points: (points.iter())
                .filter_map(|point| Some([x(&point.rule)?, y(&point.score)]))
                .collect(),
            band: Vec::new(),
            look: Look::nth(index),
            stroke: match index {
                0 => Stroke::Strong,
                _ => Stroke::Faint,
            },
        };
        LineChart {
            title: format!("{}: mean scores by {}", class.class, self.along),
            x_label: self.x_label.to_owned(),
            y_label: "Mean over subjects".to_owned(),
            x_scale: self.x_scale,
            y_range: Some([0.0, 1.0]),
            legend: true,
            series: LINES.into_iter().enumerate().map(series).collect(),
        }
    }
}
