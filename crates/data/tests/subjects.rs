//! Subjects from files to the run's grid, and predictions back.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_data::normalise::{NormaliseConfig, NormaliseMethod};
use lacuna_data::subject::{Case, CaseError, Preprocess, load_case};
use lacuna_io::{Reference, read_reference, write_image};
use lacuna_volume::{Affine, Grid, LabelMap, Volume, corner_displacement_mm};
use tempfile::TempDir;

const SHAPE: [usize; 3] = [6, 5, 4];

/// Axes L P S as in BRATS, 1 x 2 x 3 mm.
fn lps() -> Affine {
    Affine([
        [-1.0, 0.0, 0.0, 10.0],
        [0.0, -2.0, 0.0, 20.0],
        [0.0, 0.0, 3.0, -5.0],
    ])
}

fn filled(shape: [usize; 3], affine: Affine, value: impl Fn([usize; 3]) -> f32) -> Volume<f32> {
    let mut data = Vec::new();
    for z in 0..shape[2] {
        for y in 0..shape[1] {
            data.extend((0..shape[0]).map(|x| value([x, y, z])));
        }
    }
    Volume::new(shape, affine, data).unwrap()
}

fn code([x, y, z]: [usize; 3]) -> f32 {
    (1 + x + 10 * y + 100 * z) as f32
}

/// In the files' axes: value 2 at one voxel, value 1 at another.
fn label([x, y, z]: [usize; 3]) -> f32 {
    match [x, y, z] {
        [1, 2, 3] => 2.0,
        [4, 0, 0] => 1.0,
        _ => 0.0,
    }
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("FLAIR", SHAPE, lps(), code);
        files.write("T1", SHAPE, lps(), |at| 1000.0 - code(at));
        files.write("label", SHAPE, lps(), label);
        // As in BRATS, a one that is not quite one.
        let mask = |[x, _, _]: [usize; 3]| if x > 0 { 0.999_999_9 } else { 0.0 };
        files.write("mask", SHAPE, lps(), mask);
        files.write("weight", SHAPE, lps(), |at| code(at) / 2.0);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.nii.gz"))
    }

    fn write(
        &self,
        name: &str,
        shape: [usize; 3],
        affine: Affine,
        value: impl Fn([usize; 3]) -> f32,
    ) {
        let header = Reference::from_grid(&Grid { shape, affine });
        write_image(self.path(name), &filled(shape, affine, value), &header).unwrap();
    }

    fn subject(&self) -> Subject {
        Subject {
            id: "pat1".to_owned(),
            group: None,
            scanner: None,
            spacing: None,
            images: ["FLAIR", "T1"]
                .map(|m| (m.to_owned(), self.path(m).into()))
                .into(),
            label: Some(self.path("label")),
            mask: Some(self.path("mask")),
            weight: Some(self.path("weight")),
            white_matter: None,
        }
    }

    fn load(&self, subject: &Subject, preprocess: Preprocess) -> Result<Case, CaseError> {
        load_case(&manifest_of(subject), subject, &preprocess)
    }
}

fn raw(spacing: Option<[f64; 3]>) -> Preprocess {
    Preprocess {
        normalise: NormaliseConfig {
            method: NormaliseMethod::None,
            ..NormaliseConfig::default()
        },
        spacing,
        ..Preprocess::default()
    }
}

#[test]
fn a_case_has_canonical_axes_and_mapped_classes() {
    let files = Files::new();
    let case = files.load(&files.subject(), raw(None)).unwrap();
    assert_eq!(case.shape(), SHAPE);
    // x and y of the files run the other way.
    let turned = |[x, y, z]: [usize; 3]| [5 - x, 4 - y, z];
    for [x, y, z] in [[0, 0, 0], [1, 2, 3], [5, 4, 3], [4, 0, 0]] {
        let at = [x, y, z];
        let i = case.channels[0].index(at);
        assert_eq!(case.channels[0].data()[i], code(turned(at)));
        assert_eq!(case.channels[1].data()[i], 1000.0 - code(turned(at)));
        assert_eq!(
            case.weight.as_ref().unwrap().data()[i],
            code(turned(at)) / 2.0
        );
        assert_eq!(case.in_mask(i), turned(at)[0] > 0);
        // The voxel is where the file says, in mm.
        let [wx, wy, wz] = lps().apply(turned(at).map(|i| i as f64));
        let placed = case.channels[0].affine().apply(at.map(|i| i as f64));
        assert_eq!(placed, [wx, wy, wz]);
    }
    let label = case.label.unwrap();
    assert_eq!(label.data().iter().filter(|&&c| c == 1).count(), 2);
    assert_eq!(label.data()[label.index([4, 2, 3])], 1);
    assert_eq!(label.data()[label.index([1, 4, 0])], 1);
    assert!(case.source.mask.is_none());
}

