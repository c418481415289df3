//! The exact set of places where a box may be put in a volume.
//!
//! The paper keeps a training patch when its effective part holds at least one
//! foreground element. Drawing and rejecting would need thousands of tries
//! where foreground is rare; instead the set of accepted positions is worked
//! out once (a box dilation, one axis at a time) and drawn from uniformly,
//! which is the same distribution. It is kept as runs along x with cumulative
//! counts, so its memory grows with the surface of the structures and a draw is
//! one binary search.

use lacuna_volume::Volume;
use rand::{Rng, RngExt};

/// A set of voxel positions (x, y, z), ordered with x fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// First position of each run; a run goes along x.
    starts: Vec<[u32; 3]>,
    /// Number of positions up to and including each run.
    ends: Vec<u64>,
}

impl Positions {
    /// First corners of the boxes of `extent` voxels that lie inside `shape`
    /// and hold, for every one of `conditions`, at least one voxel that meets
    /// it. A condition is asked with the voxel's place in memory (x fastest).
    /// Empty when the box is larger than the volume.
    pub fn of_boxes(
        shape: [usize; 3],
        extent: [usize; 3],
        conditions: &[&dyn Fn(usize) -> bool],
    ) -> Self {
        if (0..3).any(|axis| extent[axis] == 0 || extent[axis] > shape[axis]) {
            return Self::default();
        }
        let corners = [0, 1, 2].map(|axis| shape[axis] - extent[axis] + 1);
        let mut legal = vec![true; corners.iter().product()];
        for condition in conditions {
            let mut holds: Vec<bool> = (0..shape.iter().product()).map(condition).collect();
            let mut held_shape = shape;
            for axis in 0..3 {
                holds = any_along(&holds, held_shape, axis, extent[axis]);
                held_shape[axis] = corners[axis];
            }
            for (legal, holds) in legal.iter_mut().zip(holds) {
                *legal &= holds;
            }
        }
        Self::from_mask(&legal, corners)
    }

    fn from_mask(mask: &[bool], shape: [usize; 3]) -> Self {
        let mut set = Self::default();
        let mut count = 0;
        for (row, values) in mask.chunks_exact(shape[0]).enumerate() {
            let (y, z) = (row % shape[1], row / shape[1]);
            let mut x = 0;
            for run in values.chunk_by(|a, b| a == b) {
                if run[0] {
                    count += run.len() as u64;
                    set.starts.push([x as u32, y as u32, z as u32]);
                    set.ends.push(count);
                }
                x += run.len();
            }
        }
        set
    }

    /// Number of positions.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The position of this rank, `rank` from 0 to `len() - 1`.
    pub fn get(&self, rank: u64) -> Option<[usize; 3]> {
        let run = self.ends.partition_point(|&end| end <= rank);
        let [x, y, z] = self.starts.get(run)?.map(|c| c as usize);
        let before = if run == 0 { 0 } else { self.ends[run - 1] };
        Some([x + (rank - before) as usize, y, z])
    }

    /// One position, all equally likely; `None` when there is none.
    pub fn draw(&self, rng: &mut impl Rng) -> Option<[usize; 3]> {
        if self.is_empty() {
            return None;
        }
        self.get(rng.random_range(0..self.len()))
    }
}

/// For each window of `extent` elements along `axis`: does it hold a true one?
/// The axis shrinks by `extent - 1`.
fn any_along(input: &[bool], shape: [usize; 3], axis: usize, extent: usize) -> Vec<bool> {
    if extent == 1 {
        return input.to_vec();
    }
    let stride: usize = shape[..axis].iter().product();
    let slab = stride * shape[axis];
    let mut out = Vec::with_capacity(input.len() / shape[axis] * (shape[axis] - extent + 1));
    if stride == 1 {
        for row in input.chunks_exact(slab) {
            any_in_row(row, extent, &mut out);
        }
        return out;
    }
    // One past the last true element seen in each line.
    let mut past = vec![0u32; stride];
    for block in input.chunks_exact(slab) {
        past.fill(0);
        for (end, plane) in (1u32..).zip(block.chunks_exact(stride)) {
            for (past, &v) in past.iter_mut().zip(plane) {
                *past = if v { end } else { *past };
            }
            if let Some(start) = end.checked_sub(extent as u32) {
                out.extend(past.iter().map(|&past| past > start));
            }
        }
    }
    out
}

/// The windows of one row, whose elements lie side by side.
fn any_in_row(row: &[bool], extent: usize, out: &mut Vec<bool>) {
    let mut past = 0;
    for (end, &v) in (1..).zip(row) {
        if v {
            past = end;
        }
        if end >= extent {
            out.push(past > end - extent);
        }
    }
}

/// Draws voxels in proportion to a weight map, keeping one sum per row.
#[derive(Clone, Debug)]
pub struct WeightedVoxels {
    /// Sum of the weights of all rows up to and including each.
    ends: Vec<f64>,
}

impl WeightedVoxels {
    /// Weights must be finite and not negative. `None` when all that `counted`
    /// keeps (asked with the place in memory) are zero.
    pub fn new(weights: &Volume<f32>, counted: &dyn Fn(usize) -> bool) -> Option<Self> {
        let width = weights.shape()[0].max(1);
        let mut sum = 0.0;
        let ends: Vec<f64> = weights
            .data()
            .chunks_exact(width)
            .enumerate()
            .map(|(row, values)| {
                sum += values
                    .iter()
                    .enumerate()
                    .filter(|(x, _)| counted(row * width + x))
                    .map(|(_, w)| f64::from(*w))
                    .sum::<f64>();
                sum
            })
            .collect();
        (sum > 0.0).then_some(Self { ends })
    }

