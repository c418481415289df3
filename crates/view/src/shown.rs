//! What a server has to show.

use crate::{Collection, Corrections, Source, Training, ViewError};

/// What a server has to show.
pub struct Shown {
    /// The subjects; a run may have lost its.
    pub(crate) collection: Option<Collection>,
    pub(crate) corrections: Option<Corrections>,
    pub(crate) training: Option<Training>,
}

impl From<Collection> for Shown {
    fn from(collection: Collection) -> Self {
        Self {
            collection: Some(collection),
            corrections: None,
            training: None,
        }
    }
}

impl Shown {
    /// A run, with the subjects of its dataset where those are found; else why not.
    pub fn of_run(training: Training, source: &Source) -> (Self, Option<ViewError>) {
        let (collection, problem) = match Collection::open(source) {
            Ok(collection) => (Some(collection), None),
            Err(error) => (None, Some(error)),
        };
        let shown = Self {
            collection,
            corrections: None,
            training: Some(training),
        };
        (shown, problem)
    }

    /// Lets the subjects be corrected.
    ///
    /// # Errors
    /// When the folder cannot take corrections, or there are no subjects.
    pub fn with_corrections(self, folder: &std::path::Path) -> Result<Self, ViewError> {
        let Some(collection) = &self.collection else {
            return Err(ViewError::CorrectionsFolder {
                folder: folder.to_owned(),
                found: "the dataset with the images is not found".to_owned(),
            });
        };
        Ok(Self {
            corrections: Some(Corrections::open(folder, collection)?),
            ..self
        })
    }

    /// Number of subjects.
    pub fn subjects(&self) -> usize {
        self.collection.as_ref().map_or(0, Collection::len)
    }
}
