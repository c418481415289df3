//! Phantoms with lesions of real shape: exact shapes at equal spacing, the share
//! within its tolerance, and where lesions lie. With `LACUNA_DATA`, on the lesions of
//! patients.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lacuna_data::phantom::{
    PhantomConfig, PhantomError, PhantomSubject, Tissue, phantom, write_cohort,
};
use lacuna_io::{Reference, write_labels};
use lacuna_volume::{Affine, Connectivity, LabelMap, Spacing, Volume, label_components};

type Voxels = BTreeSet<[usize; 3]>;

/// 294,912 voxels of 2.2 mm with the lesions of `masks`.
fn config(share: f64, masks: &Path) -> PhantomConfig {
    PhantomConfig {
        shape: [64, 72, 64],
        spacing: [2.2; 3],
        foreground_share: share,
        lesion_masks: Some(masks.to_owned()),
        ..PhantomConfig::default()
    }
}

fn write_mask(path: &Path, spacing: [f64; 3], voxels: impl IntoIterator<Item = ([usize; 3], u8)>) {
    let affine = Affine::from_spacing(Spacing(spacing));
    let mut mask = LabelMap::filled([30, 30, 30], affine, 0).unwrap();
    for (at, label) in voxels {
        let i = mask.index(at);
        mask.data_mut()[i] = label;
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_labels(path, &mask, &Reference::from_grid(&mask.grid())).unwrap();
}

/// Lesions that no turn maps onto themselves or each other: 5 voxels that touch at an
/// edge and a corner, of two labels; 9 voxels; and in a folder below, 30 voxels.
fn masks(folder: &Path) -> PathBuf {
    let folder = folder.join("masks");
    let five = [[2, 2, 2], [3, 2, 2], [4, 3, 2], [5, 4, 3], [5, 4, 4]];
    let nine = (0..6).map(|x| [10 + x, 10, 10]);
    let nine = nine.chain([[10, 11, 10], [10, 12, 10], [10, 10, 11]]);
    let five = five
        .into_iter()
        .enumerate()
        .map(|(i, at)| (at, 1 + (i % 2) as u8));
    let both = five.chain(nine.map(|at| (at, 1)));
    write_mask(&folder.join("a.nii.gz"), [2.2; 3], both);
    let block = (0..27).map(|i| [12 + i % 3, 12 + i / 3 % 3, 12 + i / 9]);
    let thirty = block.chain([[15, 12, 12], [16, 12, 12], [12, 15, 12]]);
    write_mask(
        &folder.join("below/b.nii.gz"),
        [2.2; 3],
        thirty.map(|at| (at, 1)),
    );
    folder
}

fn lesions(label: &Volume<bool>) -> Vec<Voxels> {
    let found = label_components(label, Connectivity::TwentySix);
    let [nx, ny, _] = label.shape();
    let mut lesions = vec![Voxels::new(); found.count];
    for (i, &number) in found.labels.data().iter().enumerate() {
        if number > 0 {
            lesions[number as usize - 1].insert([i % nx, i / nx % ny, i / (nx * ny)]);
        }
    }
    lesions
}

fn of_subject(subject: &PhantomSubject) -> Vec<Voxels> {
    lesions(&subject.label.map(|&l| l == 1))
}

fn of_file(path: &Path) -> Vec<Voxels> {
    lesions(&lacuna_io::read_labels(path).unwrap().map(|&l| l > 0))
}

/// The same for all turned and moved copies of a lesion: the least of its 48 turns.
fn shape_of(lesion: &Voxels) -> Vec<[usize; 3]> {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let turned = |order: [usize; 3], mirror: usize| {
        let high = [0, 1, 2].map(|a| lesion.iter().map(|v| v[a]).max().unwrap());
        let low = [0, 1, 2].map(|a| lesion.iter().map(|v| v[a]).min().unwrap());
        let place = |v: &[usize; 3]| {
            order.map(|a| match mirror >> a & 1 {
                0 => v[a] - low[a],
                _ => high[a] - v[a],
            })
        };
        lesion.iter().map(place).collect::<Voxels>()
    };
    let least = orders
        .into_iter()
        .flat_map(|order| (0..8).map(move |m| (order, m)));
    let least = least
        .map(|(order, mirror)| turned(order, mirror))
        .min()
        .unwrap();
    least.into_iter().collect()
}

fn voxels(subject: &PhantomSubject) -> usize {
    subject.label.data().iter().filter(|&&l| l == 1).count()
}

#[test]
fn lesions_keep_their_shape_lie_in_white_matter_and_apart() {
    let folder = tempfile::tempdir().unwrap();
    let masks = masks(folder.path());
    let [a, b] = ["a.nii.gz", "below/b.nii.gz"].map(|name| of_file(&masks.join(name)));
    let known: BTreeSet<_> = a.iter().chain(&b).map(shape_of).collect();
    assert_eq!(
        known.iter().map(Vec::len).collect::<BTreeSet<_>>(),
        BTreeSet::from([5, 9, 30])
    );

    let mut seen = BTreeSet::new();
    for index in 0..3 {
        let subject = phantom(&config(1e-3, &masks), index).unwrap();
        let found = of_subject(&subject);
        seen.extend(found.iter().map(shape_of));
        // As many components as lesions: none touches another.
        assert_eq!(found.len(), subject.mask_lesions.len());
        let mut sizes: Vec<_> = found.iter().map(BTreeSet::len).collect();
        let mut told: Vec<_> = subject.mask_lesions.iter().map(|l| l.voxels).collect();
        sizes.sort_unstable();
        told.sort_unstable();
        assert_eq!(sizes, told);
        for lesion in &subject.mask_lesions {
            let (mask, component) = (lesion.mask.as_str(), lesion.component);
            let expected = match (mask, component) {
                ("a.nii.gz", 1) => 5,
                ("a.nii.gz", 2) => 9,
                _ => 30,
            };
            assert_eq!(lesion.voxels, expected, "{mask} {component}");
            assert!((lesion.volume_mm3 - 10.648 * expected as f64).abs() < 1e-9);
            assert_eq!(lesion.white_matter_voxels, lesion.voxels);
        }
        for (label, tissue) in subject.label.data().iter().zip(subject.tissue.data()) {
            assert!(*label == 0 || *tissue == Tissue::White as u8);
        }
    }
    assert_eq!(seen, known);
}

#[test]
fn the_share_is_met_to_a_twentieth_or_half_the_smallest_lesion() {
    let folder = tempfile::tempdir().unwrap();
    let masks = masks(folder.path());
    // Of 294,912 voxels; the smallest lesion has 5, half of it 2.
    for (share, asked, tolerance) in [(1e-2, 2949, 147), (1e-3, 295, 14), (1e-4, 29, 2)] {
        for index in 0..4 {
            let subject = phantom(&config(share, &masks), index).unwrap();
            let off = voxels(&subject).abs_diff(asked);
            assert!(off <= tolerance, "{share}, subject {index}: {off} voxels");
        }
    }
    // 3 voxels, to which 5 come nearest, and one lesion even where none is nearer.
    for share in [1e-5, 1e-9] {
        let subject = phantom(&config(share, &masks), 0).unwrap();
        assert_eq!(voxels(&subject), 5);
    }
    assert_eq!(voxels(&phantom(&config(0.0, &masks), 0).unwrap()), 0);
}

#[test]
fn volumes_are_kept_on_another_spacing_and_every_lesion_keeps_a_voxel() {
    let folder = tempfile::tempdir().unwrap();
    let mask = folder.path().join("thick.nii.gz");
    // 40 voxels of 3 mm³ and one alone.
    let block = (0..40).map(|i| ([5 + i % 4, 5 + i / 4 % 5, 5 + i / 20], 1));
    write_mask(&mask, [1.0, 1.0, 3.0], block.chain([([20, 20, 20], 1)]));
    let subject = phantom(&config(2e-4, &mask), 0).unwrap();
    let mut sizes: Vec<_> = of_subject(&subject).iter().map(BTreeSet::len).collect();
    sizes.sort_unstable();
    sizes.dedup();
    // 120 mm³ of 10.648 are 11.27 voxels, 3 mm³ less than half a voxel.
    assert_eq!(sizes, [1, 11]);
}

#[test]
fn what_does_not_fit_in_white_matter_lies_in_the_brain_and_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mask = folder.path().join("ball.nii.gz");
    // A ball of 12 voxels' radius, 26 mm: wider than any white matter.
    let ball = (0..27_000usize)
        .map(|i| [i % 30, i / 30 % 30, i / 900])
        .filter(|at| at.iter().map(|c| c.abs_diff(14).pow(2)).sum::<usize>() <= 144)
        .map(|at| (at, 1));
    write_mask(&mask, [2.2; 3], ball);
    let size = of_file(&mask)[0].len();
    let quiet = PhantomConfig {
        noise: 0.0,
        bias: 0.0,
        ..config(size as f64 / 294_912.0, &mask)
    };
    let subject = phantom(&quiet, 0).unwrap();
    let [lesion] = &subject.mask_lesions[..] else {
        panic!("{:?}", subject.mask_lesions);
    };
    assert_eq!(lesion.voxels, voxels(&subject));
    assert!(
        lesion.voxels * 20 >= size * 19,
        "{} of {size}",
        lesion.voxels
    );
    assert!(lesion.white_matter_voxels < lesion.voxels);
    let (label, tissue) = (subject.label.data(), subject.tissue.data());
    let mut in_grey = 0;
    for i in 0..label.len() {
        assert!(label[i] == 0 || subject.mask.data()[i] == 1);
        // On FLAIR brighter than any tissue, whatever lay there before; at its edge
        // a little less.
        if label[i] == 1 && tissue[i] == Tissue::Grey as u8 {
            in_grey += 1;
            let over_white = subject.images[2].data()[i] / subject.white_intensity[2];
            assert!(over_white > 1.3, "{over_white}");
        }
    }
    assert!(in_grey > 100, "{in_grey}");
}

