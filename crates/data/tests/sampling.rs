//! Samplers and prefetch on small volumes whose every voxel tells its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use lacuna_data::prefetch::Prefetch;
use lacuna_data::sampler::{
    Batch, Patch, PatchConfig, PatchGeometry, Plane, Realised, Sampler, SamplerError, SamplerKind,
};
use lacuna_data::subject::{Case, LossMaps, LostLesions, Source};
use lacuna_data::transform::{AnatomicalAxis, Flip, Transform};
use lacuna_io::Reference;
use lacuna_volume::{Affine, Orientation, PatchSize, Volume, Zyx};

const SHAPE: [usize; 3] = [6, 5, 4];

fn filled<T>(shape: [usize; 3], value: impl Fn([usize; 3]) -> T) -> Volume<T> {
    let mut data = Vec::new();
    for z in 0..shape[2] {
        for y in 0..shape[1] {
            data.extend((0..shape[0]).map(|x| value([x, y, z])));
        }
    }
    Volume::new(shape, Affine::identity(), data).unwrap()
}

/// Voxel (x, y, z) holds 10000 z + 100 y + x in the first channel and its
/// negative in the second.
fn code([x, y, z]: [usize; 3]) -> f32 {
    (10_000 * z + 100 * y + x) as f32
}

fn case(id: &str, shape: [usize; 3], class: impl Fn([usize; 3]) -> u8) -> Case {
    let image = filled(shape, code);
    Case {
        id: id.to_owned(),
        label: Some(filled(shape, class)),
        mask: None,
        weight: None,
        lost: LostLesions::default(),
        maps: LossMaps::default(),
        source: Source {
            reference: Reference::from_grid(&image.grid()),
            orientation: Orientation::of(image.affine()),
            grid: image.grid(),
            mask: None,
        },
        channels: vec![image.clone(), image.map(|v| -v)],
    }
}

fn lesion_at(places: &'static [[usize; 3]]) -> impl Fn([usize; 3]) -> u8 {
    move |at| u8::from(places.contains(&at))
}

fn sampler(
    cases: Vec<Case>,
    sampler: SamplerKind,
    plane: Plane,
    (rank, input, effective): (usize, usize, usize),
) -> Result<(Sampler, Vec<String>), SamplerError> {
    let config = PatchConfig {
        size: PatchSize::Edge(input),
        sampler,
        plane,
    };
    // A rank that no network has is refused by its sizes too.
    let along = |edge| PatchSize::Edge(edge).along(rank).unwrap_or(Zyx([edge; 3]));
    let geometry = PatchGeometry {
        rank,
        input: along(input),
        effective: along(effective),
    };
    Sampler::new(Arc::new(cases.into()), &config, geometry, 5)
}

/// How often each origin is drawn.
fn origins(sampler: &Sampler, draws: u64) -> BTreeMap<[usize; 3], u64> {
    let mut counts = BTreeMap::new();
    for iteration in 0..draws / 10 {
        for place in sampler.batch(iteration, 10).unwrap().places {
            *counts.entry(place.origin).or_default() += 1;
        }
    }
    counts
}

/// Asserts that exactly `legal` was drawn, each about equally often.
fn assert_uniform(counts: &BTreeMap<[usize; 3], u64>, mut legal: Vec<[usize; 3]>) {
    legal.sort();
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), legal);
    let draws: u64 = counts.values().sum();
    let expected = draws as f64 / legal.len() as f64;
    let chi_square: f64 = counts
        .values()
        .map(|&n| (n as f64 - expected).powi(2) / expected)
        .sum();
    // Mean and SD of chi-square are k and sqrt(2 k): 4 SD above is far in the tail.
    let freedom = (legal.len() - 1) as f64;
    assert!(
        chi_square < freedom + 4.0 * (2.0 * freedom).sqrt(),
        "chi-square {chi_square} with {freedom} degrees of freedom"
    );
}

