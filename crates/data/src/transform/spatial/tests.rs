mod lesions;

use super::elastic::tests::displacement;
use super::*;
use crate::rng::{Domain, keyed_rng};
use crate::sampler::PatchPlace;
use crate::transform::{MapsRead, TransformConfig};
use lacuna_volume::{Affine, PatchSize, Spacing, Zyx};
use serde::Deserialize;

fn filled<T>(shape: [usize; 3], spacing: [f64; 3], value: impl Fn([usize; 3]) -> T) -> Volume<T> {
    let [nx, ny, nz] = shape;
    let at = |i: usize| [i % nx, i / nx % ny, i / (nx * ny)];
    let data = (0..nx * ny * nz).map(|i| value(at(i))).collect();
    Volume::new(shape, Affine::from_spacing(Spacing(spacing)), data).unwrap()
}

fn patch(image: Volume<f32>, labels: LabelMap, margin: [usize; 3]) -> Patch {
    Patch {
        place: PatchPlace {
            subject: "a".to_owned(),
            index: 0,
            origin: [0; 3],
            drawn_by: Default::default(),
        },
        inside: None,
        maps: LossMaps::default(),
        images: vec![image],
        labels,
        margin,
    }
}

/// Always turns and scales by these.
fn always(degrees: f64, axes: &[AnatomicalAxis], scale: f64) -> Spatial {
    Spatial {
        rotation_probability: 1.0,
        rotation: Span(degrees, degrees),
        rotation_axes: axes.to_vec(),
        scale_probability: 1.0,
        scale: Span(scale, scale),
        ..Spatial::default()
    }
}

fn rng() -> ChaCha8Rng {
    keyed_rng(0, Domain::Transform, 0, 0)
}

fn applied(spatial: &Spatial, mut patch: Patch) -> Patch {
    spatial.apply(&mut patch, &mut rng());
    patch
}

/// Voxels numbered in memory order; a label map that tells the same.
fn numbered(shape: [usize; 3]) -> Patch {
    let number = |[x, y, z]: [usize; 3]| x + shape[0] * (y + shape[1] * z);
    let image = filled(shape, [1.0; 3], |at| number(at) as f32);
    let labels = image.map(|v| *v as u8);
    let mut patch = patch(image, labels, [0; 3]);
    patch.maps = LossMaps {
        distance: vec![patch.images[0].map(|v| -v)],
        lesion: Some(patch.images[0].map(|v| *v as u32)),
        weight: Some(patch.images[0].map(|v| v + 0.5)),
    };
    patch.inside = Some(patch.images[0].map(|v| !(*v as u32).is_multiple_of(3)));
    patch
}

#[test]
fn quarter_turns_are_those_of_numpy() {
    const N: usize = 5;
    // numpy.rot90(v, axes=(a, b)) turns a towards b: out[i, j] = v[j, N - 1 - i].
    let axes = [
        (AnatomicalAxis::LeftRight, [1, 2]),
        (AnatomicalAxis::PosteriorAnterior, [2, 0]),
        (AnatomicalAxis::InferiorSuperior, [0, 1]),
    ];
    for (axis, [a, b]) in axes {
        let before = numbered([N; 3]);
        let turned = applied(&always(90.0, &[axis], 1.0), before.clone());
        let expected = filled([N; 3], [1.0; 3], |at| {
            let mut from = at;
            (from[a], from[b]) = (at[b], N - 1 - at[a]);
            before.images[0].data()[before.images[0].index(from)]
        });
        assert_eq!(turned.images[0], expected, "{axis}");
        assert_eq!(turned.labels, expected.map(|v| *v as u8));
        assert_eq!(turned.maps.distance[0], expected.map(|v| -v));
        assert_eq!(turned.maps.lesion.unwrap(), expected.map(|v| *v as u32));
        assert_eq!(turned.maps.weight.unwrap(), expected.map(|v| v + 0.5));
        // Outside there is no one value, so that none is restored.
        assert_eq!(
            turned.inside.unwrap(),
            expected.map(|v| !(*v as u32).is_multiple_of(3))
        );
    }
}

