//! Phantoms keep what they promise: share, sizes, contrast, bias, noise, and
//! that a subject depends on its configuration alone.

use lacuna_data::manifest::Manifest;
use lacuna_data::normalise::{NormaliseConfig, NormaliseMethod, normalise};
use lacuna_data::phantom::{
    MODALITIES, PhantomConfig, PhantomError, PhantomSubject, Tissue, phantom, write_cohort,
};
use lacuna_volume::{Connectivity, label_components};

/// 294,912 voxels, 2.2 mm.
fn config(share: f64) -> PhantomConfig {
    PhantomConfig {
        shape: [64, 72, 64],
        spacing: [2.2; 3],
        foreground_share: share,
        ..PhantomConfig::default()
    }
}

fn lesion_voxels(subject: &PhantomSubject) -> usize {
    subject.label.data().iter().filter(|&&l| l == 1).count()
}

/// Values of an image in the voxels of one tissue.
fn values(subject: &PhantomSubject, modality: usize, tissue: Tissue) -> Vec<f32> {
    let of_tissue = |(i, &t): (usize, &u8)| (t == tissue as u8).then_some(i);
    subject
        .tissue
        .data()
        .iter()
        .enumerate()
        .filter_map(of_tissue)
        .map(|i| subject.images[modality].data()[i])
        .collect()
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64
}

#[test]
fn every_share_is_met_to_the_voxel() {
    for (share, voxels) in [
        (0.1, 29_491),
        (0.01, 2_949),
        (1e-3, 295),
        (1e-4, 29),
        (1e-5, 3),
        (1e-9, 1),
        (0.0, 0),
    ] {
        let subject = phantom(&config(share), 0).unwrap();
        assert_eq!(lesion_voxels(&subject), voxels, "share {share}");
    }
}

