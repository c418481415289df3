//! What a patch holds: axes, planes and what lies beyond the volume.

use std::sync::Arc;

use crate::{SHAPE, assert_uniform, case, code, filled, lesion_at, origins, sampler};
use lacuna_data::sampler::{PatchConfig, PatchGeometry, Plane, Sampler, SamplerKind};
use lacuna_volume::PatchSize;

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
            sampler: SamplerKind::Uniform.into(),
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