/// Origins of all boxes of 2x2x2 that hold a voxel for each of the conditions.
fn boxes_that_hold(conditions: &[&dyn Fn([usize; 3]) -> bool]) -> Vec<[usize; 3]> {
    let mut legal = Vec::new();
    for z in 0..SHAPE[2] - 1 {
        for y in 0..SHAPE[1] - 1 {
            for x in 0..SHAPE[0] - 1 {
                let voxels = (0..8).map(|i| [x + i % 2, y + i / 2 % 2, z + i / 4]);
                if conditions.iter().all(|c| voxels.clone().any(c)) {
                    legal.push([x, y, z]);
                }
            }
        }
    }
    legal
}

#[test]
fn foreground_is_uniform_over_all_patches_that_hold_some() {
    const LESION: &[[usize; 3]] = &[[0, 0, 0], [3, 2, 1], [4, 2, 1]];
    let cases = vec![case("a", SHAPE, lesion_at(LESION))];
    let (sampler, warnings) =
        sampler(cases, SamplerKind::Foreground, Plane::Axial, (3, 4, 2)).unwrap();
    assert!(warnings.is_empty());
    let legal = boxes_that_hold(&[&|v| LESION.contains(&v)]);
    assert_eq!(legal.len(), 1 + 12);
    assert_uniform(&origins(&sampler, 13_000), legal);
}

#[test]
fn patches_touch_the_mask() {
    const LESION: &[[usize; 3]] = &[[3, 2, 1]];
    let in_mask = |[x, _, z]: [usize; 3]| x >= 4 && z < 3;
    let mut masked = case("a", SHAPE, lesion_at(LESION));
    masked.mask = Some(filled(SHAPE, in_mask));
    let make = |kind| sampler(vec![masked.clone()], kind, Plane::Axial, (3, 4, 2)).unwrap();

    let (uniform, _) = make(SamplerKind::Uniform);
    assert_uniform(&origins(&uniform, 5_000), boxes_that_hold(&[&in_mask]));
    let (foreground, _) = make(SamplerKind::Foreground);
    let both = boxes_that_hold(&[&in_mask, &|v| LESION.contains(&v)]);
    assert_eq!(both.len(), 4);
    assert_uniform(&origins(&foreground, 2_000), both);
}

/// The voxel that a step of `i` from the start of an axis of `n` lands on when
/// it turns round at the edges: walked step by step.
fn walk(i: isize, n: usize) -> usize {
    let (mut at, mut step) = (0isize, if i < 0 { -1 } else { 1 });
    for _ in 0..i.abs() {
        if n > 1 && !(0..n as isize).contains(&(at + step)) {
            step = -step;
        }
        if n > 1 {
            at += step;
        }
    }
    at as usize
}

#[test]
fn images_are_input_patches_and_labels_effective_patches() {
    let cases = vec![case("a", SHAPE, |[x, y, z]| (x + 10 * y + 50 * z) as u8)];
    let (sampler, _) = sampler(cases, SamplerKind::Uniform, Plane::Axial, (3, 12, 2)).unwrap();
    let batch = sampler.batch(0, 4).unwrap();
    assert_eq!(batch.images.len(), 4 * 2 * 12 * 12 * 12);
    assert_eq!(batch.labels.len(), 4 * 2 * 2 * 2);
    let mut images = batch.images.iter();
    let mut labels = batch.labels.iter();
    for place in &batch.places {
        let [ox, oy, oz] = place.origin;
        for sign in [1.0, -1.0] {
            for z in -5..7isize {
                for y in -5..7isize {
                    for x in -5..7isize {
                        let at = [
                            walk(ox as isize + x, SHAPE[0]),
                            walk(oy as isize + y, SHAPE[1]),
                            walk(oz as isize + z, SHAPE[2]),
                        ];
                        assert_eq!(*images.next().unwrap(), sign * code(at));
                    }
                }
            }
        }
        for i in 0..8 {
            let [x, y, z] = [ox + i % 2, oy + i / 2 % 2, oz + i / 4];
            assert_eq!(usize::from(*labels.next().unwrap()), x + 10 * y + 50 * z);
        }
    }
}

