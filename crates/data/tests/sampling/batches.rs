//! Batches, their transforms and their figures.

use std::sync::Arc;

use crate::{SHAPE, case, filled, lesion_at, sampler};
use lacuna_data::prefetch::Prefetch;
use lacuna_data::sampler::{Batch, Patch, Plane, Realised, SamplerKind};
use lacuna_data::transform::{AnatomicalAxis, Flip, Frame, Span, Spatial, Transform};

#[test]
fn realised_shares_by_hand() {
    let place = |subject: &str| lacuna_data::sampler::PatchPlace {
        subject: subject.to_owned(),
        index: 0,
        origin: [0; 3],
        drawn_by: SamplerKind::Foreground,
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
    let drawn = realised.per_part["foreground"];
    assert_eq!((drawn.patches, drawn.empty), (2, 1));
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

#[derive(Debug)]
struct ShiftByOne;

impl Transform for ShiftByOne {
    fn margin(&self, _: &Frame, _: &mut rand_chacha::ChaCha8Rng) -> [usize; 3] {
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
fn a_turned_patch_shows_what_lies_around_it() {
    let case = case("a", [40; 3], |at| {
        u8::from(at.iter().all(|i| (16..24).contains(i)))
    });
    let (sampler, _) = sampler(vec![case], SamplerKind::Uniform, Plane::Axial, (3, 9, 7)).unwrap();
    let sampler = sampler.with_transforms(vec![Box::new(Spatial {
        rotation_probability: 0.5,
        rotation: Span(-45.0, 45.0),
        scale_probability: 0.5,
        scale: Span(0.7, 1.4),
        ..Spatial::default()
    })]);
    let (mut inner, mut changed) = (0, 0);
    for sample in 0..400 {
        let (before, after) = (
            sampler.untransformed(0, sample).unwrap(),
            sampler.patch(0, sample).unwrap(),
        );
        assert_eq!(
            (after.margin, after.place.origin),
            ([0; 3], before.place.origin)
        );
        assert_eq!(after.images[0].grid(), before.images[0].grid());
        assert_eq!(after.labels.grid(), before.labels.grid());
        // The images are linear in x, y, z; moved, they still are, unless the volume's end
        // was reflected, 9 voxels of 1 / 0.7 on a diagonal being 11 to each side.
        let image = &after.images[0];
        if before.place.origin.iter().any(|o| !(9..25).contains(o)) {
            continue;
        }
        inner += 1;
        changed += usize::from(image != &before.images[0]);
        let at = |x: usize| f64::from(image.data()[image.index([x, 4, 8 - x])]);
        for x in 1..8 {
            let bend = at(x - 1) - 2.0 * at(x) + at(x + 1);
            assert!(bend.abs() < 0.5, "{bend} at {:?}", before.place);
        }
    }
    // 3 of 4 are moved.
    assert!(
        inner > 30 && 4 * changed > 2 * inner && changed < inner,
        "{changed} of {inner}"
    );
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
