//! Where the lesions are.
//!
//! Volumes are drawn log-uniformly until they fill the share. Each lesion grows
//! from a seed voxel in order of a distance that makes it a rough ellipsoid,
//! voxel by voxel, so that it gets exactly its number of voxels and is
//! 6-connected. A gap of one voxel keeps lesions apart; when no room is left for
//! that, lesions grow on until they touch.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::anatomy::Voxel;
use super::config::{PhantomConfig, PhantomError};
use super::shapes::{Point, Waves, direction, dot};

/// The lesions of one subject, `x` fastest.
pub(super) struct Lesions {
    /// 1 in a lesion.
    pub label: Vec<u8>,
    /// How bright the lesion at each voxel is, 1 on average; 0 elsewhere.
    pub strength: Vec<f32>,
}

/// Share of white matter a voxel needs to carry a lesion.
pub(super) const WHITE_ENOUGH: f32 = 0.9;
/// Failed searches for a free place, one after another, before lesions may touch.
pub(super) const ATTEMPTS: usize = 400;

/// The voxels of the white matter, and how many are to be lesion.
///
/// # Errors
/// [`PhantomError::ShareTooLarge`] where these are more than those.
pub(super) fn white_matter(
    config: &PhantomConfig,
    brain: &[Voxel],
) -> Result<(Vec<usize>, usize), PhantomError> {
    let white: Vec<usize> = (0..brain.len())
        .filter(|&i| brain[i].white >= WHITE_ENOUGH)
        .collect();
    let target = config.lesion_voxels();
    if target > white.len() {
        return Err(PhantomError::ShareTooLarge {
            share: config.foreground_share,
            needed: target,
            available: white.len(),
        });
    }
    Ok((white, target))
}

/// Places lesions of the configured share and sizes in the white matter.
pub(super) fn place(
    config: &PhantomConfig,
    brain: &[Voxel],
    rng: &mut ChaCha8Rng,
) -> Result<Lesions, PhantomError> {
    let (white, target) = white_matter(config, brain)?;
    let mut field = Field::within(config, brain, |voxel| voxel.white >= WHITE_ENOUGH);
    let mut left = target;
    let mut failures = 0;
    while left > 0 && failures < ATTEMPTS {
        let size = field.draw_size(left, rng);
        let seed = field.draw_seed(brain, &white, rng);
        let strength = rng.random_range(0.8..1.15);
        let shape = LesionShape::draw(size as f64 * field.voxel_mm3(), rng);
        if seed.is_some_and(|seed| field.grow(seed, size, strength, &shape)) {
            left -= size;
            failures = 0;
        } else {
            failures += 1;
        }
    }
    field.grow_together(left);
    Ok(field.lesions)
}

/// The grid while lesions are being placed.
pub(super) struct Field {
    shape: [usize; 3],
    pub(super) spacing: Point,
    sizes: [f64; 2],
    /// Where lesions may lie.
    allowed: Vec<bool>,
    /// What of it neither is nor touches a lesion.
    pub(super) free: Vec<bool>,
    pub(super) lesions: Lesions,
}

impl Field {
    /// A grid without lesions, which may lie where `allowed` says.
    pub(super) fn within(
        config: &PhantomConfig,
        brain: &[Voxel],
        allowed: impl Fn(&Voxel) -> bool,
    ) -> Self {
        let allowed: Vec<bool> = brain.iter().map(allowed).collect();
        let voxel: f64 = config.spacing.iter().product();
        Self {
            shape: config.shape,
            spacing: config.spacing,
            sizes: config.lesion_volume_mm3.map(|v| (v / voxel).max(1.0)),
            free: allowed.clone(),
            lesions: Lesions {
                label: vec![0; allowed.len()],
                strength: vec![0.0; allowed.len()],
            },
            allowed,
        }
    }

    pub(super) fn voxel_mm3(&self) -> f64 {
        self.spacing.iter().product()
    }

    /// Voxels of the next lesion; what is left when that is less, or when the
    /// rest would make no lesion of its own.
    fn draw_size(&self, left: usize, rng: &mut ChaCha8Rng) -> usize {
        let [low, high] = self.sizes;
        let drawn = low * (high / low).powf(rng.random_range(0.0..1.0));
        let drawn = (drawn.round() as usize).max(1);
        match drawn + (low.round() as usize) > left {
            true => left,
            false => drawn,
        }
    }