#[test]
fn two_d_networks_get_slices_of_the_chosen_plane() {
    const LESION: &[[usize; 3]] = &[[2, 3, 1]];
    for (plane, width, height, expected) in [
        (
            Plane::Axial,
            0,
            1,
            vec![[1, 2, 1], [1, 3, 1], [2, 2, 1], [2, 3, 1]],
        ),
        (
            Plane::Coronal,
            0,
            2,
            vec![[1, 3, 0], [1, 3, 1], [2, 3, 0], [2, 3, 1]],
        ),
        (
            Plane::Sagittal,
            1,
            2,
            vec![[2, 2, 0], [2, 2, 1], [2, 3, 0], [2, 3, 1]],
        ),
    ] {
        let cases = vec![case("a", SHAPE, lesion_at(LESION))];
        let (sampler, _) = sampler(cases, SamplerKind::Foreground, plane, (2, 4, 2)).unwrap();
        let drawn = origins(&sampler, 400);
        let legal: Vec<[usize; 3]> = expected
            .into_iter()
            .filter(|o: &[usize; 3]| o[1] < SHAPE[1] - usize::from(plane != Plane::Coronal))
            .collect();
        assert_uniform(&drawn, legal);

        let batch = sampler.batch(0, 1).unwrap();
        assert_eq!((batch.images.len(), batch.labels.len()), (2 * 16, 4));
        let mut images = batch.images.iter();
        let origin = batch.places[0].origin;
        for row in -1..3isize {
            for column in -1..3isize {
                let mut at = origin;
                at[width] = walk(origin[width] as isize + column, SHAPE[width]);
                at[height] = walk(origin[height] as isize + row, SHAPE[height]);
                assert_eq!(*images.next().unwrap(), code(at), "{plane:?}");
            }
        }
    }
}

#[test]
fn patches_have_their_own_length_along_each_axis() {
    let plane = PatchSize::Plane;
    for (which, sizes, expected) in [
        (Plane::Axial, [plane([5, 4]), plane([3, 2])], [3, 2, 1]),
        (Plane::Coronal, [plane([5, 4]), plane([3, 2])], [3, 1, 2]),
        (Plane::Sagittal, [plane([5, 4]), plane([3, 2])], [1, 3, 2]),
        (
            Plane::Axial,
            [PatchSize::Cuboid([5, 6, 3]), PatchSize::Cuboid([3, 4, 1])],
            [3, 4, 1],
        ),
    ] {
        let rank = if matches!(sizes[0], PatchSize::Plane(_)) {
            2
        } else {
            3
        };
        let [input, effective] = sizes.map(|size| size.along(rank).unwrap());
        let geometry = PatchGeometry {
            rank,
            input,
            effective,
        };
        let config = PatchConfig {
            size: sizes[0],
            sampler: SamplerKind::Uniform,
            plane: which,
        };
        let cases = vec![case("a", SHAPE, |[x, y, z]| (x + 10 * y + 50 * z) as u8)];
        let (sampler, _) = Sampler::new(Arc::new(cases.into()), &config, geometry, 5).unwrap();
        let batch = sampler.batch(0, 1).unwrap();
        let origin = batch.places[0].origin;
        let mut labels = batch.labels.iter();
        for z in 0..expected[2] {
            for y in 0..expected[1] {
                for x in 0..expected[0] {
                    let [x, y, z] = [origin[0] + x, origin[1] + y, origin[2] + z];
                    assert_eq!(usize::from(*labels.next().unwrap()), x + 10 * y + 50 * z);
                }
            }
        }
        assert_eq!(labels.next(), None);
        // Two channels, and one voxel more at each face that the network sees.
        let wider = expected.map(|n| n as isize + if rank == 2 && n == 1 { 0 } else { 2 });
        let mut images = batch.images.iter();
        let start = [0, 1, 2].map(|a| origin[a] as isize - (wider[a] - expected[a] as isize) / 2);
        for sign in [1.0, -1.0] {
            for z in 0..wider[2] {
                for y in 0..wider[1] {
                    for x in 0..wider[0] {
                        let at = [x, y, z];
                        let at = [0, 1, 2].map(|a| walk(start[a] + at[a], SHAPE[a]));
                        assert_eq!(*images.next().unwrap(), sign * code(at), "{which:?}");
                    }
                }
            }
        }
        assert_eq!(images.next(), None);
    }
}

