//! A dataset of two subjects in a temporary folder, and a prediction of the first.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::PathBuf;

use lacuna_io::{Reference, write_image, write_labels};
use lacuna_volume::{Affine, LabelMap, Volume};
use tempfile::TempDir;

/// Voxels of 1 x 2 x 3 mm, the first at (-10, 0, 5) mm.
const AFFINE: Affine = Affine([
    [1.0, 0.0, 0.0, -10.0],
    [0.0, 2.0, 0.0, 0.0],
    [0.0, 0.0, 3.0, 5.0],
]);
const SHAPE: [usize; 3] = [8, 4, 3];
/// A lesion of three voxels and one of two.
const REFERENCE: [[usize; 3]; 5] = [[1, 1, 1], [2, 1, 1], [3, 1, 1], [6, 1, 1], [6, 0, 1]];
/// One that meets the first lesion, and one that meets none.
const PREDICTION: [[usize; 3]; 4] = [[2, 1, 1], [3, 1, 1], [4, 1, 1], [6, 3, 2]];

pub struct Place {
    folder: TempDir,
}

impl Place {
    /// `dataset.toml` with a labelled subject and one without label.
    pub fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for id in ["sub-01", "sub-02"] {
            std::fs::create_dir(place.path(id)).unwrap();
            let image = Volume::filled(SHAPE, AFFINE, 0.0).unwrap();
            let mut value = 0.0;
            let image = image.map(|_: &f32| {
                value += 1.0;
                value
            });
            let reference = Reference::from_grid(&image.grid());
            let flair = place.path(&format!("{id}/FLAIR.nii.gz"));
            write_image(flair, &image, &reference).unwrap();
            let t1 = place.path(&format!("{id}/T1.nrrd"));
            write_image(t1, &image.map(|v| -v), &reference).unwrap();
        }
        place.write_labels("sub-01/lesion.nii.gz", SHAPE, &REFERENCE);
        let images = |id| format!("{{ FLAIR = \"{id}/FLAIR.nii.gz\", T1 = \"{id}/T1.nrrd\" }}");
        let text = format!(
            "name = \"two\"\nmodalities = [\"FLAIR\", \"T1\"]\n\
             classes = [\"background\", \"lesion\"]\n\
             [[subject]]\nid = \"sub-01\"\nimages = {}\nlabel = \"sub-01/lesion.nii.gz\"\n\
             [[subject]]\nid = \"sub-02\"\nimages = {}\n",
            images("sub-01"),
            images("sub-02"),
        );
        std::fs::write(place.path("dataset.toml"), text).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder with a prediction of the first subject.
    pub fn predictions(&self) -> PathBuf {
        let folder = self.path("predictions");
        std::fs::create_dir(&folder).unwrap();
        self.write_labels("predictions/sub-01.nii.gz", SHAPE, &PREDICTION);
        folder
    }

    /// A manifest with a picture of 3 x 2 pixels in shades of grey.
    pub fn pictures(&self) -> PathBuf {
        // PGM would be simpler, and is not read. Grey, 8 bits, stored without compression.
        std::fs::write(self.path("picture.png"), PICTURE).unwrap();
        let text = "name = \"pictures\"\nmodalities = [\"grey\"]\n\
                    classes = [\"background\", \"lesion\"]\n\
                    [[subject]]\nid = \"a\"\nimages = { grey = \"picture.png\" }\n";
        let manifest = self.path("pictures.toml");
        std::fs::write(&manifest, text).unwrap();
        manifest
    }

    pub fn write_labels(&self, name: &str, shape: [usize; 3], at: &[[usize; 3]]) {
        let map = labels(shape, at);
        let reference = Reference::from_grid(&map.grid());
        write_labels(self.path(name), &map, &reference).unwrap();
    }

    pub fn reference(&self) -> Vec<u8> {
        labels(SHAPE, &REFERENCE).into_data()
    }

    pub fn prediction(&self) -> Vec<u8> {
        labels(SHAPE, &PREDICTION).into_data()
    }

    /// Position of a voxel among those of a volume.
    pub fn index([x, y, z]: [usize; 3]) -> usize {
        x + SHAPE[0] * (y + SHAPE[1] * z)
    }
}

fn labels(shape: [usize; 3], at: &[[usize; 3]]) -> LabelMap {
    let mut map = Volume::filled(shape, AFFINE, 0).unwrap();
    for &voxel in at {
        let here = map.index(voxel);
        map.data_mut()[here] = 1;
    }
    map
}

/// Rows 0, 50, 100 and 150, 200, 250: `zlib.compress(..., 0)` in the chunks of PNG.
const PICTURE: [u8; 76] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, 0x00, 0x00, 0x00, 0xb8, 0x1f, 0x39,
    0xc6, 0x00, 0x00, 0x00, 0x13, 0x49, 0x44, 0x41, 0x54, 0x78, 0x01, 0x01, 0x08, 0x00, 0xf7, 0xff,
    0x00, 0x00, 0x32, 0x64, 0x00, 0x96, 0xc8, 0xfa, 0x07, 0x74, 0x02, 0xef, 0x03, 0x12, 0x5e, 0x0b,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];
