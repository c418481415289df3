//! Why predictions cannot be scored.

use std::io;
use std::path::{Path, PathBuf};

/// Predictions that cannot be scored, or scores that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The manifest was refused, or lacks a subject.
    #[error(transparent)]
    Manifest(#[from] lacuna_data::manifest::ManifestError),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] lacuna_io::ImageError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// A recorded file cannot be read or written.
    #[error(transparent)]
    Record(#[from] lacuna_record::RecordError),
    /// The scores cannot be summarised.
    #[error(transparent)]
    Metrics(#[from] lacuna_metrics::MetricsError),
    /// A volume cannot be turned to canonical axes.
    #[error(transparent)]
    Volume(#[from] lacuna_volume::VolumeError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] lacuna_report::ReportError),
    /// Predictions cannot be compared.
    #[error(transparent)]
    Compare(#[from] crate::CompareError),
    /// The folder to write cannot be made.
    #[error("cannot create the folder {path}: {source}; choose an --out that can be written")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There are no predictions to score.
    #[error(
        "--predictions {predictions}: there is no such folder; give one that holds <id>.nii.gz files, or others of one ending"
    )]
    NoFolder {
        /// The folder.
        predictions: PathBuf,
    },
    /// A folder to write is there.
    #[error("{path} is there already; choose another --out")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Two subjects whose names BIDS cannot tell apart.
    #[error("the subjects `{}` and `{}` are both {name} in BIDS, whose names have letters and digits only; rename one", ids[0], ids[1])]
    SameBidsName {
        /// The name.
        name: String,
        /// The ids.
        ids: [String; 2],
    },
    /// Several files could be the prediction.
    #[error("{files} are predictions of one subject; remove all but one")]
    TwoFiles {
        /// The files.
        files: String,
    },
    /// A prediction is not the file that was written.
    #[error(
        "{prediction}: the file has changed since it was predicted; predict it again, or copy \
         the folder without predictions.json to score it as another tool's"
    )]
    Changed {
        /// The file.
        prediction: PathBuf,
    },
    /// The folder to write holds another evaluation.
    #[error(
        "{found} is there already, and not from an evaluation of these predictions; choose \
         another --out, or replace it with --force"
    )]
    OutTaken {
        /// The file.
        found: PathBuf,
    },
    /// The folder to write holds something of the name of an evaluation.
    #[error("{found} is no evaluation and would be replaced; choose another --out")]
    NotAnEvaluation {
        /// The file.
        found: PathBuf,
    },
    /// A region of a class that there is not.
    #[error("--region {region}: {manifest}: {source}, joined by +")]
    RegionClass {
        /// The region.
        region: String,
        /// The manifest.
        manifest: PathBuf,
        /// The name, and those that there are.
        source: lacuna_volume::UnknownClass,
    },
    /// The predictions' classes are not those of the manifest.
    #[error(
        "{predictions}: the predictions hold indices of the classes {found}, but {manifest} has \
         the classes {expected}; give the manifest the classes of the run, in that order"
    )]
    Classes {
        /// The folder.
        predictions: PathBuf,
        /// Its classes.
        found: String,
        /// The manifest.
        manifest: PathBuf,
        /// Its classes.
        expected: String,
    },
    /// There is nothing to score against.
    #[error(
        "{manifest}: none of the subjects to score has a label; expected `label = ...` for at \
         least one"
    )]
    NothingLabelled {
        /// The manifest.
        manifest: PathBuf,
    },
    /// A subject that was named has no label.
    #[error(
        "{manifest}: subject `{subject}` has no label to score against; leave it out of \
         --subjects or add its label"
    )]
    NoLabel {
        /// The manifest.
        manifest: PathBuf,
        /// The subject.
        subject: String,
    },
    /// Predictions are missing.
    #[error(
        "{predictions}: no prediction <id>.nii.gz (or of another format) for {missing} of {asked} subjects: {subjects}; \
         predict them, or name the subjects to score with --subjects"
    )]
    NoPrediction {
        /// The folder.
        predictions: PathBuf,
        /// How many are missing.
        missing: usize,
        /// Of how many.
        asked: usize,
        /// Their ids.
        subjects: String,
    },
    /// The modality behind the pictures is not in the dataset.
    #[error("--overlay {wanted}: {manifest} has the modalities {expected}")]
    Overlay {
        /// The modality asked for.
        wanted: String,
        /// The manifest.
        manifest: PathBuf,
        /// Its modalities.
        expected: String,
    },
    /// The prediction lies elsewhere than its reference.
    #[error(
        "{prediction}: its grid {found:?} is not that of the reference {reference} {expected:?}: \
         their corners are {apart_mm:.3} mm apart; predict on the reference's own grid"
    )]
    Grid {
        /// The file.
        prediction: PathBuf,
        /// Its voxels along x, y, z.
        found: [usize; 3],
        /// The label file.
        reference: PathBuf,
        /// Its voxels along x, y, z.
        expected: [usize; 3],
        /// Largest distance of two corners.
        apart_mm: f64,
    },
    /// The picture's image lies elsewhere than the label.
    #[error(
        "subject `{subject}`: its {modality} is not on the grid of its label: their corners are \
         {apart_mm:.3} mm apart; run `lacuna check`"
    )]
    ImageGrid {
        /// The subject.
        subject: String,
        /// The modality.
        modality: String,
        /// Largest distance of two corners.
        apart_mm: f64,
    },
    /// The prediction holds something other than class indices.
    #[error(
        "{prediction}: holds the value {value}, expected class indices 0 to {last}; map the \
         values to the order of `classes` in the manifest, or give --label-values where they are \
         its `label_values`"
    )]
    Value {
        /// The file.
        prediction: PathBuf,
        /// The value.
        value: i32,
        /// The largest index.
        last: usize,
    },
    /// Label values were asked for where class indices are listed.
    #[error(
        "--label-values: {predictions}/predictions.json says that the predictions hold class \
         indices; leave it out, or predict with --label-values"
    )]
    ListedIndices {
        /// The folder.
        predictions: PathBuf,
    },
    /// The prediction holds a value that the dataset does not know.
    #[error(
        "{prediction}: holds the value {value}, expected label values of the manifest: {known}; \
         add it to `label_values`"
    )]
    LabelValue {
        /// The file.
        prediction: PathBuf,
        /// The value.
        value: i32,
        /// The values that have a class.
        known: String,
    },
    /// A prediction cannot be scored.
    #[error("{prediction}: {source}")]
    Score {
        /// The file.
        prediction: PathBuf,
        /// Why.
        source: lacuna_metrics::MetricsError,
    },
}

impl EvaluateError {
    /// For `map_err`: the folder to write cannot be made.
    pub(crate) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Folder { path, source }
    }
}
