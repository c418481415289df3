//! Why predictions cannot be compared.

use std::path::PathBuf;

/// Predictions that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// One folder or none.
    #[error("found {found} folder(s) to compare; give two or more")]
    TooFew {
        /// Folders given.
        found: usize,
    },
    /// Not one name for each folder.
    #[error("--names gives {found} name(s) for {folders} folders; give one for each, in order")]
    Names {
        /// Names given.
        found: usize,
        /// Folders given.
        folders: usize,
    },
    /// Two folders of one name.
    #[error("--names has `{name}` twice; give each folder a name of its own")]
    SameName {
        /// The name.
        name: String,
    },
    /// Label values of a prediction that there is not.
    #[error("--label-values {name}: there is no such prediction; expected of {known}")]
    LabelValuesOf {
        /// The name.
        name: String,
        /// The names of the predictions.
        known: String,
    },
    /// A folder that does not exist.
    #[error("{folder}: there is no such folder; give folders of <id>.nii.gz files or evaluations")]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder of nothing that can be compared.
    #[error(
        "{folder}: holds no <id>.nii.gz (or of another format) of a subject of {manifest}, and no summary.json of \
         `lacuna evaluate`; give a folder that does"
    )]
    NothingHeld {
        /// The folder.
        folder: PathBuf,
        /// The manifest.
        manifest: PathBuf,
    },
    /// There is no subject in all folders.
    #[error(
        "no labelled subject of {manifest} is in all of {folders}; each must hold a prediction \
         of the same subject"
    )]
    NoCommonSubject {
        /// The manifest.
        manifest: PathBuf,
        /// The folders.
        folders: String,
    },
    /// Evaluations by other definitions.
    #[error(
        "{names} were scored by different conventions ({found} and {expected}); \
         evaluate both alike, or compare the label maps"
    )]
    Conventions {
        /// Names of the two.
        names: String,
        /// Conventions of the first.
        found: String,
        /// Conventions of the second.
        expected: String,
    },
    /// Evaluations that have no class in common.
    #[error("{names} have no class in common; evaluate them on the same dataset")]
    NoCommonClass {
        /// Names of the predictions.
        names: String,
    },
    /// Evaluations of other references.
    #[error(
        "subject `{subject}`, {class}: {names} were scored against different \
         references ({found} and {expected} lesions or other sizes); evaluate both on the \
         same labels"
    )]
    Reference {
        /// Subject id.
        subject: String,
        /// The class.
        class: String,
        /// Names of the two.
        names: String,
        /// Reference lesions of the first.
        found: usize,
        /// Reference lesions of the second.
        expected: usize,
    },
    /// The folder to write holds another comparison, or files of its names.
    #[error(
        "{found} is there already, and not from a comparison of these folders; choose another \
         --out, or replace it with --force"
    )]
    OutTaken {
        /// The file.
        found: PathBuf,
    },
    /// The folder to write holds something of the name of a comparison.
    #[error("{found} is no comparison and would be replaced; choose another --out")]
    NotAComparison {
        /// The file.
        found: PathBuf,
    },
}
