//! Synthetic brain subjects with lesions of a known share, for demonstrations,
//! tests and studies of imbalance.
//!
//! A subject is a skull-stripped brain in three modalities, [`MODALITIES`]:
//! folded cortex, white matter, ventricles, deep grey nuclei, cerebellum and
//! brain stem (`anatomy`), lesions in the white matter (`lesions`; of real shape:
//! `mask_shapes`, `mask_lesions`) and what a scanner makes of them: contrast, arbitrary units, bias field, Rician noise
//! (`appearance`). The brain always fills the grid, whatever the spacing; a
//! grid one voxel high shows the axial slice through the basal ganglia.
//!
//! Axes are RAS+, `x` fastest in memory. Anatomy, lesions, bias and noise draw
//! from streams of their own, so that two configurations that differ only in
//! the foreground share have the same brains, bias and noise.

mod anatomy;
mod appearance;
mod cohort;
mod config;
mod lesions;
mod mask_lesions;
mod mask_shapes;
mod shapes;

use lacuna_volume::{Affine, LabelMap, Spacing, Volume};

pub use cohort::{subject_ids, write_cohort};
pub use config::{PhantomConfig, PhantomError};
pub use mask_lesions::MaskLesion;

use crate::rng::{Domain, keyed_rng};
use anatomy::Anatomy;
use mask_shapes::MaskShapes;

/// Modalities of a phantom in channel order.
pub const MODALITIES: [&str; 3] = ["T1", "T2", "FLAIR"];

/// Classes of a phantom.
pub const CLASSES: [&str; 2] = ["background", "lesion"];

/// Tissue of a voxel before any lesion, in [`PhantomSubject::tissue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tissue {
    /// Outside the brain.
    Background = 0,
    /// Ventricles, sulci and the rim around the brain.
    Csf = 1,
    /// Cortex of cerebrum and cerebellum.
    Grey = 2,
    /// Thalamus, caudate, putamen and pallidum.
    DeepGrey = 3,
    /// White matter.
    White = 4,
}

/// One synthetic subject; all volumes lie on the same grid.
#[derive(Clone, Debug, PartialEq)]
pub struct PhantomSubject {
    /// One image per modality of [`MODALITIES`], 0 outside the brain.
    pub images: [Volume<f32>; 3],
    /// 0 background, 1 lesion.
    pub label: LabelMap,
    /// 1 inside the brain.
    pub mask: LabelMap,
    /// The tissue that fills most of each voxel, as [`Tissue`] numbers.
    pub tissue: LabelMap,
    /// The lesions of [`PhantomConfig::lesion_masks`] in the order they were placed;
    /// empty without that key.
    pub mask_lesions: Vec<MaskLesion>,
    /// Intensity of white matter in each image before bias and noise.
    pub white_intensity: [f32; 3],
}

impl PhantomSubject {
    /// 1 where white matter fills most of the voxel and there is no lesion.
    pub fn healthy_white_matter(&self) -> LabelMap {
        let mut lesion = self.label.data().iter();
        self.tissue.map(|&tissue| {
            let healthy = lesion.next() == Some(&0);
            u8::from(healthy && tissue == Tissue::White as u8)
        })
    }
}

/// What a stream of random numbers is for, the last part of its key.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Stream {
    Anatomy = 0,
    Lesions = 1,
    /// One per modality follows.
    Appearance = 2,
}

/// Makes subject `subject` (counted from 0) of a cohort. It depends on the
/// configuration and that number alone.
///
/// # Errors
/// A value of the configuration outside its range, a foreground share that the
/// white matter cannot hold, or lesion masks that cannot be read, hold no lesion or
/// only lesions for which there is no room.
pub fn phantom(config: &PhantomConfig, subject: usize) -> Result<PhantomSubject, PhantomError> {
    config.check()?;
    with_shapes(config, MaskShapes::of(config)?.as_ref(), subject)
}

/// Reads the lesion masks that a configuration names, to tell what is wrong with them before
/// anything is made.
///
/// # Errors
/// Lesion masks that cannot be read or hold no lesion.
pub fn check_masks(config: &PhantomConfig) -> Result<(), PhantomError> {
    MaskShapes::of(config).map(drop)
}

/// As [`phantom`], with the lesion masks read before.
fn with_shapes(
    config: &PhantomConfig,
    shapes: Option<&MaskShapes>,
    subject: usize,
) -> Result<PhantomSubject, PhantomError> {
    let rng =
        |stream: Stream| keyed_rng(config.seed, Domain::Phantom, subject as u64, stream as u64);
    let affine = centred_affine(config.shape, config.spacing);
    let anatomy = Anatomy::draw(&mut rng(Stream::Anatomy));
    let mut brain = anatomy.sample(config.shape);
    // Before lesions of real shape, which may replace other tissue.
    let mask = brain.iter().map(|v| u8::from(v.inside())).collect();
    let tissue = brain.iter().map(|v| v.tissue() as u8).collect();
    let (lesion, mask_lesions) = match shapes {
        None => {
            let lesion = lesions::place(config, &brain, &mut rng(Stream::Lesions))?;
            (lesion, Vec::new())
        }
        Some(shapes) => mask_lesions::place(config, shapes, &mut brain, &mut rng(Stream::Lesions))?,
    };
    let (images, white_intensity) = appearance::scan(config, &brain, &lesion, |modality| {
        let stream = Stream::Appearance as u64 + modality as u64;
        keyed_rng(config.seed, Domain::Phantom, subject as u64, stream)
    });

    let [t1, t2, flair] = images.map(|image| Volume::new(config.shape, affine, image));
    let labels = |data: Vec<u8>| Volume::new(config.shape, affine, data);
    Ok(PhantomSubject {
        images: [t1?, t2?, flair?],
        label: labels(lesion.label)?,
        mask: labels(mask)?,
        tissue: labels(tissue)?,
        mask_lesions,
        white_intensity,
    })
}

/// Voxel axes along R, A, S with the world origin at the centre of the grid.
fn centred_affine(shape: [usize; 3], spacing: [f64; 3]) -> Affine {
    let mut affine = Affine::from_spacing(Spacing(spacing));
    for (axis, row) in affine.0.iter_mut().enumerate() {
        row[3] = -0.5 * spacing[axis] * (shape[axis] as f64 - 1.0);
    }
    affine
}
