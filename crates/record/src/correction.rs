//! What a person changed in segmentations: the folder that `lacuna view --corrections` writes.
//!
//! ```text
//! DIR/corrections.json     CorrectedDataset: of which dataset
//! DIR/dataset.toml         its manifest, with these labels for the subjects that have some
//! DIR/labels/ID.nii.gz     a corrected label map, in the dataset's own label values
//! DIR/labels/ID.json       Correction: what it was made of
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{read_optional, write_json};
use crate::{Provenance, RecordError, SourceFile};

const DATASET: &str = "corrections.json";

/// `corrections.json`: which dataset a folder holds corrections of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrectedDataset {
    /// Its manifest.
    pub dataset: PathBuf,
    /// What made the folder.
    pub provenance: Provenance,
}

impl CorrectedDataset {
    /// That of `folder`; `None` where there are no corrections.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&folder.join(DATASET))
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join(DATASET), self)
    }
}

/// What a person began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// What a network had predicted.
    Prediction,
    /// The label of the dataset.
    Reference,
    /// No label at all.
    Nothing,
}

/// `labels/ID.json`: how the label map beside it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// Subject id.
    pub subject: String,
    /// SHA-256 of the label map beside it.
    pub sha256: String,
    /// What the first save began with.
    pub started_from: Start,
    /// The file of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceFile>,
    /// Voxels whose class is another than in the source; absent where the source has
    /// changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voxels_changed: Option<u64>,
    /// Number of times that it was saved.
    pub saves: u64,
    /// Unix time of the first save, in seconds.
    pub begun: f64,
    /// What wrote it last, and when.
    pub provenance: Provenance,
}

impl Correction {
    /// The label map of a subject in a folder of corrections.
    pub fn label_path(folder: &Path, id: &str) -> PathBuf {
        folder.join("labels").join(format!("{id}.nii.gz"))
    }

    /// The file beside the label map.
    pub fn path(folder: &Path, id: &str) -> PathBuf {
        folder.join("labels").join(format!("{id}.json"))
    }

    /// That of a subject; `None` where it was never saved.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path, id: &str) -> Result<Option<Self>, RecordError> {
        read_optional(&Self::path(folder, id))
    }

    /// Writes it into `folder`, which has its subfolder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&Self::path(folder, &self.subject), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(Correction::read(folder, "a").unwrap(), None);
        assert_eq!(CorrectedDataset::read(folder).unwrap(), None);
        std::fs::create_dir(folder.join("labels")).unwrap();
        let provenance = Provenance::of_process(1);
        let dataset = CorrectedDataset {
            dataset: "dataset.toml".into(),
            provenance: provenance.clone(),
        };
        dataset.write(folder).unwrap();
        assert_eq!(CorrectedDataset::read(folder).unwrap(), Some(dataset));
        let correction = Correction {
            subject: "a".into(),
            sha256: "0".into(),
            started_from: Start::Prediction,
            source: None,
            voxels_changed: Some(3),
            saves: 2,
            begun: 1.0,
            provenance,
        };
        correction.write(folder).unwrap();
        assert_eq!(Correction::read(folder, "a").unwrap(), Some(correction));
        let text = std::fs::read_to_string(folder.join("labels/a.json")).unwrap();
        assert!(text.contains("\"started_from\": \"prediction\""), "{text}");
    }
}
