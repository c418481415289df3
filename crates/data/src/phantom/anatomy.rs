//! The brain of one subject as the share of each tissue in each voxel.
//!
//! Shapes are written in millimetres of an adult brain, RAS+ with the origin
//! between the thalami, so that the grid's box is [`FIELD_OF_VIEW`] whatever
//! its spacing. The cortex is the set of points within its thickness of CSF,
//! where CSF is the outside of the cerebrum and the sheets of the sulci: the
//! zeros of a smooth random field on the brain's surface, continued inwards to
//! a depth that varies. Shares come from how much of a voxel's width each layer
//! takes, so that edges have the partial volume of real images.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Tissue;
use super::shapes::{
    Point, Waves, capsule, dot, ellipsoid, minus, norm, sheet_share, solid_share, union,
};

/// Half-width (mm) of the grid's box along R, A, S and its centre along S.
const FIELD_OF_VIEW: Point = [70.0, 87.0, 65.0];
const CENTRE_S: f64 = 1.0;

/// Lengths (mm) over which the brain's shape and the sulci's course change.
const WARP_WAVELENGTH: f64 = 110.0;
const TILT_WAVELENGTH: f64 = 50.0;
/// Gradients have a standard deviation of 2 pi / (wavelength sqrt 3) per axis;
/// these factors make it 2 mm, and 0.25 mm per mm of depth.
const WARP: f64 = 2.0 * WARP_WAVELENGTH * SQRT_3 / TAU;
const TILT: f64 = 0.25 * TILT_WAVELENGTH * SQRT_3 / TAU;
const SQRT_3: f64 = 1.732_050_807_568_877_2;

/// No layer of the cortex reaches further than this (mm) from its CSF.
const REACH: f64 = 8.0;

/// Where the sulci are projected from.
const FOLD_CENTRE: Point = [0.0, -2.0, -2.0];

/// What one voxel holds; the four shares sum to 1 inside the brain and are all
/// 0 outside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Voxel {
    pub csf: f32,
    pub grey: f32,
    pub deep_grey: f32,
    pub white: f32,
    /// Distance to the lateral ventricles in mm of the adult brain.
    pub to_ventricle: f32,
}

impl Voxel {
    pub(super) fn inside(&self) -> bool {
        self.csf + self.grey + self.deep_grey + self.white > 0.5
    }

    /// The tissue with the largest share.
    pub(super) fn tissue(&self) -> Tissue {
        if !self.inside() {
            return Tissue::Background;
        }
        let shares = [
            (self.csf, Tissue::Csf),
            (self.grey, Tissue::Grey),
            (self.deep_grey, Tissue::DeepGrey),
            (self.white, Tissue::White),
        ];
        let mut largest = shares[0];
        for share in &shares[1..] {
            if share.0 > largest.0 {
                largest = *share;
            }
        }
        largest.1
    }

    /// Takes all other tissue away.
    pub(super) fn become_white(&mut self) {
        self.cover(1.0, mix(0.0, 0.0, 0.0, 1.0));
    }

    /// Gives `share` of the voxel to another mix of tissues.
    fn cover(&mut self, share: f64, by: Voxel) {
        let s = share as f32;
        self.csf += s * (by.csf - self.csf);
        self.grey += s * (by.grey - self.grey);
        self.deep_grey += s * (by.deep_grey - self.deep_grey);
        self.white += s * (by.white - self.white);
    }
}

const CSF: Voxel = mix(1.0, 0.0, 0.0, 0.0);
const DEEP_GREY: Voxel = mix(0.0, 0.0, 1.0, 0.0);

const fn mix(csf: f32, grey: f32, deep_grey: f32, white: f32) -> Voxel {
    Voxel {
        csf,
        grey,
        deep_grey,
        white,
        to_ventricle: 0.0,
    }
}

/// What differs between subjects.
pub(super) struct Anatomy {
    /// Size along each axis; 1 fills the box.
    size: Point,
    /// Its gradient displaces every point.
    warp: Waves,
    /// Its zeros are the sulci.
    folds: Waves,
    /// Its gradient tilts the sulci away from the radius.
    tilt: Waves,
    /// Depth of the sulci.
    fold_depth: Waves,
    /// Course of the interhemispheric and Sylvian fissures.
    fissure: Waves,
    /// Half-width (mm) of the sulci's CSF.
    sulcus: f64,
    /// Cortical thickness in mm.
    cortex: f64,
    /// Widening (mm) of the ventricles.
    ventricle: f64,
}

