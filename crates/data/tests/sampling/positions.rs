//! Where patches are drawn, and how often.

use crate::{SHAPE, assert_uniform, case, filled, lesion_at, origins, sampler};
use lacuna_data::sampler::{
    PatchConfig, PatchPlace, Plane, Realised, Sampler, SamplerKind, SubjectComponents,
};
use lacuna_volume::IGNORED;

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

/// One lesion of one voxel in the first subject, one of four in the second, none in the
/// third: a mixture of components and uniform places.
#[test]
fn a_mixture_draws_each_part_by_its_share() {
    let cases = vec![
        case("a", SHAPE, lesion_at(&[[1, 1, 1]])),
        case(
            "b",
            SHAPE,
            lesion_at(&[[4, 3, 2], [4, 3, 3], [4, 4, 2], [4, 4, 3]]),
        ),
        case("c", SHAPE, |_| 0),
    ];
    let mixture = "sampler = [{ components = 0.5 }, { uniform = 0.25 }, { errors = 0.25 }]";
    let mixture = toml::from_str::<PatchConfig>(mixture).unwrap().sampler;
    let (first, warnings) = sampler(cases, mixture, Plane::Axial, (3, 2, 2)).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("components sampler skips 1 of 3"),
        "{warnings:?}"
    );

    let drawn = |sampler: &Sampler| {
        let mut realised = Realised::default();
        let mut of_errors = Vec::new();
        for iteration in 0..1000 {
            let batch = sampler.batch(iteration, 4).unwrap();
            realised.add(&batch);
            let errors = |place: &&PatchPlace| place.drawn_by == SamplerKind::Errors;
            of_errors.extend(batch.places.iter().filter(errors).cloned());
        }
        (realised, of_errors)
    };
    let (realised, _) = drawn(&first);
    // 2000, 1000 and 1000 of 4000 expected; SD at most 32. Every patch of a component
    // holds foreground, and both lesions are drawn as often: 1000 patches of each beside
    // a third of the 2000 uniform ones.
    for (part, expected) in [("components", 2000), ("uniform", 1000), ("errors", 1000)] {
        let found = realised.per_part[part].patches;
        assert!(found.abs_diff(expected) < 130, "{part}: {found}");
    }
    assert_eq!(realised.per_part["components"].empty, 0);
    assert!(realised.per_part["uniform"].empty > 500);
    for subject in ["a", "b"] {
        let found = realised.per_subject[subject];
        assert!(found.abs_diff(1667) < 160, "{subject}: {found}");
    }

    // Errors that are known take the place of the uniform ones: a voxel of subject c.
    let mut wrong = vec![SubjectComponents::default(); 3];
    wrong[2].components.push((1, vec![0]));
    let (_, of_errors) = drawn(&first.clone().with_errors(wrong));
    assert!(
        of_errors
            .iter()
            .all(|p| p.subject == "c" && p.origin == [0; 3])
    );
    assert!(of_errors.len() > 800);
    // Where the network was wrong nowhere, places stay uniform.
    let (again, _) = drawn(
        &first
            .clone()
            .with_errors(vec![SubjectComponents::default(); 3]),
    );
    assert_eq!(again, realised);
}

/// Along an axis of 4 voxels, patches of 2 start at 0, 1 and 2. The outer voxels have one
/// patch, the inner ones two: 1/4 + 1/8, 1/8 + 1/8 and 1/8 + 1/4 of the draws.
#[test]
fn patches_lie_anywhere_around_the_voxels_of_the_mask() {
    // The voxels of [`case`] hold other values than 0 and the least but for the first.
    let mut cases = vec![case("a", [4, 2, 2], lesion_at(&[[0, 0, 0]]))];
    let (unmasked, _) = sampler(cases.clone(), SamplerKind::Mask, Plane::Axial, (3, 2, 2)).unwrap();
    let first: u64 = origins(&unmasked, 8000)[&[0, 0, 0]];
    // Of the 15 others, 3 lie at the first voxel of the axis and 4 at the second.
    assert!(first.abs_diff(8000 * (3 * 2 + 4) / 30) < 180, "{first}");

    cases[0].mask = Some(filled([4, 2, 2], |_| true));
    let (sampler, _) = sampler(cases, SamplerKind::Mask, Plane::Axial, (3, 2, 2)).unwrap();
    let counts = origins(&sampler, 8000);
    for (x, expected) in [(0, 3000), (1, 2000), (2, 3000)] {
        let found: u64 = counts[&[x, 0, 0]];
        assert!(found.abs_diff(expected) < 180, "{counts:?}");
    }
}

#[test]
fn ignored_voxels_are_not_drawn() {
    const LESION: [usize; 3] = [3, 2, 1];
    let known = |at: [usize; 3]| at[0] >= 4 || at == LESION;
    let classes = move |at: [usize; 3]| match known(at) {
        true => u8::from(at == LESION),
        false => IGNORED,
    };
    let mut ignoring = case("a", SHAPE, classes);
    ignoring.weight = Some(filled(SHAPE, |_| 1.0));
    let make = |kind, edge| sampler(vec![ignoring.clone()], kind, Plane::Axial, (3, edge, edge));
    let (uniform, _) = make(SamplerKind::Uniform, 2).unwrap();
    assert_uniform(&origins(&uniform, 5_000), boxes_that_hold(&[&known]));
    let lesion = |at: [usize; 3]| at == LESION;
    let (foreground, _) = make(SamplerKind::Foreground, 2).unwrap();
    assert_uniform(&origins(&foreground, 2_000), boxes_that_hold(&[&lesion]));
    let voxels = (0..6 * 5 * 4).map(|i| [i % 6, i / 6 % 5, i / 30]);
    let all: Vec<[usize; 3]> = voxels.filter(|at| known(*at)).collect();
    for kind in [SamplerKind::Weighted, SamplerKind::Mask] {
        let (voxels, _) = make(kind, 1).unwrap();
        assert_uniform(&origins(&voxels, 8_000), all.clone());
    }
    for kind in [SamplerKind::Balanced, SamplerKind::Components] {
        let (voxels, _) = make(kind, 1).unwrap();
        let drawn = origins(&voxels, 400);
        assert!(drawn.keys().all(|at| known(*at)), "{kind}: {drawn:?}");
        assert!(drawn[&LESION] > 150, "{kind}");
    }
}
