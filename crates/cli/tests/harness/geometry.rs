//! Volumes turned in the patient, worked out voxel by voxel.

use std::path::Path;

use lacuna_io::Reference;
use lacuna_volume::{Affine, Volume};

/// New axis `a` is old axis `from[a]`, run backwards where `flipped[a]`.
#[derive(Clone, Copy)]
pub struct Turn {
    pub from: [usize; 3],
    pub flipped: [bool; 3],
}

impl Turn {
    /// The same voxels in another order; each keeps its place in the patient.
    pub fn apply<T: Clone>(self, old: &Volume<T>) -> Volume<T> {
        let mut first = [0.0; 3];
        for (axis, flipped) in self.from.into_iter().zip(self.flipped) {
            if flipped {
                first[axis] = (old.shape()[axis] - 1) as f64;
            }
        }
        let origin = old.affine().apply(first);
        let affine = Affine(std::array::from_fn(|row| {
            let step = |a: usize| {
                let step = old.affine().0[row][self.from[a]];
                if self.flipped[a] { -step } else { step }
            };
            [step(0), step(1), step(2), origin[row]]
        }));
        Volume::new(self.shape(old), affine, self.data(old)).unwrap()
    }

    /// Undoes [`Self::apply`] for the voxels alone.
    pub fn undo<T: Clone>(self, new: &Volume<T>, old_shape: [usize; 3]) -> Vec<T> {
        let mut data = Vec::with_capacity(new.len());
        for z in 0..old_shape[2] {
            for y in 0..old_shape[1] {
                for x in 0..old_shape[0] {
                    let old = [x, y, z];
                    let at = std::array::from_fn(|a| {
                        let n = new.shape()[a];
                        let i = old[self.from[a]];
                        if self.flipped[a] { n - 1 - i } else { i }
                    });
                    data.push(new.data()[new.index(at)].clone());
                }
            }
        }
        data
    }

    fn shape<T>(self, old: &Volume<T>) -> [usize; 3] {
        self.from.map(|axis| old.shape()[axis])
    }

    fn data<T: Clone>(self, old: &Volume<T>) -> Vec<T> {
        let shape = self.shape(old);
        let mut data = Vec::with_capacity(old.len());
        for z in 0..shape[2] {
            for y in 0..shape[1] {
                for x in 0..shape[0] {
                    let new = [x, y, z];
                    let mut at = [0; 3];
                    for a in 0..3 {
                        let i = new[a];
                        at[self.from[a]] = if self.flipped[a] { shape[a] - 1 - i } else { i };
                    }
                    data.push(old.data()[old.index(at)].clone());
                }
            }
        }
        data
    }
}

/// Turned about the patient's axes by some degrees each, without a voxel moved
/// in memory: an oblique scan.
pub fn oblique<T: Clone>(volume: &Volume<T>) -> Volume<T> {
    let [a, b] = [0.2f64, 0.1];
    let about_z = Affine([
        [a.cos(), -a.sin(), 0.0, 3.0],
        [a.sin(), a.cos(), 0.0, -7.0],
        [0.0, 0.0, 1.0, 11.0],
    ]);
    let about_x = Affine([
        [1.0, 0.0, 0.0, 0.0],
        [0.0, b.cos(), -b.sin(), 0.0],
        [0.0, b.sin(), b.cos(), 0.0],
    ]);
    let affine = about_x.after(&about_z.after(volume.affine()));
    Volume::new(volume.shape(), affine, volume.data().to_vec()).unwrap()
}

/// The same voxels in memory on another affine, so that they show an anatomy
/// that is turned too.
pub fn relabelled<T: Clone>(volume: &Volume<T>, affine: Affine) -> Volume<T> {
    Volume::new(volume.shape(), affine, volume.data().to_vec()).unwrap()
}

/// The bits of the affine in a file's header.
pub fn affine_bits(path: &Path) -> [[u64; 4]; 3] {
    let header: Reference = lacuna_io::read_reference(path).unwrap();
    header.affine().0.map(|row| row.map(f64::to_bits))
}