impl Anatomy {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self {
            size: [0, 1, 2].map(|_| rng.random_range(0.95..1.0)),
            warp: Waves::draw(rng, 5, WARP_WAVELENGTH),
            folds: Waves::draw(rng, 12, 21.0),
            tilt: Waves::draw(rng, 5, TILT_WAVELENGTH),
            fold_depth: Waves::draw(rng, 6, 40.0),
            fissure: Waves::draw(rng, 4, 60.0),
            sulcus: rng.random_range(0.5..0.9),
            cortex: rng.random_range(2.5..3.0),
            ventricle: rng.random_range(-1.2..2.0),
        }
    }

    /// The brain on a grid, `x` fastest.
    pub(super) fn sample(&self, shape: [usize; 3]) -> Vec<Voxel> {
        let [nx, ny, nz] = shape;
        let mm = |axis: usize, i: usize| {
            FIELD_OF_VIEW[axis] * ((2 * i + 1) as f64 / shape[axis] as f64 - 1.0)
        };
        // The width over which edges blur; one slice alone has no height.
        let widths = [0, 1, 2].map(|axis| 2.0 * FIELD_OF_VIEW[axis] / shape[axis] as f64);
        let width = match nz {
            1 => (widths[0] * widths[1]).sqrt(),
            _ => widths.iter().product::<f64>().cbrt(),
        };
        let mut brain = vec![Voxel::default(); nx * ny * nz];
        brain
            .par_chunks_mut(nx)
            .enumerate()
            .for_each(|(row, voxels)| {
                let (y, z) = (mm(1, row % ny), mm(2, row / ny) + CENTRE_S);
                for (x, voxel) in voxels.iter_mut().enumerate() {
                    let p = [mm(0, x), y, z];
                    if near_brain(p) {
                        *voxel = self.voxel(self.to_adult(p), width);
                    }
                }
            });
        brain
    }

    /// From the box to the adult brain: this subject's size and shape undone.
    fn to_adult(&self, p: Point) -> Point {
        let (_, shift) = self.warp.with_gradient(p);
        [0, 1, 2].map(|axis| p[axis] / self.size[axis] + WARP * shift[axis])
    }

    fn voxel(&self, p: Point, w: f64) -> Voxel {
        let cerebrum = cerebrum(p);
        let cerebellum = cerebellum(p);
        let stem = brain_stem(p);
        let rim = self.sulcus + 0.5;
        if cerebrum.max(cerebellum).max(stem) < -rim {
            return Voxel::default();
        }
        let mut voxel = self.cortex(
            p,
            cerebrum,
            -cerebellum.max(stem - 2.0 * (p[2] + 22.0).max(0.0)),
            w,
        );

        let nuclei = deep_nuclei(p);
        voxel.cover(solid_share(nuclei, w), DEEP_GREY);
        voxel.cover(0.75 * solid_share(pallidum(p), w), mix(0.0, 0.0, 0.4, 0.6));

        voxel.cover(solid_share(cerebellum, w), folia(p, cerebellum));
        voxel.cover(solid_share(stem, w), mix(0.0, 0.0, 0.25, 0.75));

        let ventricle = lateral_ventricle(p) + self.ventricle;
        // The ependymal rim: a little brighter than white matter on FLAIR, as
        // in healthy brains.
        let ependyma = solid_share(ventricle + 1.5, w) * f64::from(voxel.white);
        voxel.cover(0.35 * ependyma, mix(0.0, 1.0, 0.0, 0.0));
        voxel.cover(solid_share(ventricle.max(midline_ventricles(p)), w), CSF);
        voxel.to_ventricle = (-ventricle).max(0.0) as f32;
        voxel
    }

    /// Layers below the nearest CSF: cortex, then white matter. `below` is the
    /// distance to cerebellum and brain stem, which CSF parts from the cerebrum.
    fn cortex(&self, p: Point, depth: f64, below: f64, w: f64) -> Voxel {
        // Sulci widen towards the surface.
        let t = self.sulcus * (1.0 + 0.9 * (1.0 - depth / 9.0).clamp(0.0, 1.0));
        let to_csf = (depth + t)
            .min(self.to_sulcus(p, depth))
            .min(self.to_fissure(p))
            .min(self.to_sylvian(p))
            .min(below - 0.5)
            .max(0.0);
        let outside = solid_share(-depth, w);
        let csf = sheet_share(to_csf, t, w).max(outside);
        let cortical = sheet_share(to_csf, t + self.cortex, w).max(csf);
        mix(
            csf as f32,
            (cortical - csf) as f32,
            0.0,
            (1.0 - cortical) as f32,
        )
    }

    /// Distance to the nearest sulcus, a sheet below a zero of `folds`.
    fn to_sulcus(&self, p: Point, depth: f64) -> f64 {
        let q = minus(p, FOLD_CENTRE);
        let length = norm(q).max(1.0);
        let inside = depth.max(0.0);
        let bottom = (15.0 + 5.0 * self.fold_depth.at(p)).max(2.0);
        if inside - bottom > REACH {
            return f64::INFINITY;
        }
        // The point on the surface above this one, moved a little with depth so
        // that sulci bend.
        let out = (length + inside) / length;
        let (_, tilt) = self.tilt.with_gradient(p);
        let on_surface = [0, 1, 2].map(|axis| q[axis] * out + TILT * inside * tilt[axis]);
        let (value, gradient) = self.folds.with_gradient(on_surface);
        let radial = dot(gradient, q) / length;
        let along = (dot(gradient, gradient) - radial * radial).max(1e-4).sqrt();
        let sheet = value.abs() / (along * out);
        sheet.hypot((inside - bottom).max(0.0))
    }

    /// Distance to the fissure between the hemispheres, which ends above and
    /// below at the corpus callosum and the deep structures.
    fn to_fissure(&self, p: Point) -> f64 {
        if p[0].abs() > REACH + 4.0 {
            return f64::INFINITY;
        }
        let wobble = 1.2 * self.fissure.at([0.0, p[1], p[2]]);
        let centre = ellipsoid([0.0, p[1], p[2]], [0.0, -4.0, 1.0], [1e3, 40.0, 25.0]);
        (p[0] - wobble).abs().hypot(centre.max(0.0))
    }

    /// Distance to the Sylvian fissure, a sheet from the side of the brain in
    /// to the insula, where it spreads up and down.
    fn to_sylvian(&self, p: Point) -> f64 {
        let x = p[0].abs();
        if x < 20.0 {
            return f64::INFINITY;
        }
        let wobble = 2.5 * self.fissure.at(p);
        let height = p[2] + 3.0 + 0.35 * (p[1] - 8.0) - 0.3 * (x - 45.0) + wobble;
        let along = ellipsoid([p[1], 0.0, 0.0], [2.0, 0.0, 0.0], [30.0, 1e3, 1e3]);
        let ends = (-along).max(0.0);
        let sheet = (0.9 * height).abs().hypot((38.0 - x).max(0.0)).hypot(ends);
        // The insula bulges outwards between its upper and lower grooves.
        let insula =
            x - 39.0 + 0.012 * (height * height + 0.4 * (p[1] - 2.0).powi(2)) + 0.4 * wobble;
        let rim = (height.abs() - 11.0)
            .max(0.0)
            .hypot((ends - 0.5 * along).max(0.0));
        sheet.min(insula.abs().hypot(rim))
    }
}

