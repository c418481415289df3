//! Places around connected components: lesions, or what the network got wrong.
//!
//! A component is drawn, then one of its voxels, then a patch uniformly among those
//! that hold the voxel. A lesion of ten voxels is thus seen as often as one of ten
//! thousand (with an exponent of 0), and no lesion lies at the centre by construction,
//! as it does where patches are centred on voxels.

use lacuna_volume::{Connectivity, Volume, label_components};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Voxels kept of a component, evenly spread over it in the order of memory.
const KEPT: usize = 1024;

/// The 26-connected components of a mask in one subject, by voxel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SubjectComponents {
    /// Of each component: its number of voxels, and places in memory of up to 1024.
    pub components: Vec<(u64, Vec<u32>)>,
}

impl SubjectComponents {
    /// The components of `mask`; the voxels kept are those that `counted` keeps (asked
    /// with the place in memory), and a component without any is left out.
    pub fn of(mask: &Volume<bool>, counted: &dyn Fn(usize) -> bool) -> Self {
        let found = label_components(mask, Connectivity::TwentySix);
        let mut voxels: Vec<Vec<u32>> = vec![Vec::new(); found.count];
        for (i, &component) in found.labels.data().iter().enumerate() {
            if component > 0 && counted(i) {
                voxels[component as usize - 1].push(i as u32);
            }
        }
        let kept = voxels.into_iter().filter(|voxels| !voxels.is_empty());
        let kept = kept.map(|voxels| {
            let size = voxels.len();
            let spread = |k: usize| voxels[k * size / KEPT.min(size)];
            (size as u64, (0..KEPT.min(size)).map(spread).collect())
        });
        Self {
            components: kept.collect(),
        }
    }

    /// True without components.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }
}

/// The components of all subjects, with how often each is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct ComponentPlaces {
    subjects: Vec<SubjectComponents>,
    /// Number of the subject and of the component in it.
    drawn: Vec<(u32, u32)>,
    /// Sum of the weights up to and including each.
    ends: Vec<f64>,
}

impl ComponentPlaces {
    /// Components of v voxels weigh v^`exponent`.
    pub(super) fn new(subjects: Vec<SubjectComponents>, exponent: f64) -> Self {
        let mut places = Self::default();
        let mut sum = 0.0;
        for (s, subject) in subjects.iter().enumerate() {
            for (c, (size, _)) in subject.components.iter().enumerate() {
                sum += (*size as f64).powf(exponent);
                places.drawn.push((s as u32, c as u32));
                places.ends.push(sum);
            }
        }
        places.subjects = subjects;
        places
    }

    pub(super) fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// The number of a subject and the place of a voxel in its memory.
    ///
    /// # Panics
    /// When there is no component.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> (usize, usize) {
        let whole = self.ends.last().expect("there are components");
        let target = rng.random::<f64>() * whole;
        let at = self.ends.partition_point(|&end| end <= target);
        let (subject, component) = self.drawn[at.min(self.drawn.len() - 1)];
        let (_, voxels) = &self.subjects[subject as usize].components[component as usize];
        let voxel = voxels[rng.random_range(0..voxels.len() as u64) as usize];
        (subject as usize, voxel as usize)
    }
}

/// First voxel of a patch of `effective` voxels that holds `voxel`, uniform among those
/// inside a volume of `shape`; an axis that is shorter than the patch starts with it.
pub(super) fn around(
    voxel: [usize; 3],
    effective: [usize; 3],
    shape: [usize; 3],
    rng: &mut impl Rng,
) -> [usize; 3] {
    [0, 1, 2].map(|axis| {
        let last = shape[axis].saturating_sub(effective[axis]).min(voxel[axis]);
        let first = (voxel[axis] + 1).saturating_sub(effective[axis]).min(last);
        rng.random_range(first as u64..=last as u64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};
    use lacuna_volume::Affine;

    /// An axis of ten voxels: components of 1, 3 and 2 voxels.
    fn mask() -> Volume<bool> {
        let inside = [0, 2, 3, 4, 8, 9];
        let mask = (0..10).map(|i| inside.contains(&i)).collect();
        Volume::new([10, 1, 1], Affine::identity(), mask).unwrap()
    }

    #[test]
    fn components_are_drawn_alike_and_their_voxels_too() {
        let components = SubjectComponents::of(&mask(), &|i| i != 9);
        let sizes: Vec<u64> = components.components.iter().map(|(n, _)| *n).collect();
        assert_eq!(sizes, [1, 3, 1]);
        for (exponent, expected) in [(0.0, [3000, 1000, 3000]), (1.0, [1800, 1800, 1800])] {
            let subjects = vec![SubjectComponents::default(), components.clone()];
            let places = ComponentPlaces::new(subjects, exponent);
            let mut rng = keyed_rng(0, Domain::Sampling, 0, 0);
            let mut seen = [0_u32; 10];
            for _ in 0..9000 {
                let (subject, voxel) = places.draw(&mut rng);
                assert_eq!(subject, 1);
                seen[voxel] += 1;
            }
            assert_eq!(seen[9], 0);
            // A binomial's SD is at most 45.
            for (voxel, expected) in [0, 2, 8].into_iter().zip(expected) {
                assert!(seen[voxel].abs_diff(expected) < 180, "{exponent}: {seen:?}");
            }
        }
    }

    #[test]
    fn a_large_component_keeps_voxels_from_end_to_end() {
        let volume = Volume::filled([4096, 1, 1], Affine::identity(), true).unwrap();
        let (size, kept) = &SubjectComponents::of(&volume, &|_| true).components[0];
        assert_eq!(
            (*size, kept.len(), kept[0], kept[1023]),
            (4096, 1024, 0, 4092)
        );
    }

    #[test]
    fn a_patch_lies_anywhere_around_the_voxel() {
        // Patches of 4 in an axis of 10 that hold voxel 2 start at 0, 1 or 2; those that
        // hold voxel 9 start at 6; an axis of 3 is shorter than the patch.
        let mut seen = [0_u32; 7];
        let mut rng = keyed_rng(0, Domain::Sampling, 1, 0);
        for _ in 0..3000 {
            let [x, y, z] = around([2, 9, 1], [4, 4, 4], [10, 10, 3], &mut rng);
            assert_eq!([y, z], [6, 0]);
            seen[x] += 1;
        }
        assert!(seen[..3].iter().all(|n| n.abs_diff(1000) < 110), "{seen:?}");
        assert_eq!(seen[3..], [0; 4]);
    }
}
