//! Pictures of the validation subjects that are segmented worst.

use std::path::Path;

use lacuna_io::atomic::{replace_folder, write_bytes};
use lacuna_metrics::without_ignored;
use lacuna_record::{Overlay, ValidationPictures, ValidationScore};
use lacuna_report::{OverlayOptions, overlay};
use lacuna_volume::{LabelMap, Volume};

use super::score_of;
use crate::run::RunError;

/// The most subjects shown.
const SHOWN: usize = 6;

/// Subjects with their score and picture, worst first.
#[derive(Default)]
pub(super) struct Pictures(Vec<(f64, String, lacuna_report::Overlay)>);

impl Pictures {
    /// Draws a subject on `image`, a normalised one, if it is among the worst so far.
    pub(super) fn add(
        &mut self,
        line: &ValidationScore,
        image: &Volume<f32>,
        reference: &LabelMap,
        found: &LabelMap,
    ) -> Result<(), RunError> {
        let score = score_of(line).unwrap_or(line.dsc);
        let place = self.0.partition_point(|(other, ..)| *other <= score);
        if place >= SHOWN {
            return Ok(());
        }
        let image = on_black(image);
        let reference = without_ignored(reference, reference);
        let options = OverlayOptions::default();
        let drawn = overlay(&image, Some(&reference), Some(found), &options)?;
        self.0.insert(place, (score, line.subject.clone(), drawn));
        self.0.truncate(SHOWN);
        Ok(())
    }

    /// Puts them in place of those of an earlier iteration.
    pub(super) fn write(self, run: &Path, iteration: u64) -> Result<(), RunError> {
        let folder = run.join(ValidationPictures::FOLDER);
        replace_folder(&folder, |folder| {
            let mut pictures = Vec::new();
            for (_, id, drawn) in self.0 {
                let name = format!("{id}.png");
                write_bytes(folder.join(&name), &drawn.png)?;
                pictures.push(Overlay {
                    file: Path::new(ValidationPictures::FOLDER).join(name),
                    caption: drawn.caption,
                    size: drawn.size,
                });
            }
            let record = ValidationPictures {
                iteration,
                pictures,
            };
            Ok(record.write(folder)?)
        })
    }
}

/// A normalised image as it is looked at. Outside it is 0, which is the mean of the tissue and
/// would be grey; what is no number is drawn black.
fn on_black(image: &Volume<f32>) -> Volume<f32> {
    image.map(|value| if *value == 0.0 { f32::NAN } else { *value })
}