/// False for points that no subject's warp brings into the brain.
fn near_brain(p: Point) -> bool {
    cerebrum(p).max(cerebellum(p)).max(brain_stem(p)) > -9.0
}

/// Depth inside the cerebrum: an egg, narrower in front and flat below, with
/// the temporal lobes.
fn cerebrum(p: Point) -> f64 {
    let taper = 1.0 + 0.16 * (p[1] / 84.0);
    let flat = if p[2] < 2.0 { 1.75 } else { 1.0 };
    let egg = ellipsoid(
        [p[0] * taper, p[1], (p[2] - 2.0) * flat],
        [0.0; 3],
        [66.0, 83.0, 60.0],
    );
    let temporal = ellipsoid(
        [p[0].abs(), p[1], p[2]],
        [40.0, 0.0, -24.0],
        [23.0, 40.0, 19.0],
    );
    union(egg, temporal, 6.0)
}

fn cerebellum(p: Point) -> f64 {
    let lobe = ellipsoid(
        [p[0].abs(), p[1], p[2]],
        [20.0, -50.0, -37.0],
        [29.0, 28.0, 19.0],
    );
    let vermis = ellipsoid(p, [0.0, -48.0, -34.0], [12.0, 22.0, 20.0]);
    union(lobe, vermis, 4.0)
}

