//! Lesions of real shape: which are drawn, and where they come to lie.
//!
//! Lesions are drawn until the share is reached; the last one is of a size near to
//! what is left. Each lies in the white matter, apart from
//! the others; where it does not fit there, wherever the brain holds most of it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::anatomy::Voxel;
use super::config::{PhantomConfig, PhantomError};
use super::lesions::{ATTEMPTS, Field, Lesions, WHITE_ENOUGH, white_matter};
use super::mask_shapes::{MaskShape, MaskShapes};
use super::shapes::dot;

/// A lesion of [`PhantomConfig::lesion_masks`] in a phantom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskLesion {
    /// The file it comes from, as seen from the folder that was searched.
    pub mask: String,
    /// Its number there among the 26-connected components, from 1 in the order
    /// of their first voxels, `x` fastest.
    pub component: usize,
    /// Voxels in the phantom.
    pub voxels: usize,
    /// The same in mm³.
    pub volume_mm3: f64,
    /// Those that took the place of white matter.
    pub white_matter_voxels: usize,
}

/// Places lesions of the configured share. Tissue under them becomes white matter,
/// so that they look alike wherever they lie.
pub(super) fn place(
    config: &PhantomConfig,
    shapes: &MaskShapes,
    brain: &mut [Voxel],
    rng: &mut ChaCha8Rng,
) -> Result<(Lesions, Vec<MaskLesion>), PhantomError> {
    let (white, target) = white_matter(config, brain)?;
    let mut field = Field::within(config, brain, |voxel| voxel.inside());
    let tolerance = shapes.tolerance(target);
    // Those that are not yet known to fit nowhere.
    let mut pool: Vec<usize> = (0..shapes.len()).collect();
    let mut placed: Vec<MaskLesion> = Vec::new();
    let mut left = target;
    while left > tolerance || (left > 0 && placed.is_empty()) {
        if pool.is_empty() {
            return Err(PhantomError::NoRoom {
                needed: target,
                placed: target - left,
            });
        }
        let drawn = draw(shapes, &pool, left, tolerance, rng);
        match put(&mut field, shapes.get(pool[drawn]), brain, &white, rng) {
            Some(lesion) => {
                left = left.saturating_sub(lesion.voxels);
                placed.push(lesion);
            }
            None => {
                pool.remove(drawn);
            }
        }
    }
    for (voxel, label) in brain.iter_mut().zip(&field.lesions.label) {
        if *label == 1 && voxel.white < WHITE_ENOUGH {
            voxel.become_white();
        }
    }
    Ok((field.lesions, placed))
}

/// Which lesion of the pool comes next. One that would exceed what is left makes
/// way for the nearest in size, and when that is not near enough either, for a
/// smaller one.
fn draw(
    shapes: &MaskShapes,
    pool: &[usize],
    left: usize,
    tolerance: usize,
    rng: &mut ChaCha8Rng,
) -> usize {
    let size = |at: usize| shapes.get(pool[at]).voxels;
    let drawn = rng.random_range(0..pool.len());
    if size(drawn) < left {
        return drawn;
    }
    let beside = |at: usize| size(at).abs_diff(left);
    let nearest = (0..pool.len()).map(beside).min().unwrap_or(0);
    let smaller: Vec<usize> = (0..pool.len()).filter(|&at| size(at) < left).collect();
    // Any that is near enough, or subjects of a small share would all have one shape.
    let within = tolerance.max(nearest);
    let among = match nearest <= tolerance || smaller.is_empty() {
        true => (0..pool.len()).filter(|&at| beside(at) <= within).collect(),
        false => smaller,
    };
    among[rng.random_range(0..among.len())]
}

/// Puts a lesion where white matter has room for it, or else where most of it, and
/// more than half, lies in the brain, whose edge then cuts it; `None` when no place
/// was found.
fn put(
    field: &mut Field,
    shape: &MaskShape,
    brain: &[Voxel],
    white: &[usize],
    rng: &mut ChaCha8Rng,
) -> Option<MaskLesion> {
    // Not even half of it could lie in the grid, and it may be too large for memory.
    if shape.box_mm3() > 2.0 * brain.len() as f64 * field.voxel_mm3() {
        return None;
    }
    let turn = shape.draw_turn(rng);
    let strength = rng.random_range(0.8..1.15);
    let voxels = shape.on_grid(&turn, field.spacing);
    let middle = middle(&voxels);
    let mut best: Option<(Room, [usize; 3])> = None;
    for _ in 0..ATTEMPTS {
        let Some(seed) = field.draw_seed(brain, white, rng) else {
            continue;
        };
        let seed = field.coordinates(seed);
        let Some(room) = room(field, brain, &voxels, middle, seed) else {
            continue;
        };
        if best.as_ref().is_none_or(|(other, _)| room > *other) {
            best = Some((room, seed));
        }
        if room.white == voxels.len() {
            break;
        }
    }
    let (room, seed) = best.filter(|(room, _)| 2 * room.inside > voxels.len())?;
    let taken: Vec<usize> = voxels
        .iter()
        .filter_map(|&voxel| field.at(voxel, middle, seed))
        .filter(|&voxel| brain[voxel].inside())
        .collect();
    for &voxel in &taken {
        field.lesions.label[voxel] = 1;
        field.lesions.strength[voxel] = strength;
    }
    for &voxel in &taken {
        field.close_around(voxel);
    }
    Some(MaskLesion {
        mask: shape.mask.clone(),
        component: shape.component,
        voxels: room.inside,
        volume_mm3: room.inside as f64 * field.voxel_mm3(),
        white_matter_voxels: room.white,
    })
}

/// How many voxels of a lesion lie in the brain, and in white matter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Room {
    inside: usize,
    white: usize,
}

/// The room for a lesion whose `middle` lies at `seed`; `None` where it would
/// touch another.
fn room(
    field: &Field,
    brain: &[Voxel],
    voxels: &[[usize; 3]],
    middle: [usize; 3],
    seed: [usize; 3],
) -> Option<Room> {
    let mut room = Room {
        inside: 0,
        white: 0,
    };
    for &voxel in voxels {
        let Some(at) = field.at(voxel, middle, seed) else {
            continue;
        };
        if brain[at].inside() {
            if !field.free[at] {
                return None;
            }
            room.inside += 1;
            room.white += usize::from(brain[at].white >= WHITE_ENOUGH);
        }
    }
    Some(room)
}

/// The voxel of a lesion nearest to its centre of mass.
fn middle(voxels: &[[usize; 3]]) -> [usize; 3] {
    let mean = |a: usize| voxels.iter().map(|v| v[a] as f64).sum::<f64>() / voxels.len() as f64;
    let centre = [0, 1, 2].map(mean);
    let squared = |v: &[usize; 3]| -> f64 {
        let from = [0, 1, 2].map(|a| v[a] as f64 - centre[a]);
        dot(from, from)
    };
    let nearest = |a: &[usize; 3], b: &[usize; 3]| squared(a).total_cmp(&squared(b));
    voxels.iter().copied().min_by(nearest).unwrap_or([0; 3])
}
