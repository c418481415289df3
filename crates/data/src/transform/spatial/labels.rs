//! Labels of a moved patch.
//!
//! Each label's indicator is interpolated linearly and the largest wins, the smaller
//! label at a tie. In this way a lesion of one voxel vanishes more often than not,
//! as no voxel of the result has half of it: a lesion (a 26-connected component of one
//! class) that reaches into the result and would have no voxel there keeps the one
//! that holds most of it, as with `geometry.labels = "keep-lesions"`. Voxels on the
//! faces of the patch are not given, since a lesion that shows there may lie beyond.

use std::collections::{BTreeMap, BTreeSet};

use lacuna_volume::{Connectivity, IGNORED, LabelMap, label_components};

use super::pull::Pull;

/// The labels, and where they come from.
pub(super) struct Moved {
    /// x fastest.
    pub(super) labels: Vec<u8>,
    /// Each voxel with a label but 0: its place in memory, and that of the voxel with
    /// the same label that it shows most of.
    pub(super) foreground: Vec<(u32, u32)>,
}

/// A voxel of the result that holds something of a label but 0.
struct Touched {
    class: u8,
    /// Place in memory in the result.
    at: u32,
    /// Place in memory of the voxel of that label with the largest weight.
    source: u32,
    /// Share of the voxel that has the label.
    share: f32,
}

pub(super) fn resample_labels(source: &LabelMap, pull: &Pull) -> Moved {
    let data = source.data();
    let mut labels = vec![0; pull.target().iter().product()];
    let mut foreground = Vec::new();
    // What holds some of a label that another label outweighs.
    let mut outweighed = Vec::new();
    let steps = corners(pull.strides());
    for (at, cell) in pull.cells().iter().enumerate() {
        let (base, part) = (cell.base as usize, cell.part);
        let around = &data[base..][..=steps[7]];
        let classes = steps.map(|step| around[step]);
        if classes == [classes[0]; 8] {
            if classes[0] > 0 {
                labels[at] = classes[0];
                foreground.push((at as u32, (base + steps[corner_near(part)]) as u32));
            }
            continue;
        }
        let weights = weights(part);
        let winner = heaviest(&classes, &weights);
        labels[at] = winner;
        for class in foreground_in(&classes) {
            let of_class = |c: &usize| classes[*c] == class;
            let share = (0..8).filter(of_class).map(|c| weights[c]).sum();
            let by_weight = |a: &usize, b: &usize| weights[*a].total_cmp(&weights[*b]);
            let largest = (0..8).filter(of_class).max_by(by_weight);
            let (at, source) = (at as u32, (base + largest.map_or(0, |c| steps[c])) as u32);
            if class == winner {
                foreground.push((at, source));
            } else if share > 0.0 {
                outweighed.push(Touched {
                    class,
                    at,
                    source,
                    share,
                });
            }
        }
    }
    let mut moved = Moved { labels, foreground };
    keep_lesions(source, &mut moved, outweighed, pull.target());
    moved
}

/// Gives each lesion without a voxel the one that holds most of it.
fn keep_lesions(
    source: &LabelMap,
    moved: &mut Moved,
    mut touched: Vec<Touched>,
    target: [usize; 3],
) {
    // What is ignored is no lesion.
    touched.retain(|voxel| voxel.class != IGNORED && !on_a_face(voxel.at as usize, target));
    let classes: BTreeSet<u8> = touched.iter().map(|voxel| voxel.class).collect();
    for class in classes {
        let mask = source.map(|label| *label == class);
        let lesions = label_components(&mask, Connectivity::TwentySix);
        let lesion_of = |source: u32| lesions.labels.data()[source as usize] as usize;
        let mut stands = vec![false; lesions.count + 1];
        for (at, source) in &moved.foreground {
            if moved.labels[*at as usize] == class {
                stands[lesion_of(*source)] = true;
            }
        }
        let mut best: BTreeMap<usize, &Touched> = BTreeMap::new();
        for voxel in touched.iter().filter(|voxel| voxel.class == class) {
            let lesion = lesion_of(voxel.source);
            if stands[lesion] {
                continue;
            }
            let best = best.entry(lesion).or_insert(voxel);
            if voxel.share > best.share {
                *best = voxel;
            }
        }
        for voxel in best.into_values() {
            moved.labels[voxel.at as usize] = class;
            moved.foreground.retain(|(at, _)| *at != voxel.at);
            moved.foreground.push((voxel.at, voxel.source));
        }
    }
}

/// Whether a voxel lies on a face of its patch; a single slice has no faces across it.
fn on_a_face(at: usize, [nx, ny, nz]: [usize; 3]) -> bool {
    let edge = |i: usize, n: usize| n > 1 && (i == 0 || i + 1 == n);
    edge(at % nx, nx) || edge(at / nx % ny, ny) || edge(at / (nx * ny), nz)
}

/// Distances in memory from the lowest of eight voxels; corner `c` lies one further
/// along axis `a` when bit `a` of `c` is set.
fn corners(strides: [usize; 3]) -> [usize; 8] {
    std::array::from_fn(|c| (0..3).filter(|a| c >> a & 1 == 1).map(|a| strides[a]).sum())
}

fn weights(part: [f32; 3]) -> [f32; 8] {
    let along = |c: usize, a: usize| {
        if c >> a & 1 == 1 {
            part[a]
        } else {
            1.0 - part[a]
        }
    };
    std::array::from_fn(|c| along(c, 0) * along(c, 1) * along(c, 2))
}

/// The corner nearest to the position.
fn corner_near(part: [f32; 3]) -> usize {
    (0..3).filter(|a| part[*a] > 0.5).map(|a| 1 << a).sum()
}

/// The label with the largest sum of weights, the smallest such.
fn heaviest(classes: &[u8; 8], weights: &[f32; 8]) -> u8 {
    let mut best = (0, 0.0);
    for &class in classes {
        let sum: f32 = (0..8)
            .filter(|c| classes[*c] == class)
            .map(|c| weights[c])
            .sum();
        if sum > best.1 || (sum == best.1 && class < best.0) {
            best = (class, sum);
        }
    }
    best.0
}

/// The labels but 0 of eight voxels, each once.
fn foreground_in(classes: &[u8; 8]) -> impl Iterator<Item = u8> {
    let first = |c: &usize| classes[*c] > 0 && !classes[..*c].contains(&classes[*c]);
    (0..8).filter(first).map(|c| classes[c])
}