#[test]
fn twice_as_large_by_hand() {
    // About the middle of 5: what was at 1, 1.5, 2, 2.5, 3.
    let row = |values: [f32; 5]| filled([5, 1, 1], [1.0; 3], |[x, _, _]| values[x]);
    let mut before = patch(
        row([7.0, 2.0, 4.0, 8.0, 9.0]),
        row([0., 1., 1., 3., 0.]).map(|v| *v as u8),
        [0; 3],
    );
    before.maps.distance = vec![row([1.0, -1.0, -2.0, -1.0, 1.0])];
    before.maps.weight = Some(row([1.0, 1.0, 0.0, 0.0, 1.0]));
    let after = applied(&always(0.0, &[], 2.0), before);
    assert_eq!(after.images[0].data(), [2.0, 3.0, 4.0, 6.0, 8.0]);
    // Half way between 1 and 3 the smaller wins, and never 2.
    assert_eq!(after.labels.data(), [1, 1, 1, 1, 3]);
    assert_eq!(
        after.maps.distance[0].data(),
        [-2.0, -3.0, -4.0, -3.0, -2.0]
    );
    assert_eq!(after.maps.weight.unwrap().data(), [1.0, 0.5, 0.0, 0.0, 0.0]);
}

#[derive(Deserialize)]
struct Golden {
    source: [usize; 3],
    target: [usize; 3],
    image: Vec<f32>,
    image_expected: Vec<f32>,
    labels: Vec<u8>,
    labels_expected: Vec<u8>,
    undecided: Vec<bool>,
}

