//! Imported models of nnU-Net predict what nnU-Net predicts with them: models with random
//! weights, by `tests/golden/nnunet_models.py`, and a trained one.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_auto::nnunet::{Asked, import};
use lacuna_auto::{Opened, export};
use lacuna_train::apply::PredictedSubject;
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::PredictOverrides;
use lacuna_train::predict::Session;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/nnunet_models")
        .join(name)
}

/// The values of a `.npy` file behind its header.
fn npy(bytes: &[u8]) -> &[u8] {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    &bytes[10 + header..]
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let values = bytes.as_chunks().0.iter();
    values.map(|b| f32::from_le_bytes(*b)).collect()
}

fn predicted(model: &Path, images: &[(&str, PathBuf)], mirrored: bool) -> PredictedSubject {
    let overrides = PredictOverrides {
        mirror: (!mirrored).then(Vec::new),
        ..PredictOverrides::default()
    };
    let opened = Opened::open(&[model.to_owned()]).unwrap();
    let predictor =
        (opened.predictor(None, Choice::Last, &Device::flex(), None, overrides)).unwrap();
    assert!(predictor.doubts().is_empty());
    let images = (images.iter())
        .map(|(name, path)| ((*name).to_owned(), path.to_string_lossy().into_owned()));
    let manifest = predictor.one_subject("test", images, None).unwrap();
    let stop = AtomicBool::new(false);
    let session = Session {
        probabilities: true,
        warn: &|text| panic!("{text}"),
        ..predictor.session(&stop)
    };
    predictor.check_session(&session).unwrap();
    (predictor.predict(&manifest, &manifest.subjects[0], session, &mut |_, _| {})).unwrap()
}

/// Largest and mean distance.
fn distances(found: &PredictedSubject, expected: &[f32]) -> (f32, f64) {
    let volumes = found.probabilities.as_ref().unwrap();
    let found = volumes.iter().flat_map(|volume| volume.data());
    assert_eq!(found.clone().count(), expected.len());
    let distances = found.zip(expected).map(|(a, b)| (a - b).abs());
    let sum: f64 = distances.clone().map(f64::from).sum();
    (distances.fold(0.0, f32::max), sum / expected.len() as f64)
}

fn compare(name: &str, modalities: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    import(&golden(name).join("model"), &model, &Asked::default()).unwrap();
    let images: Vec<_> = (modalities.iter().enumerate())
        .map(|(i, modality)| (*modality, golden(name).join(format!("image_{i:04}.nii.gz"))))
        .collect();
    for (suffix, mirrored) in [("", false), ("_mirrored", true)] {
        let found = predicted(&model, &images, mirrored);
        let read =
            |what: &str| std::fs::read(golden(name).join(format!("{what}{suffix}.npy"))).unwrap();
        let (largest, _) = distances(&found, &floats(npy(&read("probabilities"))));
        assert!(largest < 1e-3, "{name}{suffix}: {largest}");
        assert_eq!(found.labels.data(), npy(&read("labels")), "{name}{suffix}");
    }
    // The same from one file.
    let file = folder.path().join("model.lacuna");
    export(&model, &file).unwrap();
    let [first, second] = [&model, &file].map(|model| predicted(model, &images, false));
    assert_eq!(first.probabilities, second.probabilities);
}

/// Thick slices, axes in another order, CT, regions, two folds.
#[test]
fn thick_slices_and_regions_are_predicted_as_by_nnunet() {
    compare("thick", &["CT", "PET"]);
}

/// A 2-D network on canonical axes.
#[test]
fn slices_are_predicted_as_by_nnunet() {
    compare("slices", &["MR"]);
}

#[test]
fn a_model_is_written_whole_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let asked = Asked {
        folds: vec!["1".to_owned()],
        ..Asked::default()
    };
    let made = import(&golden("thick").join("model"), &out, &asked).unwrap();
    assert_eq!(made.model.runs, ["fold_1"]);
    assert_eq!(made.trainer, "nnUNetTrainer");
    assert!(!out.join("fold_0").exists());
    let again = import(&golden("thick").join("model"), &out, &asked).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
    // Weights of another configuration leave nothing behind.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for (from, name) in [
        ("thick", "fold_0"),
        ("slices", "plans.json"),
        ("slices", "dataset.json"),
    ] {
        let source = golden(from).join("model").join(name);
        if source.is_dir() {
            std::fs::create_dir(other.join(name)).unwrap();
            let file = format!("{name}/checkpoint_final.pth");
            std::fs::copy(golden(from).join("model").join(&file), other.join(&file)).unwrap();
        } else {
            std::fs::copy(source, other.join(name)).unwrap();
        }
    }
    let target = folder.path().join("target");
    let refused = import(&other, &target, &Asked::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("checkpoint_final.pth"), "{refused}");
    assert!(!target.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// The first file of an archive that NumPy wrote.
#[cfg(lacuna_data)]
fn npz(path: &Path) -> Vec<u8> {
    use std::io::Read;

    let bytes = std::fs::read(path).unwrap();
    let length = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let mut out = Vec::new();
    let start = 30 + length(26) + length(28);
    flate2::read::DeflateDecoder::new(&bytes[start..])
        .read_to_end(&mut out)
        .unwrap();
    out
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn a_trained_model_is_predicted_as_by_nnunet() {
    #[cfg(lacuna_data)]
    {
        let data = Path::new(env!("LACUNA_DATA_FOLDER")).join("nnunet_model");
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        import(&data.join("model"), &model, &Asked::default()).unwrap();
        let images = ["FLAIR", "T1", "T2"].into_iter().enumerate();
        let images: Vec<_> = images
            .map(|(i, name)| (name, data.join(format!("images/crop07_{i:04}.nii.gz"))))
            .collect();
        for (expected, mirrored) in [("expected", false), ("expected_mirrored", true)] {
            let found = predicted(&model, &images, mirrored);
            let expected = data.join(expected);
            let values = npz(&expected.join("crop07.npz"));
            let (largest, mean) = distances(&found, &floats(npy(&values)));
            assert!(largest <= 1e-3 && mean < 1e-5, "{largest} {mean}");
            let labels = lacuna_io::read_labels(expected.join("crop07.nii.gz")).unwrap();
            let found = found.labels.data().iter().map(|class| u16::from(*class));
            assert!(found.eq(labels.data().iter().map(|label| *label as u16)));
        }
    }
}
