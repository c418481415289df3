//! Shapes of real lesions: the 26-connected components of label files.
//!
//! A shape is turned by exchanging and mirroring axes of equal spacing only, so
//! that it stays exact on a grid of its own spacing. On another spacing it takes
//! its volume to the nearest voxel, and one at least: the voxels that it covers
//! most.

use std::path::{Path, PathBuf};

use lacuna_volume::{Connectivity, Orientation, Spacing, Volume, label_components};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::config::{PhantomConfig, PhantomError};
use crate::discover::pattern;

/// The lesions of all masks of a configuration, on its spacing.
pub(super) struct MaskShapes {
    shapes: Vec<MaskShape>,
}

/// One lesion of a mask.
pub(super) struct MaskShape {
    /// The file, as seen from the folder that was searched.
    pub mask: String,
    /// Its number among the components of the file, from 1.
    pub component: usize,
    /// Its voxels on the phantom's grid.
    pub voxels: usize,
    /// Edge lengths (mm) of the mask's voxels along R, A, S.
    spacing: [f64; 3],
    extent: [usize; 3],
    /// Within its box, `x` fastest.
    inside: Vec<bool>,
}

/// An exact turn: axis `a` of the turned shape is axis `order[a]` of the mask,
/// read backwards where `mirrored[a]`.
pub(super) struct Turn {
    order: [usize; 3],
    mirrored: [bool; 3],
}

