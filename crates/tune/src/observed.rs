//! What a subject's probability map says at every threshold, without its voxels.
//!
//! The components of a map at one threshold are a few hundred records. From them any
//! minimum volume and peak is scored, so that a map is read once and then let go.

use lacuna_volume::{Connectivity, Volume, label_components};
use serde::{Deserialize, Serialize};

use crate::TuneError;
use crate::error::check_probability;

/// The thresholds that are tried, ascending.
pub const THRESHOLDS: [f64; 21] = [
    0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8,
    0.85, 0.9, 0.95, 0.98,
];

/// A predicted component (26-connected).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Its size.
    pub voxels: usize,
    /// The highest probability in it.
    pub peak: f32,
    /// Voxels that the reference holds too.
    pub overlap_voxels: usize,
    /// Reference lesions that share a voxel with it, counted from 0, ascending.
    pub touched: Vec<u32>,
}

/// One class of one subject: its reference lesions, and the components of its probability
/// map at every threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub(crate) voxel_mm3: f64,
    /// Voxels of each reference lesion.
    pub(crate) reference: Vec<usize>,
    /// What is predicted without a threshold of its own.
    pub(crate) untuned: Vec<Component>,
    /// The components at each of [`THRESHOLDS`].
    pub(crate) levels: Vec<Vec<Component>>,
}

/// The volumes of one class of one subject, all on one grid.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// Probability of the class, 0 to 1.
    pub probability: &'a Volume<f32>,
    /// Where the reference has the class.
    pub reference: &'a Volume<bool>,
    /// Where the label map without thresholds has it, which with several classes is where
    /// it is the likeliest; where its probability is above 1/2 when absent.
    pub untuned: Option<&'a Volume<bool>>,
    /// Where anything can be predicted; everywhere when absent. Outside, the probability
    /// counts as 0; the reference counts there too, as it does in an evaluation.
    pub mask: Option<&'a Volume<bool>>,
}

impl Observed {
    /// Finds the lesions of the reference and the components at every threshold. A voxel
    /// belongs to a threshold when its probability is at least that, compared in 32 bits.
    ///
    /// # Errors
    /// [`TuneError::Shape`], [`TuneError::Probability`]
    pub fn of(maps: &Maps) -> Result<Self, TuneError> {
        maps.check()?;
        let mut around = Around::of(maps);
        let lesions = label_components(&around.reference, Connectivity::TwentySix);
        let untuned = components(&around.untuned, &around.probability, &lesions.labels);
        let mut reference = lesions.labels;
        let mut levels = Vec::with_capacity(THRESHOLDS.len());
        for threshold in THRESHOLDS {
            let least = threshold as f32;
            let map = &around.probability;
            // What one threshold leaves holds all that the next leaves.
            let place = bounds(map.shape(), |at| map.data()[at] >= least);
            reference = crop(&reference, place);
            around.probability = crop(map, place);
            let inside = around.probability.map(|p| *p >= least);
            levels.push(components(&inside, &around.probability, &reference));
        }
        Ok(Self {
            voxel_mm3: maps.reference.affine().voxel_mm3(),
            reference: lesions.sizes,
            untuned,
            levels,
        })
    }

    /// The components at a threshold, without one those of the untuned label map; `None`
    /// when the threshold is none of [`THRESHOLDS`].
    pub fn components(&self, threshold: Option<f64>) -> Option<&[Component]> {
        let Some(threshold) = threshold else {
            return Some(&self.untuned);
        };
        let at = THRESHOLDS.iter().position(|t| *t == threshold)?;
        Some(&self.levels[at])
    }

    /// Volume of each reference lesion in mm³.
    pub fn reference_mm3(&self) -> impl ExactSizeIterator<Item = f64> {
        let mm3 = |voxels: &usize| *voxels as f64 * self.voxel_mm3;
        self.reference.iter().map(mm3)
    }
}

impl Maps<'_> {
    fn check(&self) -> Result<(), TuneError> {
        let expected = self.reference.shape();
        let shapes = [
            ("probability map", Some(self.probability.shape())),
            ("label map", self.untuned.map(Volume::shape)),
            ("mask", self.mask.map(Volume::shape)),
        ];
        for (volume, found) in shapes {
            if let Some(found) = found.filter(|found| *found != expected) {
                return Err(TuneError::Shape {
                    volume,
                    found,
                    expected,
                });
            }
        }
        let mut voxels = self.probability.data().iter().enumerate();
        voxels.try_for_each(|(at, p)| check_probability(at, *p))
    }
}