fn brain_stem(p: Point) -> f64 {
    let pons = ellipsoid(p, [0.0, -20.0, -34.0], [17.0, 13.0, 15.0]);
    let upper = capsule(p, ([0.0, -14.0, -6.0], 10.0), ([0.0, -20.0, -30.0], 13.0));
    let lower = capsule(p, ([0.0, -22.0, -36.0], 12.0), ([0.0, -32.0, -70.0], 8.0));
    union(union(pons, upper, 6.0), lower, 6.0)
}

/// The cerebellum's thin folds over its white core.
fn folia(p: Point, depth: f64) -> Voxel {
    let bent = p[2] + 0.012 * (p[1] + 48.0).powi(2) + 0.006 * p[0] * p[0];
    let stripes = (0.5 + 0.5 * (1.25 * bent).sin()) as f32;
    let core = ((depth - 5.0) / 6.0).clamp(0.0, 1.0) as f32;
    let csf = 0.22 * stripes * (1.0 - core);
    let white = core * (0.65 + 0.35 * stripes);
    mix(csf, 1.0 - csf - white, 0.0, white)
}

/// Depth inside the lateral ventricles: horns and body as a chain of capsules.
fn lateral_ventricle(p: Point) -> f64 {
    const CHAIN: [(Point, f64); 6] = [
        ([11.0, 33.0, 1.0], 2.5),
        ([7.5, 18.0, 10.0], 4.5),
        ([8.5, 0.0, 17.0], 4.5),
        ([11.0, -16.0, 17.0], 4.0),
        ([21.0, -34.0, 9.0], 5.5),
        ([22.0, -56.0, 3.0], 2.0),
    ];
    const TEMPORAL: (Point, f64) = ([31.0, -12.0, -16.0], 1.8);
    let q = [p[0].abs(), p[1], p[2]];
    let horns = CHAIN
        .windows(2)
        .map(|pair| capsule(q, pair[0], pair[1]))
        .fold(f64::NEG_INFINITY, |a, b| union(a, b, 2.0));
    union(horns, capsule(q, CHAIN[4], TEMPORAL), 2.0)
}

/// Depth inside the third and fourth ventricles.
fn midline_ventricles(p: Point) -> f64 {
    let third = ellipsoid(p, [0.0, -8.0, 0.0], [2.4, 14.0, 11.0]);
    let fourth = ellipsoid(p, [0.0, -35.0, -36.0], [7.0, 4.0, 10.0]);
    third.max(fourth)
}

fn deep_nuclei(p: Point) -> f64 {
    let q = [p[0].abs(), p[1], p[2]];
    let thalamus = ellipsoid(q, [11.5, -17.0, 5.0], [9.0, 14.0, 9.0]);
    let caudate = capsule(q, ([13.5, 20.0, 5.0], 5.5), ([17.0, -6.0, 19.0], 2.0));
    let turned = [q[0] + 0.22 * q[1], q[1], q[2]];
    let putamen = ellipsoid(turned, [27.0, 3.0, 2.0], [5.0, 16.0, 10.0]);
    thalamus.max(caudate).max(putamen)
}

fn pallidum(p: Point) -> f64 {
    let turned = [p[0].abs() + 0.3 * p[1], p[1], p[2]];
    ellipsoid(turned, [19.5, -1.0, 0.0], [4.0, 9.0, 7.0])
}
