//! All metrics of one image pair, and their summary over subjects.

use crate::{
    Bootstrap, Confusion, Conventions, Counts, Distribution, LesionConvention, LesionDetection,
    LesionStratum, Lesions, MaskPair, MetricsError, SurfaceConvention, SurfaceDistances,
    without_ignored,
};
use lacuna_volume::{IGNORED, LabelMap, Region, foreground_indices};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Name of the row that unites all classes but the background.
pub const FOREGROUND: &str = "foreground";

/// What can be chosen about the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Tolerance of NSD in mm; from the variation between raters if known.
    pub nsd_tolerance_mm: f64,
    /// Surface of HD95 and NSD.
    pub surface: SurfaceConvention,
    /// Sets of classes that are scored as one. A region with a name has a row of that name,
    /// unless a class or an earlier region is called so; without, one of one class, of all
    /// foreground or given before has a row already.
    pub regions: Vec<Region>,
    /// Further conventions to count lesions by; default: none.
    pub lesion_conventions: Vec<LesionConvention>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nsd_tolerance_mm: 1.0,
            surface: SurfaceConvention::default(),
            regions: Vec::new(),
            lesion_conventions: Vec::new(),
        }
    }
}

/// Every metric of one class in one subject. All are finite, empty masks included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Class name, that of a region or its classes joined by `+`, or [`FOREGROUND`].
    pub class: String,
    /// Voxels by reference and prediction.
    #[serde(flatten)]
    pub counts: Counts,
    /// Dice similarity coefficient.
    pub dsc: f64,
    /// Voxel-wise sensitivity (recall).
    pub sensitivity: f64,
    /// Voxel-wise precision.
    pub precision: f64,
    /// Generalised Dice score over all classes of the subject: the same in each of its rows.
    pub generalised_dice: f64,
    /// Volume in the reference, mm^3.
    pub reference_mm3: f64,
    /// Volume in the prediction, mm^3.
    pub prediction_mm3: f64,
    /// Predicted minus reference volume, mm^3.
    pub volume_difference_mm3: f64,
    /// Absolute volume difference, percent of the reference.
    pub avd_percent: f64,
    /// 95 % Hausdorff distance, mm.
    pub hd95_mm: f64,
    /// Normalised surface distance at the tolerance in `conventions`.
    pub nsd: f64,
    /// Share of the reference lesions detected.
    pub lesion_recall: f64,
    /// Share of the predicted lesions that are not false.
    pub lesion_precision: f64,
    /// Harmonic mean of the two.
    pub lesion_f1: f64,
    /// The three with each lesion paired at most once; not a number in evaluations of
    /// version 0.1.0.
    #[serde(default = "not_recorded")]
    pub lesion_recall_one_to_one: f64,
    /// Precision of the pairs.
    #[serde(default = "not_recorded")]
    pub lesion_precision_one_to_one: f64,
    /// F1 of the pairs.
    #[serde(default = "not_recorded")]
    pub lesion_f1_one_to_one: f64,
    /// Each lesion with its size.
    pub lesions: Lesions,
    /// Lesions by [`Options::lesion_conventions`]; absent in evaluations of version 0.1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lesion_detections: Vec<LesionDetection>,
    /// What the numbers mean.
    pub conventions: Conventions,
}

impl ClassScores {
    /// Names of the metrics that are summarised over subjects, in the order of [`Self::metrics`].
    pub const METRICS: [&str; 14] = [
        "dsc",
        "generalised_dice",
        "sensitivity",
        "precision",
        "avd_percent",
        "volume_difference_mm3",
        "hd95_mm",
        "nsd",
        "lesion_recall",
        "lesion_precision",
        "lesion_f1",
        "lesion_recall_one_to_one",
        "lesion_precision_one_to_one",
        "lesion_f1_one_to_one",
    ];

    /// The values of [`Self::METRICS`].
    pub fn metrics(&self) -> [f64; 14] {
        [
            self.dsc,
            self.generalised_dice,
            self.sensitivity,
            self.precision,
            self.avd_percent,
            self.volume_difference_mm3,
            self.hd95_mm,
            self.nsd,
            self.lesion_recall,
            self.lesion_precision,
            self.lesion_f1,
            self.lesion_recall_one_to_one,
            self.lesion_precision_one_to_one,
            self.lesion_f1_one_to_one,
        ]
    }
}

fn not_recorded() -> f64 {
    f64::NAN
}

