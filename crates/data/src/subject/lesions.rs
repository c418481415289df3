//! Lesions that a coarser grid has no voxel for.
//!
//! A lesion is a 26-connected component of one class. Its voxels are sought on the
//! new grid by the voxels whose cells hold their centres.

use std::collections::BTreeMap;
use std::fmt;

use lacuna_volume::{
    Connectivity, Grid, LabelMap, Volume, VolumeError, is_foreground, label_components,
};
use serde::{Deserialize, Serialize};

/// What resampling took from a label map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLesions {
    /// Lesions without a voxel on the new grid.
    pub lesions: usize,
    /// Their voxels on the old one.
    pub voxels: usize,
    /// Lesions on the old grid.
    pub of: usize,
}

impl fmt::Display for LostLesions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lesions,
            voxels,
            of,
        } = self;
        write!(f, "{lesions} of {of} ({voxels} voxels)")
    }
}

/// A lesion of the old grid.
struct Lesion {
    class: u8,
    voxels: usize,
    /// Places in memory on the new grid that its voxels fall into, those with more
    /// voxels first.
    cells: Vec<usize>,
}

impl Lesion {
    /// Has one of its cells its class?
    fn stands(&self, on: &LabelMap) -> Option<usize> {
        let mut cells = self.cells.iter().copied();
        cells.find(|cell| on.data()[*cell] == self.class)
    }
}

/// Counts the lesions of `labels` that have no voxel in `resampled`.
///
/// # Errors
/// When the grid of `resampled` has no inverse.
pub(super) fn lost(labels: &LabelMap, resampled: &LabelMap) -> Result<LostLesions, VolumeError> {
    Ok(count(&lesions_of(labels, &resampled.grid())?, resampled))
}

/// Gives each lesion of `labels` that `resampled` has no voxel of one voxel: that
/// which holds most of the lesion and is not the only one of a lesion of another
/// class, or else a neighbour. Returns what is lost all the same, where lesions of
/// several classes crowd into fewer voxels.
///
/// # Errors
/// As [`lost`].
pub(super) fn keep(
    labels: &LabelMap,
    resampled: &mut LabelMap,
) -> Result<LostLesions, VolumeError> {
    let lesions = lesions_of(labels, &resampled.grid())?;
    // Voxels that a lesion stands on, which another class must not take.
    let mut taken: BTreeMap<usize, u8> = BTreeMap::new();
    let mut gone = Vec::new();
    for lesion in &lesions {
        match lesion.stands(resampled) {
            Some(cell) => drop(taken.insert(cell, lesion.class)),
            None => gone.push(lesion),
        }
    }
    for lesion in gone {
        let free = |cell: &usize| taken.get(cell).is_none_or(|class| *class == lesion.class);
        let near = || {
            lesion
                .cells
                .iter()
                .flat_map(|&c| neighbours(resampled.shape(), c))
        };
        let chosen = lesion
            .cells
            .iter()
            .copied()
            .find(free)
            .or_else(|| near().find(free));
        if let Some(cell) = chosen {
            taken.insert(cell, lesion.class);
            resampled.data_mut()[cell] = lesion.class;
        }
    }
    // A neighbour counts as the lesion's, though none of its voxels fall into it.
    let mut lost = LostLesions {
        of: lesions.len(),
        ..LostLesions::default()
    };
    for lesion in &lesions {
        let near = lesion
            .cells
            .iter()
            .flat_map(|&c| neighbours(resampled.shape(), c));
        let mut all = lesion.cells.iter().copied().chain(near);
        if !all.any(|cell| resampled.data()[cell] == lesion.class) {
            lost.lesions += 1;
            lost.voxels += lesion.voxels;
        }
    }
    Ok(lost)
}

fn count(lesions: &[Lesion], on: &LabelMap) -> LostLesions {
    let gone = lesions.iter().filter(|lesion| lesion.stands(on).is_none());
    LostLesions {
        lesions: gone.clone().count(),
        voxels: gone.map(|lesion| lesion.voxels).sum(),
        of: lesions.len(),
    }
}

