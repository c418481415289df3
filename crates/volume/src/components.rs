//! Connected components of a mask.
//!
//! Two passes over the voxels in memory order (x fastest) with a union-find
//! over provisional labels (Rosenfeld and Pfaltz, J. ACM 13, 1966). Each voxel
//! looks only at the neighbours that come before it, so half of the
//! neighbourhood is enough.

use crate::Volume;

/// Which voxels touch: those that share a face, also an edge, also a corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Faces.
    Six,
    /// Faces and edges.
    Eighteen,
    /// Faces, edges and corners.
    TwentySix,
}

impl Connectivity {
    /// Most axes along which two touching voxels may differ.
    fn axes(self) -> i32 {
        match self {
            Self::Six => 1,
            Self::Eighteen => 2,
            Self::TwentySix => 3,
        }
    }

    /// Steps `[dx, dy, dz]` to the neighbours that come earlier in memory.
    fn earlier_neighbours(self) -> Vec<[i32; 3]> {
        let mut steps = Vec::new();
        for dz in -1..=0 {
            for dy in -1..=1 {
                for dx in -1..=1 {
                    let earlier = (dz, dy, dx) < (0, 0, 0);
                    let axes = i32::abs(dx) + i32::abs(dy) + i32::abs(dz);
                    if earlier && axes <= self.axes() {
                        steps.push([dx, dy, dz]);
                    }
                }
            }
        }
        steps
    }
}

/// The components of a mask, numbered from 1 by their first voxel in memory order.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Component number per voxel, 0 outside the mask.
    pub labels: Volume<u32>,
    /// Number of components.
    pub count: usize,
    /// Voxels in component `i + 1`.
    pub sizes: Vec<usize>,
}

/// Numbers the connected components of the voxels that are true.
///
/// # Panics
/// When there are 2^32 components or more, which takes a mask of at least 8 G voxels.
pub fn label_components(mask: &Volume<bool>, connectivity: Connectivity) -> Components {
    let [nx, ny, nz] = mask.shape();
    let inside = mask.data();
    let steps: Vec<([i32; 3], isize)> = connectivity
        .earlier_neighbours()
        .into_iter()
        .map(|step @ [dx, dy, dz]| {
            let offset = dx as isize + nx as isize * (dy as isize + ny as isize * dz as isize);
            (step, offset)
        })
        .collect();

    let mut labels = mask.map(|_| 0u32);
    let provisional = labels.data_mut();
    // parent[l] <= l always holds, so the root of a tree is its smallest label.
    let mut parent: Vec<u32> = vec![0];
    for z in 0..nz {
        for y in 0..ny {
            let row = nx * (y + ny * z);
            for x in 0..nx {
                let here = row + x;
                if !inside[here] {
                    continue;
                }
                let mut label = 0;
                for &([dx, dy, _], offset) in &steps {
                    let beyond = (dx < 0 && x == 0)
                        || (dx > 0 && x + 1 == nx)
                        || (dy < 0 && y == 0)
                        || (dy > 0 && y + 1 == ny);
                    // A step over the first slice leaves the front of the array.
                    let Some(there) = here.checked_add_signed(offset).filter(|_| !beyond) else {
                        continue;
                    };
                    match (label, provisional[there]) {
                        (_, 0) => {}
                        (0, other) => label = other,
                        (mine, other) => label = join(&mut parent, mine, other),
                    }
                }
                if label == 0 {
                    label = u32::try_from(parent.len()).expect("fewer than 2^32 components");
                    parent.push(label);
                }
                provisional[here] = label;
            }
        }
    }

    let mut number = vec![0u32; parent.len()];
    let mut sizes: Vec<usize> = Vec::new();
    for label in provisional.iter_mut().filter(|l| **l != 0) {
        let root = find(&mut parent, *label) as usize;
        if number[root] == 0 {
            sizes.push(0);
            // At most as many as provisional labels, which fit.
            number[root] = sizes.len() as u32;
        }
        *label = number[root];
        sizes[*label as usize - 1] += 1;
    }
    Components {
        labels,
        count: sizes.len(),
        sizes,
    }
}

/// The root of a label; shortens the path on the way.
fn find(parent: &mut [u32], mut label: u32) -> u32 {
    while parent[label as usize] != label {
        let grand = parent[parent[label as usize] as usize];
        parent[label as usize] = grand;
        label = grand;
    }
    label
}

/// Makes two labels one component and gives its root.
fn join(parent: &mut [u32], a: u32, b: u32) -> u32 {
    let (a, b) = (find(parent, a), find(parent, b));
    let (low, high) = (a.min(b), a.max(b));
    parent[high as usize] = low;
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;

    fn mask(shape: [usize; 3], inside: &[[usize; 3]]) -> Volume<bool> {
        let mut mask = Volume::filled(shape, Affine::identity(), false).unwrap();
        for &voxel in inside {
            let at = mask.index(voxel);
            mask.data_mut()[at] = true;
        }
        mask
    }

    fn counts(mask: &Volume<bool>) -> [usize; 3] {
        use Connectivity::{Eighteen, Six, TwentySix};
        [Six, Eighteen, TwentySix].map(|c| label_components(mask, c).count)
    }

    #[test]
    fn the_neighbourhoods_have_their_names_size() {
        use Connectivity::{Eighteen, Six, TwentySix};
        let sizes = [Six, Eighteen, TwentySix].map(|c| 2 * c.earlier_neighbours().len());
        assert_eq!(sizes, [6, 18, 26]);
    }

    #[test]
    fn faces_edges_and_corners_connect_as_named() {
        assert_eq!(counts(&mask([3; 3], &[[1, 1, 1], [1, 1, 2]])), [1, 1, 1]);
        assert_eq!(counts(&mask([3; 3], &[[1, 1, 1], [0, 1, 2]])), [2, 1, 1]);
        assert_eq!(counts(&mask([3; 3], &[[1, 1, 1], [2, 0, 2]])), [2, 2, 1]);
        assert_eq!(counts(&mask([3; 3], &[[0, 1, 1], [2, 1, 1]])), [2, 2, 2]);
    }

    #[test]
    fn the_end_of_a_row_does_not_touch_the_next() {
        // Neighbours in memory, on opposite sides of the image.
        assert_eq!(counts(&mask([3; 3], &[[2, 0, 0], [0, 1, 0]])), [2, 2, 2]);
        assert_eq!(counts(&mask([3; 3], &[[2, 2, 0], [0, 0, 1]])), [2, 2, 2]);
    }

    #[test]
    fn arms_that_meet_late_are_one_component_numbered_by_the_first_voxel() {
        // A U whose arms get two provisional labels, and a lone voxel between them.
        let m = mask(
            [5, 3, 1],
            &[
                [0, 0, 0],
                [2, 0, 0],
                [4, 0, 0],
                [0, 1, 0],
                [4, 1, 0],
                [0, 2, 0],
                [1, 2, 0],
                [2, 2, 0],
                [3, 2, 0],
                [4, 2, 0],
            ],
        );
        let found = label_components(&m, Connectivity::Six);
        assert_eq!(found.count, 2);
        assert_eq!(found.sizes, [9, 1]);
        assert_eq!(
            found.labels.data(),
            [1, 0, 2, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
        );
    }

    #[test]
    fn an_empty_mask_has_none() {
        let found = label_components(&mask([2; 3], &[]), Connectivity::TwentySix);
        assert_eq!((found.count, found.sizes.len()), (0, 0));
        assert_eq!(found.labels.data(), [0; 8]);
    }
}