#[test]
fn balanced_draws_classes_equally_and_weighted_in_proportion() {
    // One voxel of class 2, two of class 1, 117 of class 0.
    let classes = |at: [usize; 3]| match at {
        [2, 2, 2] => 2,
        [0, 0, 0] | [5, 4, 3] => 1,
        _ => 0,
    };
    let cases = vec![case("a", SHAPE, classes)];
    let (balanced, _) = sampler(cases, SamplerKind::Balanced, Plane::Axial, (3, 3, 1)).unwrap();
    let mut drawn = [0u32; 3];
    for iteration in 0..300 {
        for class in balanced.batch(iteration, 10).unwrap().labels {
            drawn[usize::from(class)] += 1;
        }
    }
    // 1000 each expected; a binomial's SD is 26.
    assert!(drawn.iter().all(|n| n.abs_diff(1000) < 105), "{drawn:?}");

    let mut weighted = case("a", SHAPE, classes);
    weighted.weight = Some(filled(SHAPE, |at| match at {
        [0, 0, 0] => 3.0,
        [5, 4, 3] => 1.0,
        _ => 0.0,
    }));
    let (weighted, _) = sampler(
        vec![weighted],
        SamplerKind::Weighted,
        Plane::Axial,
        (3, 3, 3),
    )
    .unwrap();
    // Patches around the corners are moved inside.
    let drawn = origins(&weighted, 2_000);
    assert_eq!(drawn.keys().collect::<Vec<_>>(), [&[0, 0, 0], &[3, 2, 1]]);
    assert!(drawn[&[0, 0, 0]].abs_diff(1500) < 80, "{drawn:?}");
}

#[test]
fn subjects_are_drawn_equally_and_lesion_free_ones_skipped_with_one_warning() {
    let cases = vec![
        case("many", SHAPE, |_| 1),
        case("healthy", SHAPE, |_| 0),
        case("few", SHAPE, lesion_at(&[[1, 1, 1]])),
        case("well", SHAPE, |_| 0),
    ];
    let (foreground, warnings) = sampler(
        cases.clone(),
        SamplerKind::Foreground,
        Plane::Axial,
        (3, 4, 2),
    )
    .unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("2 of 4 subjects") && warnings[0].contains("healthy, well"));
    let mut realised = Realised::default();
    for iteration in 0..200 {
        realised.add(&foreground.batch(iteration, 10).unwrap());
    }
    assert_eq!(
        realised.per_subject.keys().collect::<Vec<_>>(),
        ["few", "many"]
    );
    assert!(realised.per_subject["few"].abs_diff(1000) < 100);
    assert_eq!(realised.empty_rate(), Some(0.0));

    let (uniform, warnings) =
        sampler(cases, SamplerKind::Uniform, Plane::Axial, (3, 4, 2)).unwrap();
    assert!(warnings.is_empty());
    let mut realised = Realised::default();
    for iteration in 0..200 {
        realised.add(&uniform.batch(iteration, 10).unwrap());
    }
    assert_eq!(realised.per_subject.len(), 4);
    assert!(realised.empty_rate().unwrap() > 0.5);
}

#[test]
fn realised_shares_by_hand() {
    let place = |subject: &str| lacuna_data::sampler::PatchPlace {
        subject: subject.to_owned(),
        index: 0,
        origin: [0; 3],
    };
    let mut realised = Realised::default();
    assert_eq!(
        (realised.foreground_share(), realised.empty_rate()),
        (None, None)
    );
    realised.add(&Batch {
        images: Vec::new(),
        labels: vec![0, 1, 2, 0, 0, 0, 0, 0],
        places: vec![place("a"), place("b")],
        ..Batch::default()
    });
    assert_eq!(realised.foreground_share(), Some(0.25));
    assert_eq!(realised.empty_rate(), Some(0.5));
    assert_eq!((realised.patches, realised.per_subject["b"]), (2, 1));
}

