//! A patch as a value, and batches of patches.
//!
//! A patch goes through four steps: its place is drawn, it is cut (with a margin
//! that transforms may draw on), transforms change it, and [`collate`] takes the
//! margin off and lays patches side by side.

use lacuna_volume::{LabelMap, Volume};
use serde::{Deserialize, Serialize};

use super::SamplerKind;
use crate::cohort::{CohortError, Held, cut};
use crate::subject::LossMaps;
use crate::window::append_window;

/// Where a patch was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchPlace {
    /// Id of the subject.
    pub subject: String,
    /// Its place in the sampler's list of cases.
    pub index: usize,
    /// First voxel (x, y, z) of the effective patch in the case's volume.
    pub origin: [usize; 3],
    /// The part of the mixture that drew it.
    #[serde(default)]
    pub drawn_by: SamplerKind,
}

/// A part of a subject. Images, labels and maps have one centre; the images reach
/// further by the border. Affines are those of the part, as if it were cut out of
/// the volume; a transform that moves tissue leaves them as they are.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Where it was cut.
    pub place: PatchPlace,
    /// The channels: input patches, and the margin around them.
    pub images: Vec<Volume<f32>>,
    /// The effective patch, and the margin around it.
    pub labels: LabelMap,
    /// What the loss reads, voxel by voxel beside `labels`.
    pub maps: LossMaps,
    /// Where the images show something: inside the subject's mask, or without one where a
    /// channel is neither 0 nor the least of the patch, the values of an outside. Beside
    /// `images`; `None` is everywhere, or that no transform asks.
    pub inside: Option<Volume<bool>>,
    /// Voxels along x, y, z on each side that [`collate`] takes off.
    pub margin: [usize; 3],
}

/// What a network is trained on in one iteration. B patches of C channels, each
/// in C order with x fastest (the faster in-plane axis for 2-D networks).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[B, C, D, H, W]`, or `[B, C, H, W]` for 2-D networks: input patches.
    pub images: Vec<f32>,
    /// `[B, D, H, W]` or `[B, H, W]`: class of each voxel of the effective patches.
    pub labels: Vec<u8>,
    /// What the loss reads beside the labels; empty where the cases have none.
    pub maps: PatchMaps,
    /// Where each of the B patches was cut.
    pub places: Vec<PatchPlace>,
}

impl Batch {
    /// The patches in `parts` batches of as many, in order.
    ///
    /// # Panics
    /// When the patches cannot be divided so.
    pub fn split(&self, parts: usize) -> Vec<Self> {
        assert_eq!(self.places.len() % parts, 0, "parts are of as many patches");
        fn part<T: Clone>(all: &[T], parts: usize, number: usize) -> Vec<T> {
            let length = all.len() / parts;
            all[number * length..][..length].to_vec()
        }
        let of = |number| Self {
            images: part(&self.images, parts, number),
            labels: part(&self.labels, parts, number),
            maps: PatchMaps {
                distance: part(&self.maps.distance, parts, number),
                lesion: part(&self.maps.lesion, parts, number),
                weight: part(&self.maps.weight, parts, number),
            },
            places: part(&self.places, parts, number),
        };
        (0..parts).map(of).collect()
    }
}

/// The [`LossMaps`] of the effective patches, each patch in the order of its labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchMaps {
    /// `[B, classes, D, H, W]`.
    pub distance: Vec<f32>,
    /// `[B, D, H, W]`.
    pub lesion: Vec<u32>,
    /// `[B, D, H, W]`.
    pub weight: Vec<f32>,
}

/// Sizes of patches along x, y, z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Of the images, without the margin.
    pub(super) input: [usize; 3],
    /// Of labels and maps, without the margin.
    pub(super) effective: [usize; 3],
    /// On each side.
    pub(super) margin: [usize; 3],
}

impl Patch {
    /// Cuts a patch; what spills over the volume is filled by reflection.
    ///
    /// # Errors
    /// When a subject on disk cannot be read.
    pub(super) fn cut(
        subject: &Held,
        place: PatchPlace,
        extent: Extent,
    ) -> Result<Self, CohortError> {
        let Extent {
            input,
            effective,
            margin,
        } = extent;
        let window = |size: [usize; 3]| {
            let first = [0, 1, 2].map(|a| {
                let before = (size[a] - effective[a]) / 2 + margin[a];
                place.origin[a] as isize - before as isize
            });
            (first, [0, 1, 2].map(|a| size[a] + 2 * margin[a]))
        };
        let images = subject.images(window(input))?;
        let (labels, maps) = subject.references(window(effective))?;
        Ok(Self {
            place,
            images,
            labels,
            maps,
            inside: None,
            margin,
        })
    }

    /// Finds what is inside; the box is that of the images.
    ///
    /// # Errors
    /// When a subject on disk cannot be read.
    pub(super) fn find_inside(&mut self, subject: &Held) -> Result<(), CohortError> {
        let (images, labels) = (self.images[0].shape(), self.labels.shape());
        let origin = [0, 1, 2].map(|a| {
            let before = (images[a] - labels[a]) / 2 + self.margin[a];
            self.place.origin[a] as isize - before as isize
        });
        self.inside = subject.inside((origin, images), &self.images)?;
        Ok(())
    }

