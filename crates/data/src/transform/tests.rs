//! What all transforms of intensity have in common.

use super::*;
use crate::rng::{Domain, keyed_rng};
use crate::sampler::PatchPlace;
use crate::subject::LossMaps;
use lacuna_volume::{Affine, PatchSize, Volume};

const SHAPE: [usize; 3] = [12, 11, 10];

/// Two channels of a ramp and of waves, of 0 outside a ball.
fn patch() -> Patch {
    let [nx, ny, nz] = SHAPE;
    let voxels = || (0..nx * ny * nz).map(|i| [i % nx, i / nx % ny, i / (nx * ny)]);
    let inside = |at: [usize; 3]| at.iter().map(|i| (*i as f32 - 5.0).powi(2)).sum::<f32>() < 30.0;
    let image = |value: &dyn Fn([f32; 3]) -> f32| {
        let of_voxel = |at: [usize; 3]| match inside(at) {
            true => value(at.map(|i| i as f32)),
            false => 0.0,
        };
        Volume::new(SHAPE, Affine::identity(), voxels().map(of_voxel).collect()).unwrap()
    };
    let ramp = image(&|[x, y, z]| 0.3 * x - 0.2 * y + 0.1 * z - 0.7);
    let waves = image(&|[x, y, z]| (1.7 * x + y).sin() + (2.3 * z).cos() + 0.25);
    Patch {
        place: PatchPlace {
            subject: "a".to_owned(),
            index: 0,
            origin: [0; 3],
            drawn_by: Default::default(),
        },
        labels: ramp.map(|v| u8::from(*v > 0.5)),
        images: vec![ramp, waves],
        maps: LossMaps::default(),
        inside: Some(
            Volume::new(SHAPE, Affine::identity(), voxels().map(inside).collect()).unwrap(),
        ),
        margin: [0; 3],
    }
}