#[test]
fn normalisation_sees_the_mask_only() {
    let files = Files::new();
    let preprocess = Preprocess {
        normalise: NormaliseConfig {
            method: NormaliseMethod::ZScore,
            ..NormaliseConfig::default()
        },
        spacing: None,
        ..Preprocess::default()
    };
    let case = files.load(&files.subject(), preprocess).unwrap();
    for channel in &case.channels {
        let inside: Vec<f64> = (0..channel.len())
            .filter(|&i| case.in_mask(i))
            .map(|i| f64::from(channel.data()[i]))
            .collect();
        assert_eq!(inside.len(), 5 * 5 * 4);
        let mean = inside.iter().sum::<f64>() / 100.0;
        let variance = inside.iter().map(|v| v * v).sum::<f64>() / 100.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6);
        let outside = (0..channel.len()).filter(|&i| !case.in_mask(i));
        assert!(outside.into_iter().all(|i| channel.data()[i] == 0.0));
    }
}

/// Probabilities of two classes on the case's grid that say `lesion`.
fn certain(case: &Case, lesion: impl Fn(usize) -> f32) -> Vec<Volume<f32>> {
    let mut position = 0;
    let foreground = case.channels[0].map(|_| {
        position += 1;
        lesion(position - 1)
    });
    vec![foreground.map(|p| 1.0 - p), foreground]
}

fn restored(case: &Case, probabilities: Vec<Volume<f32>>) -> Vec<Volume<f32>> {
    case.restore_probabilities(probabilities, &[1.0, 0.0])
        .unwrap()
}

/// The likelier of the two classes; a tie is background.
fn restored_labels(case: &Case, probabilities: Vec<Volume<f32>>) -> LabelMap {
    let all = restored(case, probabilities);
    let mut labels = all[0].map(|_| 0u8);
    let pairs = all[0].data().iter().zip(all[1].data());
    for (label, (background, lesion)) in labels.data_mut().iter_mut().zip(pairs) {
        *label = u8::from(lesion > background);
    }
    labels
}

#[test]
fn without_resampling_the_labels_come_back_exactly() {
    let files = Files::new();
    let case = files.load(&files.subject(), raw(None)).unwrap();
    let own = case.label.clone().unwrap();
    let probabilities = certain(&case, |i| if own.data()[i] == 1 { 0.9 } else { 0.2 });
    let back = restored_labels(&case, probabilities);
    let expected = filled(SHAPE, lps(), label).map(|&v| u8::from(v > 0.0));
    assert_eq!(back.data(), expected.data());
    assert_eq!(
        back.affine(),
        read_reference(files.path("FLAIR")).unwrap().affine()
    );

    assert_eq!(case.restore_class_indices(&own).unwrap(), back);
    let ones = case.restore_class_indices(&own.map(|_| 1)).unwrap();
    assert_eq!(ones.data().iter().filter(|&&c| c == 0).count(), 5 * 4);

    // A tie is background, and so is everything outside the mask.
    let tie = restored_labels(&case, certain(&case, |_| 0.5));
    assert!(tie.data().iter().all(|&c| c == 0));
    let all = restored(&case, certain(&case, |_| 1.0));
    let foreground = filled(SHAPE, lps(), |[x, _, _]| if x > 0 { 1.0 } else { 0.0 });
    assert_eq!(all[1].data(), foreground.data());
    assert_eq!(all[0].data(), foreground.map(|p| 1.0 - p).data());
}

