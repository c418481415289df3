//! The pre-flight check of a dataset: opens every file once and reports what
//! would stop a run, spoil it, or is worth knowing, before any training.
//!
//! Geometry is compared as the displacement of the grid's corners, told in mm and
//! limited in voxels ([`SAME_GRID_VOXELS`](lacuna_volume::SAME_GRID_VOXELS)), lesions
//! are 26-connected components of the foreground.

mod dataset;
mod geometry;
mod lesions;
mod report;
mod subject;

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::manifest::Manifest;
use crate::subject::{LostLesions, lost_lesions};

pub use lesions::{LesionBin, LesionReport, LesionVolume};
pub use report::{
    CheckReport, ClassShare, GridReport, ImageReport, LabelReport, MaskReport, Problem, Severity,
    SubjectReport,
};

/// Checks all files of a dataset. A file that cannot be read is a problem in
/// the report and does not end the check. Each thread of the current rayon
/// pool holds at most one image, mask and label of one subject. After each
/// subject `progress` gets the number of subjects done, from any thread.
pub fn check(manifest: &Manifest, progress: impl Fn(usize) + Sync) -> CheckReport {
    let done = AtomicUsize::new(0);
    let checked: Vec<subject::Checked> = manifest
        .subjects
        .par_iter()
        .map(|subject| {
            let checked = subject::check_subject(manifest, subject);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            checked
        })
        .collect();
    dataset::assemble(manifest, checked)
}

/// The subjects with lesions that have no voxel at `spacing`, in mm along right, anterior
/// and superior. Labels that cannot be read are errors of [`check`].
pub fn lost_at(manifest: &Manifest, spacing: [f64; 3]) -> Vec<(&str, LostLesions)> {
    let lost = manifest.subjects.iter().filter_map(|subject| {
        let lost = lost_lesions(manifest, subject, spacing).ok()??;
        (lost.lesions > 0).then_some((subject.id.as_str(), lost))
    });
    lost.collect()
}
