//! BraTS 2023 lesion-wise scores.
//!
//! The reference is dilated; what its 26-connected components join is one lesion. All
//! predicted components that touch the dilated lesion are its prediction, which is
//! scored against the lesion undilated. One component can serve several lesions; a
//! component that touches none is false whatever its size, and one that touches only a
//! lesion below the floor is neither true nor false.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lacuna_volume::{Components, Connectivity, Points, Volume, label_components};

use super::{LesionCounts, VOLUME_SLACK};
use crate::surface::surface;
use crate::{MaskPair, SurfaceConvention, SurfaceDistances};

/// HD95 in mm of a missed lesion and of a false component.
const PENALTY_MM: f64 = 374.0;

/// A task of BraTS 2023: how far lesions are dilated and which are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BratsTask {
    /// Gliomas of adults.
    Gli,
    /// Gliomas in sub-Saharan Africa.
    Ssa,
    /// Tumours of children.
    Ped,
    /// Meningiomas.
    Men,
    /// Metastases.
    Met,
}

impl BratsTask {
    /// The name of the convention.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gli => "brats-2023-gli",
            Self::Ssa => "brats-2023-ssa",
            Self::Ped => "brats-2023-ped",
            Self::Men => "brats-2023-men",
            Self::Met => "brats-2023-met",
        }
    }

    /// Dilations by the 18 neighbours of a voxel.
    pub fn dilations(self) -> usize {
        match self {
            Self::Gli | Self::Ssa | Self::Ped => 3,
            Self::Men | Self::Met => 1,
        }
    }

    /// Reference lesions of no more than this, mm³, do not count.
    pub fn floor_mm3(self) -> f64 {
        match self {
            Self::Met => 2.0,
            Self::Gli | Self::Ssa | Self::Ped | Self::Men => 50.0,
        }
    }
}

/// Counts, mean DSC and mean HD95 of lesions and false components. `prediction` holds
/// the 26-connected components of the pair's.
pub(super) fn score(
    pair: &MaskPair,
    prediction: &Components,
    task: BratsTask,
) -> (LesionCounts, BTreeMap<Cow<'static, str>, f64>) {
    let dilated = dilate(pair.reference(), task.dilations());
    let dilated = label_components(&dilated, Connectivity::TwentySix);
    let mut lesions = vec![0usize; dilated.count];
    let mut components = vec![0usize; prediction.count];
    // Voxels of the undilated lesion in each component that touches the dilated one.
    let mut touching: Vec<BTreeMap<usize, usize>> = vec![BTreeMap::new(); dilated.count];
    let labels = dilated.labels.data().iter().zip(prediction.labels.data());
    for (at, (&lesion, &component)) in labels.enumerate() {
        let (lesion, component) = (lesion as usize, component as usize);
        let is_reference = pair.reference().data()[at];
        if is_reference {
            lesions[lesion - 1] += 1;
        }
        if component > 0 {
            components[component - 1] += 1;
            if lesion > 0 {
                let shared = touching[lesion - 1].entry(component - 1).or_default();
                *shared += usize::from(is_reference);
            }
        }
    }
    let mut is_false = vec![true; prediction.count];
    for component in touching.iter().flat_map(BTreeMap::keys) {
        is_false[*component] = false;
    }
    let false_positives = is_false.iter().filter(|f| **f).count();

    let surfaces = Surfaces::of(pair, &dilated, prediction);
    // Large components serve many lesions.
    let mut predicted: BTreeMap<Vec<usize>, (Vec<[f64; 3]>, Points)> = BTreeMap::new();
    let floor = task.floor_mm3() * (1.0 + VOLUME_SLACK);
    let kept = |lesion: &usize| lesions[*lesion] as f64 * pair.voxel_mm3() > floor;
    let (mut reference, mut found) = (0, 0);
    let (mut dsc, mut hd95_mm) = (0.0, PENALTY_MM * false_positives as f64);
    for lesion in (0..dilated.count).filter(kept) {
        reference += 1;
        let parts = &touching[lesion];
        if parts.is_empty() {
            hd95_mm += PENALTY_MM;
            continue;
        }
        found += 1;
        let sizes = parts.keys().map(|component| components[*component]);
        let both = lesions[lesion] + sizes.sum::<usize>();
        dsc += 2.0 * parts.values().sum::<usize>() as f64 / both as f64;
        let of_components: Vec<usize> = parts.keys().copied().collect();
        let (places, nearest) = predicted
            .entry(of_components)
            .or_insert_with_key(|components| {
                let of = |component: &usize| &surfaces.components[*component];
                let places: Vec<[f64; 3]> = components.iter().flat_map(of).copied().collect();
                let nearest = Points::new(places.clone());
                (places, nearest)
            });
        let distances = SurfaceDistances::between(&surfaces.lesions[lesion], places, nearest);
        hd95_mm += distances.hd95_mm();
    }
    let counts = LesionCounts {
        reference,
        found,
        predicted: prediction.count,
        false_positives,
        true_predictions: found,
    };
    let means = match reference + false_positives {
        0 => [1.0, 0.0],
        scored => [dsc / scored as f64, hd95_mm / scored as f64],
    };
    let names = ["lesion_wise_dsc", "lesion_wise_hd95_mm"].map(Cow::from);
    (counts, names.into_iter().zip(means).collect())
}

