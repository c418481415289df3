//! Patch, stages and strides from spacing, shape and the size of what is looked for.
//!
//! After the rules of Isensee et al., "nnU-Net", Nature Methods 18 (2021): a patch as wide
//! in mm along each axis as its voxels allow, an axis halved while it has voxels left and
//! is not much coarser than the others, kernels of 1 across slices until it is. Unlike
//! theirs, a patch is no wider than what is looked for needs.

use lacuna_nets::{NormOf, Stages};

/// Voxels that a patch has at most: 64 along each axis.
const MOST_VOXELS: f64 = 64.0 * 64.0 * 64.0;
/// Least voxels of a patch along an axis of an image that has as many, in 2-D and in 3-D. Ten
/// voxels in a cube of 48 are found later than in one of 32, see docs/auto.md.
const LEAST_EDGE: [f64; 2] = [48.0, 32.0];
/// A patch is so many times as wide as the components of the 95th percentile, by axis. More
/// holds so little foreground that a short training ends with none.
const TIMES_COMPONENT: f64 = 2.0;
/// Voxels that an axis keeps in the last stage.
const LEAST_LAST: usize = 4;
/// Times that an axis is halved at most, and stages behind the first.
const MOST_HALVINGS: usize = 3;
/// Axes this much coarser than the finest are not halved yet.
pub(super) const COARSER: f64 = 2.0;

/// What patch and network are chosen by, along x, y, z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// Voxel edges in mm of the grid that the network works on.
    pub spacing_mm: [f64; 3],
    /// Voxels of the median subject's box around its inside, on that grid.
    pub shape: [f64; 3],
    /// Voxels of the median subject, on that grid.
    pub grid: [f64; 3],
    /// Extent in mm of the components of the 95th percentile.
    pub component_mm: [f64; 3],
    /// Least and largest edge in mm that a preset asks for.
    pub preset_mm: Option<[f64; 2]>,
}

/// A patch and the stages of the network that sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Voxels along x, y, z; z is 1 in 2-D.
    pub patch: [usize; 3],
    /// Halvings along x, y, z.
    pub halvings: [usize; 3],
    /// Strides of each stage along x, y, z.
    strides: Vec<[usize; 3]>,
    /// Kernels of each stage along x, y, z.
    kernels: Vec<[usize; 3]>,
    /// The patch holds the median subject, its outside too: a uniform sampler draws from all.
    pub whole: bool,
}

impl Scene {
    /// Whether slices are alone: no subject has several.
    pub fn is_plane(&self) -> bool {
        self.shape[2] < 1.5
    }

    /// Patch, kernels and strides.
    pub fn shape(&self) -> Shape {
        let edges = self.edges();
        let spatial = if self.is_plane() { 2 } else { 3 };
        let (strides, kernels) = halve(edges, self.spacing_mm, spatial);
        let halvings: [usize; 3] =
            std::array::from_fn(|axis| strides.iter().filter(|stride| stride[axis] == 2).count());
        // Up, so that what a volume holds is in it.
        let patch: [usize; 3] = std::array::from_fn(|axis| {
            let step = 1 << halvings[axis];
            edges[axis].div_ceil(step) * step
        });
        let holds = |axis: usize| patch[axis] as f64 >= 0.8 * self.grid[axis];
        Shape {
            whole: (0..spatial).all(holds),
            patch,
            halvings,
            strides,
            kernels,
        }
    }

    /// Voxels of a patch before they are made divisible: a cube in mm, cut to what each axis
    /// needs and to the volume.
    fn edges(&self) -> [usize; 3] {
        let axes = if self.is_plane() { 2 } else { 3 };
        let finest = self.spacing_mm[..axes]
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        // What each axis needs.
        let needed = self.component_mm.map(|component| {
            let wide = (TIMES_COMPONENT * component).max(LEAST_EDGE[axes - 2] * finest);
            match self.preset_mm {
                Some([least, most]) => wide.clamp(least, most),
                None => wide,
            }
        });
        let cut = |mm: f64| -> [f64; 3] {
            std::array::from_fn(|axis| match axis < axes {
                true => (mm.min(needed[axis]) / self.spacing_mm[axis])
                    .min(self.shape[axis])
                    .max(1.0),
                false => 1.0,
            })
        };
        let mut wide = needed.iter().copied().fold(0.0, f64::max);
        let voxels = |mm: f64| cut(mm).iter().product::<f64>();
        // The largest cube of which no more voxels come than allowed.
        let most = if axes == 2 {
            MOST_VOXELS / 2.0
        } else {
            MOST_VOXELS
        };
        if voxels(wide) > most {
            let (mut low, mut high) = (0.0, wide);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                match voxels(middle) > most {
                    true => high = middle,
                    false => low = middle,
                }
            }
            wide = low;
        }
        cut(wide).map(|edge| (edge + 1e-6).round().max(1.0) as usize)
    }
}