#[test]
fn a_share_beyond_the_white_matter_is_refused() {
    let error = phantom(&config(0.5), 0).unwrap_err();
    assert!(
        matches!(
            error,
            PhantomError::ShareTooLarge {
                needed: 147_456,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn lesions_lie_in_white_matter_and_have_the_sizes_asked_for() {
    // 5 to 50 voxels of 10.648 mm3.
    let config = PhantomConfig {
        lesion_volume_mm3: [5.0 * 10.648, 50.0 * 10.648],
        ..config(3e-3)
    };
    let subject = phantom(&config, 1).unwrap();
    for (label, tissue) in subject.label.data().iter().zip(subject.tissue.data()) {
        assert!(*label == 0 || *tissue == Tissue::White as u8);
    }
    let lesions = label_components(&subject.label.map(|&l| l == 1), Connectivity::TwentySix);
    assert_eq!(lesions.sizes.iter().sum::<usize>(), 885);
    // The last lesion may take one smallest lesion more.
    assert!(
        lesions.sizes.iter().all(|s| (5..=55).contains(s)),
        "{:?}",
        lesions.sizes
    );
    assert!(lesions.count >= 17, "{}", lesions.count);
}

#[test]
fn tissues_have_the_order_of_each_modality() {
    let subject = phantom(&config(0.0), 0).unwrap();
    let of = |modality, tissue| mean(&values(&subject, modality, tissue));
    let (csf, grey, white) = (Tissue::Csf, Tissue::Grey, Tissue::White);
    assert!(of(0, white) > of(0, Tissue::DeepGrey) && of(0, Tissue::DeepGrey) > of(0, grey));
    assert!(of(0, grey) > of(0, csf));
    assert!(of(1, csf) > of(1, grey) && of(1, grey) > of(1, white));
    assert!(of(2, grey) > of(2, white) && of(2, white) > of(2, csf));
}

#[test]
fn lesions_are_dark_on_t1_and_bright_on_t2_and_flair() {
    let subject = phantom(&config(3e-3), 0).unwrap();
    let healthy = phantom(&config(0.0), 0).unwrap();
    for (modality, sign) in [(0, -1.0), (1, 1.0), (2, 1.0)] {
        let change = |label: u8| {
            let (mut sum, mut n) = (0.0, 0);
            for (i, l) in subject.label.data().iter().enumerate() {
                if *l == label {
                    let after = subject.images[modality].data()[i];
                    sum += f64::from(after - healthy.images[modality].data()[i]);
                    n += 1;
                }
            }
            sum / f64::from(n) / f64::from(subject.white_intensity[modality])
        };
        assert!(
            sign * change(1) > 0.25,
            "{}: {}",
            MODALITIES[modality],
            change(1)
        );
        assert!(change(0).abs() < 0.01);
    }
}

#[test]
fn only_the_lesions_change_with_the_share() {
    let few = phantom(&config(1e-4), 2).unwrap();
    let none = phantom(&config(0.0), 2).unwrap();
    assert_eq!(few.mask, none.mask);
    assert_eq!(few.tissue, none.tissue);
    assert_eq!(few.white_intensity, none.white_intensity);
    let [nx, ny, nz] = few.label.shape();
    for modality in 0..3 {
        for z in 1..nz - 1 {
            for y in 1..ny - 1 {
                for x in 1..nx - 1 {
                    let i = few.label.index([x, y, z]);
                    let near_lesion = (0..27).any(|k| {
                        let at = [x + k % 3 - 1, y + k / 3 % 3 - 1, z + k / 9 - 1];
                        few.label.data()[few.label.index(at)] == 1
                    });
                    let a = few.images[modality].data()[i];
                    assert!(near_lesion || a == none.images[modality].data()[i]);
                }
            }
        }
    }
}

#[test]
fn the_bias_field_spans_what_was_asked_for() {
    let with = |bias| PhantomConfig {
        noise: 0.0,
        bias,
        ..config(0.0)
    };
    let flat = phantom(&with(0.0), 0).unwrap();
    let biased = phantom(&with(0.2), 0).unwrap();
    for modality in 0..3 {
        let (mut low, mut high) = (f32::INFINITY, 0.0f32);
        for (a, b) in flat.images[modality]
            .data()
            .iter()
            .zip(biased.images[modality].data())
        {
            if *a > 0.0 {
                low = low.min(b / a);
                high = high.max(b / a);
            }
        }
        assert!(
            (low - 0.8).abs() < 1e-4 && (high - 1.2).abs() < 1e-4,
            "{low} {high}"
        );
    }
}

#[test]
fn noise_is_rician() {
    let quiet = PhantomConfig {
        noise: 0.0,
        bias: 0.0,
        ..config(0.0)
    };
    let noisy = PhantomConfig {
        noise: 0.05,
        ..quiet.clone()
    };
    let (a, b) = (phantom(&quiet, 0).unwrap(), phantom(&noisy, 0).unwrap());
    // The second moment of a Rician variable is signal² + 2 sd², whatever the
    // signal: here in units of white matter.
    let white = f64::from(a.white_intensity[0]);
    let (mut sum, mut n) = (0.0, 0.0);
    for (i, inside) in a.mask.data().iter().enumerate() {
        if *inside == 1 {
            let (a, b) = (a.images[0].data()[i], b.images[0].data()[i]);
            sum += (f64::from(b).powi(2) - f64::from(a).powi(2)) / (white * white);
            n += 1.0;
        } else {
            assert_eq!(b.images[0].data()[i], 0.0);
        }
    }
    let expected = 2.0 * 0.05 * 0.05;
    assert!((sum / n - expected).abs() < 0.1 * expected, "{}", sum / n);
}

#[test]
fn the_white_matter_mode_is_where_the_histogram_peaks() {
    let flat = PhantomConfig {
        bias: 0.0,
        ..config(1e-3)
    };
    let (flat, biased) = (
        phantom(&flat, 0).unwrap(),
        phantom(&config(1e-3), 0).unwrap(),
    );
    for (modality, name) in MODALITIES.into_iter().enumerate() {
        let mode = |subject: &PhantomSubject| {
            let mask = subject.mask.map(|&m| m == 1);
            let mut image = subject.images[modality].clone();
            let method = NormaliseMethod::WhiteMatter;
            let found = normalise(
                &mut image,
                name,
                Some(&mask),
                None,
                NormaliseConfig {
                    method,
                    ..NormaliseConfig::default()
                },
            )
            .unwrap();
            found.shift
        };
        let intensity = f64::from(flat.white_intensity[modality]);
        let off = mode(&flat) / intensity - 1.0;
        assert!(off.abs() < 0.02, "{name} without bias: {off}");
        // The bias field moves white matter as a whole.
        let off = mode(&biased) / mean(&values(&biased, modality, Tissue::White)) - 1.0;
        assert!(off.abs() < 0.05, "{name} with bias: {off}");
    }
}

#[test]
fn a_subject_depends_on_its_configuration_alone() {
    let config = config(1e-3);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let a = pool.install(|| phantom(&config, 3).unwrap());
    let b = alone.install(|| phantom(&config, 3).unwrap());
    assert_eq!(a, b);
    let other = phantom(&config, 4).unwrap();
    assert_ne!(a.tissue, other.tissue);
    assert_ne!(a.label, other.label);
}

#[test]
fn one_slice_makes_a_brain_too() {
    let config = PhantomConfig {
        shape: [128, 144, 1],
        foreground_share: 0.01,
        ..PhantomConfig::default()
    };
    let subject = phantom(&config, 0).unwrap();
    assert_eq!(lesion_voxels(&subject), 184);
    for tissue in [Tissue::Csf, Tissue::Grey, Tissue::DeepGrey, Tissue::White] {
        assert!(values(&subject, 0, tissue).len() > 200, "{tissue:?}");
    }
}

#[test]
fn values_outside_their_range_are_refused() {
    let wrong = PhantomConfig {
        bias: f64::NAN,
        ..PhantomConfig::default()
    };
    assert_eq!(
        phantom(&wrong, 0).unwrap_err().to_string(),
        "phantom: `bias` is NaN, expected 0 to 0.9; correct it"
    );
    let text = "noise = 0.1\nlesion_size = 3";
    let error = toml::from_str::<PhantomConfig>(text).unwrap_err();
    assert!(error.to_string().contains("lesion_size"), "{error}");
}

#[test]
fn a_cohort_is_written_as_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let config = PhantomConfig {
        subjects: 2,
        shape: [24, 28, 20],
        spacing: [6.0, 6.0, 6.5],
        foreground_share: 1e-3,
        white_matter_mask: true,
        ..PhantomConfig::default()
    };
    let path = write_cohort(&config, &folder.path().join("cohort")).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("label = \"sub-02/lesion.nii.gz\""), "{text}");
    assert!(
        text.contains("mask = \"sub-02/brain_mask.nii.gz\""),
        "{text}"
    );

    let manifest = Manifest::read(&path).unwrap();
    assert_eq!(manifest.modalities, MODALITIES);
    assert_eq!(manifest.subjects.len(), 2);
    let second = manifest.subject("sub-02").unwrap();
    let expected = phantom(&config, 1).unwrap();
    for (modality, image) in MODALITIES.iter().zip(&expected.images) {
        let read = lacuna_io::read_image(&second.images[*modality].path).unwrap();
        assert_eq!(read.data(), image.data());
        assert_eq!(read.affine(), image.affine());
    }
    let label = lacuna_io::read_labels(second.label.as_ref().unwrap()).unwrap();
    assert_eq!(
        manifest.map_labels(second, &label).unwrap().data(),
        expected.label.data()
    );
    let white = lacuna_io::read_labels(second.white_matter.as_ref().unwrap()).unwrap();
    for (i, white) in white.data().iter().enumerate() {
        let healthy = expected.tissue.data()[i] == Tissue::White as u8;
        let lesion = expected.label.data()[i] == 1;
        assert_eq!(*white == 1, healthy && !lesion);
    }
    let mask = lacuna_io::read_labels(second.mask.as_ref().unwrap()).unwrap();
    assert_eq!(mask.map(|&m| m as u8).data(), expected.mask.data());
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    std::fs::write(&file, b"").unwrap();
    let config = PhantomConfig {
        subjects: 1,
        shape: [16, 16, 1],
        ..PhantomConfig::default()
    };
    let error = write_cohort(&config, &file).unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
}
