//! The real subjects of the folder `LACUNA_DATA`: white matter against what
//! `tests/golden/white_matter.py` found with SciPy, grey matter against what
//! `tests/golden/grey_matter.py` found with scikit-learn, and training patches against
//! `tests/golden/foreground_share.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_data::normalise::{
    Background, NormaliseConfig, NormaliseMethod, grey_matter, normalise,
};
use lacuna_data::positions::Positions;
use lacuna_data::sampler::{PatchConfig, PatchGeometry, Realised, Sampler};
use lacuna_data::subject::{Case, Preprocess, load_case};
use lacuna_io::{read_image, read_labels};
use lacuna_volume::Zyx;
use serde::Deserialize;

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

const GOLDEN: &str = include_str!("../../../tests/golden/white_matter/values.json");

/// SD of a standard normal variable between its quantiles 0.45 and 0.55.
const STRIPE_OF_UNIT_GAUSSIAN: f64 = 0.0725;

#[derive(Deserialize)]
struct Golden {
    mode: f64,
    stripe_sd: f64,
    /// Median intensity of deep white matter, where the image lies in MNI space.
    centrum_semiovale: Option<f64>,
}

fn data() -> PathBuf {
    DATA.expect("LACUNA_DATA names the data folder").into()
}

/// Of [`golden/grey_matter.py`](../../../tests/golden/grey_matter.py).
const GREY_MEDIANS: [(&str, &str, f64); 6] = [
    ("patient07", "FLAIR", 97.1),
    ("patient07", "T1", 271.8),
    ("patient07", "T2", 324.7),
    ("patient19", "FLAIR", 68.8),
    ("patient19", "T1", 125.5),
    ("patient19", "T2", 261.4),
];

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_grey_matter_is_one_in_every_image() {
    for (patient, modality, golden) in GREY_MEDIANS {
        let read = |name: &str| {
            let file = format!("ms_lesion/{patient}/{name}.nii.gz");
            read_image(data().join(file)).unwrap()
        };
        let grey = grey_matter(&read("T1"), None, Background::Auto).unwrap();
        let config = NormaliseConfig {
            method: NormaliseMethod::GreyMatter,
            ..NormaliseConfig::default()
        };
        let mut image = read(modality);
        let found = normalise(&mut image, modality, None, Some(&grey), config).unwrap();
        let off = (found.shift / golden - 1.0).abs();
        assert!(
            off < 0.01,
            "{patient} {modality}: {} for {golden}",
            found.shift
        );
        assert_eq!(found.scale, found.shift / 4.0);
    }
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_white_matter_is_found_in_every_image() {
    let golden: BTreeMap<String, Golden> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(golden.len(), 14);
    for (name, golden) in golden {
        let path = data().join(&name);
        let mut image = read_image(&path).unwrap();
        let mask = path.with_file_name("brain_mask.nii.gz");
        let mask = mask
            .exists()
            .then(|| read_labels(&mask).unwrap().map(|&v| v != 0));
        let modality = name.rsplit(['/', '.']).nth(2).unwrap();
        let method = NormaliseMethod::WhiteMatter;
        let found = normalise(
            &mut image,
            modality,
            mask.as_ref(),
            None,
            NormaliseConfig {
                method,
                ..NormaliseConfig::default()
            },
        )
        .unwrap();

        // The tops of these peaks are flat: over 0.5 spreads of pat0006's T1c
        // the density changes by 1.5 %.
        let off = (found.shift - golden.mode).abs() / found.scale;
        assert!(
            off < 0.3,
            "{name}: mode {} for {}",
            found.shift,
            golden.mode
        );
        let ratio = found.scale * STRIPE_OF_UNIT_GAUSSIAN / golden.stripe_sd;
        assert!((0.8..1.25).contains(&ratio), "{name}: spread {ratio}");
        if let Some(deep) = golden.centrum_semiovale {
            let off = (found.shift - deep).abs() / found.scale;
            assert!(off < 0.5, "{name}: mode {} for {deep}", found.shift);
        }

        // What a network sees: centred, and of the order of 1.
        let mut inside: Vec<f32> = image.data().iter().copied().filter(|v| *v != 0.0).collect();
        inside.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| inside[(share * inside.len() as f64) as usize];
        assert!(at(0.5).abs() < 1.5, "{name}: median {}", at(0.5));
        assert!(
            at(0.01) > -9.0 && at(0.99) < 13.0,
            "{name}: {} {}",
            at(0.01),
            at(0.99)
        );
        let spread = at(0.84) - at(0.16);
        assert!((1.0..8.0).contains(&spread), "{name}: {spread}");
    }
}

fn load(folder: &str, modalities: &[&str], label: &str, mask: Option<&str>) -> Case {
    let folder = data().join(folder);
    let file = |name: &str| folder.join(format!("{name}.nii.gz"));
    let subject = Subject {
        id: "real".to_owned(),
        images: modalities
            .iter()
            .map(|m| ((*m).to_owned(), file(m).into()))
            .collect(),
        label: Some(file(label)),
        mask: mask.map(file),
        ..Subject::default()
    };
    let manifest = Manifest::new(
        &folder.join("dataset.toml"),
        "real".to_owned(),
        modalities.iter().map(|m| (*m).to_owned()).collect(),
        vec!["background".to_owned(), "lesion".to_owned()],
        (0..5)
            .map(|v| (v, if v == 0 { "background" } else { "lesion" }.to_owned()))
            .collect(),
        vec![subject.clone()],
    )
    .unwrap();
    load_case(&manifest, &subject, &Preprocess::default()).unwrap()
}

/// Loads a subject and brings its own label back as if it had been predicted.
fn assert_comes_back(case: &Case, folder: &str, label: &str) {
    let own = case.label.as_ref().unwrap();
    let lesion = own.map(|&class| f32::from(class));
    let probabilities = vec![lesion.map(|p| 1.0 - p), lesion];
    let restored = case.restore_probabilities(probabilities, &[1.0, 0.0]);
    let restored = restored.unwrap();
    let back = restored[1].map(|&p| u8::from(p > 0.5));
    let file = data().join(folder).join(format!("{label}.nii.gz"));
    let expected = read_labels(file).unwrap().map(|&v| u8::from(v > 0));
    assert_eq!(back.grid(), expected.grid());
    let differ = back
        .data()
        .iter()
        .zip(expected.data())
        .filter(|(a, b)| a != b)
        .count();
    // A few tumour voxels of BRATS lie outside the brain mask.
    let most = if case.mask.is_some() { 400 } else { 0 };
    assert!(differ <= most, "{differ}");
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_labels_come_back_onto_the_files_grid() {
    let case = load(
        "brats2015/pat0005",
        &["FLAIR", "T1c"],
        "tumour",
        Some("brain_mask"),
    );
    assert_eq!(case.source.orientation.codes(), "LPS");
    assert_comes_back(&case, "brats2015/pat0005", "tumour");
    let case = load("ms_lesion/patient07", &["FLAIR"], "lesion", None);
    assert_eq!(case.source.orientation.codes(), "LAS");
    assert_comes_back(&case, "ms_lesion/patient07", "lesion");
}

/// Positions, mean and SD of the foreground share are the golden's.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_foreground_patches_are_the_papers() {
    let brats = load(
        "brats2015/pat0005",
        &["FLAIR"],
        "tumour",
        Some("brain_mask"),
    );
    let ms = load("ms_lesion/patient19", &["FLAIR"], "lesion", None);
    for (case, rank, effective, positions, mean, sd) in [
        (&brats, 2, 16, 214_394, 0.37633, 0.33777),
        (&brats, 2, 24, 293_959, 0.27447, 0.28228),
        (&brats, 2, 48, 564_369, 0.14246, 0.15363),
        (&ms, 3, 3, 115_479, 0.43098, 0.3359),
        (&ms, 3, 15, 682_032, 0.07297, 0.1104),
        (&ms, 3, 39, 1_845_039, 0.02697, 0.03729),
    ] {
        let label = case.label.as_ref().unwrap();
        let depth = if rank == 2 { 1 } else { effective };
        let set = Positions::of_boxes(
            case.shape(),
            [effective, effective, depth],
            &[&|i| label.data()[i] > 0, &|i| case.in_mask(i)],
        );
        assert_eq!(set.len(), positions);

        // The images are not looked at: no border keeps them small.
        let geometry = PatchGeometry {
            rank,
            input: Zyx([depth, effective, effective]),
            effective: Zyx([depth, effective, effective]),
        };
        let cases = Arc::new(vec![case.clone()].into());
        let (sampler, _) = Sampler::new(cases, &PatchConfig::default(), geometry, 0).unwrap();
        let mut realised = Realised::default();
        for iteration in 0..100 {
            realised.add(&sampler.batch(iteration, 10).unwrap());
        }
        let off = (realised.foreground_share().unwrap() - mean).abs();
        let standard_error = sd / 1000f64.sqrt();
        assert!(off < 4.0 * standard_error, "{effective}: {off}");
        assert_eq!(realised.empty_rate(), Some(0.0));
    }
}

/// The oblique FLAIR of an ISLES 2022 case on the grid of its DWI is what
/// `nibabel.processing.resample_from_to(flair, dwi, order=1, mode="nearest")` gives.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn an_oblique_flair_comes_onto_the_grid_of_dwi() {
    let folder = data().join("isles2022_case0009");
    let file = |name: &str| folder.join(format!("{name}.nii.gz"));
    let subject = Subject {
        id: "case".to_owned(),
        images: [("DWI", "dwi"), ("FLAIR", "flair")]
            .map(|(modality, name)| (modality.to_owned(), file(name).into()))
            .into(),
        label: Some(file("msk")),
        ..Subject::default()
    };
    let manifest = Manifest::new(
        &folder.join("dataset.toml"),
        "isles".to_owned(),
        ["DWI", "FLAIR"].map(str::to_owned).to_vec(),
        ["background", "infarct"].map(str::to_owned).to_vec(),
        [(0, "background"), (1, "infarct")]
            .map(|(value, class)| (value, class.to_owned()))
            .into(),
        vec![subject.clone()],
    );
    let manifest = manifest.unwrap().with_grid("DWI".to_owned()).unwrap();
    let preprocess = Preprocess {
        normalise: NormaliseConfig {
            method: NormaliseMethod::None,
            ..NormaliseConfig::default()
        },
        ..Preprocess::default()
    };
    let case = load_case(&manifest, &subject, &preprocess).unwrap();
    let flair = &case.channels[1];
    assert_eq!(flair.shape(), [112, 112, 73]);
    let sum: f64 = flair.data().iter().map(|v| f64::from(*v)).sum();
    let mean = sum / flair.len() as f64;
    assert!((mean - 210.690_851).abs() < 1e-3, "{mean}");
    // The file's x runs to the left.
    for (voxel, expected) in [
        ([71, 50, 30], 1195.926),
        ([51, 70, 40], 1011.096),
        ([91, 90, 20], 0.0),
    ] {
        let found = flair.data()[flair.index(voxel)];
        assert!((found - expected).abs() < 0.01, "{found} at {voxel:?}");
    }
}
