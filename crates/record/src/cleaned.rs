//! `postprocess.csv`: which components of predictions were removed.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::table::write_table;

/// What was removed of one class of a prediction. Every component is counted once: it
/// stays, or one rule removed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanedClass {
    /// Name of the class.
    pub class: String,
    /// Components before.
    pub components: usize,
    /// Components smaller than `min_volume_mm3`.
    pub removed_by_volume: usize,
    /// Others whose highest probability is below `min_peak_probability`.
    pub removed_by_peak: usize,
    /// Others that are not the largest, where only that stays.
    pub removed_beside_largest: usize,
    /// Voxels of the class before.
    pub voxels_before: usize,
    /// Voxels of the class after.
    pub voxels_after: usize,
}

impl fmt::Display for CleanedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} components, of which removed: {} by volume, {} by peak, {} beside the \
             largest; {} of {} voxels are left",
            self.class,
            self.components,
            self.removed_by_volume,
            self.removed_by_peak,
            self.removed_beside_largest,
            self.voxels_after,
            self.voxels_before
        )
    }
}

/// Writes a row for each subject and class, atomically.
pub(crate) fn write_csv<'a>(
    path: &Path,
    rows: impl Iterator<Item = (&'a String, &'a CleanedClass)>,
) -> Result<(), RecordError> {
    let header = [
        "subject",
        "class",
        "components",
        "removed_by_volume",
        "removed_by_peak",
        "removed_beside_largest",
        "voxels_before",
        "voxels_after",
    ];
    let mut table = vec![header.map(str::to_owned)];
    table.extend(rows.map(|(subject, row)| {
        let counts = [
            row.components,
            row.removed_by_volume,
            row.removed_by_peak,
            row.removed_beside_largest,
            row.voxels_before,
            row.voxels_after,
        ];
        let [components, volume, peak, beside, before, after] = counts.map(|n| n.to_string());
        let (subject, class) = (subject.clone(), row.class.clone());
        [
            subject, class, components, volume, peak, beside, before, after,
        ]
    }));
    write_table(path, table)
}