#[test]
fn turned_and_scaled_as_scipy_does() {
    let text = include_str!("../../../../../tests/golden/augment/spatial.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    let affine = Affine::from_spacing(Spacing([1.0, 1.5, 3.0]));
    let margin = [0, 1, 2].map(|a| (golden.source[a] - golden.target[a]) / 2);
    let image = Volume::new(golden.source, affine, golden.image).unwrap();
    let labels = Volume::new(golden.source, affine, golden.labels).unwrap();
    let before = patch(image, labels, margin);
    let spatial = always(25.0, &[], 1.2);
    let asked = spatial.margin(&Frame::of(&before), &mut rng());
    assert!((0..3).all(|a| asked[a] <= margin[a]), "{asked:?}");
    let after = applied(&spatial, before.clone());
    assert_eq!(after.labels.shape(), golden.target);
    assert_eq!(after.margin, [0; 3]);
    let first = before.labels.affine().apply(margin.map(|m| m as f64));
    assert_eq!(after.images[0].affine().apply([0.0; 3]), first);
    for (found, expected) in after.images[0].data().iter().zip(&golden.image_expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let mut unlike = 0;
    for (i, (found, expected)) in after
        .labels
        .data()
        .iter()
        .zip(&golden.labels_expected)
        .enumerate()
    {
        unlike += usize::from(found != expected && !golden.undecided[i]);
    }
    assert_eq!(unlike, 0);
    // No value of the result depends on what lies beyond the margin that was asked for.
    let mut narrow = before;
    narrow.margin = [0, 1, 2].map(|a| margin[a] - asked[a]);
    narrow.trim();
    narrow.margin = asked;
    let narrow = applied(&spatial, narrow);
    for (a, b) in narrow.images[0].data().iter().zip(after.images[0].data()) {
        assert!((a - b).abs() < 1e-6);
    }
    assert_eq!(narrow.labels.data(), after.labels.data());
}

#[test]
fn what_is_not_drawn_leaves_a_patch_as_it_is() {
    let spatial = Spatial {
        rotation_probability: 0.5,
        scale_probability: 0.0,
        ..Spatial::default()
    };
    let before = numbered([7, 6, 5]);
    let mut untouched = 0;
    for sample in 0..40 {
        let rng = || keyed_rng(0, Domain::Transform, 0, sample);
        let mut after = before.clone();
        spatial.apply(&mut after, &mut rng());
        let mut again = before.clone();
        spatial.apply(&mut again, &mut rng());
        assert_eq!(after.images, again.images);
        let same = after.images == before.images;
        untouched += usize::from(same);
        if same {
            assert_eq!(spatial.margin(&Frame::of(&before), &mut rng()), [0; 3]);
            assert_eq!(after.labels, before.labels);
            assert_eq!(after.maps.distance, before.maps.distance);
        }
    }
    assert!((8..32).contains(&untouched), "{untouched}");
}

#[test]
fn displaced_voxels_read_where_the_spline_says() {
    let spatial = Spatial {
        rotation_probability: 0.0,
        scale_probability: 0.0,
        elastic_probability: 1.0,
        elastic_mm: Span(3.0, 3.0),
        elastic_spacing_mm: 8.0,
        ..Spatial::default()
    };
    let margin = [3; 3];
    let ramp = |axis: usize| filled([18, 17, 16], [1.0; 3], move |at| at[axis] as f32);
    let mut before = patch(ramp(0), ramp(0).map(|_| 1), margin);
    before.images = (0..3).map(ramp).collect();
    let frame = Frame::of(&before);
    assert_eq!(spatial.margin(&frame, &mut rng()), margin);
    let elastic = Motion::draw(&spatial, &frame, &mut rng())
        .unwrap()
        .elastic
        .unwrap();
    let after = applied(&spatial, before);
    for at in [[0, 0, 0], [5, 2, 8], [11, 10, 9]] {
        let u = displacement(&elastic, at.map(|i| i as f64));
        for axis in 0..3 {
            let found = after.images[axis].data()[after.images[axis].index(at)];
            let expected = (at[axis] + 3) as f64 + u[axis];
            assert!(
                (f64::from(found) - expected).abs() < 1e-4,
                "{found} {expected}"
            );
        }
        assert!(u.iter().any(|u| u.abs() > 0.05), "{u:?}");
    }
}

#[test]
fn outside_holds_its_constant() {
    let inside = filled([13; 3], [1.0; 3], |at| {
        at.iter().all(|i| (3..10).contains(i))
    });
    let mut before = patch(
        inside.map(|i| if *i { 2.0 } else { -1.0 }),
        inside.map(|_| 0),
        [0; 3],
    );
    before.inside = Some(inside);
    let after = applied(&always(30.0, &[], 1.1), before);
    let inside = after.inside.unwrap();
    let values = after.images[0].data();
    let outside = inside
        .data()
        .iter()
        .zip(values)
        .filter(|(inside, _)| !**inside);
    assert!(outside.clone().count() > 500 && outside.clone().all(|(_, v)| *v == -1.0));
    // The edge of the mask is blended inside.
    assert!(values.iter().any(|v| *v > -1.0 && *v < 2.0));
}

#[test]
fn slices_turn_and_scale_in_their_plane() {
    let image = filled([5, 1, 5], [1.0; 3], |[x, _, z]| (x + 10 * z) as f32);
    let before = patch(image.clone(), image.map(|_| 1), [0; 3]);
    let turned = applied(&always(90.0, &[], 1.0), before);
    // About y, z goes to x: out[z, x] = v[x, 4 - z].
    let expected = filled([5, 1, 5], [1.0; 3], |[x, _, z]| ((4 - z) + 10 * x) as f32);
    assert_eq!(turned.images[0], expected);
}

fn setting(rank: usize, distance: bool) -> Setting {
    let size = PatchSize::Edge(64).along(rank).unwrap();
    Setting {
        geometry: crate::sampler::PatchGeometry {
            rank,
            input: size,
            effective: Zyx(size.0),
        },
        plane: Default::default(),
        channels: 2,
        reads: MapsRead {
            distance,
            ..MapsRead::default()
        },
    }
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let read = |text: &str| {
        let text = format!("name = \"spatial\"\n{text}");
        toml::from_str::<TransformConfig>(&text)
    };
    let check = |text: &str, rank: usize| {
        let told = read(text).unwrap().check(&setting(rank, rank == 3));
        told.map_err(|e| e.to_string())
    };
    assert_eq!(check("", 3), Ok(()));
    assert_eq!(
        check(
            "rotation = [-15, 15]\nrotation_axes = [\"inferior-superior\"]",
            2
        ),
        Ok(())
    );
    assert_eq!(
        check("elastic_probability = 1\nelastic_mm = [0, 12]", 2),
        Ok(())
    );
    for (text, rank, expected) in [
        (
            "rotation_probability = 0\nscale_probability = 0",
            3,
            "never changes a patch",
        ),
        (
            "rotation_probability = 1.5",
            3,
            "`rotation_probability` is 1.5",
        ),
        ("rotation = [10, -10]", 3, "`rotation` is [10, -10]"),
        ("rotation = [-200, 0]", 3, "within -180 to 180"),
        ("scale = [0, 1]", 3, "within 0.25 to 4"),
        (
            "rotation_axes = [\"left-right\"]",
            2,
            "turns in its plane only",
        ),
        (
            "rotation_axes = [\"left-right\", \"left-right\"]",
            3,
            "twice",
        ),
        ("elastic_spacing_mm = 0", 3, "positive number of mm"),
        (
            "elastic_probability = 1\nelastic_mm = [0, 13]",
            2,
            "expected at most 12.91 mm",
        ),
        ("elastic_probability = 0.1", 3, "reads distances"),
    ] {
        let error = check(text, rank).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(
        read("scales = [1, 2]")
            .unwrap_err()
            .to_string()
            .contains("unknown field")
    );
    assert!(read("scale = [1]").is_err());
    let twice = vec![TransformConfig::Spatial(Spatial::default()); 2];
    let error = crate::transform::check(&twice, &setting(3, false)).unwrap_err();
    assert!(
        error.to_string().contains("2 entries of \"spatial\""),
        "{error}"
    );
}

/// `cargo test --release -- --ignored --nocapture a_patch_of_64`
#[test]
#[ignore = "measures time"]
fn a_patch_of_64_cubed_takes_well_under_a_tenth_of_a_second() {
    for (name, elastic_probability) in [("turned and scaled", 0.0), ("and deformed", 1.0)] {
        let spatial = Spatial {
            elastic_probability,
            elastic_mm: Span(8.0, 8.0),
            ..always(20.0, &[], 1.1)
        };
        let frame = Frame {
            input: [64; 3],
            effective: [64; 3],
            spacing: Spacing([1.0; 3]),
        };
        let margin = spatial.margin(&frame, &mut rng());
        let shape = margin.map(|m| 64 + 2 * m);
        let image = filled(shape, [1.0; 3], |[x, y, z]| ((x * y) ^ z) as f32);
        let ball = |c: f64, r: f64| {
            move |at: [usize; 3]| at.iter().map(|i| (*i as f64 - c).powi(2)).sum::<f64>() < r * r
        };
        let (lesion, brain) = (ball(50.0, 9.0), ball(50.0, 45.0));
        let mut before = patch(
            image.clone(),
            filled(shape, [1.0; 3], |at| u8::from(lesion(at))),
            margin,
        );
        before.images = vec![image; 3];
        before.inside = Some(filled(shape, [1.0; 3], brain));
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let mut patch = before.clone();
                let start = std::time::Instant::now();
                spatial.apply(&mut patch, &mut rng());
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.1} ms, margin {margin:?}", 1e3 * times[4]);
        assert!(times[4] < 0.1);
    }
}
