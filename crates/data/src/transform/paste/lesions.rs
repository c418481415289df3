//! The lesions of a cohort, as small crops in memory.

use std::collections::BinaryHeap;

use lacuna_volume::{Connectivity, Volume, euclidean_distance_mm, is_foreground, label_components};
use rand::Rng;

use crate::cohort::{Cohort, cut, inside_of};
use crate::rng::{Domain, keyed_rng};
use crate::subject::Case;
use crate::transform::TransformError;

/// Bytes that lesions may take together; of more, a uniform sample is held.
pub(super) const MOST_BYTES: usize = 256 << 20;
/// Beyond this share, two spacings are not the same.
const SPACING_TOLERANCE: f64 = 0.01;

/// A lesion and what surrounds it.
#[derive(Clone, Debug)]
pub(super) struct Lesion {
    /// Voxels along x, y, z.
    shape: [usize; 3],
    /// Each channel, x fastest.
    pub(super) images: Vec<Vec<f32>>,
    /// Class of each voxel.
    pub(super) labels: Vec<u8>,
    /// Signed distance in mm to the nearest voxel of the other side, negative in the
    /// lesion; infinite outside the subject's mask.
    distance: Vec<f32>,
    /// How far inside its deepest voxel lies, in mm.
    pub(super) deepest: f32,
}

impl Lesion {
    pub(super) fn index(&self, [x, y, z]: [usize; 3]) -> usize {
        x + self.shape[0] * (y + self.shape[1] * z)
    }

    /// The voxels whose signed distance is `level` or less.
    pub(super) fn region(&self, level: f32) -> Vec<[usize; 3]> {
        let [nx, ny, _] = self.shape;
        let place = |i: usize| [i % nx, i / nx % ny, i / (nx * ny)];
        let within = self
            .distance
            .iter()
            .enumerate()
            .filter(|(_, d)| **d <= level);
        within.map(|(i, _)| place(i)).collect()
    }

    fn bytes(&self) -> usize {
        self.labels.len() * (4 * self.images.len() + 5)
    }
}

/// The lesions that fit into an effective patch, in an order that depends on the subjects
/// alone; at most `most` bytes. In slices across `slice_axis` a lesion is that of its
/// slice with the most voxels of it.
///
/// # Errors
/// When none fits, spacings differ, or a subject on disk cannot be read.
pub(super) fn collect(
    cohort: &Cohort,
    effective: [usize; 3],
    slice_axis: Option<usize>,
    most: usize,
) -> Result<Vec<Lesion>, TransformError> {
    check_spacings(cohort)?;
    let (mut held, mut bytes, mut too_large) = (BinaryHeap::new(), 0, 0);
    for subject in 0..cohort.len() {
        let case = cohort.case(subject)?;
        let mut rng = keyed_rng(0, Domain::Transform, u64::MAX, subject as u64);
        for (number, found) in lesions_of(&case, slice_axis).into_iter().enumerate() {
            let size = [0, 1, 2].map(|a| found.last[a] + 1 - found.first[a]);
            if (0..3).any(|a| size[a] > effective[a]) {
                too_large += 1;
                continue;
            }
            let lesion = crop(&case, &found);
            bytes += lesion.bytes();
            held.push(Ranked {
                rank: (rng.next_u64(), subject, number),
                lesion,
            });
            while bytes > most {
                bytes -= held.pop().map_or(bytes, |dropped| dropped.lesion.bytes());
            }
        }
    }
    match held.is_empty() {
        true => Err(TransformError::NoLesions {
            subjects: cohort.len(),
            too_large,
            effective,
        }),
        false => Ok(held
            .into_sorted_vec()
            .into_iter()
            .map(|r| r.lesion)
            .collect()),
    }
}

