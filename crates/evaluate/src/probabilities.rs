//! Curves of the probabilities that `lacuna predict --probabilities` leaves beside the label
//! maps: before any postprocess file, and whatever the label maps hold. Over lesions, FROC; over
//! voxels, precision against recall.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_io::ending_of;
use lacuna_metrics::{AveragePrecision, Froc, PrecisionRecall, SubjectCandidates};
use lacuna_record::{
    ClassFroc, ClassPrecisionRecall, PREDICTION_ENDING, Predictions, ScoredFile, probabilities_path,
};
use lacuna_volume::{Connectivity, IGNORED, LabelMap};

use crate::choose::Chosen;
use crate::score::on_grid_of;
use crate::{EvaluateError, Request};

/// Candidates are components of the voxels of at least this probability: low, for
/// sensitivity, and not so low that all join.
pub const CANDIDATE_THRESHOLD: f32 = 0.1;

/// Whether all subjects have probabilities of the classes, and what a reader should know
/// where only some have, or others.
pub(crate) struct Probabilities {
    usable: bool,
    pub note: Option<String>,
}

impl Probabilities {
    /// Looks at the files' headers.
    pub(crate) fn of(request: &Request, chosen: &Chosen) -> Result<Self, EvaluateError> {
        let files: Vec<PathBuf> = (chosen.subjects.iter())
            .map(|(subject, file)| beside(request, subject, file))
            .collect();
        let Some(first) = files.iter().find(|file| file.exists()) else {
            return Ok(Self {
                usable: false,
                note: None,
            });
        };
        let unusable = |why: String| {
            Ok(Self {
                usable: false,
                note: Some(format!("no curves of probabilities: {why}")),
            })
        };
        let listed = Predictions::read(request.predictions)?;
        if listed.is_some_and(|list| !list.regions.is_empty()) {
            return unusable(format!(
                "{}: probabilities of regions, not classes",
                first.display()
            ));
        }
        let classes = request.manifest.classes.len();
        for file in &files {
            if !file.exists() {
                return unusable(format!("there is no {}", file.display()));
            }
            let found = lacuna_io::read_reference(file)?.volumes();
            if found != classes {
                return unusable(format!(
                    "{}: {found} volume(s), expected one for each of {classes} classes",
                    file.display()
                ));
            }
        }
        Ok(Self {
            usable: true,
            note: None,
        })
    }

    /// The file of a subject, where those of all can be used.
    pub(crate) fn of_subject(
        &self,
        request: &Request,
        subject: &Subject,
        file: &ScoredFile,
    ) -> Option<PathBuf> {
        (self.usable).then(|| beside(request, subject, file))
    }
}

/// Where the probabilities of a subject lie, by the ending of its label map.
fn beside(request: &Request, subject: &Subject, file: &ScoredFile) -> PathBuf {
    let ending = ending_of(&file.file).unwrap_or(PREDICTION_ENDING);
    probabilities_path(request.predictions, &subject.id, ending)
}

/// What the probabilities of a foreground class show in a subject.
pub(crate) struct OfClass {
    candidates: SubjectCandidates,
    voxels: PrecisionRecall,
}

/// Each foreground class in the probabilities of a subject.
pub(crate) fn of_subject(
    subject: &Subject,
    reference: &LabelMap,
    file: &Path,
) -> Result<Vec<OfClass>, EvaluateError> {
    let failed = |source| EvaluateError::Score {
        prediction: file.to_owned(),
        source,
    };
    let volumes = lacuna_io::read(file)?.volumes.into_iter();
    let of_class = |(class, volume)| {
        let mut volume = on_grid_of(subject, reference, volume, file)?;
        let mut voxels = PrecisionRecall::default();
        let seen = (volume.data().iter().zip(reference.data()))
            .filter(|(_, label)| **label != IGNORED)
            .map(|(p, label)| (without_rounding(*p), usize::from(*label) == class));
        voxels.add(seen).map_err(failed)?;
        for (p, label) in volume.data_mut().iter_mut().zip(reference.data()) {
            *p = if *label == IGNORED { 0.0 } else { *p };
        }
        let candidates = SubjectCandidates::find(
            &reference.map(|label| usize::from(*label) == class),
            &volume,
            CANDIDATE_THRESHOLD,
            Connectivity::TwentySix,
        )
        .map_err(failed)?;
        Ok(OfClass { candidates, voxels })
    };
    volumes.enumerate().skip(1).map(of_class).collect()
}

/// A probability that sums or resampling have brought out of 0 to 1 by a hair.
fn without_rounding(p: f32) -> f32 {
    match (-1e-5..=1.0 + 1e-5).contains(&p) {
        true => p.clamp(0.0, 1.0),
        false => p,
    }
}

/// The curves of each foreground class over the subjects; none where not all have probabilities.
#[derive(Default)]
pub(crate) struct Curves {
    of_classes: Vec<Curve>,
}

#[derive(Default)]
struct Curve {
    candidates: Vec<SubjectCandidates>,
    /// Of each subject.
    areas: Vec<AveragePrecision>,
    /// Of all subjects. Those of single ones would fill the memory.
    voxels: PrecisionRecall,
}

/// Points of a curve that are written down.
const POINTS: u64 = 200;

impl Curves {
    /// Adds the next subject, whose classes are as many as of those before it.
    pub(crate) fn add(&mut self, classes: Vec<OfClass>) {
        self.of_classes.resize_with(classes.len(), Curve::default);
        for (curve, of_class) in self.of_classes.iter_mut().zip(classes) {
            curve.areas.push(of_class.voxels.average_precision());
            curve.voxels.merge(&of_class.voxels);
            curve.candidates.push(of_class.candidates);
        }
    }

    /// The curves of lesions and of voxels.
    pub(crate) fn finish(
        self,
        manifest: &Manifest,
    ) -> Result<(Vec<ClassFroc>, Vec<ClassPrecisionRecall>), EvaluateError> {
        let classes = manifest.classes.iter().skip(1);
        let mut both = (Vec::new(), Vec::new());
        for (curve, class) in self.of_classes.into_iter().zip(classes) {
            both.0.push(ClassFroc {
                class: class.clone(),
                candidate_threshold: f64::from(CANDIDATE_THRESHOLD),
                connectivity: 26,
                froc: Froc::of(&curve.candidates)?,
            });
            both.1.push(ClassPrecisionRecall {
                class: class.clone(),
                all: curve.voxels.average_precision(),
                subjects: curve.areas,
                points: curve.voxels.points(POINTS),
            });
        }
        Ok(both)
    }
}
