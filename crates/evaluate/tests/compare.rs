//! Folders of predictions compared: by hand on two small subjects, and on real tumours
//! with errors that were put in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_evaluate::{CompareRequest, EvaluateError, Request, compare, evaluate};
use lacuna_io::Reference;
use lacuna_metrics::Options;
use lacuna_record::{ComparedPredictions, DisputeKind, MetricDifference, Stratum};
use lacuna_volume::{Affine, Connectivity, LabelMap, Spacing, Volume, label_components};

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

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

#[test]
fn two_subjects_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path(), &["a", "b"]);
    let found = case.compare(&["b"]).unwrap();
    assert_eq!(found.subjects, ["s1", "s2"]);
    let left_out: Vec<_> = found
        .left_out
        .iter()
        .map(|l| (&l.subject[..], &l.why[..]))
        .collect();
    assert_eq!(left_out, [("s3", "not in b"), ("s4", "no label")]);

    let metrics = &found.pairs[0].metrics;
    // s1: 14 of 15 and 16 voxels, 11 of 15 and 16. s2: 11 of 11 and 11, 10 of 11 and 10.
    let dsc = metric(metrics, "lesion", "dsc");
    let difference = &dsc.comparison.difference;
    assert!(
        near(dsc.means[0], (28.0 / 31.0 + 1.0) / 2.0),
        "{:?}",
        dsc.means
    );
    assert!(near(difference.mean, -(6.0 / 31.0 + 1.0 / 21.0) / 2.0));
    assert!(near(difference.quartiles.median, difference.mean));
    assert_eq!(dsc.better_worse_equal, [0, 2, 0]);
    // Two differences of one sign: 2 / 2^2, and ten tests.
    assert_eq!(
        (dsc.comparison.test.p, dsc.holm_p, dsc.tests),
        (0.5, 1.0, 10)
    );
    // s1: 2/3 of both kinds, 2/3 and 2/4. s2: all, and 1/2 and 1.
    let f1 = metric(metrics, "lesion", "lesion_f1");
    assert!(near(f1.means[0], (2.0 / 3.0 + 1.0) / 2.0));
    assert!(near(f1.means[1], (4.0 / 7.0 + 2.0 / 3.0) / 2.0));
    // s1: one voxel of 2 mm³ too many in both. s2: none, and one too few.
    let volume = metric(metrics, "lesion", "absolute_volume_difference_mm3");
    assert_eq!(
        (volume.means, volume.better_worse_equal),
        ([1.0, 2.0], [0, 1, 1])
    );
    assert!(
        found
            .notes
            .iter()
            .any(|n| n.contains("no signed-rank p below 0.500"))
    );

    let strata = |s: &Stratum| (s.lesions, s.found(), s.both, [s.only_first, s.only_second]);
    let of: Vec<_> = found.pairs[0].strata.iter().map(strata).collect();
    assert_eq!(
        of,
        [
            (2, [1, 1, 0], 0, [1, 1]),
            (1, [1, 0, 0], 0, [1, 0]),
            (2, [2, 2, 0], 2, [0, 0]),
            (0, [0, 0, 0], 0, [0, 0]),
            (0, [0, 0, 0], 0, [0, 0]),
            (5, [4, 3, 0], 2, [2, 1]),
        ]
    );
    assert!(found.pairs[0].strata.iter().all(|s| s.mcnemar_p == 1.0));

    let lesions: Vec<_> = (found.pairs[0].lesions.iter())
        .map(|l| {
            (
                &l.subject[..],
                l.kind,
                &l.only[..],
                l.mm3,
                l.place.unwrap().inside,
            )
        })
        .collect();
    let (reference, false_one) = (DisputeKind::ReferenceLesion, DisputeKind::FalseComponent);
    assert_eq!(
        lesions,
        [
            ("s1", reference, "b", 2.0, [2, 2, 1]),
            ("s1", reference, "a", 8.0, [3, 6, 1]),
            ("s1", false_one, "b", 6.0, [16, 6, 1]),
            ("s2", reference, "a", 2.0, [2, 2, 1]),
        ]
    );
    // The slice of the lesion, and the place in mm.
    let caption = &found.pictures[0].caption;
    assert!(
        found.pictures.iter().any(|p| p
            .caption
            .contains("only a finds, of 8.0 mm³ at voxel (3, 6, 1), (3.0, 6.0, 2.0) mm (z = 1")),
        "{caption}"
    );
    for name in [
        "compare.json",
        "differences.csv",
        "summary.csv",
        "strata.csv",
        "lesions.csv",
        "compare.md",
        "compare.html",
        "pictures/s1.png",
        "pictures/s2.png",
    ] {
        assert!(case.out.join(name).exists(), "{name}");
    }
    assert_eq!(
        ComparedPredictions::read(&case.out).unwrap().unwrap(),
        found
    );
    let rows = std::fs::read_to_string(case.out.join("differences.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 2 * 10);
    let markdown = std::fs::read_to_string(case.out.join("compare.md")).unwrap();
    assert!(markdown.contains("(<pictures/s1.png>)"));
}

#[test]
fn exchanged_predictions_change_signs_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = case(folder.path(), &["a", "b"]);
    let one = case.compare(&["b"]).unwrap();
    case.folders.reverse();
    case.out = folder.path().join("other");
    let other = case.compare(&["b"]).unwrap();
    let (one, other) = (&one.pairs[0], &other.pairs[0]);
    for (a, b) in one.metrics.iter().zip(&other.metrics) {
        let (d, e) = (&a.comparison.difference, &b.comparison.difference);
        assert_eq!((d.mean, d.quartiles.median), (-e.mean, -e.quartiles.median));
        assert_eq!(
            (a.comparison.test.p, a.holm_p),
            (b.comparison.test.p, b.holm_p)
        );
        let [better, worse, equal] = a.better_worse_equal;
        assert_eq!([worse, better, equal], b.better_worse_equal);
    }
    for (a, b) in one.strata.iter().zip(&other.strata) {
        assert_eq!((a.only_first, a.only_second), (b.only_second, b.only_first));
        assert_eq!((a.both, a.mcnemar_p), (b.both, b.mcnemar_p));
    }
    assert_eq!(one.lesions.len(), other.lesions.len());
}

