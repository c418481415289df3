//! The rule of MSSEG, in whole numbers of voxels.

use super::{LesionCounts, Matched, VOLUME_SLACK};

/// Components above this count, mm³.
const FLOOR_MM3: f64 = 3.0;

/// Lesions of both masks by the rule, from either side.
pub(super) fn count(matched: &Matched, voxel_mm3: f64) -> LesionCounts {
    let kept = |sizes: &[usize]| -> Vec<bool> {
        let floor = FLOOR_MM3 * (1.0 + VOLUME_SLACK);
        (sizes.iter())
            .map(|&voxels| voxels as f64 * voxel_mm3 > floor)
            .collect()
    };
    let reference = kept(&matched.reference.sizes);
    let prediction = kept(&matched.prediction.sizes);
    let shared: Vec<([usize; 2], usize)> = (matched.shared.iter())
        .map(|(&edge, &voxels)| (edge, voxels))
        .filter(|([r, p], _)| reference[*r] && prediction[*p])
        .collect();
    let turned: Vec<([usize; 2], usize)> = (shared.iter())
        .map(|&([r, p], voxels)| ([p, r], voxels))
        .collect();
    let (of_reference, of_prediction) = (&matched.reference.sizes, &matched.prediction.sizes);
    let found = detected(of_reference, of_prediction, &shared);
    let true_predictions = detected(of_prediction, of_reference, &turned);
    let count = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
    LesionCounts {
        reference: count(&reference),
        found,
        predicted: count(&prediction),
        false_positives: count(&prediction) - true_predictions,
        true_predictions,
    }
}

/// How many components of sizes `own` those of sizes `others` detect; `shared` holds
/// voxels of [own, other].
fn detected(own: &[usize], others: &[usize], shared: &[([usize; 2], usize)]) -> usize {
    let mut inside = vec![0; others.len()];
    let mut parts: Vec<Vec<(usize, usize)>> = vec![Vec::new(); own.len()];
    for &([lesion, other], voxels) in shared {
        inside[other] += voxels;
        parts[lesion].push((other, voxels));
    }
    let is_outside = |other: usize| 100 * (others[other] - inside[other]) > 70 * others[other];
    let is_detected = |(size, parts): (&usize, &mut Vec<(usize, usize)>)| {
        let overlap: usize = parts.iter().map(|part| part.1).sum();
        if 10 * overlap <= *size {
            return false;
        }
        // Stable: of equal parts the first in memory comes first.
        parts.sort_by_key(|part| std::cmp::Reverse(part.1));
        let mut explained = 0;
        for &(other, voxels) in parts.iter() {
            if 100 * explained >= 65 * overlap {
                break;
            }
            if is_outside(other) {
                return false;
            }
            explained += voxels;
        }
        true
    };
    own.iter()
        .zip(&mut parts)
        .filter_map(|lesion| is_detected(lesion).then_some(()))
        .count()
}
