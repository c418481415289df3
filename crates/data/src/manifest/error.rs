//! What can be wrong with the description of a dataset.

use std::path::PathBuf;

use lacuna_io::ImageError;
use lacuna_io::atomic::WriteError;

use super::closest;

/// A manifest, or the folder one is made from, that cannot be used. Every
/// message names the file, what was found, what was expected and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The manifest cannot be read.
    #[error("{}: cannot read the dataset manifest: {source}; give the path of a readable dataset.toml", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not TOML, a key missing, or a value of the wrong type.
    #[error("{}: not a dataset manifest: {source}\nexpected name, modalities, classes and one [[subject]] per subject; correct the line shown", path.display())]
    Syntax {
        /// The manifest.
        path: PathBuf,
        /// The parser's message with line and column.
        source: Box<toml::de::Error>,
    },
    /// A key that the manifest does not have.
    #[error("{}: unknown key `{key}` {place}{}; expected one of {}; correct or remove it", path.display(), nearest(key, known), known.join(", "))]
    UnknownKey {
        /// The manifest.
        path: PathBuf,
        /// Where the key stands, as "at the top level" or "in subject `a`".
        place: String,
        /// The key found.
        key: String,
        /// The keys allowed there.
        known: &'static [&'static str],
    },
    /// `modalities`, `classes` or `subject` without the entries it needs.
    #[error("{}: `{key}` has {found} entries, expected {expected}; {remedy}", path.display())]
    Count {
        /// The manifest.
        path: PathBuf,
        /// The list.
        key: &'static str,
        /// Its length.
        found: usize,
        /// The lengths allowed.
        expected: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The same name twice in one list.
    #[error("{}: `{key}` lists `{name}` twice, expected different names; remove or rename one", path.display())]
    Duplicate {
        /// The manifest.
        path: PathBuf,
        /// The list: `modalities`, `classes` or `subject`.
        key: &'static str,
        /// The name found twice.
        name: String,
    },
    /// A name that cannot be used.
    #[error("{}: `{key}` has the name {name:?}, which {reason}; rename it", path.display())]
    Name {
        /// The manifest.
        path: PathBuf,
        /// The list: `modalities`, `classes` or `subject`.
        key: &'static str,
        /// The name found.
        name: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A key of `label_values` that is no label value.
    #[error("{}: label_values has the key `{key}`, expected a whole number from 0 to {}; correct it or remap the label files", path.display(), super::MAX_LABEL_VALUE)]
    LabelKey {
        /// The manifest.
        path: PathBuf,
        /// The key found.
        key: String,
    },
    /// A label value given to a class that is not listed.
    #[error("{}: label_values gives {value} to the class `{class}`{}; expected one of {}; correct the name or add it to `classes`", path.display(), nearest(class, classes), classes.join(", "))]
    LabelClass {
        /// The manifest.
        path: PathBuf,
        /// The label value.
        value: i32,
        /// The class found.
        class: String,
        /// The classes listed.
        classes: Vec<String>,
    },
    /// A class that no label value stands for.
    #[error("{}: no entry of label_values maps to the class `{class}`, expected at least one for every class; add one or remove the class from `classes`", path.display())]
    ClassWithoutValue {
        /// The manifest.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// A region that cannot be scored.
    #[error("{}: the region `{name}` has {found}; expected {expected}; correct the [[region]]", path.display())]
    Region {
        /// The manifest.
        path: PathBuf,
        /// Its name.
        name: String,
        /// What is wrong.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A value to leave out that cannot be.
    #[error("{}: ignore = {value} {}; give the value of the voxels to leave out", path.display(), refused_ignore(class))]
    Ignore {
        /// The manifest.
        path: PathBuf,
        /// The value.
        value: i32,
        /// The class that has it.
        class: Option<String>,
    },
    /// A subject without an image of some modality.
    #[error("{}: subject `{subject}` has no image of {}; expected one each of {}; add the files, or remove the subject or the modality", path.display(), missing.join(", "), expected.join(", "))]
    MissingModality {
        /// The manifest.
        path: PathBuf,
        /// The subject.
        subject: String,
        /// The modalities it lacks.
        missing: Vec<String>,
        /// The dataset's modalities.
        expected: Vec<String>,
    },
    /// A subject's image of a modality that is not listed.
    #[error("{}: subject `{subject}` has an image of the unknown modality `{found}`{}; expected {}; correct the name or add it to `modalities`", path.display(), nearest(found, expected), expected.join(", "))]
    UnknownModality {
        /// The manifest.
        path: PathBuf,
        /// The subject.
        subject: String,
        /// The modality found.
        found: String,
        /// The dataset's modalities.
        expected: Vec<String>,
    },
    /// Edges of pixels that cannot be.
    #[error("{}: spacing = {found:?} {place}, expected two numbers above 0 (from 1e-9 to 1e9), the edges of a pixel along x and y in mm; correct it", path.display())]
    Spacing {
        /// The manifest.
        path: PathBuf,
        /// Where it stands.
        place: String,
        /// What it says.
        found: [f64; 2],
    },
    /// A spacing for an image whose file tells its own.
    #[error("{}: `spacing` is given for subject `{subject}`, but {} has a spacing of its own, as only PNG, JPEG and TIFF files have none; remove `spacing`, or correct the file", path.display(), file.display())]
    OwnSpacing {
        /// The manifest.
        path: PathBuf,
        /// The subject.
        subject: String,
        /// The file.
        file: PathBuf,
    },
    /// The grid of a modality that is not listed.
    #[error("{}: grid = {found:?} is none of the modalities{}; expected {}; name one of them", path.display(), nearest(found, expected), expected.join(", "))]
    Grid {
        /// The manifest.
        path: PathBuf,
        /// The modality found.
        found: String,
        /// The dataset's modalities.
        expected: Vec<String>,
    },
    /// A file name that is empty or cannot be written into TOML.
    #[error("{}: subject `{subject}` has the file name {file:?} for {key}, expected a path in UTF-8 that is not empty; correct it or rename the file", path.display())]
    FileName {
        /// The manifest.
        path: PathBuf,
        /// The subject.
        subject: String,
        /// `label`, `mask`, ... or the modality.
        key: String,
        /// The path found.
        file: PathBuf,
    },
    /// A subject asked for by an id that the manifest lacks.
    #[error("{}: no subject `{id}` among its {count}{}; use an id that the manifest lists", path.display(), did_you_mean(suggestion))]
    UnknownSubject {
        /// The manifest.
        path: PathBuf,
        /// The id asked for.
        id: String,
        /// The nearest id.
        suggestion: Option<String>,
        /// Subjects listed.
        count: usize,
    },
    /// A label file with a value that `label_values` lacks.
    #[error("{}: subject `{subject}` has the label value {value} in {voxels} voxels, first at {voxel:?}; expected one of {}; add the value to label_values in the manifest or correct the label file", file.display(), numbers(known))]
    LabelValue {
        /// The label file.
        file: PathBuf,
        /// The subject.
        subject: String,
        /// The first value that is not known.
        value: i32,
        /// Voxels with that value.
        voxels: usize,
        /// The first of them, (x, y, z).
        voxel: [usize; 3],
        /// The values known.
        known: Vec<i32>,
    },
    /// A number that a 4-D file has no volume for.
    #[error("{}: has {found} volumes, expected at least {}, as the manifest names #{volume}; volumes are counted from 0: correct the number", file.display(), volume + 1)]
    NoSuchVolume {
        /// The 4-D file.
        file: PathBuf,
        /// The volume named.
        volume: usize,
        /// Volumes in the file.
        found: usize,
    },
    /// An image cannot be read.
    #[error(transparent)]
    Image(Box<ImageError>),
    /// The manifest cannot be written.
    #[error(transparent)]
    Write(Box<WriteError>),
}

// Boxed, since an error should not be larger than what it takes the place of.
impl From<ImageError> for ManifestError {
    fn from(error: ImageError) -> Self {
        Self::Image(Box::new(error))
    }
}

impl From<WriteError> for ManifestError {
    fn from(error: WriteError) -> Self {
        Self::Write(Box::new(error))
    }
}

fn nearest<S: AsRef<str>>(word: &str, candidates: &[S]) -> String {
    did_you_mean(&closest(word, candidates.iter().map(S::as_ref)))
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or(String::new(), |s| format!(" (did you mean `{s}`?)"))
}

fn refused_ignore(class: &Option<String>) -> String {
    match class {
        Some(class) => format!("is the class `{class}` in label_values, expected a value of none"),
        None => format!(
            "is no label value, expected 0 to {}",
            super::MAX_LABEL_VALUE
        ),
    }
}

fn numbers(values: &[i32]) -> String {
    let words: Vec<String> = values.iter().map(i32::to_string).collect();
    words.join(", ")
}