    /// A free voxel; of two, the one nearer to the ventricles, where lesions of
    /// white matter crowd.
    pub(super) fn draw_seed(
        &self,
        brain: &[Voxel],
        white: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Option<usize> {
        let mut draw = || white[rng.random_range(0..white.len())];
        let (a, b) = (draw(), draw());
        let mut seeds = [a, b].into_iter().filter(|&i| self.free[i]);
        let first = seeds.next()?;
        Some(match seeds.next() {
            Some(second) if brain[second].to_ventricle < brain[first].to_ventricle => second,
            _ => first,
        })
    }

    /// Grows a lesion of exactly `size` voxels; false when there is no room, in
    /// which case nothing has changed.
    fn grow(&mut self, seed: usize, size: usize, strength: f32, shape: &LesionShape) -> bool {
        let mut queue = BinaryHeap::from([Reverse((0u64, seed))]);
        let mut taken = Vec::with_capacity(size);
        let mut queued = HashSet::from([seed]);
        let origin = self.place_of(seed);
        while let Some(Reverse((_, voxel))) = queue.pop() {
            taken.push(voxel);
            if taken.len() == size {
                break;
            }
            for next in self.faces(voxel) {
                if self.free[next] && queued.insert(next) {
                    let p = self.place_of(next);
                    let q = [0, 1, 2].map(|a| (p[a] - origin[a]) * self.spacing[a]);
                    // Distances are positive, so their bits sort as they do.
                    queue.push(Reverse((shape.distance(q).to_bits(), next)));
                }
            }
        }
        if taken.len() < size {
            return false;
        }
        for &voxel in &taken {
            self.lesions.label[voxel] = 1;
            self.lesions.strength[voxel] = strength;
        }
        for voxel in taken {
            self.close_around(voxel);
        }
        true
    }

    /// Adds `left` voxels of white matter in order of their distance in steps
    /// from the lesions.
    fn grow_together(&mut self, mut left: usize) {
        let lesion = |(i, label): (usize, &u8)| (*label == 1).then_some(i);
        let mut front: VecDeque<usize> = self
            .lesions
            .label
            .iter()
            .enumerate()
            .filter_map(lesion)
            .collect();
        let mut rest = 0..self.allowed.len();
        while left > 0 {
            // White matter that no lesion reaches is taken in memory order.
            let Some(voxel) = front
                .pop_front()
                .or_else(|| rest.find(|&i| self.allowed[i] && self.lesions.label[i] == 0))
            else {
                return;
            };
            for next in std::iter::once(voxel).chain(self.faces(voxel)) {
                if left > 0 && self.allowed[next] && self.lesions.label[next] == 0 {
                    self.lesions.label[next] = 1;
                    self.lesions.strength[next] = match self.lesions.strength[voxel] {
                        0.0 => 1.0,
                        strength => strength,
                    };
                    front.push_back(next);
                    left -= 1;
                }
            }
        }
    }

    pub(super) fn coordinates(&self, voxel: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape;
        [voxel % nx, voxel / nx % ny, voxel / (nx * ny)]
    }

    /// The voxel of the grid where `voxel` of a lesion comes to lie when its voxel
    /// `middle` lies at `seed`; `None` outside the grid.
    pub(super) fn at(
        &self,
        voxel: [usize; 3],
        middle: [usize; 3],
        seed: [usize; 3],
    ) -> Option<usize> {
        let mut at = [0; 3];
        for axis in 0..3 {
            at[axis] = (seed[axis] + voxel[axis]).checked_sub(middle[axis])?;
            if at[axis] >= self.shape[axis] {
                return None;
            }
        }
        let [nx, ny, _] = self.shape;
        Some(at[0] + nx * (at[1] + ny * at[2]))
    }

    fn place_of(&self, voxel: usize) -> Point {
        self.coordinates(voxel).map(|c| c as f64)
    }

    /// The voxels that share a face with this one.
    fn faces(&self, voxel: usize) -> impl Iterator<Item = usize> + use<> {
        let [nx, ny, nz] = self.shape;
        let [x, y, z] = self.coordinates(voxel);
        [
            (x > 0).then(|| voxel - 1),
            (x + 1 < nx).then(|| voxel + 1),
            (y > 0).then(|| voxel - nx),
            (y + 1 < ny).then(|| voxel + nx),
            (z > 0).then(|| voxel - nx * ny),
            (z + 1 < nz).then(|| voxel + nx * ny),
        ]
        .into_iter()
        .flatten()
    }

    /// No further lesion may hold or touch this voxel.
    pub(super) fn close_around(&mut self, voxel: usize) {
        let [nx, ny, _] = self.shape;
        let c = self.coordinates(voxel);
        let span =
            |axis: usize| c[axis].saturating_sub(1)..=(c[axis] + 1).min(self.shape[axis] - 1);
        for z in span(2) {
            for y in span(1) {
                for x in span(0) {
                    self.free[x + nx * (y + ny * z)] = false;
                }
            }
        }
    }
}

/// A rough ellipsoid of random axes.
struct LesionShape {
    axes: [Point; 3],
    stretch: Point,
    roughness: Waves,
}

impl LesionShape {
    /// For a lesion of about `volume` mm³.
    fn draw(volume: f64, rng: &mut ChaCha8Rng) -> Self {
        let a = direction(rng);
        let b = direction(rng);
        let c = cross(a, b);
        let c = c.map(|v| v / dot(c, c).sqrt().max(1e-9));
        let radius = (volume / 4.19).cbrt();
        Self {
            axes: [a, cross(c, a), c],
            stretch: [0, 1, 2].map(|_| rng.random_range(-0.4..0.4f64).exp()),
            roughness: Waves::draw(rng, 6, 1.6 * radius.max(0.5)),
        }
    }

    /// Grows outwards from 0 at the centre; `q` in mm from there.
    fn distance(&self, q: Point) -> f64 {
        let along = [0, 1, 2].map(|i| dot(self.axes[i], q) * self.stretch[i]);
        dot(along, along).sqrt() * (1.0 + 0.25 * self.roughness.at(q)).max(0.2)
    }
}

fn cross(a: Point, b: Point) -> Point {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