impl MaskShapes {
    /// Reads the masks that the configuration names; `None` when it names none.
    ///
    /// # Errors
    /// A folder or file that cannot be read, or no lesion in any.
    pub(super) fn of(config: &PhantomConfig) -> Result<Option<Self>, PhantomError> {
        let Some(masks) = &config.lesion_masks else {
            return Ok(None);
        };
        let (root, files) = find(masks)?;
        let shapes = files
            .par_iter()
            .map(|file| read(file, &root, config.spacing))
            .collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<_> = shapes.into_iter().flatten().collect();
        match shapes.is_empty() {
            true => Err(PhantomError::NoMask {
                path: masks.clone(),
                files: files.len(),
            }),
            false => Ok(Some(Self { shapes })),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    pub(super) fn get(&self, index: usize) -> &MaskShape {
        &self.shapes[index]
    }

    /// How many voxels a subject may lie beside `target`: a twentieth of them, or
    /// half the smallest lesion if that is more.
    pub(super) fn tolerance(&self, target: usize) -> usize {
        let smallest = self.shapes.iter().map(|s| s.voxels).min().unwrap_or(0);
        (target / 20).max(smallest / 2)
    }
}

/// The files that `lesion_masks` stands for, and the folder they were searched in.
fn find(masks: &Path) -> Result<(PathBuf, Vec<PathBuf>), PhantomError> {
    let wild = |part: &Path| pattern::has_wildcard(&part.to_string_lossy());
    let root = match masks.is_dir() {
        true => masks,
        // Down to the first part with a wildcard.
        false => masks.ancestors().find(|a| !wild(a)).unwrap_or(masks),
    };
    if root.is_file() {
        let folder = root.parent().unwrap_or(root).to_owned();
        return Ok((folder, vec![root.to_owned()]));
    }
    // A pattern is searched from here where it does not say from where.
    let root = match root.as_os_str().is_empty() {
        true => Path::new("."),
        false => root,
    };
    let below = masks.strip_prefix(root).unwrap_or(masks).to_string_lossy();
    let patterns = match below.is_empty() {
        true => vec!["**/*.nii.gz".to_owned(), "**/*.nii".to_owned()],
        false => vec![below.into_owned()],
    };
    let mut files = Vec::new();
    for pattern in &patterns {
        let found = pattern::find_files(root, pattern).map_err(Box::new)?;
        files.extend(found.into_iter().map(|found| found.path));
    }
    files.sort();
    Ok((root.to_owned(), files))
}

/// The lesions of a label file: components of all labels above 0.
fn read(file: &Path, root: &Path, spacing: [f64; 3]) -> Result<Vec<MaskShape>, PhantomError> {
    let labels = lacuna_io::read_labels(file)?;
    let found = label_components(&labels.map(|&label| label > 0), Connectivity::TwentySix);
    let numbers = Orientation::of(labels.affine()).to_canonical(&found.labels)?;
    let Spacing(own) = numbers.spacing();
    let scale = own.iter().product::<f64>() / spacing.iter().product::<f64>();
    let mask = file
        .strip_prefix(root)
        .unwrap_or(file)
        .display()
        .to_string();
    let of_box = |(i, [low, high]): (usize, [[usize; 3]; 2])| {
        let extent = [0, 1, 2].map(|a| high[a] - low[a] + 1);
        let voxel = |i| place(i, extent);
        let count: usize = extent.iter().product();
        let inside = (0..count)
            .map(|v| {
                let at = voxel(v);
                let at = [0, 1, 2].map(|a| at[a] + low[a]);
                numbers.data()[numbers.index(at)] as usize == i + 1
            })
            .collect();
        MaskShape {
            mask: mask.clone(),
            component: i + 1,
            voxels: ((found.sizes[i] as f64 * scale).round() as usize).max(1),
            spacing: own,
            extent,
            inside,
        }
    };
    let boxes = boxes(&numbers, found.count);
    Ok(boxes.into_iter().enumerate().map(of_box).collect())
}

/// Lowest and highest voxel of each component along each axis.
fn boxes(numbers: &Volume<u32>, count: usize) -> Vec<[[usize; 3]; 2]> {
    let mut boxes = vec![[[usize::MAX; 3], [0; 3]]; count];
    for (v, &number) in numbers.data().iter().enumerate() {
        if number > 0 {
            let [low, high] = &mut boxes[number as usize - 1];
            let at = place(v, numbers.shape());
            for a in 0..3 {
                low[a] = low[a].min(at[a]);
                high[a] = high[a].max(at[a]);
            }
        }
    }
    boxes
}

fn place(voxel: usize, [nx, ny, _]: [usize; 3]) -> [usize; 3] {
    [voxel % nx, voxel / nx % ny, voxel / (nx * ny)]
}

impl MaskShape {
    /// Volume of its box.
    pub(super) fn box_mm3(&self) -> f64 {
        (0..3)
            .map(|a| self.extent[a] as f64 * self.spacing[a])
            .product()
    }

    /// Any of the turns that exchange axes of equal spacing.
    pub(super) fn draw_turn(&self, rng: &mut ChaCha8Rng) -> Turn {
        const ORDERS: [[usize; 3]; 6] = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        let same = |a: usize, b: usize| {
            (self.spacing[a] - self.spacing[b]).abs() <= 1e-3 * self.spacing[a]
        };
        let exact: Vec<_> = ORDERS
            .into_iter()
            .filter(|order| (0..3).all(|a| same(a, order[a])))
            .collect();
        Turn {
            order: exact[rng.random_range(0..exact.len())],
            mirrored: [0, 1, 2].map(|_| rng.random_range(0..2) == 1),
        }
    }

    /// The turned shape on a grid of that spacing: its [`Self::voxels`] voxels,
    /// counted from the corner of its box.
    pub(super) fn on_grid(&self, turn: &Turn, spacing: [f64; 3]) -> Vec<[usize; 3]> {
        // Grid voxels along each axis, and what part of each a mask voxel covers.
        let axes = [0, 1, 2].map(|a| {
            let from = turn.order[a];
            let (n, step) = (self.extent[from], self.spacing[from] / spacing[a]);
            let cells = ((n as f64 * step - 1e-3).ceil() as usize).max(1);
            let start = 0.5 * (cells as f64 - n as f64 * step);
            let parts: Vec<Vec<(usize, f64)>> = (0..n)
                .map(|i| match turn.mirrored[a] {
                    true => n - 1 - i,
                    false => i,
                })
                .map(|i| covered(start + i as f64 * step, step, cells))
                .collect();
            (cells, parts)
        });
        let [(nx, along_x), (ny, along_y), (nz, along_z)] = &axes;
        let mut cover = vec![0.0; nx * ny * nz];
        for (v, _) in self
            .inside
            .iter()
            .enumerate()
            .filter(|(_, inside)| **inside)
        {
            let at = place(v, self.extent);
            let [x, y, z] = turn.order.map(|from| at[from]);
            for &(k, c) in &along_z[z] {
                for &(j, b) in &along_y[y] {
                    for &(i, a) in &along_x[x] {
                        cover[i + nx * (j + ny * k)] += a * b * c;
                    }
                }
            }
        }
        let mut most: Vec<usize> = (0..cover.len()).filter(|&v| cover[v] > 0.0).collect();
        most.sort_by(|&a, &b| cover[b].total_cmp(&cover[a]).then(a.cmp(&b)));
        most.truncate(self.voxels);
        most.into_iter()
            .map(|v| place(v, [*nx, *ny, *nz]))
            .collect()
    }
}

/// The cells of width 1 that an interval from `start` of length `length` covers,
/// with the part of each; those beyond the last are left out.
fn covered(start: f64, length: f64, cells: usize) -> Vec<(usize, f64)> {
    let end = start + length;
    let first = start.max(0.0).floor() as usize;
    let last = (end.ceil().max(0.0) as usize).min(cells);
    (first..last)
        .map(|cell| {
            let c = cell as f64;
            (cell, end.min(c + 1.0) - start.max(c))
        })
        .filter(|(_, part)| *part > 1e-9)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};

    /// An L of 4 voxels: three along x, one more along y.
    fn l_shape(spacing: [f64; 3], voxels: usize) -> MaskShape {
        MaskShape {
            mask: String::new(),
            component: 1,
            voxels,
            spacing,
            extent: [3, 2, 1],
            inside: vec![true, true, true, true, false, false],
        }
    }

    #[test]
    fn at_equal_spacing_a_turn_is_exact() {
        let shape = l_shape([1.0; 3], 4);
        let turn = Turn {
            order: [2, 0, 1],
            mirrored: [false, true, false],
        };
        // Along y what was x, backwards; along z what was y.
        let mut voxels = shape.on_grid(&turn, [1.0; 3]);
        voxels.sort_unstable();
        assert_eq!(voxels, [[0, 0, 0], [0, 1, 0], [0, 2, 0], [0, 2, 1]]);
    }

    #[test]
    fn on_half_the_spacing_each_voxel_is_eight() {
        let shape = l_shape([2.0; 3], 32);
        let straight = Turn {
            order: [0, 1, 2],
            mirrored: [false; 3],
        };
        let voxels = shape.on_grid(&straight, [1.0; 3]);
        assert_eq!(voxels.len(), 32);
        assert!(voxels.contains(&[5, 1, 1]) && voxels.contains(&[1, 3, 0]));
        assert!(!voxels.contains(&[2, 2, 0]));
    }

    #[test]
    fn on_a_coarse_grid_a_lesion_keeps_the_voxel_it_covers_most() {
        // 3 x 2 x 1 mm centred in 2 x 1 x 1 cells of 8 mm³: 2.5 mm³ of it lie in the
        // first cell and 1.5 in the second.
        let shape = l_shape([1.0; 3], 1);
        let straight = Turn {
            order: [0, 1, 2],
            mirrored: [false; 3],
        };
        assert_eq!(shape.on_grid(&straight, [2.0; 3]), [[0, 0, 0]]);
    }

    #[test]
    fn only_axes_of_equal_spacing_are_exchanged() {
        let mut rng = keyed_rng(0, Domain::Phantom, 0, 0);
        let thick = l_shape([1.0, 1.0, 3.0], 4);
        let orders: Vec<_> = (0..50).map(|_| thick.draw_turn(&mut rng).order).collect();
        assert!(orders.iter().all(|order| order[2] == 2));
        assert!(orders.contains(&[0, 1, 2]) && orders.contains(&[1, 0, 2]));
        let cube = l_shape([1.0; 3], 4);
        let mut orders: Vec<_> = (0..200).map(|_| cube.draw_turn(&mut rng).order).collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }
}