#[test]
fn batches_do_not_depend_on_threads_or_on_earlier_iterations() {
    let cases = vec![
        case("a", SHAPE, lesion_at(&[[1, 1, 1]])),
        case("b", SHAPE, |_| 1),
    ];
    let (sampler, _) = sampler(cases, SamplerKind::Foreground, Plane::Axial, (3, 4, 2)).unwrap();
    let sampler = Arc::new(sampler);
    let plain: Vec<Batch> = (10..40).map(|i| sampler.batch(i, 3).unwrap()).collect();
    assert_ne!(plain[0].places, plain[1].places);
    for threads in [1, 2, 5] {
        let prefetch = Prefetch::new(sampler.clone(), 3, 10..40, threads).unwrap();
        let fetched: Vec<Batch> = prefetch.map(|item| item.unwrap().batch).collect();
        assert_eq!(fetched, plain, "{threads} threads");
    }
}

/// Three voxels along z, 7 in the effective patch: voxels 0 1 2, and beyond them
/// 1 0 1 2 by reflection, in the label as in the image.
#[test]
fn a_volume_thinner_than_the_patch_is_padded_in_image_label_and_maps() {
    let mut thin = case("thin", [3, 9, 3], |[_, _, z]| z as u8);
    thin.mask = Some(filled([3, 9, 3], |[_, y, _]| y >= 8));
    thin.maps.distance = vec![filled([3, 9, 3], |[x, _, z]| (10 * x + z) as f32)];
    let kinds = [
        SamplerKind::Uniform,
        SamplerKind::Foreground,
        SamplerKind::Balanced,
    ];
    for kind in kinds {
        let (sampler, warnings) = sampler(
            vec![case("deep", [9, 9, 9], |_| 1), thin.clone()],
            kind,
            Plane::Axial,
            (3, 9, 7),
        )
        .unwrap();
        assert_eq!(
            warnings,
            [
                "1 of 2 subjects are smaller than the effective patch of 7 x 7 x 7 voxels and \
                 are filled by reflection, images and labels alike: thin"
            ]
        );
        let sampler = sampler.batch(0, 8).unwrap();
        let folded = [0, 1, 2, 1, 0, 1, 2];
        let mut seen = 0;
        for (i, place) in sampler.places.iter().enumerate() {
            if place.subject != "thin" {
                continue;
            }
            seen += 1;
            // Only the patch that ends with y touches the mask.
            assert_eq!(place.origin, [0, 2, 0], "{kind}");
            let labels = &sampler.labels[343 * i..][..343];
            let images = &sampler.images[2 * 729 * i..][..729];
            for (j, label) in labels.iter().enumerate() {
                let [x, y, z] = [j % 7, j / 7 % 7, j / 49];
                assert_eq!(usize::from(*label), folded[z]);
                let at = (x + 1) + 9 * (y + 1) + 81 * (z + 1);
                assert_eq!(images[at], code([folded[x], y + 2, folded[z]]));
            }
        }
        assert!(seen > 0);
        // The deep subject has no distance map here, so these are the thin one's.
        assert_eq!(sampler.maps.distance.len(), 343 * seen);
        assert_eq!(
            sampler.maps.distance[..7],
            [0., 10., 20., 10., 0., 10., 20.]
        );
        assert_eq!(sampler.maps.distance[49 * 3], 1.0);
    }
}

#[test]
fn slices_smaller_than_the_patch_are_padded_in_their_plane_only() {
    let cases = vec![case("a", [3, 4, 5], lesion_at(&[[1, 1, 3]]))];
    let (sampler, _) = sampler(cases, SamplerKind::Foreground, Plane::Axial, (2, 5, 5)).unwrap();
    let batch = sampler.batch(0, 2).unwrap();
    assert_eq!(batch.places[0].origin, [0, 0, 3]);
    let row = [0, 1, 2, 1, 0].map(|x| code([x, 3, 3]));
    assert_eq!(batch.images[15..20], row);
    assert_eq!(
        batch.images[20..25],
        [0, 1, 2, 1, 0].map(|x| code([x, 2, 3]))
    );
    assert_eq!(batch.labels[5..10], [0, 1, 0, 1, 0]);
    assert_eq!(batch.labels[20..25], [0; 5]);
}

#[derive(Debug)]
struct ShiftByOne;

impl Transform for ShiftByOne {
    fn margin(&self) -> [usize; 3] {
        [1, 0, 0]
    }

    fn apply(&self, patch: &mut Patch, _: &mut rand_chacha::ChaCha8Rng) {
        for image in &mut patch.images {
            image.data_mut().rotate_left(1);
        }
        patch.labels.data_mut().rotate_left(1);
    }
}