/// Scores each foreground class on the mask of that class alone, then the regions,
/// and the union of all classes last if there are several. `classes` names the labels in order, the
/// background first. The images must lie on one grid: only the shapes are
/// compared here, and the spacing is that of the reference. Where the reference is
/// [`lacuna_volume::IGNORED`] nothing is counted, and neither image has anything.
///
/// # Errors
/// When the shapes differ, a label is no class, or the classes, the regions or the
/// tolerance make no sense.
pub fn evaluate_pair(
    reference: &LabelMap,
    prediction: &LabelMap,
    classes: &[String],
    options: &Options,
) -> Result<Vec<ClassScores>, MetricsError> {
    check(classes, options)?;
    let regions = regions(classes, &options.regions)?;
    if reference.shape() != prediction.shape() {
        return Err(MetricsError::Shape {
            reference: reference.shape(),
            prediction: prediction.shape(),
        });
    }
    let known = match classes.len() <= usize::from(IGNORED) {
        true => without_ignored(reference, prediction),
        false => Cow::Borrowed(prediction),
    };
    let prediction = known.as_ref();
    let confusion = Confusion::of(reference.data(), prediction.data(), classes.len())?;
    let generalised_dice = confusion.generalised_dice();
    let score = |class: &str, counts: Counts, pair: MaskPair| {
        let surfaces = SurfaceDistances::measure(&pair, options.surface);
        let lesions = Lesions::find(&pair);
        let (wmh, pairs) = (lesions.wmh(), lesions.one_to_one());
        let mm3 = pair.voxel_mm3();
        ClassScores {
            class: class.to_owned(),
            counts,
            dsc: counts.dsc(),
            sensitivity: counts.sensitivity(),
            precision: counts.precision(),
            generalised_dice,
            reference_mm3: counts.reference() as f64 * mm3,
            prediction_mm3: counts.prediction() as f64 * mm3,
            volume_difference_mm3: counts.volume_difference() as f64 * mm3,
            avd_percent: counts.avd_percent(),
            hd95_mm: surfaces.hd95_mm(),
            nsd: surfaces.nsd(options.nsd_tolerance_mm),
            lesion_recall: wmh.recall,
            lesion_precision: wmh.precision,
            lesion_f1: wmh.f1,
            lesion_recall_one_to_one: pairs.map_or(f64::NAN, |s| s.recall),
            lesion_precision_one_to_one: pairs.map_or(f64::NAN, |s| s.precision),
            lesion_f1_one_to_one: pairs.map_or(f64::NAN, |s| s.f1),
            lesions,
            lesion_detections: LesionDetection::of_all(&pair, &options.lesion_conventions),
            conventions: Conventions::new(options.surface, options.nsd_tolerance_mm),
        }
    };
    let mut rows = Vec::with_capacity(classes.len());
    for (label, class) in classes.iter().enumerate().skip(1) {
        let pair = MaskPair::of_labels(reference, prediction, |l| usize::from(l) == label)?;
        rows.push(score(class, confusion.class(label), pair));
    }
    for (name, region) in regions {
        let inside = |l: u8| region.contains(&usize::from(l));
        let pair = MaskPair::of_labels(reference, prediction, inside)?;
        rows.push(score(&name, confusion.region(&region), pair));
    }
    if classes.len() > 2 {
        let pair = MaskPair::of_labels(reference, prediction, |l| {
            l > 0 && usize::from(l) < classes.len()
        })?;
        rows.push(score(FOREGROUND, confusion.foreground(), pair));
    }
    Ok(rows)
}

/// Name and class indices of each region that has no row of its own otherwise.
fn regions(
    classes: &[String],
    wanted: &[Region],
) -> Result<Vec<(String, Vec<usize>)>, MetricsError> {
    let mut regions: Vec<(String, Vec<usize>)> = Vec::new();
    for Region {
        name,
        classes: names,
    } in wanted
    {
        let mut region = foreground_indices(classes, names)?;
        region.sort_unstable();
        region.dedup();
        let known = |name: &String| {
            classes.contains(name) || name == FOREGROUND || regions.iter().any(|r| r.0 == *name)
        };
        let stands = match name {
            Some(name) => known(name) || region.is_empty(),
            None => {
                !(2..classes.len() - 1).contains(&region.len())
                    || regions.iter().any(|r| r.1 == region)
            }
        };
        if !stands {
            let joined = || {
                let names: Vec<&str> = region.iter().map(|&c| classes[c].as_str()).collect();
                names.join("+")
            };
            regions.push((name.clone().unwrap_or_else(joined), region));
        }
    }
    Ok(regions)
}

