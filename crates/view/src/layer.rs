//! What can be laid over each other of a subject, each as a NIfTI file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lacuna_data::manifest::ImageRef;
use lacuna_io::{Datatype, Format, nifti_of_image, nifti_of_labels, read_reference};
use lacuna_volume::{LabelMap, Volume};
use serde::Serialize;

use crate::ViewError;
use crate::collection::{Collection, Entry};
use crate::corrections::Corrections;
use crate::opened::Opened;

/// A volume of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// The image of a modality, counted from 0.
    Image(usize),
    /// Class indices of the reference.
    Reference,
    /// Class indices of the prediction.
    Prediction,
    /// [`crate::faults`] of a row, counted from 0.
    Faults(usize),
    /// How far several networks are apart.
    Uncertainty,
    /// The probability of a class.
    Probability(usize),
    /// Class indices to go on correcting from.
    Correction,
}

/// A layer as the page lists it.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// Its name in addresses.
    name: String,
    kind: &'static str,
    title: String,
}

/// A NIfTI file.
pub(crate) enum Nifti {
    /// Made in memory.
    Made(Vec<u8>),
    /// As it lies on disk, plain or compressed.
    OnDisk(PathBuf),
}

impl Layer {
    /// The layer of a name such as `image-0`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "reference" => return Some(Self::Reference),
            "prediction" => return Some(Self::Prediction),
            "uncertainty" => return Some(Self::Uncertainty),
            "correction" => return Some(Self::Correction),
            _ => {}
        }
        let (kind, number) = name.split_once('-')?;
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|_| digits)?;
        match kind {
            "image" => Some(Self::Image(number)),
            "faults" => Some(Self::Faults(number)),
            "probability" => Some(Self::Probability(number)),
            _ => None,
        }
    }

    /// The layers of a subject.
    pub fn all(collection: &Collection, entry: &Entry, opened: &Opened) -> Vec<Listed> {
        let manifest = &collection.manifest;
        let listed = |name: String, kind, title: &str| Listed {
            name,
            kind,
            title: title.to_owned(),
        };
        let one = |kind: &'static str| listed(kind.to_owned(), kind, kind);
        let mut layers: Vec<Listed> = (manifest.modalities.iter().enumerate())
            .map(|(i, modality)| listed(format!("image-{i}"), "image", modality))
            .collect();
        layers.extend(opened.reference.iter().map(|_| one("reference")));
        layers.extend(opened.prediction.iter().map(|_| one("prediction")));
        if opened.reference.is_some() && opened.prediction.is_some() {
            let rows = opened.rows.iter().enumerate();
            layers.extend(rows.map(|(i, row)| listed(format!("faults-{i}"), "faults", &row.name)));
        }
        layers.extend(entry.spread.iter().map(|_| one("uncertainty")));
        if entry.probabilities.is_some() {
            let classes = manifest.classes.iter().enumerate().skip(1);
            layers
                .extend(classes.map(|(i, c)| listed(format!("probability-{i}"), "probability", c)));
        }
        layers
    }

    /// The volume of the layer; `None` when the subject has no such layer. `opened` reads
    /// the label maps, which images do without.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn nifti(
        self,
        collection: &Collection,
        corrections: Option<&Corrections>,
        entry: &Entry,
        opened: &dyn Fn() -> Result<Arc<Opened>, ViewError>,
    ) -> Result<Option<Nifti>, ViewError> {
        let labels = |map: Option<&LabelMap>| -> Result<_, ViewError> {
            let bytes = map.map(nifti_of_labels).transpose()?;
            Ok(bytes.map(Nifti::Made))
        };
        match self {
            Self::Image(number) => {
                let modality = collection.manifest.modalities.get(number);
                let image = modality.and_then(|modality| entry.subject.images.get(modality));
                let read = |image: &ImageRef| {
                    let manifest = &collection.manifest;
                    Ok(manifest.read_image(&entry.subject, image)?)
                };
                image.map(|image| file_or(image, read)).transpose()
            }
            Self::Reference => labels(opened()?.reference.as_ref()),
            Self::Prediction => labels(opened()?.prediction.as_ref()),
            Self::Faults(row) => labels(opened()?.faults(row)?.as_ref()),
            Self::Uncertainty => {
                let file = entry.spread.clone();
                file.map(|file| map_file(&file.into())).transpose()
            }
            Self::Correction => {
                let Some(corrections) = corrections else {
                    return Ok(None);
                };
                let found = corrections.labels(&collection.manifest, entry, &*opened()?)?;
                labels(Some(&found))
            }
            Self::Probability(class) => match &entry.probabilities {
                Some(file) if (1..collection.manifest.classes.len()).contains(&class) => {
                    let volume = ImageRef {
                        path: file.clone(),
                        volume: Some(class),
                    };
                    map_file(&volume).map(Some)
                }
                _ => Ok(None),
            },
        }
    }
}

/// The file itself where the browser reads it as Lacuna does, else its voxels as 32-bit
/// floating point.
fn file_or(
    image: &ImageRef,
    read: impl Fn(&ImageRef) -> Result<Volume<f32>, ViewError>,
) -> Result<Nifti, ViewError> {
    if image.volume.is_none() && is_plain(&image.path)? {
        return Ok(Nifti::OnDisk(image.path.clone()));
    }
    Ok(Nifti::Made(nifti_of_image(&read(image)?)?))
}

/// The same of a map that a prediction wrote.
fn map_file(image: &ImageRef) -> Result<Nifti, ViewError> {
    file_or(image, |image| Ok(image.read()?))
}

/// Whether NiiVue places and scales the voxels of a file as Lacuna does.
fn is_plain(file: &Path) -> Result<bool, ViewError> {
    if Format::of(file)? != Format::Nifti {
        return Ok(false);
    }
    let reference = read_reference(file)?;
    let header = reference.nifti();
    let voxels = matches!(
        header.datatype(),
        Datatype::U8 | Datatype::I16 | Datatype::U16 | Datatype::F32
    );
    let one = header.is_single_file() && header.rank() >= 3 && header.volumes() == 1;
    Ok(voxels && one && header.reads_alike())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_nothing_else() {
        assert_eq!(Layer::parse("image-0"), Some(Layer::Image(0)));
        assert_eq!(Layer::parse("faults-12"), Some(Layer::Faults(12)));
        assert_eq!(Layer::parse("prediction"), Some(Layer::Prediction));
        for wrong in [
            "",
            "image",
            "image-",
            "image-+1",
            "image--1",
            "image-1/..",
            "../etc/passwd",
            "reference-0",
            "faults-99999999999999999999999",
        ] {
            assert_eq!(Layer::parse(wrong), None, "{wrong}");
        }
    }
}
