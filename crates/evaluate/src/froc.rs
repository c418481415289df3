//! FROC curves of the probabilities that `lacuna predict --probabilities` leaves beside the
//! label maps: before any postprocess file, and whatever the label maps hold.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_io::ending_of;
use lacuna_metrics::{Froc, SubjectCandidates};
use lacuna_record::{ClassFroc, PREDICTION_ENDING, Predictions, ScoredFile, probabilities_path};
use lacuna_volume::{Connectivity, IGNORED, LabelMap, corner_displacement_mm};

use crate::choose::Chosen;
use crate::score::in_axes_of;
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
                note: Some(format!("no FROC: {why}")),
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

/// The candidates of each foreground class in the probabilities of a subject.
pub(crate) fn candidates(
    subject: &Subject,
    reference: &LabelMap,
    file: &Path,
) -> Result<Vec<SubjectCandidates>, EvaluateError> {
    let volumes = lacuna_io::read(file)?.volumes.into_iter();
    let of_class = |(class, volume)| {
        let mut volume = in_axes_of(reference, volume)?;
        if !reference.grid().shows_the_voxels_of(&volume.grid()) {
            return Err(EvaluateError::Grid {
                prediction: file.to_owned(),
                found: volume.shape(),
                reference: subject.label.clone().unwrap_or_default(),
                expected: reference.shape(),
                apart_mm: corner_displacement_mm(&reference.grid(), &volume.grid()),
            });
        }
        for (p, label) in volume.data_mut().iter_mut().zip(reference.data()) {
            *p = if *label == IGNORED { 0.0 } else { *p };
        }
        SubjectCandidates::find(
            &reference.map(|label| usize::from(*label) == class),
            &volume,
            CANDIDATE_THRESHOLD,
            Connectivity::TwentySix,
        )
        .map_err(|source| EvaluateError::Score {
            prediction: file.to_owned(),
            source,
        })
    };
    volumes.enumerate().skip(1).map(of_class).collect()
}

/// The curve of each foreground class; none where a subject has no candidates.
pub(crate) fn of(
    manifest: &Manifest,
    subjects: &[Option<Vec<SubjectCandidates>>],
) -> Result<Vec<ClassFroc>, EvaluateError> {
    let Some(subjects) = subjects
        .iter()
        .map(Option::as_ref)
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(Vec::new());
    };
    let of_class = |(row, class): (usize, &String)| {
        let of_class: Vec<SubjectCandidates> = subjects
            .iter()
            .map(|classes| classes[row].clone())
            .collect();
        Ok(ClassFroc {
            class: class.clone(),
            candidate_threshold: f64::from(CANDIDATE_THRESHOLD),
            connectivity: 26,
            froc: Froc::of(&of_class)?,
        })
    };
    manifest
        .classes
        .iter()
        .skip(1)
        .enumerate()
        .map(of_class)
        .collect()
}