fn check(classes: &[String], options: &Options) -> Result<(), MetricsError> {
    if !(2..=256).contains(&classes.len()) {
        return Err(MetricsError::ClassCount {
            found: classes.len(),
        });
    }
    if classes.len() > 2 && classes[1..].iter().any(|c| c == FOREGROUND) {
        return Err(MetricsError::ReservedClass { name: FOREGROUND });
    }
    let tolerance = options.nsd_tolerance_mm;
    if !tolerance.is_finite() || tolerance < 0.0 {
        return Err(MetricsError::Tolerance { found: tolerance });
    }
    Ok(())
}

/// One metric of one class over all subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// One of [`ClassScores::METRICS`].
    pub metric: Cow<'static, str>,
    /// Its distribution over the subjects.
    #[serde(flatten)]
    pub distribution: Distribution,
}

/// All metrics of one class over all subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// Class name, or [`FOREGROUND`].
    pub class: String,
    /// In the order of [`ClassScores::METRICS`].
    pub metrics: Vec<MetricSummary>,
    /// Lesions by each convention, pooled over the subjects; none where it was not asked,
    /// and in evaluations of version 0.1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lesion_detections: Vec<LesionDetection>,
    /// Lesions of all subjects by their volume; none in evaluations of version 0.1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lesion_strata: Vec<LesionStratum>,
}

/// All classes over all subjects. Every subject counts in every number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of subjects.
    pub subjects: usize,
    /// How the intervals were drawn.
    pub bootstrap: Bootstrap,
    /// What the numbers mean.
    pub conventions: Conventions,
    /// One entry per row of [`evaluate_pair`].
    pub classes: Vec<ClassSummary>,
}

impl Summary {
    /// Summarises the rows of [`evaluate_pair`], one element per subject.
    ///
    /// # Errors
    /// When there are no subjects, they were not evaluated alike, or the
    /// bootstrap cannot be drawn.
    pub fn of(subjects: &[Vec<ClassScores>], bootstrap: &Bootstrap) -> Result<Self, MetricsError> {
        let first = subjects.first().ok_or(MetricsError::NoSubjects)?;
        let conventions = &first.first().ok_or(MetricsError::NoSubjects)?.conventions;
        let alike = |rows: &[ClassScores]| {
            rows.len() == first.len()
                && rows
                    .iter()
                    .zip(first)
                    .all(|(a, b)| a.class == b.class && a.conventions == *conventions)
        };
        if let Some(subject) = subjects.iter().position(|rows| !alike(rows)) {
            return Err(MetricsError::MixedSubjects { subject });
        }
        let metric = |row: usize, metric: usize| -> Result<MetricSummary, MetricsError> {
            let values: Vec<f64> = subjects.iter().map(|s| s[row].metrics()[metric]).collect();
            Ok(MetricSummary {
                metric: ClassScores::METRICS[metric].into(),
                distribution: Distribution::of(&values, bootstrap)?,
            })
        };
        let classes = first.iter().enumerate().map(|(row, scores)| {
            Ok(ClassSummary {
                class: scores.class.clone(),
                metrics: (0..ClassScores::METRICS.len())
                    .map(|m| metric(row, m))
                    .collect::<Result<_, _>>()?,
                lesion_detections: pooled(subjects, row),
                lesion_strata: LesionStratum::of(subjects.iter().map(|s| &s[row].lesions)).to_vec(),
            })
        });
        Ok(Self {
            subjects: subjects.len(),
            bootstrap: *bootstrap,
            conventions: conventions.clone(),
            classes: classes.collect::<Result<_, MetricsError>>()?,
        })
    }
}

/// The conventions of a row that all subjects have.
fn pooled(subjects: &[Vec<ClassScores>], row: usize) -> Vec<LesionDetection> {
    let first = subjects
        .iter()
        .take(1)
        .flat_map(|s| &s[row].lesion_detections);
    first
        .filter_map(|wanted| {
            let rows: Option<Vec<&LesionDetection>> = (subjects.iter())
                .map(|s| {
                    let mut rows = s[row].lesion_detections.iter();
                    rows.find(|found| found.convention == wanted.convention)
                })
                .collect();
            LesionDetection::pooled(&rows?)
        })
        .collect()
}