#[test]
fn a_run_spacing_changes_the_grid_and_predictions_find_back() {
    let files = Files::new();
    let case = files
        .load(&files.subject(), raw(Some([1.0, 1.0, 1.0])))
        .unwrap();
    // 6 x 10 x 12 mm.
    assert_eq!(case.shape(), [6, 10, 12]);
    assert_eq!(case.label.as_ref().unwrap().shape(), [6, 10, 12]);
    assert_eq!(case.mask.as_ref().unwrap().shape(), [6, 10, 12]);
    // The code is linear in x, y, z, so between outer voxel centres linear
    // interpolation gives it back: y at 2 mm and z at 3 mm spacing.
    let at = |case: &Case, index: [usize; 3]| {
        let channel = &case.channels[0];
        f64::from(channel.data()[channel.index(index)])
    };
    let step = |axis: usize| {
        let mut next = [2, 4, 5];
        next[axis] += 1;
        at(&case, next) - at(&case, [2, 4, 5])
    };
    assert!((step(0) + 1.0).abs() < 1e-4);
    assert!((step(1) + 10.0 / 2.0).abs() < 1e-4);
    assert!((step(2) - 100.0 / 3.0).abs() < 1e-4);

    let own = case.label.clone().unwrap();
    let probabilities = certain(&case, |i| f32::from(own.data()[i]));
    let back = restored_labels(&case, probabilities);
    let expected = filled(SHAPE, lps(), label).map(|&v| u8::from(v > 0.0));
    assert_eq!(back.data(), expected.data());
    let grid = read_reference(files.path("FLAIR")).unwrap().grid();
    assert_eq!(corner_displacement_mm(&back.grid(), &grid), 0.0);
    let all = restored(&case, certain(&case, |_| 1.0));
    assert_eq!(all[1].data().iter().filter(|&&p| p == 0.0).count(), 5 * 4);

    let error = case.restore_class_indices(&own).unwrap_err().to_string();
    assert!(
        error.contains("[6, 10, 12]") && error.contains("probabilities"),
        "{error}"
    );

    // The files' own spacing is no change.
    let same = files
        .load(&files.subject(), raw(Some([1.0, 2.0, 3.0])))
        .unwrap();
    assert_eq!(same.channels[0].grid(), same.source.grid);
}

#[test]
fn a_prediction_on_another_grid_is_refused() {
    let files = Files::new();
    let case = files.load(&files.subject(), raw(None)).unwrap();
    let small = filled([2, 2, 2], lps(), |_| 0.5);
    let both = vec![small.clone(), small];
    let error = case.restore_probabilities(both, &[1.0, 0.0]).unwrap_err();
    assert!(
        error.to_string().contains("[2, 2, 2] voxels of 2 volumes"),
        "{error}"
    );
    let error = case.restore_probabilities(Vec::new(), &[]).unwrap_err();
    assert!(error.to_string().contains("of 0 volumes"), "{error}");
}

#[test]
fn a_white_matter_mask_sets_shift_and_scale() {
    let files = Files::new();
    // Two voxels of FLAIR: codes 112 and 114.
    let white = |at: [usize; 3]| f32::from(at == [1, 1, 1] || at == [3, 1, 1]);
    files.write("white", SHAPE, lps(), white);
    let subject = Subject {
        white_matter: Some(files.path("white")),
        ..files.subject()
    };
    let case = files.load(&subject, Preprocess::default()).unwrap();
    let channel = &case.channels[0];
    // Voxel [5, 4, 3] of the file, turned: (346 - 113) / 1.
    let value = channel.data()[channel.index([0, 0, 3])];
    assert_eq!(value, 346.0 - 113.0);
}

#[test]
fn each_mistake_names_file_finding_and_remedy() {
    let files = Files::new();
    let error =
        |subject: &Subject, preprocess| files.load(subject, preprocess).unwrap_err().to_string();
    let with_label = |name: &str| Subject {
        label: Some(files.path(name)),
        ..files.subject()
    };

    let mut shifted = lps();
    shifted.0[0][3] += 0.5;
    files.write("shifted", SHAPE, shifted, label);
    let message = error(&with_label("shifted"), raw(None));
    assert!(
        message.contains("pat1")
            && message.contains("shifted.nii.gz")
            && message.contains("FLAIR.nii.gz")
            && message.contains("0.50 mm apart")
            && message.contains("resample"),
        "{message}"
    );
    shifted.0[0][3] -= 0.45;
    files.write("near", SHAPE, shifted, label);
    assert!(files.load(&with_label("near"), raw(None)).is_ok());
    files.write("small", [6, 5, 3], lps(), label);
    let message = error(&with_label("small"), raw(None));
    assert!(
        message.contains("[6, 5, 3]") && message.contains("[6, 5, 4]"),
        "{message}"
    );
    files.write(
        "odd",
        SHAPE,
        lps(),
        |at| if at == [1, 0, 0] { 7.0 } else { 0.0 },
    );
    let message = error(&with_label("odd"), raw(None));
    assert!(
        message.contains("odd.nii.gz") && message.contains("value 7"),
        "{message}"
    );
    let message = error(&with_label("absent"), raw(None));
    assert!(message.contains("absent.nii.gz"), "{message}");

    let nan = |at: [usize; 3]| {
        if at[0] == 2 && at[1] == 1 {
            f32::NAN
        } else {
            code(at)
        }
    };
    files.write("nan", SHAPE, lps(), nan);
    let mut subject = files.subject();
    subject
        .images
        .insert("T1".to_owned(), files.path("nan").into());
    let message = error(&subject, raw(None));
    assert!(
        message.contains("nan.nii.gz has 4 voxels") && message.contains("[2, 1, 0]"),
        "{message}"
    );
    files.write("flat", SHAPE, lps(), |_| 3.0);
    subject
        .images
        .insert("T1".to_owned(), files.path("flat").into());
    let message = error(&subject, Preprocess::default());
    assert!(
        message.contains("T1") && message.contains("flat.nii.gz") && message.contains("all hold 3"),
        "{message}"
    );
    subject.images.remove("T1");
    let missing = load_case(&manifest_of(&files.subject()), &subject, &raw(None));
    assert!(missing.unwrap_err().to_string().contains("no image of T1"));

    files.write("empty", SHAPE, lps(), |_| 0.0);
    let subject = Subject {
        mask: Some(files.path("empty")),
        ..files.subject()
    };
    let message = error(&subject, raw(None));
    assert!(
        message.contains("the mask") && message.contains("empty.nii.gz"),
        "{message}"
    );

    let message = error(&files.subject(), raw(Some([1.0, 0.0, 1.0])));
    assert!(message.contains("spacing = [1.0, 0.0, 1.0]"), "{message}");
    let message = error(&files.subject(), raw(Some([1e-4; 3])));
    assert!(message.contains("coarser spacing"), "{message}");
}