/// Places (mm) of the surface voxels of each lesion and component. No two of either kind touch
/// each other, so that the surface of several is that of each.
struct Surfaces {
    lesions: Vec<Vec<[f64; 3]>>,
    components: Vec<Vec<[f64; 3]>>,
}

impl Surfaces {
    fn of(pair: &MaskPair, dilated: &Components, prediction: &Components) -> Self {
        let convention = SurfaceConvention::VoxelSurface3d;
        let places = |mask: &Volume<bool>, numbered: &Components| {
            let [nx, ny, _] = mask.shape();
            let mut places = vec![Vec::new(); numbered.count];
            let on_surface = surface(mask, convention);
            let numbers = on_surface.data().iter().zip(numbered.labels.data());
            for (at, (_, &number)) in numbers.enumerate().filter(|(_, (on, _))| **on) {
                let voxel = [at % nx, at / nx % ny, at / nx / ny];
                let place = mask.affine().apply(voxel.map(|v| v as f64));
                places[number as usize - 1].push(place);
            }
            places
        };
        Self {
            lesions: places(pair.reference(), dilated),
            components: places(pair.prediction(), prediction),
        }
    }
}

/// The mask with all voxels added that `times` steps to a face or edge neighbour reach.
/// In the box of a [`MaskPair`] the components are those of the whole image: a step out
/// of the box never reaches farther than one along its side.
fn dilate(mask: &Volume<bool>, times: usize) -> Volume<bool> {
    let shape = mask.shape();
    let mut grown = mask.clone();
    let mut front: Vec<usize> = (mask.data().iter().enumerate())
        .filter_map(|(at, inside)| inside.then_some(at))
        .collect();
    for _ in 0..times {
        let mut next = Vec::new();
        for &at in &front {
            let voxel = [
                at % shape[0],
                at / shape[0] % shape[1],
                at / shape[0] / shape[1],
            ];
            // No more than the box has: [first, last] of the neighbours along each axis.
            let [x, y, z] = [0, 1, 2].map(|axis| {
                let last = (voxel[axis] + 1).min(shape[axis] - 1);
                voxel[axis].saturating_sub(1)..=last
            });
            for nz in z {
                for ny in y.clone() {
                    for nx in x.clone() {
                        let to = [nx, ny, nz];
                        let axes = (0..3).filter(|&axis| to[axis] != voxel[axis]).count();
                        let there = nx + shape[0] * (ny + shape[1] * nz);
                        if axes <= 2 && !grown.data()[there] {
                            grown.data_mut()[there] = true;
                            next.push(there);
                        }
                    }
                }
            }
        }
        front = next;
    }
    grown
}
