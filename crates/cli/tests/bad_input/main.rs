//! Input that cannot be used: one clear message that names the file, what was
//! found, what was expected and the remedy, exit code 1, and nothing half done.

#[path = "../harness/mod.rs"]
mod harness;

mod configuration;
mod ensembles;
mod image_files;
mod labels_and_manifest;
mod output_folders;
mod postprocess;
mod predictions;
mod run_folders;

use harness::Place;
use lacuna_io::{Reference, read_image, write_image, write_labels};
use lacuna_volume::{Affine, LabelMap, Volume};

/// A run folder `run` of one iteration, for what comes after training.
fn trained() -> Place {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1");
    place
}

/// Changes an image of the cohort.
fn change(place: &Place, name: &str, change: impl Fn(Volume<f32>) -> Volume<f32>) {
    let path = place.path(format!("cohort/{name}"));
    let image = change(read_image(&path).unwrap());
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
}

/// Changes a label map of the cohort.
fn relabel(place: &Place, name: &str, change: impl Fn(LabelMap) -> LabelMap) {
    let path = place.path(format!("cohort/{name}"));
    let labels = change(read_image(&path).unwrap().map(|v| *v as u8));
    write_labels(&path, &labels, &Reference::from_grid(&labels.grid())).unwrap();
}

fn moved<T: Clone>(volume: &Volume<T>, mm: f64) -> Volume<T> {
    let mut affine: Affine = *volume.affine();
    affine.0[0][3] += mm;
    Volume::new(volume.shape(), affine, volume.data().to_vec()).unwrap()
}

/// Training is refused with these parts in the message, and leaves no folder.
fn no_training(place: &Place, set: &str, parts: &[&str]) {
    place.refused(&format!("train run.toml --out run {set}"), parts);
    assert!(!place.path("run").exists(), "a folder was left behind");
}
