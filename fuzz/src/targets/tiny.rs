//! A dataset of two subjects in a temporary folder, with predictions of one: what records are
//! made from, and what the viewer shows.

use std::path::PathBuf;

use lacuna_io::{Reference, write_image, write_labels};
use lacuna_volume::{Affine, LabelMap, Volume};
use tempfile::TempDir;

const SHAPE: [usize; 3] = [8, 4, 3];
const REFERENCE: [[usize; 3]; 5] = [[1, 1, 1], [2, 1, 1], [3, 1, 1], [6, 1, 1], [6, 0, 1]];
const PREDICTION: [[usize; 3]; 4] = [[2, 1, 1], [3, 1, 1], [4, 1, 1], [6, 3, 2]];

pub struct Tiny(TempDir);

impl Tiny {
    pub fn new() -> Self {
        let tiny = Self(tempfile::tempdir().expect("a folder for temporary files"));
        std::fs::create_dir(tiny.path("predictions")).expect("the folder takes folders");
        let values = (0..96).map(|v| v as f32).collect();
        let image = Volume::new(SHAPE, Affine::identity(), values).expect("as many values");
        let reference = Reference::from_grid(&image.grid());
        for id in ["a", "b"] {
            let path = tiny.path(&format!("{id}.nii.gz"));
            write_image(path, &image, &reference).expect("the folder takes files");
        }
        for (name, voxels) in [
            ("label.nii.gz", &REFERENCE[..]),
            ("predictions/a.nii.gz", &PREDICTION),
        ] {
            let map = labels(voxels);
            write_labels(tiny.path(name), &map, &reference).expect("the folder takes files");
        }
        let text = "name = 'two'\nmodalities = ['FLAIR']\nclasses = ['background', 'lesion']\n\
                    [[subject]]\nid = 'a'\nimages = { FLAIR = 'a.nii.gz' }\n\
                    label = 'label.nii.gz'\n[[subject]]\nid = 'b'\n\
                    images = { FLAIR = 'b.nii.gz' }\n";
        std::fs::write(tiny.path("dataset.toml"), text).expect("the folder takes files");
        tiny
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A record without the folder's name, which is another each time.
    pub fn anywhere(&self, record: &impl serde::Serialize) -> String {
        let text = serde_json::to_string(record).expect("records are JSON");
        text.replace(&self.0.path().display().to_string(), "/data")
    }
}

fn labels(at: &[[usize; 3]]) -> LabelMap {
    let mut map = Volume::filled(SHAPE, Affine::identity(), 0).expect("a small volume");
    for voxel in at {
        let here = map.index(*voxel);
        map.data_mut()[here] = 1;
    }
    map
}