    /// Takes the margin off.
    pub fn trim(&mut self) {
        let margin = std::mem::take(&mut self.margin);
        if margin == [0; 3] {
            return;
        }
        let maps = &mut self.maps;
        for volume in self.images.iter_mut().chain(&mut maps.distance) {
            trim(volume, margin);
        }
        trim(&mut self.labels, margin);
        maps.lesion.iter_mut().for_each(|v| trim(v, margin));
        maps.weight.iter_mut().for_each(|v| trim(v, margin));
        self.inside.iter_mut().for_each(|v| trim(v, margin));
    }
}

fn trim<T: Copy>(volume: &mut Volume<T>, margin: [usize; 3]) {
    let shape = volume.shape();
    let size = [0, 1, 2].map(|a| shape[a] - 2 * margin[a]);
    *volume = cut(volume, (margin.map(|m| m as isize), size));
}

/// Lays patches side by side, without their margins.
pub fn collate(patches: Vec<Patch>) -> Batch {
    let mut batch = Batch::default();
    for patch in patches {
        let Patch { maps, margin, .. } = &patch;
        for image in &patch.images {
            append_inner(&mut batch.images, image, *margin);
        }
        append_inner(&mut batch.labels, &patch.labels, *margin);
        for distance in &maps.distance {
            append_inner(&mut batch.maps.distance, distance, *margin);
        }
        if let Some(lesion) = &maps.lesion {
            append_inner(&mut batch.maps.lesion, lesion, *margin);
        }
        if let Some(weight) = &maps.weight {
            append_inner(&mut batch.maps.weight, weight, *margin);
        }
        batch.places.push(patch.place);
    }
    batch
}

fn append_inner<T: Copy>(out: &mut Vec<T>, volume: &Volume<T>, margin: [usize; 3]) {
    let shape = volume.shape();
    let size = [0, 1, 2].map(|a| shape[a] - 2 * margin[a]);
    append_window(out, volume, margin.map(|m| m as isize), size);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::{Case, LostLesions, Source};
    use lacuna_io::Reference;
    use lacuna_volume::{Affine, Orientation, Spacing};

    /// An axis of five voxels that hold 10, 11, 12, 13, 14, of 2 mm.
    fn case() -> Case {
        let affine = Affine::from_spacing(Spacing([2.0, 1.0, 1.0]));
        let values = vec![10.0, 11.0, 12.0, 13.0, 14.0];
        let image = Volume::new([5, 1, 1], affine, values).unwrap();
        Case {
            id: "a".to_owned(),
            label: Some(image.map(|v| *v as u8)),
            mask: None,
            weight: None,
            lost: LostLesions::default(),
            maps: LossMaps {
                distance: vec![image.map(|v| -v)],
                lesion: Some(image.map(|v| *v as u32)),
                weight: Some(image.map(|v| 2.0 * v)),
            },
            source: Source {
                reference: Reference::from_grid(&image.grid()),
                orientation: Orientation::of(&affine),
                grid: image.grid(),
                mask: None,
                shown: None,
            },
            channels: vec![image],
        }
    }

    #[test]
    fn a_margin_is_cut_around_all_and_taken_off_again() {
        let cut = |margin| {
            let place = PatchPlace {
                subject: "a".to_owned(),
                index: 0,
                origin: [1, 0, 0],
                drawn_by: SamplerKind::default(),
            };
            let extent = Extent {
                input: [3, 1, 1],
                effective: [1, 1, 1],
                margin: [margin, 0, 0],
            };
            Patch::cut(&Held::Memory(Box::new(case())), place, extent).unwrap()
        };
        let patch = cut(2);
        // The input begins at 0, the margin two before: reflected about voxel 0.
        let image = &patch.images[0];
        assert_eq!(image.data(), [12., 11., 10., 11., 12., 13., 14.]);
        assert_eq!(image.affine().apply([0.0; 3]), [-4.0, 0.0, 0.0]);
        assert_eq!(patch.labels.data(), [11, 10, 11, 12, 13]);
        assert_eq!(patch.labels.affine().apply([2.0, 0.0, 0.0])[0], 2.0);
        assert_eq!(
            patch.maps.lesion.as_ref().unwrap().data(),
            [11, 10, 11, 12, 13]
        );

        let mut trimmed = patch.clone();
        trimmed.trim();
        assert_eq!(trimmed.images[0].data(), [10., 11., 12.]);
        assert_eq!(trimmed.images[0].affine(), cut(0).images[0].affine());
        assert_eq!((trimmed.labels.data(), trimmed.margin), (&[11][..], [0; 3]));

        let batch = collate(vec![patch, cut(0)]);
        assert_eq!(batch.images, [10., 11., 12., 10., 11., 12.]);
        assert_eq!(batch.labels, [11, 11]);
        assert_eq!(batch.maps.distance, [-11.0, -11.0]);
        assert_eq!(batch.maps.lesion, [11, 11]);
        assert_eq!(batch.maps.weight, [22.0, 22.0]);
        assert_eq!(batch.places.len(), 2);
    }
}