#[test]
fn transforms_draw_on_a_margin_and_do_not_change_what_is_drawn() {
    let make = || {
        let cases = vec![case("a", [9, 5, 4], |[x, _, _]| x as u8)];
        sampler(cases, SamplerKind::Uniform, Plane::Axial, (3, 3, 1))
            .unwrap()
            .0
    };
    let (plain, moved) = (
        make().batch(7, 20).unwrap(),
        make()
            .with_transforms(vec![Box::new(ShiftByOne)])
            .batch(7, 20)
            .unwrap(),
    );
    assert_eq!(plain.places, moved.places);
    // What lies one further along x, the last axis reflected at 8.
    let next = |v: u8| if v == 8 { 7 } else { v + 1 };
    let expected: Vec<u8> = plain.labels.iter().map(|v| next(*v)).collect();
    assert_eq!(moved.labels, expected);
    assert_eq!(moved.images.len(), plain.images.len());

    let flip = || -> Vec<Box<dyn Transform>> {
        vec![Box::new(Flip {
            axes: vec![AnatomicalAxis::LeftRight],
            probability: 0.5,
        })]
    };
    let (once, again) = (
        make().with_transforms(flip()).batch(7, 20).unwrap(),
        make().with_transforms(flip()).batch(7, 20).unwrap(),
    );
    assert_eq!(once, again);
    // A patch of 3 voxels along x is either as it was or reversed.
    let rows = plain.images.chunks(3).zip(once.images.chunks(3));
    let reversed = rows
        .map(|(a, b)| a != b && a.iter().rev().eq(b))
        .filter(|reversed| *reversed)
        .count();
    // 18 rows of a patch in two channels.
    assert!(reversed > 0 && reversed < 20 * 18, "{reversed}");
}

#[test]
fn each_mistake_is_named() {
    let lesion = || case("a", SHAPE, lesion_at(&[[1, 1, 1]]));
    let refuse =
        |cases, kind, plane, sizes| sampler(cases, kind, plane, sizes).unwrap_err().to_string();
    let (fg, axial) = (SamplerKind::Foreground, Plane::Axial);

    let error = refuse(vec![], fg, axial, (3, 4, 2));
    assert!(error.contains("no subject"), "{error}");
    let error = refuse(vec![case("a", SHAPE, |_| 0)], fg, axial, (3, 4, 2));
    assert!(
        error.contains("none of the 1 subjects holds any foreground"),
        "{error}"
    );
    let error = refuse(
        vec![case("a", SHAPE, |_| 0)],
        SamplerKind::Uniform,
        axial,
        (3, 4, 2),
    );
    assert!(
        error.contains("none of the 1 subjects holds any foreground"),
        "{error}"
    );
    let error = refuse(vec![lesion()], fg, Plane::Coronal, (3, 4, 2));
    assert!(error.contains("Coronal is for 2-D networks"), "{error}");
    for sizes in [(1, 4, 2), (3, 4, 3), (3, 2, 4), (3, 2, 0)] {
        let error = refuse(vec![lesion()], fg, axial, sizes);
        assert!(error.contains("2 or 3 axes and an even border"), "{error}");
    }
    let mut unlabelled = lesion();
    unlabelled.label = None;
    let error = refuse(vec![unlabelled], fg, axial, (3, 4, 2));
    assert!(error.contains("subject a: it has no label"), "{error}");

    let weighted = |weight: f32| {
        let mut case = lesion();
        case.weight = Some(filled(
            SHAPE,
            |at| if at == [2, 1, 0] { weight } else { 0.0 },
        ));
        vec![case]
    };
    let kind = SamplerKind::Weighted;
    let error = refuse(vec![lesion()], kind, axial, (3, 4, 2));
    assert!(error.contains("no weight map for: a"), "{error}");
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let error = refuse(weighted(bad), kind, axial, (3, 4, 2));
        assert!(
            error.contains(&format!("holds {bad} at voxel [2, 1, 0]")),
            "{error}"
        );
    }
    let error = refuse(weighted(0.0), kind, axial, (3, 4, 2));
    assert!(error.contains("zero everywhere"), "{error}");
}