#[test]
fn a_subject_depends_on_the_configuration_alone_and_only_lesions_on_the_masks() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(1e-3, &masks(folder.path()));
    let pool = |n| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build()
            .unwrap()
    };
    let a = pool(3).install(|| phantom(&config, 2).unwrap());
    let b = pool(1).install(|| phantom(&config, 2).unwrap());
    assert_eq!(a, b);
    let drawn = phantom(
        &PhantomConfig {
            lesion_masks: None,
            ..config.clone()
        },
        2,
    )
    .unwrap();
    assert_eq!(a.tissue, drawn.tissue);
    assert_eq!(a.mask, drawn.mask);
    assert_eq!(a.white_intensity, drawn.white_intensity);
    assert!(drawn.mask_lesions.is_empty());
    let other = phantom(&config, 3).unwrap();
    assert_ne!(a.label, other.label);
}

#[test]
fn masks_are_a_folder_a_pattern_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let masks = masks(folder.path());
    let from = |masks: PathBuf| -> BTreeSet<String> {
        let subject = phantom(&config(1e-2, &masks), 0).unwrap();
        subject.mask_lesions.into_iter().map(|l| l.mask).collect()
    };
    let set = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(from(masks.clone()), set(&["a.nii.gz", "below/b.nii.gz"]));
    assert_eq!(from(masks.join("a*.nii.gz")), set(&["a.nii.gz"]));
    assert_eq!(from(masks.join("*/b.nii.gz")), set(&["below/b.nii.gz"]));
    assert_eq!(from(masks.join("below/b.nii.gz")), set(&["b.nii.gz"]));
}