/// The volumes, cropped to where anything is.
struct Around {
    /// 0 outside of the mask.
    probability: Volume<f32>,
    reference: Volume<bool>,
    untuned: Volume<bool>,
}

impl Around {
    fn of(maps: &Maps) -> Self {
        let (p, reference) = (maps.probability.data(), maps.reference.data());
        let masked = |at: usize| maps.mask.is_none_or(|mask| mask.data()[at]);
        let untuned = |at: usize| match maps.untuned {
            Some(labels) => labels.data()[at],
            None => p[at] > 0.5,
        };
        let predicted = |at: usize| p[at] >= THRESHOLDS[0] as f32 || untuned(at);
        let place = bounds(maps.reference.shape(), |at| {
            reference[at] || (predicted(at) && masked(at))
        });
        let mut probability = crop(maps.probability, place);
        let mut untuned = match maps.untuned {
            Some(labels) => crop(labels, place),
            None => probability.map(|p| *p > 0.5),
        };
        if let Some(mask) = maps.mask {
            let mask = crop(mask, place);
            let values = (probability.data_mut().iter_mut()).zip(untuned.data_mut());
            for ((p, labelled), _) in values.zip(mask.data()).filter(|(_, mask)| !**mask) {
                (*p, *labelled) = (0.0, false);
            }
        }
        Self {
            probability,
            reference: crop(maps.reference, place),
            untuned,
        }
    }
}

/// First voxel and shape of a box.
type Place = ([usize; 3], [usize; 3]);

/// The box around the voxels, by their place in memory, that are inside; shape 0 when
/// there are none.
fn bounds([nx, ny, nz]: [usize; 3], inside: impl Fn(usize) -> bool) -> Place {
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for z in 0..nz {
        for y in 0..ny {
            let row = nx * (y + ny * z);
            let Some(first) = (0..nx).find(|x| inside(row + x)) else {
                continue;
            };
            let last = (first..nx).rev().find(|x| inside(row + x));
            for (axis, (a, b)) in [(first, last.unwrap_or(first)), (y, y), (z, z)]
                .into_iter()
                .enumerate()
            {
                low[axis] = low[axis].min(a);
                high[axis] = high[axis].max(b);
            }
        }
    }
    match low[0] == usize::MAX {
        true => ([0; 3], [0; 3]),
        false => (low, [0, 1, 2].map(|axis| high[axis] + 1 - low[axis])),
    }
}

/// The box of a volume; its affine stays, of which only the size of a voxel is read.
fn crop<T: Copy>(volume: &Volume<T>, (start, shape): Place) -> Volume<T> {
    let mut data = Vec::with_capacity(shape.iter().product());
    for z in start[2]..start[2] + shape[2] {
        for y in start[1]..start[1] + shape[1] {
            let first = volume.index([start[0], y, z]);
            data.extend_from_slice(&volume.data()[first..first + shape[0]]);
        }
    }
    Volume::new(shape, *volume.affine(), data)
        .expect("the data fill the shape and the affine is that of a volume")
}

/// The components of a mask, with the lesions (counted from 1) that they touch.
fn components(
    inside: &Volume<bool>,
    probability: &Volume<f32>,
    lesions: &Volume<u32>,
) -> Vec<Component> {
    let found = label_components(inside, Connectivity::TwentySix);
    let empty = |voxels: &usize| Component {
        voxels: *voxels,
        peak: 0.0,
        overlap_voxels: 0,
        touched: Vec::new(),
    };
    let mut components: Vec<Component> = found.sizes.iter().map(empty).collect();
    let values = probability.data().iter().zip(lesions.data());
    for (label, (p, lesion)) in found.labels.data().iter().zip(values) {
        let Some(at) = (*label as usize).checked_sub(1) else {
            continue;
        };
        let component = &mut components[at];
        component.peak = component.peak.max(*p);
        if let Some(lesion) = lesion.checked_sub(1) {
            component.overlap_voxels += 1;
            // Neighbours in memory are mostly of one lesion.
            if component.touched.last() != Some(&lesion) {
                component.touched.push(lesion);
            }
        }
    }
    for component in &mut components {
        component.touched.sort_unstable();
        component.touched.dedup();
        component.touched.shrink_to_fit();
    }
    components
}