/// A field that is linear in space is what linear interpolation gives back, wherever and
/// however the image was sampled.
#[test]
fn the_manifest_may_bring_images_onto_the_grid_of_one() {
    let files = Files::new();
    let oblique = Affine([
        [0.8, -0.3, 0.1, 1.0],
        [0.3, 0.9, -0.2, 5.0],
        [0.05, 0.2, 1.1, -12.0],
    ]);
    let field = |[x, y, z]: [f64; 3]| (30.0 + 2.0 * x - y + 0.5 * z) as f32;
    let sampled = |at: [usize; 3]| field(oblique.apply(at.map(|i| i as f64)));
    files.write("T1", [16, 20, 24], oblique, sampled);
    let subject = files.subject();
    let load = |manifest: &Manifest, spacing| load_case(manifest, &subject, &raw(spacing));
    let refused = load(&manifest_of(&subject), None).unwrap_err();
    assert!(matches!(refused, CaseError::Grid { .. }), "{refused}");

    let manifest = manifest_of(&subject).with_grid("FLAIR".to_owned()).unwrap();
    for spacing in [None, Some([1.5, 1.5, 2.0])] {
        let case = load(&manifest, spacing).unwrap();
        let t1 = &case.channels[1];
        assert_eq!(t1.grid(), case.channels[0].grid());
        let to_oblique = oblique.inverse().unwrap();
        let mut inside = 0;
        for z in 0..t1.shape()[2] {
            for y in 0..t1.shape()[1] {
                for x in 0..t1.shape()[0] {
                    let world = t1.affine().apply([x, y, z].map(|i| i as f64));
                    let from = to_oblique.apply(world);
                    if (0..3).all(|a| (0.0..=[15.0, 19.0, 23.0][a]).contains(&from[a])) {
                        let found = t1.data()[t1.index([x, y, z])];
                        assert!((found - field(world)).abs() < 1e-3, "{found} at {world:?}");
                        inside += 1;
                    }
                }
            }
        }
        assert!(inside > 30, "{inside}");
    }
    // Labels lie on the grid of that image, and are never interpolated onto another.
    let other = manifest_of(&subject).with_grid("T1".to_owned()).unwrap();
    let refused = load(&other, None).unwrap_err();
    assert!(matches!(refused, CaseError::Grid { .. }), "{refused}");
    let unknown = manifest_of(&subject)
        .with_grid("T2".to_owned())
        .unwrap_err();
    let text = unknown.to_string();
    assert!(
        text.contains("grid = \"T2\"") && text.contains("FLAIR, T1"),
        "{text}"
    );
}

fn manifest_of(subject: &Subject) -> Manifest {
    Manifest::new(
        Path::new("dataset.toml"),
        "toy".to_owned(),
        vec!["FLAIR".to_owned(), "T1".to_owned()],
        vec!["background".to_owned(), "lesion".to_owned()],
        [(0, "background"), (1, "lesion"), (2, "lesion")]
            .map(|(value, class)| (value, class.to_owned()))
            .into(),
        vec![subject.clone()],
    )
    .unwrap()
}