/// The lesions of every class but 0, by class and then by their first voxel.
fn lesions_of(labels: &LabelMap, grid: &Grid) -> Result<Vec<Lesion>, VolumeError> {
    let affine = grid.affine;
    let inverse = affine
        .inverse()
        .ok_or(VolumeError::SingularAffine { affine })?;
    let to_new = inverse.after(labels.affine());
    let [nx, ny, _] = labels.shape();
    let cell = |voxel: usize| {
        let at = [voxel % nx, voxel / nx % ny, voxel / (nx * ny)];
        let position = to_new.apply(at.map(|i| i as f64));
        let mut cell = [0; 3];
        for axis in 0..3 {
            let last = (grid.shape[axis] - 1) as f64;
            cell[axis] = position[axis].round().clamp(0.0, last) as usize;
        }
        cell[0] + grid.shape[0] * (cell[1] + grid.shape[1] * cell[2])
    };
    let mut present = [false; 256];
    labels
        .data()
        .iter()
        .for_each(|&c| present[usize::from(c)] = true);
    let mut lesions = Vec::new();
    for class in (1..=255).filter(|&class| is_foreground(class) && present[usize::from(class)]) {
        let of_class: Volume<bool> = labels.map(|&v| v == class);
        let components = label_components(&of_class, Connectivity::TwentySix);
        let mut cells = vec![BTreeMap::<usize, usize>::new(); components.count];
        for (voxel, &component) in components.labels.data().iter().enumerate() {
            if component > 0 {
                *cells[component as usize - 1]
                    .entry(cell(voxel))
                    .or_default() += 1;
            }
        }
        lesions.extend(components.sizes.iter().zip(cells).map(|(&voxels, cells)| {
            let mut cells: Vec<(usize, usize)> = cells.into_iter().collect();
            cells.sort_by_key(|&(cell, voxels)| (std::cmp::Reverse(voxels), cell));
            Lesion {
                class,
                voxels,
                cells: cells.into_iter().map(|(cell, _)| cell).collect(),
            }
        }));
    }
    Ok(lesions)
}

/// Places in memory of the voxels around one, those that share a face first.
fn neighbours(shape: [usize; 3], cell: usize) -> Vec<usize> {
    let at = [
        cell % shape[0],
        cell / shape[0] % shape[1],
        cell / (shape[0] * shape[1]),
    ];
    let mut found = Vec::new();
    for i in 0..27 {
        let step = [i % 3, i / 3 % 3, i / 9].map(|s: usize| s as isize - 1);
        let moved = [0, 1, 2].map(|a| at[a].checked_add_signed(step[a]));
        let [Some(x), Some(y), Some(z)] = moved else {
            continue;
        };
        if x < shape[0] && y < shape[1] && z < shape[2] {
            let apart: isize = step.iter().map(|s| s.abs()).sum();
            found.push((apart, x + shape[0] * (y + shape[1] * z)));
        }
    }
    found.sort_unstable();
    let around = found.into_iter().filter(|(apart, _)| *apart > 0);
    around.map(|(_, cell)| cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Spacing, grid_with_spacing, resample_labels};

    /// 18 voxels of 1 mm along x, resampled to 6 of 3 mm: a run voxel is 1 where the
    /// one in the middle of its three is.
    fn row(values: [u8; 18]) -> (LabelMap, LabelMap) {
        let labels = Volume::new([18, 1, 1], Affine::identity(), values.to_vec()).unwrap();
        let grid = grid_with_spacing(&labels.grid(), Spacing([3.0, 1.0, 1.0])).unwrap();
        let resampled = resample_labels(&labels, &grid).unwrap();
        (labels, resampled)
    }

    #[test]
    fn lesions_between_the_centres_are_lost_or_kept_by_hand() {
        //   run voxel  0        1        2        3        4        5
        let (labels, mut resampled) = row([0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2]);
        assert_eq!(resampled.data(), [1, 0, 0, 0, 0, 2]);
        // Voxel 3 by itself, and the pair 8, 9 across run voxels 2 and 3.
        let gone = LostLesions {
            lesions: 2,
            voxels: 3,
            of: 4,
        };
        assert_eq!(lost(&labels, &resampled).unwrap(), gone);
        let kept = keep(&labels, &mut resampled).unwrap();
        assert_eq!(resampled.data(), [1, 1, 1, 0, 0, 2]);
        assert_eq!(
            kept,
            LostLesions {
                lesions: 0,
                voxels: 0,
                of: 4
            }
        );
        assert_eq!(lost(&labels, &resampled).unwrap().lesions, 0);
    }

    #[test]
    fn lesions_of_two_classes_in_one_voxel_both_stay() {
        // Both of the lesions in run voxel 2 are lost; the second goes beside it.
        let (labels, mut resampled) = row([0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(resampled.data(), [0; 6]);
        let kept = keep(&labels, &mut resampled).unwrap();
        assert_eq!(resampled.data(), [0, 2, 1, 0, 0, 0]);
        assert_eq!(kept.lesions, 0);
        // The only voxel of a lesion is not taken from it.
        let (labels, mut resampled) = row([0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(resampled.data(), [0, 0, 1, 0, 0, 0]);
        keep(&labels, &mut resampled).unwrap();
        assert_eq!(resampled.data(), [0, 2, 1, 0, 0, 0]);
    }

    #[test]
    fn nothing_is_lost_on_a_finer_grid() {
        let (labels, _) = row([0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2]);
        let grid = grid_with_spacing(&labels.grid(), Spacing([0.5, 1.0, 1.0])).unwrap();
        let mut fine = resample_labels(&labels, &grid).unwrap();
        let before = fine.clone();
        assert_eq!(keep(&labels, &mut fine).unwrap().lesions, 0);
        assert_eq!(fine, before);
    }
}