    /// One voxel (x, y, z), drawn in proportion to its weight. `row` gives the weights
    /// of one row in memory order, 0 where they do not count; `shape` is the map's.
    ///
    /// # Errors
    /// That of `row`.
    pub fn draw<E>(
        &self,
        [_, height, _]: [usize; 3],
        row: impl FnOnce(usize) -> Result<Vec<f32>, E>,
        rng: &mut impl Rng,
    ) -> Result<Option<[usize; 3]>, E> {
        let Some(&total) = self.ends.last() else {
            return Ok(None);
        };
        let target = rng.random::<f64>() * total;
        // The product may round up to the total: then the last row that counts.
        let last = self.ends.partition_point(|&end| end < total);
        let drawn = self.ends.partition_point(|&end| end <= target).min(last);
        let mut sum = match drawn {
            0 => 0.0,
            _ => self.ends[drawn - 1],
        };
        let mut found = None;
        for (x, w) in row(drawn)?.into_iter().enumerate() {
            if w > 0.0 {
                // Rounding may leave the target beyond the row's sum: the last
                // voxel that has a weight then stands for it.
                found = Some([x, drawn % height, drawn / height]);
                sum += f64::from(w);
                if sum > target {
                    break;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};
    use lacuna_volume::Affine;

    const SHAPE: [usize; 3] = [5, 4, 3];

    fn place([x, y, z]: [usize; 3]) -> usize {
        x + SHAPE[0] * (y + SHAPE[1] * z)
    }

    fn listed(set: &Positions) -> Vec<[usize; 3]> {
        (0..set.len()).map(|rank| set.get(rank).unwrap()).collect()
    }

    /// Every box tried one by one.
    fn by_trial(extent: [usize; 3], conditions: &[&dyn Fn(usize) -> bool]) -> Vec<[usize; 3]> {
        let mut found = Vec::new();
        for z in 0..=SHAPE[2] - extent[2] {
            for y in 0..=SHAPE[1] - extent[1] {
                for x in 0..=SHAPE[0] - extent[0] {
                    let holds = |condition: &dyn Fn(usize) -> bool| {
                        (0..extent.iter().product::<usize>()).any(|i| {
                            let (dx, rest) = (i % extent[0], i / extent[0]);
                            let (dy, dz) = (rest % extent[1], rest / extent[1]);
                            condition(place([x + dx, y + dy, z + dz]))
                        })
                    };
                    if conditions.iter().all(|c| holds(c)) {
                        found.push([x, y, z]);
                    }
                }
            }
        }
        found
    }

    #[test]
    fn one_voxel_is_held_by_the_boxes_around_it() {
        let lesion = place([2, 1, 1]);
        let set = Positions::of_boxes(SHAPE, [2, 2, 1], &[&|i| i == lesion]);
        assert_eq!(listed(&set), [[1, 0, 1], [2, 0, 1], [1, 1, 1], [2, 1, 1]]);
        assert_eq!(set.get(4), None);
    }

    #[test]
    fn the_set_is_what_trying_every_box_finds() {
        let scattered = |i: usize| i * 7 % 23 == 1;
        let other = |i: usize| i * 5 % 19 == 3;
        for extent in [[1, 1, 1], [2, 2, 1], [3, 2, 2], [1, 3, 2], [5, 4, 3]] {
            let set = Positions::of_boxes(SHAPE, extent, &[&scattered, &other]);
            assert_eq!(listed(&set), by_trial(extent, &[&scattered, &other]));
        }
    }

    #[test]
    fn without_conditions_every_inside_box_counts_and_a_large_box_has_no_place() {
        assert_eq!(Positions::of_boxes(SHAPE, [2, 1, 3], &[]).len(), 4 * 4);
        assert!(Positions::of_boxes(SHAPE, [6, 1, 1], &[]).is_empty());
        let none = Positions::default();
        assert_eq!(none.draw(&mut keyed_rng(0, Domain::Sampling, 0, 0)), None);
    }

    #[test]
    fn weights_are_met_in_proportion_and_zero_is_never_drawn() {
        let weights = [0.0, 1.0, 0.0, 3.0, 0.0, 0.0, 4.0, 8.0];
        let map = Volume::new([2, 2, 2], Affine::identity(), weights.to_vec()).unwrap();
        let counted = |i: usize| i != 7;
        let voxels = WeightedVoxels::new(&map, &counted).unwrap();
        let mut drawn = [0u32; 8];
        let draws = 8000;
        let mut rng = keyed_rng(0, Domain::Sampling, 0, 0);
        for _ in 0..draws {
            let row = |row: usize| -> Result<Vec<f32>, std::convert::Infallible> {
                let places = 2 * row..2 * row + 2;
                Ok(places
                    .map(|i| if counted(i) { weights[i] } else { 0.0 })
                    .collect())
            };
            let Ok(at) = voxels.draw([2, 2, 2], row, &mut rng);
            let at = at.unwrap();
            drawn[map.index(at)] += 1;
        }
        // Expected 1000, 3000, 4000; a binomial's SD is at most 45.
        for (i, expected) in [0.0, 1.0, 0.0, 3.0, 0.0, 0.0, 4.0, 0.0].iter().enumerate() {
            let off = (f64::from(drawn[i]) - expected * 1000.0).abs();
            assert!(off <= 4.0 * 45.0 * expected.min(1.0), "{drawn:?}");
        }
        assert!(WeightedVoxels::new(&map, &|i| i == 0).is_none());
    }
}