/// Strides and kernels of each stage.
fn halve(
    mut edges: [usize; 3],
    mut spacing: [f64; 3],
    axes: usize,
) -> (Vec<[usize; 3]>, Vec<[usize; 3]>) {
    let mut halved = [0; 3];
    let mut strides = vec![[1; 3]];
    let mut kernels = vec![kernel(spacing, axes)];
    loop {
        let may = |axis: usize| {
            axis < axes && edges[axis] >= 2 * LEAST_LAST && halved[axis] < MOST_HALVINGS
        };
        let candidates: Vec<usize> = (0..3).filter(|axis| may(*axis)).collect();
        let finest = candidates
            .iter()
            .map(|a| spacing[*a])
            .fold(f64::INFINITY, f64::min);
        let chosen: Vec<usize> = (candidates.into_iter())
            .filter(|axis| spacing[*axis] < COARSER * finest)
            .collect();
        if chosen.is_empty() || strides.len() > MOST_HALVINGS {
            return (strides, kernels);
        }
        let mut stride = [1; 3];
        for axis in chosen {
            stride[axis] = 2;
            edges[axis] = edges[axis].div_ceil(2);
            spacing[axis] *= 2.0;
            halved[axis] += 1;
        }
        strides.push(stride);
        kernels.push(kernel(spacing, axes));
    }
}

/// 3 along an axis, or 1 while it is twice as coarse as the finest.
fn kernel(spacing: [f64; 3], axes: usize) -> [usize; 3] {
    let finest = spacing[..axes]
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    std::array::from_fn(|axis| match spacing[axis] < COARSER * finest {
        true => 3,
        false => 1,
    })
}

impl Shape {
    /// Axes of the network.
    pub fn axes(&self) -> usize {
        if self.patch[2] == 1 { 2 } else { 3 }
    }

    /// The stages, doubling from `features`.
    pub fn stages(&self, features: usize) -> Stages {
        let axes = self.axes();
        let cut = |list: &[[usize; 3]]| list.iter().map(|l| l[..axes].to_vec()).collect();
        Stages {
            kernels: cut(&self.kernels),
            strides: cut(&self.strides),
            norm: NormOf::Instance,
            ..Stages::regular(axes, self.strides.len().max(2), features)
        }
    }

    /// Voxels of a patch.
    pub fn voxels(&self) -> usize {
        self.patch.iter().product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAIN: Scene = Scene {
        spacing_mm: [1.0; 3],
        shape: [140.0, 175.0, 140.0],
        grid: [240.0, 240.0, 155.0],
        component_mm: [60.0, 80.0, 60.0],
        preset_mm: None,
    };

    #[test]
    fn a_large_tumour_gets_a_cube_of_the_most_voxels() {
        let shape = BRAIN.shape();
        assert_eq!(shape.patch, [64; 3]);
        assert_eq!(shape.halvings, [3; 3]);
        assert!(!shape.whole);
        assert_eq!(shape.stages(16).features, [16, 32, 64, 128]);
    }

    #[test]
    fn small_lesions_get_a_small_patch() {
        let shape = Scene {
            component_mm: [5.0; 3],
            ..BRAIN
        }
        .shape();
        assert_eq!(shape.patch, [32; 3]);
        let preset = Scene {
            preset_mm: Some([32.0, 40.0]),
            ..BRAIN
        };
        assert_eq!(preset.shape().patch, [40; 3]);
    }

    /// 35 x 50 x 35 voxels: the patch is the volume, made divisible.
    #[test]
    fn a_small_volume_is_the_patch() {
        let shape = Scene {
            shape: [35.0, 51.0, 35.0],
            grid: [35.0, 51.0, 35.0],
            ..BRAIN
        }
        .shape();
        assert_eq!(shape.patch, [40, 56, 40]);
        assert!(shape.whole);
    }

    /// Slices ten times as thick as wide: kernels in the plane until strides have made
    /// the voxels alike: .5 -> 1 -> 2 -> 4 mm.
    #[test]
    fn thick_slices_are_halved_last() {
        let shape = Scene {
            spacing_mm: [0.5, 0.5, 5.0],
            shape: [200.0, 200.0, 16.0],
            grid: [256.0, 256.0, 16.0],
            component_mm: [15.0, 15.0, 80.0],
            preset_mm: None,
        }
        .shape();
        assert_eq!(shape.halvings, [3, 3, 0]);
        let stages = shape.stages(16);
        assert_eq!(stages.kernels[0], [3, 3, 1]);
        assert_eq!(stages.kernels[3], [3, 3, 3]);
        assert!(shape.voxels() as f64 <= 1.05 * MOST_VOXELS);
        assert_eq!(shape.patch[2], 16);
    }

    #[test]
    fn slices_alone_get_a_plane() {
        let shape = Scene {
            spacing_mm: [1.0; 3],
            shape: [512.0, 512.0, 1.0],
            grid: [512.0, 512.0, 1.0],
            component_mm: [40.0, 40.0, 1.0],
            preset_mm: None,
        }
        .shape();
        assert_eq!((shape.axes(), shape.patch), (2, [80, 80, 1]));
        assert!(
            shape
                .stages(16)
                .validate(lacuna_nets::ModelName::PlainConvUnet)
                .is_ok()
        );
    }
}