fn read(text: &str) -> TransformConfig {
    toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Slices.
fn setting(channels: usize) -> Setting {
    Setting {
        geometry: PatchGeometry {
            rank: 2,
            input: PatchSize::Edge(8).along(2).unwrap(),
            effective: PatchSize::Edge(8).along(2).unwrap(),
        },
        plane: Plane::Axial,
        channels,
        reads: MapsRead::default(),
    }
}

fn applied(text: &str, sample: u64) -> Patch {
    let mut patch = patch();
    let transform = read(text).build(&setting(2), &Cohort::default()).unwrap();
    transform.apply(&mut patch, &mut keyed_rng(0, Domain::Transform, 0, sample));
    patch
}

/// Each channel's values inside, before and after.
fn inside(after: &Patch) -> Vec<(Vec<f32>, Vec<f32>)> {
    let before = patch();
    let is = before.inside.unwrap();
    let of = |image: &Volume<f32>| -> Vec<f32> {
        let pairs = image.data().iter().zip(is.data());
        pairs
            .filter(|(_, inside)| **inside)
            .map(|(v, _)| *v)
            .collect()
    };
    let images = before.images.iter().zip(&after.images);
    images
        .map(|(before, after)| (of(before), of(after)))
        .collect()
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64
}

const INTENSITIES: [&str; 8] = [
    "name = 'gamma'\nprobability = 1",
    "name = 'brightness'\nprobability = 1\nshift = [0.2, 0.3]",
    "name = 'contrast'\nprobability = 1",
    "name = 'bias-field'\nprobability = 1\nstrength = [0.3, 0.3]",
    "name = 'noise'\nprobability = 1\nsd = [0.1, 0.1]",
    "name = 'blur'\nprobability = 1\nchannel_probability = 1",
    "name = 'low-resolution'\nprobability = 1\nchannel_probability = 1\nfactor = [0.5, 0.6]",
    "name = 'channel-dropout'\nprobability = 1",
];

#[test]
fn intensities_change_inside_only_and_as_the_key_says() {
    let before = patch();
    let is = before.inside.as_ref().unwrap();
    for text in INTENSITIES {
        let after = applied(text, 3);
        assert_eq!(after.labels, before.labels);
        assert_eq!(after.inside, before.inside);
        assert_ne!(after.images, before.images, "{text}");
        for image in &after.images {
            let outside = image.data().iter().zip(is.data()).filter(|(_, is)| !**is);
            assert!(outside.clone().count() > 500, "{text}");
            assert!(outside.clone().all(|(v, _)| *v == 0.0), "{text}");
            assert!(image.data().iter().all(|v| v.is_finite()), "{text}");
        }
        assert_eq!(applied(text, 3).images, after.images, "{text}");
        assert_ne!(applied(text, 4).images, after.images, "{text}");
    }
}

#[test]
fn a_probability_is_a_share_of_the_patches() {
    for text in INTENSITIES {
        let text = text.replace("\nprobability = 1", "\nprobability = 0.3");
        let before = patch();
        let changed = (0..400)
            .filter(|i| applied(&text, *i).images != before.images)
            .count();
        // Of 400, 120 and an SD of 9; a dropout draws twice: 1 - 0.7^2, 204 and 10.
        let expected: usize = if text.contains("dropout") { 204 } else { 120 };
        assert!(changed.abs_diff(expected) < 40, "{text}: {changed}");
    }
}

#[test]
fn brightness_is_a_line_and_contrast_keeps_mean_and_range() {
    for (before, after) in inside(&applied(INTENSITIES[1], 0)) {
        let factor = (after[1] - after[0]) / (before[1] - before[0]);
        let shift = after[0] - factor * before[0];
        assert!(
            (0.75..1.25).contains(&factor) && (0.2..0.3).contains(&shift),
            "{factor} {shift}"
        );
        for (a, b) in before.iter().zip(&after) {
            assert!((a * factor + shift - b).abs() < 1e-3);
        }
    }
    let text = "name = 'contrast'\nprobability = 1\nfactor = [2, 2]";
    for (before, after) in inside(&applied(text, 0)) {
        let low = before.iter().copied().fold(f32::INFINITY, f32::min);
        let high = before.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mean = mean(&before) as f32;
        for (a, b) in before.iter().zip(&after) {
            assert!((((a - mean) * 2.0 + mean).clamp(low, high) - b).abs() < 1e-5);
        }
        assert!(after.contains(&low) && after.contains(&high));
    }
}

#[test]
fn noise_has_the_sd_asked_for_and_channels_their_own() {
    let channels = inside(&applied(
        "name = 'noise'\nprobability = 1\nsd = [0.5, 0.5]",
        0,
    ));
    let noise: Vec<Vec<f32>> = (channels.iter())
        .map(|(before, after)| before.iter().zip(after).map(|(a, b)| b - a).collect())
        .collect();
    for noise in &noise {
        let squares: Vec<f32> = noise.iter().map(|v| v * v).collect();
        // 600 voxels or so: SD of the mean 0.02, of the SD 0.015.
        assert!(mean(noise).abs() < 0.08, "{}", mean(noise));
        assert!(
            (mean(&squares).sqrt() - 0.5).abs() < 0.06,
            "{}",
            mean(&squares).sqrt()
        );
    }
    let products: Vec<f32> = noise[0].iter().zip(&noise[1]).map(|(a, b)| a * b).collect();
    assert!(mean(&products).abs() < 0.05);
}

#[test]
fn a_bias_field_multiplies_what_is_above_the_darkest() {
    let (mut fields, samples) = (Vec::new(), 0..4);
    for sample in samples {
        for (before, after) in inside(&applied(INTENSITIES[3], sample)) {
            let low = before.iter().copied().fold(f32::INFINITY, f32::min);
            let pairs = before.iter().zip(&after).filter(|(a, _)| **a - low > 0.2);
            let logs: Vec<f32> = pairs.map(|(a, b)| ((b - low) / (a - low)).ln()).collect();
            // 19 coefficients of at most 0.3, which mostly cancel; never all alike.
            assert!(logs.iter().all(|v| v.abs() < 3.0), "{logs:?}");
            assert!(logs.iter().any(|v| v.abs() > 0.02));
            assert!(mean(&logs).abs() < 0.3);
            fields.push(logs[0]);
        }
    }
    assert!(fields.iter().any(|v| *v > 0.0) && fields.iter().any(|v| *v < 0.0));
}

#[test]
fn one_channel_always_stays() {
    let before = patch();
    let mut kept = [0; 2];
    for sample in 0..40 {
        let after = applied("name = 'channel-dropout'\nprobability = 1", sample);
        let same = [0, 1].map(|c| after.images[c] == before.images[c]);
        assert_ne!(same[0], same[1]);
        kept[usize::from(same[1])] += 1;
        let filled = &after.images[usize::from(same[0])];
        assert!(filled.data().iter().all(|v| *v == 0.0));
    }
    assert!(kept.iter().all(|n| *n > 8), "{kept:?}");
}

#[test]
fn options_that_cannot_be_honoured_are_refused() {
    for text in INTENSITIES {
        assert!(read(text).check(&setting(2)).is_ok(), "{text}");
        let never = read(&text.replace("probability = 1", "probability = 0"));
        let error = never.check(&setting(2)).unwrap_err().to_string();
        assert!(error.contains("probability` is 0, expected"), "{error}");
    }
    for (text, channels, expected) in [
        (
            "name = 'gamma'\nrange = [0, 1]",
            2,
            "gamma: `range` is [0, 1]",
        ),
        (
            "name = 'brightness'\nfactor = [-1, 1]",
            2,
            "`factor` is [-1, 1]",
        ),
        (
            "name = 'brightness'\nfactor = [1, 1]",
            2,
            "never changes a patch",
        ),
        (
            "name = 'contrast'\nfactor = [2, 1]",
            2,
            "contrast: `factor` is [2, 1]",
        ),
        ("name = 'bias-field'\nstrength = [0, 9]", 2, "within 0 to 2"),
        ("name = 'noise'\nsd = [-1, 1]", 2, "noise: `sd` is [-1, 1]"),
        ("name = 'blur'\nsigma = [0, 100]", 2, "blur: `sigma`"),
        (
            "name = 'low-resolution'\nfactor = [0.5, 2]",
            2,
            "within 0.05 to 1",
        ),
        (
            "name = 'low-resolution'\naxes = ['inferior-superior']",
            2,
            "across which the slices",
        ),
        ("name = 'channel-dropout'", 1, "one modality"),
    ] {
        let error = read(text)
            .check(&setting(channels))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn the_names_are_those_of_the_variants() {
    let error = toml::from_str::<TransformConfig>("name = 'rotate'").unwrap_err();
    let names: Vec<String> = TransformConfig::NAMES
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let expected = format!("expected one of {}", names.join(", "));
    assert!(error.to_string().contains(&expected), "{error}");
}