#[test]
fn a_prediction_equals_itself() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path(), &["a", "a"]);
    let found = case.compare(&[]).unwrap();
    let names: Vec<_> = found.predictions.iter().map(|p| &p.name[..]).collect();
    assert_eq!(names, ["a (1)", "a (2)"]);
    assert_eq!(found.subjects, ["s1", "s2", "s3"]);
    equal(&found, 0);
    assert!(found.pictures.is_empty());
}

fn equal(found: &ComparedPredictions, pair: usize) {
    let pair = &found.pairs[pair];
    for m in &pair.metrics {
        let d = &m.comparison.difference;
        assert_eq!(
            (d.mean, d.iqr, m.comparison.test.p, m.holm_p),
            (0.0, 0.0, 1.0, 1.0)
        );
        assert_eq!(m.better_worse_equal, [0, 0, found.subjects.len()]);
    }
    assert!(
        pair.strata
            .iter()
            .all(|s| s.only_first + s.only_second == 0 && s.mcnemar_p == 1.0)
    );
    assert!(pair.lesions.is_empty());
}

#[test]
fn an_evaluation_stands_for_its_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = case(folder.path(), &["a", "b"]);
    let maps = case.compare(&["b"]).unwrap();
    let subjects = ["s1", "s2"].map(str::to_owned);
    let request = Request {
        manifest: &case.manifest,
        predictions: &folder.path().join("a"),
        out: &folder.path().join("evaluated"),
        subjects: &subjects,
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    evaluate(&request, &mut |_, _| ()).unwrap();
    case.folders[0] = folder.path().join("evaluated");
    case.out = folder.path().join("other");
    let scores = case.compare(&["b"]).unwrap();
    assert!(scores.predictions[0].evaluation && !scores.predictions[1].evaluation);
    assert_eq!(scores.pairs[0].metrics, maps.pairs[0].metrics);
    assert_eq!(scores.pairs[0].strata, maps.pairs[0].strata);
    assert_eq!(scores.pairs[0].lesions.len(), 4);
    assert_eq!(scores.pictures.len(), 2);
    // Without its label maps, what needs them is not told.
    std::fs::remove_dir_all(folder.path().join("a")).unwrap();
    let scores = case.compare(&["b"]).unwrap();
    assert_eq!(scores.pairs[0].metrics, maps.pairs[0].metrics);
    assert_eq!(
        (scores.pairs[0].lesions.len(), scores.pictures.len()),
        (3, 0)
    );
    assert!(
        scores
            .notes
            .iter()
            .any(|n| n.contains("are gone or have changed"))
    );
    assert!(
        !case.out.join("pictures/s1.png").exists(),
        "a stale picture stays"
    );
    // Of another reference: two lesions of subject s2 are three.
    write(
        &folder.path().join("labels/s2.nii.gz"),
        &labels(&[SMALL, MIDDLE, LARGE], 7),
    );
    let error = case.compare(&["b"]).unwrap_err().to_string();
    assert!(
        error.contains("subject `s2`") && error.contains("(3 and 2 lesions"),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut case = case(folder.path(), &["a", "b"]);
    let refused = |case: &Case, label_values: &[&str], expected: &str| {
        let error = case.compare(label_values).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        &case,
        &[],
        "holds the value 7, expected class indices 0 to 1",
    );
    refused(
        &case,
        &["c"],
        "--label-values c: there is no such prediction; expected of a, b",
    );
    assert!(!case.out.exists(), "nothing is written");
    let names = ["x".to_owned()];
    let request = CompareRequest {
        names: &names,
        ..case.request(&[])
    };
    let error = compare(&request, &mut |_, _| ()).unwrap_err().to_string();
    assert!(error.contains("1 name(s) for 2 folders"), "{error}");
    // Another's files.
    std::fs::create_dir(&case.out).unwrap();
    std::fs::write(case.out.join("lesions.csv"), "mine").unwrap();
    refused(&case, &["b"], "lesions.csv is there already");
    std::fs::remove_file(case.out.join("lesions.csv")).unwrap();
    case.compare(&["b"]).unwrap();
    case.compare(&["b"]).unwrap();
    case.folders.push(path("a"));
    case.folders.remove(1);
    refused(&case, &[], "not from a comparison of these folders");
    case.folders = vec![path("a"), path("nowhere")];
    refused(&case, &[], "there is no such folder");
    case.folders = vec![path("a"), path("out")];
    refused(&case, &[], "holds no <id>.nii.gz of a subject");
    case.folders = vec![path("a")];
    refused(&case, &[], "give two or more");
    // A former comparison is no reason to write over what is read.
    std::fs::create_dir(path("c")).unwrap();
    write(&path("c/s4.nii.gz"), &labels(&[LARGE], 1));
    case.folders = vec![path("a"), path("c")];
    refused(&case, &[], "no labelled subject");
}

/// Real tumours, of which one prediction is the reference itself, one is a voxel off, and
/// one lacks the components below 50 voxels (1 mm³ each) of the whole tumour.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_tumours_with_known_errors() {
    let data = PathBuf::from(DATA.unwrap()).join("brats2015");
    let folder = tempfile::tempdir().unwrap();
    let ids = ["pat0003", "pat0004", "pat0005", "pat0006"];
    let names = [
        "background",
        "necrosis",
        "oedema",
        "non-enhancing",
        "enhancing",
    ];
    for id in ids {
        let raw = lacuna_io::read_labels(data.join(id).join("tumour.nii.gz")).unwrap();
        let labels = raw.map(|&v| u8::try_from(v).unwrap());
        let write = |name: &str, map: &LabelMap| {
            write(&folder.path().join(name).join(format!("{id}.nii.gz")), map);
        };
        write("reference", &labels);
        // The last voxel of each row is background in all of them.
        let mut shifted = labels.clone();
        shifted.data_mut().rotate_right(1);
        write("shifted", &shifted);
        let found = label_components(&labels.map(|&l| l > 0), Connectivity::TwentySix);
        let mut components = found.labels.data().iter();
        write(
            "cleaned",
            &labels.map(|&label| match components.next() {
                Some(&c) if c > 0 && found.sizes[c as usize - 1] >= 50 => label,
                _ => 0,
            }),
        );
    }
    let subject = |id: &str| Subject {
        id: id.to_owned(),
        images: BTreeMap::from([(
            "FLAIR".to_owned(),
            ImageRef {
                path: data.join(id).join("FLAIR.nii.gz"),
                volume: None,
            },
        )]),
        label: Some(data.join(id).join("tumour.nii.gz")),
        ..Subject::default()
    };
    let case = Case {
        manifest: Manifest::new(
            &folder.path().join("test.toml"),
            "tumours".to_owned(),
            vec!["FLAIR".to_owned()],
            names.map(str::to_owned).to_vec(),
            (0..5).zip(names.map(str::to_owned)).collect(),
            ids.map(subject).to_vec(),
        )
        .unwrap(),
        folders: ["reference", "shifted", "cleaned"]
            .map(|name| folder.path().join(name))
            .to_vec(),
        // Kept, to be looked at, where a folder is given.
        out: std::env::var_os("LACUNA_KEEP").map_or(folder.path().join("out"), PathBuf::from),
    };
    let found = compare(
        &CompareRequest {
            force: true,
            ..case.request(&[])
        },
        &mut |_, _| (),
    )
    .unwrap();
    assert_eq!((found.subjects.len(), found.pairs.len()), (4, 3));
    let [shifted, cleaned, _] = &found.pairs[..] else {
        panic!("{} pairs", found.pairs.len());
    };
    // The reference is perfect, and all four subjects are worse when shifted.
    let dsc = metric(&shifted.metrics, "foreground", "dsc");
    assert_eq!((dsc.means[0], dsc.better_worse_equal), (1.0, [0, 4, 0]));
    assert_eq!((dsc.comparison.test.p, dsc.tests), (0.125, 30));
    assert_eq!(
        metric(&shifted.metrics, "foreground", "hd95_mm").means,
        [0.0, 1.0]
    );
    // Every lesion below 50 mm³ is gone, and no other.
    let strata = cleaned.strata.iter().filter(|s| s.class == "foreground");
    for s in strata.filter(|s| s.below_mm3.is_some() || s.from_mm3 > 0.0) {
        let lost = if s.from_mm3 < 50.0 { s.lesions } else { 0 };
        assert_eq!((s.only_first, s.only_second), (lost, 0), "{s:?}");
    }
    let lost = |l: &&lacuna_record::DisputedLesion| l.class == "foreground";
    assert!(
        cleaned
            .lesions
            .iter()
            .filter(lost)
            .all(|l| l.only == "reference" && l.mm3 < 50.0)
    );
    assert_eq!(found.pictures.len(), 4);
}
