//! Why no manifest can be made from a folder.

use std::path::PathBuf;

use lacuna_io::ImageError;

use crate::manifest::ManifestError;

/// A folder that no manifest can be made from. Every message names the file
/// or pattern, what was found, what was expected and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// A folder cannot be listed.
    #[error("{}: cannot list the folder: {source}; give the path of a readable folder", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A name that a manifest cannot hold, as old tools wrote it.
    #[error("{}: the name {name:?} is not UTF-8, expected UTF-8, the form of a manifest; rename it, for example with convmv", folder.display())]
    NotUtf8 {
        /// Folder that holds it.
        folder: PathBuf,
        /// The name.
        name: std::ffi::OsString,
    },
    /// A table of subjects that cannot be used.
    #[error("{}, line {line}: {found}, expected {expected}; correct the table", path.display())]
    List {
        /// The table.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A pattern that cannot tell subjects apart.
    #[error(
        "the pattern {pattern:?} for {role} has no wildcard, expected one where the subject's name stands; write for example '*/FLAIR.nii.gz'"
    )]
    NoWildcard {
        /// Modality, `label`, `mask`, ...
        role: String,
        /// The pattern.
        pattern: String,
    },
    /// A pattern that matches nothing.
    #[error("{}: no file matches the pattern {pattern:?} for {role}; the wildcards are * and ? within a name and ** for folders, and the pattern starts from this folder", folder.display())]
    NoMatch {
        /// Folder searched.
        folder: PathBuf,
        /// Modality, `label`, `mask`, ...
        role: String,
        /// The pattern.
        pattern: String,
    },
    /// Two files for the same subject and role.
    #[error("the pattern for {role} matches two files for the subject `{id}`: {} and {}; expected one; make the pattern narrower", first.display(), second.display())]
    Ambiguous {
        /// Modality, `label`, `mask`, ...
        role: String,
        /// The subject.
        id: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Subjects without an image of some modality.
    #[error("{}: {} of {subjects} subjects lack a modality: {}; expected one image of each; add the files or make the patterns match them", folder.display(), missing.len(), shortened(missing))]
    MissingModalities {
        /// Folder searched.
        folder: PathBuf,
        /// Each subject with the modalities it lacks, as `pat0003 (T1c)`.
        missing: Vec<String>,
        /// Subjects found in all.
        subjects: usize,
    },
    /// Labels or masks of subjects that no image belongs to.
    #[error("{}: the pattern {pattern:?} for {role} matches files of subjects without images: {}; the subjects with images are {}; place the wildcards so that they match the same text", folder.display(), shortened(ids), shortened(known))]
    WithoutImages {
        /// Folder searched.
        folder: PathBuf,
        /// `label`, `mask`, ...
        role: &'static str,
        /// The pattern.
        pattern: String,
        /// The subjects without images.
        ids: Vec<String>,
        /// The subjects with images.
        known: Vec<String>,
    },
    /// A label file cannot be read.
    #[error(transparent)]
    Label(Box<ImageError>),
    /// A label value that a manifest cannot hold.
    #[error("{}: label value {value}, expected whole numbers from 0 to {}; remap the label file", file.display(), crate::manifest::MAX_LABEL_VALUE)]
    LabelRange {
        /// The label file.
        file: PathBuf,
        /// The value found.
        value: i32,
    },
    /// Only background in all label files.
    #[error("{}: no voxel other than 0 in its {files} label files, expected some foreground; give the label pattern of the structure to learn", folder.display())]
    NoForeground {
        /// Folder searched.
        folder: PathBuf,
        /// Label files read.
        files: usize,
    },
    /// Neither labels nor class names.
    #[error("{}: the classes are unknown; give a label pattern, or the names of the foreground classes", folder.display())]
    NoClasses {
        /// Folder searched.
        folder: PathBuf,
    },
    /// As many class names as neither 1 nor the label values.
    #[error("{}: {} class names ({}) for the {} label values {values:?}; expected one name for all of them, or one name each in ascending order", folder.display(), names.len(), names.join(", "), values.len())]
    ClassNames {
        /// Folder searched.
        folder: PathBuf,
        /// Names given.
        names: Vec<String>,
        /// Label values other than 0.
        values: Vec<i32>,
    },
    /// Several files of a BIDS session could be meant.
    #[error("{}: {sessions} {} files for {role}: {}; expected one; choose with {choice}", folder.display(), kinds.len().max(2), kinds.join(", "))]
    BidsSeveral {
        /// The folder.
        folder: PathBuf,
        /// Modality, `label`, `mask`, ...
        role: String,
        /// The first of the sessions, and how many have several.
        sessions: String,
        /// Entities and suffixes of the files.
        kinds: Vec<String>,
        /// The option that takes the first.
        choice: String,
    },
    /// No name of a BIDS file.
    #[error(
        "{role}: {found:?} tells no file of a BIDS folder; expected entities and a suffix, such as acq-ax_FLAIR, or a pattern with a wildcard for every role"
    )]
    BidsName {
        /// Modality, `label`, `mask`, ...
        role: String,
        /// What was given.
        found: String,
    },
    /// No session of a BIDS folder has all modalities.
    #[error("{}: no session has an image of each of {}; expected sub-*/[ses-*/]anat/sub-*_FLAIR.nii.gz; name those to take, such as --images FLAIR=FLAIR", folder.display(), match modalities[..] { [] => "FLAIR, T1w, ...".to_owned(), _ => modalities.join(", ") })]
    BidsNothing {
        /// The folder.
        folder: PathBuf,
        /// What was looked for.
        modalities: Vec<String>,
    },
    /// Tables of a BIDS folder that contradict each other.
    #[error("{}: the label value {value} is `{}` and, by the table for another file, `{}`; expected one name; correct the tables, or name the classes with --classes", file.display(), names[1], names[0])]
    BidsTwoNames {
        /// The label file.
        file: PathBuf,
        /// The value.
        value: i32,
        /// Its names.
        names: [String; 2],
    },
    /// `dataset.json` cannot be read.
    #[error("{}: cannot read the dataset description: {source}; expected the dataset.json of an nnU-Net or Medical Segmentation Decathlon folder, or the files of a BIDS folder", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// The system's or the parser's reason.
        source: std::io::Error,
    },
    /// An entry of `dataset.json` that cannot be used.
    #[error("{}: `{key}` is {found}, expected {expected}; {remedy}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        key: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A file that `dataset.json` promises.
    #[error("{}: the case `{case}` has no file {}; expected it there; add the file or remove the case", path.display(), file.display())]
    MissingFile {
        /// The description.
        path: PathBuf,
        /// The case.
        case: String,
        /// The missing file.
        file: PathBuf,
    },
    /// The manifest made from the folder would be wrong.
    #[error(transparent)]
    Manifest(Box<ManifestError>),
}

// Boxed, since an error should not be larger than what it takes the place of.
impl From<ImageError> for DiscoverError {
    fn from(error: ImageError) -> Self {
        Self::Label(Box::new(error))
    }
}

impl From<ManifestError> for DiscoverError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(Box::new(error))
    }
}

/// The first few, so that a mistake common to all subjects stays readable.
pub(super) fn shortened(items: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = items[..items.len().min(SHOWN)].join(", ");
    if items.len() > SHOWN {
        text.push_str(&format!(" and {} more", items.len() - SHOWN));
    }
    text
}
