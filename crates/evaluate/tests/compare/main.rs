//! Folders of predictions compared: by hand on two small subjects, and on real tumours
//! with errors that were put in.

mod folders;
mod hand;
mod real;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_evaluate::{CompareRequest, EvaluateError, Request, compare, evaluate};
use lacuna_io::Reference;
use lacuna_metrics::Options;
use lacuna_record::{ComparedPredictions, DisputeKind, MetricDifference, Stratum};
use lacuna_volume::{Affine, Connectivity, LabelMap, Spacing, Volume, label_components};

/// A voxel has 2 mm³.
const SPACING: Spacing = Spacing([1.0, 1.0, 2.0]);
const SHAPE: [usize; 3] = [24, 12, 5];

/// Runs of voxels along x: the first voxel, the length.
type Runs<'a> = &'a [([usize; 3], usize)];

fn labels(runs: Runs, value: u8) -> LabelMap {
    let mut map = Volume::filled(SHAPE, Affine::from_spacing(SPACING), 0).unwrap();
    for &([x, y, z], length) in runs {
        let first = map.index([x, y, z]);
        map.data_mut()[first..first + length].fill(value);
    }
    map
}

fn write(path: &Path, map: &LabelMap) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    lacuna_io::write_labels(path, map, &Reference::from_grid(&map.grid())).unwrap();
}

/// Lesions of 1, 4 and 10 voxels.
const SMALL: ([usize; 3], usize) = ([2, 2, 1], 1);
const MIDDLE: ([usize; 3], usize) = ([2, 6, 1], 4);
const LARGE: ([usize; 3], usize) = ([2, 9, 3], 10);

/// Two subjects with a label of value 7, predictions `a` of class indices and `b` of label
/// values. Subject s3 is in `a` alone, s4 has no label.
fn dataset(folder: &Path) -> Manifest {
    let label = |id: &str, runs: Runs| {
        write(
            &folder.join(format!("labels/{id}.nii.gz")),
            &labels(runs, 7),
        )
    };
    let a = |id: &str, runs: Runs| write(&folder.join(format!("a/{id}.nii.gz")), &labels(runs, 1));
    let b = |id: &str, runs: Runs| write(&folder.join(format!("b/{id}.nii.gz")), &labels(runs, 7));
    label("s1", &[SMALL, MIDDLE, LARGE]);
    // Both have a false component at (15, 2, 1); b has one more.
    a("s1", &[MIDDLE, LARGE, ([15, 2, 1], 2)]);
    b("s1", &[SMALL, LARGE, ([16, 2, 1], 2), ([15, 6, 1], 3)]);
    label("s2", &[SMALL, LARGE]);
    a("s2", &[SMALL, LARGE]);
    b("s2", &[LARGE]);
    label("s3", &[LARGE]);
    a("s3", &[LARGE]);
    a("s4", &[LARGE]);
    b("s4", &[LARGE]);
    let mut image: Volume<f32> = labels(&[LARGE], 1).map(|&v| f32::from(v));
    image
        .data_mut()
        .iter_mut()
        .enumerate()
        .for_each(|(i, v)| *v += (i % 24) as f32);
    let path = folder.join("flair.nii.gz");
    lacuna_io::write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    let subject = |id: &str| Subject {
        id: id.to_owned(),
        images: BTreeMap::from([(
            "flair".to_owned(),
            ImageRef {
                path: path.clone(),
                volume: None,
            },
        )]),
        label: (id != "s4").then(|| folder.join(format!("labels/{id}.nii.gz"))),
        ..Subject::default()
    };
    Manifest::new(
        &folder.join("test.toml"),
        "hand".to_owned(),
        vec!["flair".to_owned()],
        vec!["background".to_owned(), "lesion".to_owned()],
        BTreeMap::from([(0, "background".to_owned()), (7, "lesion".to_owned())]),
        ["s1", "s2", "s3", "s4"].map(subject).to_vec(),
    )
    .unwrap()
}

struct Case {
    manifest: Manifest,
    folders: Vec<PathBuf>,
    out: PathBuf,
}

impl Case {
    fn request<'a>(&'a self, label_values: &'a [String]) -> CompareRequest<'a> {
        CompareRequest {
            manifest: &self.manifest,
            folders: &self.folders,
            names: &[],
            label_values,
            out: &self.out,
            subjects: &[],
            options: Options::default(),
            force: false,
            overlay: None,
            pictures: 4,
        }
    }

    fn compare(&self, label_values: &[&str]) -> Result<ComparedPredictions, EvaluateError> {
        let label_values: Vec<String> = label_values.iter().map(|&n| n.to_owned()).collect();
        compare(&self.request(&label_values), &mut |_, _| ())
    }
}

fn case(folder: &Path, folders: &[&str]) -> Case {
    Case {
        manifest: dataset(folder),
        folders: folders.iter().map(|name| folder.join(name)).collect(),
        out: folder.join("out"),
    }
}

fn metric<'a>(found: &'a [MetricDifference], class: &str, name: &str) -> &'a MetricDifference {
    found
        .iter()
        .find(|m| m.class == class && m.metric == name)
        .unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}