#[test]
fn masks_without_lesions_and_one_slice_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    std::fs::create_dir(&none).unwrap();
    let refused = |config: &PhantomConfig| phantom(config, 0).unwrap_err();
    let error = refused(&config(1e-3, &none));
    assert!(
        matches!(error, PhantomError::NoMask { files: 0, .. }),
        "{error}"
    );
    write_mask(&none.join("empty.nii"), [1.0; 3], []);
    let error = refused(&config(1e-3, &none));
    assert!(
        matches!(error, PhantomError::NoMask { files: 1, .. }),
        "{error}"
    );
    let error = refused(&config(1e-3, &folder.path().join("missing")));
    assert!(
        error
            .to_string()
            .contains("missing: cannot list the folder"),
        "{error}"
    );
    let slice = PhantomConfig {
        shape: [64, 72, 1],
        ..config(1e-3, &none)
    };
    let error = refused(&slice).to_string();
    assert!(
        error.contains("`shape` is [64, 72, 1], expected several slices"),
        "{error}"
    );
    // Four times as wide as the brain.
    let wide = folder.path().join("wide.nii.gz");
    write_mask(
        &wide,
        [20.0; 3],
        (0..27_000).map(|i| ([i % 30, i / 30 % 30, i / 900], 1)),
    );
    let error = refused(&config(1e-3, &wide));
    assert!(
        matches!(error, PhantomError::NoRoom { placed: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_cohort_records_its_lesions_and_a_configuration_without_masks_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let config = PhantomConfig {
        subjects: 2,
        ..config(3e-4, &masks(folder.path()))
    };
    let out = folder.path().join("cohort");
    write_cohort(&config, &out).unwrap();
    for (index, id) in ["sub-01", "sub-02"].into_iter().enumerate() {
        let text = std::fs::read_to_string(out.join(id).join("lesions.json")).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let subject = phantom(&config, index).unwrap();
        assert_eq!(read, serde_json::to_value(&subject.mask_lesions).unwrap());
        let label = lacuna_io::read_labels(out.join(id).join("lesion.nii.gz")).unwrap();
        assert_eq!(label.map(|&l| l as u8).data(), subject.label.data());
    }
    let text = toml::to_string(&PhantomConfig::default()).unwrap();
    assert!(!text.contains("lesion_masks"), "{text}");
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<PhantomConfig>(&text).unwrap(), config);
}

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn shapes_of_patients_are_exact_and_meet_shares_down_to_one_in_a_hundred_thousand() {
    let data = Path::new(DATA.expect("LACUNA_DATA is the data folder"));
    for (name, shape, shares) in [
        (
            "stroke_lesion_masks",
            [157, 189, 136],
            &[1e-3, 1e-4, 1e-5][..],
        ),
        ("ms_lesion_masks", [128, 160, 128], &[1e-4]),
    ] {
        let masks = data.join(name);
        let grid: usize = shape.iter().product();
        let mut known = BTreeSet::new();
        let mut smallest = usize::MAX;
        for file in masks.read_dir().unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|e| e == "gz") {
                for lesion in of_file(&file) {
                    smallest = smallest.min(lesion.len());
                    // Large shapes take long to turn; their sizes are compared below.
                    if lesion.len() < 200 {
                        known.insert(shape_of(&lesion));
                    }
                }
            }
        }
        for &share in shares {
            let config = PhantomConfig {
                shape,
                spacing: [1.0; 3],
                foreground_share: share,
                lesion_masks: Some(masks.clone()),
                ..PhantomConfig::default()
            };
            let asked = (share * grid as f64).round() as usize;
            let subject = phantom(&config, 0).unwrap();
            let found = voxels(&subject);
            let told = &subject.mask_lesions;
            let white: usize = told.iter().map(|l| l.white_matter_voxels).sum();
            println!(
                "{name} {share:e}: {found} voxels for {asked}, lesions {:?}, {:.3} in white matter",
                told.iter().map(|l| l.voxels).collect::<Vec<_>>(),
                white as f64 / found as f64
            );
            assert!(found.abs_diff(asked) <= (asked / 20).max(smallest / 2));
            assert_eq!(told.iter().map(|l| l.voxels).sum::<usize>(), found);
            for lesion in of_subject(&subject) {
                let in_white = told
                    .iter()
                    .any(|l| l.voxels == lesion.len() && l.white_matter_voxels == l.voxels);
                if lesion.len() < 200 && in_white {
                    assert!(known.contains(&shape_of(&lesion)), "{}", lesion.len());
                }
            }
        }
    }
}