/// A lesion with the random number that decides whether it stays.
struct Ranked {
    rank: (u64, usize, usize),
    lesion: Lesion,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

fn check_spacings(cohort: &Cohort) -> Result<(), TransformError> {
    let spacing = |subject: usize| cohort.spacing(subject).0;
    let unlike = |subject: &usize| {
        let mut pairs = spacing(*subject).into_iter().zip(spacing(0));
        pairs.any(|(a, b)| (a / b - 1.0).abs() > SPACING_TOLERANCE)
    };
    match (0..cohort.len()).find(unlike) {
        None => Ok(()),
        Some(other) => Err(TransformError::UnlikeSpacings {
            subjects: [0, other].map(|subject| cohort.id(subject).to_owned()),
            spacings: [0, other].map(spacing),
        }),
    }
}

/// Where a lesion lies: its number and its box, in a subject or one of its slices.
struct Found {
    number: u32,
    first: [usize; 3],
    last: [usize; 3],
    /// The numbers of the lesions of the subject.
    numbers: std::sync::Arc<Volume<u32>>,
    slice_axis: Option<usize>,
}

fn lesions_of(case: &Case, slice_axis: Option<usize>) -> Vec<Found> {
    let Some(label) = &case.label else {
        return Vec::new();
    };
    let components = label_components(&label.map(|l| is_foreground(*l)), Connectivity::TwentySix);
    let numbers = std::sync::Arc::new(components.labels);
    let [nx, ny, _] = numbers.shape();
    let place = |i: usize| [i % nx, i / nx % ny, i / (nx * ny)];
    let mut slices = vec![std::collections::BTreeMap::<usize, usize>::new(); components.count];
    let voxels = || (0..numbers.len()).filter(|i| numbers.data()[*i] > 0);
    if let Some(axis) = slice_axis {
        for i in voxels() {
            let lesion = numbers.data()[i] as usize - 1;
            *slices[lesion].entry(place(i)[axis]).or_default() += 1;
        }
    }
    // The first of the slices with the most voxels.
    let slice_of = |lesion: usize| {
        let most = slices[lesion].values().max();
        slices[lesion]
            .iter()
            .find(|(_, n)| Some(*n) == most)
            .map(|(slice, _)| *slice)
    };
    let chosen: Vec<Option<usize>> = (0..components.count).map(slice_of).collect();
    let mut found: Vec<Found> = (0..components.count)
        .map(|lesion| Found {
            number: lesion as u32 + 1,
            first: [usize::MAX; 3],
            last: [0; 3],
            numbers: numbers.clone(),
            slice_axis,
        })
        .collect();
    for i in voxels() {
        let lesion = numbers.data()[i] as usize - 1;
        let voxel = place(i);
        if slice_axis.is_some_and(|axis| chosen[lesion] != Some(voxel[axis])) {
            continue;
        }
        let Found { first, last, .. } = &mut found[lesion];
        for (axis, at) in voxel.into_iter().enumerate() {
            first[axis] = first[axis].min(at);
            last[axis] = last[axis].max(at);
        }
    }
    found
}

/// Cuts a lesion out with as much around it as can be pasted.
fn crop(case: &Case, found: &Found) -> Lesion {
    let grid = found.numbers.grid();
    let window = |around: [usize; 3]| {
        let first = [0, 1, 2].map(|a| found.first[a].saturating_sub(around[a]));
        let size = [0, 1, 2].map(|a| (found.last[a] + 1 + around[a]).min(grid.shape[a]) - first[a]);
        (first.map(|i| i as isize), size)
    };
    let across = |axis: usize| found.slice_axis == Some(axis);
    let one = [0, 1, 2].map(|a| usize::from(!across(a)));
    let signed = |window| {
        let lesion = cut(&*found.numbers, window).map(|n| *n == found.number);
        let out = euclidean_distance_mm(&lesion);
        let within = euclidean_distance_mm(&lesion.map(|l| !l));
        let pairs = out.data().iter().zip(within.data());
        pairs
            .map(|(out, within)| (out - within) as f32)
            .collect::<Vec<_>>()
    };
    // A lesion that fills the volume has no outside, and no depth.
    let deepest = signed(window(one))
        .into_iter()
        .fold(0.0, |deep: f32, d| deep.max(-d));
    let deepest = if deepest.is_finite() { deepest } else { 0.0 };
    let spacing = grid.spacing().0;
    let around = [0, 1, 2].map(|a| match across(a) {
        true => 0,
        false => (f64::from(deepest) / spacing[a]).ceil() as usize,
    });
    let window = window(around);
    let images: Vec<Volume<f32>> = case.channels.iter().map(|v| cut(v, window)).collect();
    let mut distance = signed(window);
    let inside = inside_of(case.mask.as_ref().map(|mask| cut(mask, window)), &images);
    let labels = case.label.as_ref().map(|label| cut(label, window));
    let pairs = distance
        .iter_mut()
        .zip(inside.iter().flat_map(Volume::data));
    for (distance, _) in pairs.filter(|(d, inside)| **d > 0.0 && !**inside) {
        *distance = f32::INFINITY;
    }
    Lesion {
        shape: window.1,
        images: images.into_iter().map(Volume::into_data).collect(),
        labels: labels.map_or_else(Vec::new, Volume::into_data),
        distance,
        deepest,
    }
}
