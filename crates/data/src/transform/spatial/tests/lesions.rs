//! What becomes of small lesions, and of those that leave a patch.

use super::*;

#[test]
fn a_lesion_of_one_voxel_survives() {
    // Two lesions of class 1 and one of class 2, one voxel each.
    let at = [[5, 7, 6], [9, 4, 8], [7, 9, 9]];
    let class = move |voxel: [usize; 3]| match at.iter().position(|at| *at == voxel) {
        Some(i) => [1, 1, 2][i],
        None => 0,
    };
    let labels = filled([15; 3], [1.0; 3], class);
    let mut before = patch(labels.map(|v| f32::from(*v)), labels, [0; 3]);
    before.maps.lesion = Some(filled([15; 3], [1.0; 3], |voxel| {
        at.iter()
            .position(|at| *at == voxel)
            .map_or(0, |i| i as u32 + 10)
    }));
    let mut by_majority = 0;
    for degrees in 0..60 {
        let spatial = always(f64::from(degrees) * 3.0 + 1.0, &[], 0.8);
        let after = applied(&spatial, before.clone());
        let lesion = after.maps.lesion.unwrap();
        for (id, class) in [(10, 1), (11, 1), (12, 2)] {
            let voxels: Vec<usize> = (0..lesion.len())
                .filter(|i| lesion.data()[*i] == id)
                .collect();
            assert!(!voxels.is_empty(), "{id} at {degrees}");
            assert!(voxels.iter().all(|i| after.labels.data()[*i] == class));
            by_majority += usize::from(
                voxels
                    .iter()
                    .any(|i| after.images[0].data()[*i] > 0.5 * f32::from(class)),
            );
        }
        let foreground = after
            .labels
            .data()
            .iter()
            .filter(|label| **label > 0)
            .count();
        assert_eq!(
            foreground,
            lesion.data().iter().filter(|id| **id > 0).count()
        );
    }
    // Without the rule, most of the 180 would be gone.
    assert!(by_majority < 90, "{by_majority}");
}

#[test]
fn a_lesion_beyond_the_patch_is_not_drawn_into_it() {
    // Only just beyond the face of the result: half of the face's voxels have some of it.
    let labels = filled([13, 9, 9], [1.0; 3], |at| {
        u8::from(at[0] == 12 || at == [6, 4, 4])
    });
    let before = patch(labels.map(|v| f32::from(*v)), labels, [2, 0, 0]);
    let after = applied(&always(0.0, &[], 0.75), before);
    let marked: Vec<usize> = (0..after.labels.len())
        .filter(|i| after.labels.data()[*i] > 0)
        .collect();
    assert_eq!(marked, [4 + 9 * (4 + 9 * 4)]);
}

#[test]
fn a_patch_that_would_lose_all_foreground_stays_as_it_was_cut() {
    // In a corner, which a turn by 45 degrees takes out of the patch.
    let labels = filled([11; 3], [1.0; 3], |at| u8::from(at == [1, 1, 5]));
    let image = filled([11; 3], [1.0; 3], |[x, y, z]| (x + 20 * y + 400 * z) as f32);
    let spatial = always(45.0, &[AnatomicalAxis::InferiorSuperior], 1.0);
    let mut expected = patch(image.clone(), labels.clone(), [1; 3]);
    let after = applied(&spatial, expected.clone());
    expected.trim();
    assert_eq!(after.labels, expected.labels);
    assert_eq!(after.images, expected.images);
    // Without foreground nothing can be lost.
    let empty = labels.map(|_| 0);
    let after = applied(&spatial, patch(image, empty, [1; 3]));
    assert_ne!(after.images, expected.images);
}
