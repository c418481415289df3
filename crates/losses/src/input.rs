//! What a loss is evaluated on.

use crate::{Layout, LossError, Options, Real};
use lacuna_volume::Zyx;

/// What is true of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Reference<'a, F> {
    /// `[batch, elements]`: the class of each element. With a sigmoid, channel c
    /// is to be on where the label is c; a single channel, where it is 1.
    Labels(&'a [u8]),
    /// `[batch, classes, elements]`, each from 0 to 1: the share of each class;
    /// exclusive classes add up to 1. With overlapping regions, which regions an
    /// element belongs to.
    Soft(&'a [F]),
}

/// The grid of a patch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchGrid {
    /// Elements along each axis; 1 along an axis that a two-dimensional patch
    /// does not have.
    pub shape: Zyx<usize>,
    /// Distance of neighbours along each axis, in mm.
    pub spacing: Zyx<f64>,
}

impl PatchGrid {
    /// A square or cube of 1 mm spacing.
    pub fn millimetres(edge: usize, rank: usize) -> Self {
        Self {
            shape: Zyx([0, 1, 2].map(|axis| if axis + rank < 3 { 1 } else { edge })),
            spacing: Zyx([1.0; 3]),
        }
    }
}

/// Maps of the reference that were made once from the whole subject, cut as the
/// patch is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceMaps<'a> {
    /// `[batch, classes, elements]`: signed distances in mm, as of
    /// [`signed_distances`](crate::maps::signed_distances).
    pub distance: Option<&'a [f32]>,
    /// `[batch, elements]`: number of the lesion that an element belongs to, 0
    /// outside, as of [`lesions`](crate::maps::lesions).
    pub lesion: Option<&'a [u32]>,
}

/// What a loss is evaluated on. Arrays are in memory order, last axis fastest;
/// `elements` is the flattened patch.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a, F> {
    /// Sizes of the arrays.
    pub layout: Layout,
    /// `[batch, classes, elements]`.
    pub logits: &'a [F],
    /// What is true.
    pub reference: Reference<'a, F>,
    /// `[batch, elements]`: weight of each element, at least 0; 0 where it shall
    /// count nowhere, as a valid mask says.
    pub weights: Option<&'a [f32]>,
    /// The grid of each sample, for losses that read distances or neighbours.
    pub grid: Option<PatchGrid>,
    /// Maps of the whole subject. What is not given is made from the patch.
    pub maps: ReferenceMaps<'a>,
    /// Training iteration, for losses whose terms change over a training.
    pub iteration: u64,
}

impl<'a, F: Real> Input<'a, F> {
    /// Logits and hard labels, nothing else.
    pub fn new(layout: Layout, logits: &'a [F], labels: &'a [u8]) -> Self {
        Self {
            layout,
            logits,
            reference: Reference::Labels(labels),
            weights: None,
            grid: None,
            maps: ReferenceMaps::default(),
            iteration: 0,
        }
    }

    /// The same where its logits are `f32`.
    pub(crate) fn as_f32(&self) -> Option<Input<'a, f32>> {
        Some(Input {
            layout: self.layout,
            logits: F::as_f32(self.logits)?,
            reference: match self.reference {
                Reference::Labels(labels) => Reference::Labels(labels),
                Reference::Soft(shares) => Reference::Soft(F::as_f32(shares)?),
            },
            weights: self.weights,
            grid: self.grid,
            maps: self.maps,
            iteration: self.iteration,
        })
    }

    /// The one sample `sample`, as a batch.
    pub(crate) fn sample(&self, sample: usize) -> Self {
        let Layout {
            classes, elements, ..
        } = self.layout;
        let plane = sample * elements..(sample + 1) * elements;
        let planes = plane.start * classes..plane.end * classes;
        Self {
            layout: Layout {
                batch: 1,
                ..self.layout
            },
            logits: &self.logits[planes.clone()],
            reference: match self.reference {
                Reference::Labels(labels) => Reference::Labels(&labels[plane.clone()]),
                Reference::Soft(shares) => Reference::Soft(&shares[planes.clone()]),
            },
            weights: self.weights.map(|weights| &weights[plane.clone()]),
            maps: ReferenceMaps {
                distance: self.maps.distance.map(|distance| &distance[planes]),
                lesion: self.maps.lesion.map(|lesion| &lesion[plane]),
            },
            ..*self
        }
    }

    /// Checks the lengths of all arrays, and the shape.
    pub(crate) fn check_lengths(&self, gradient: &[F]) -> Result<(), LossError> {
        let layout = &self.layout;
        let all = layout.logit_count()?;
        let plane = layout.batch * layout.elements;
        let reference = match self.reference {
            Reference::Labels(labels) => ("labels", labels.len(), plane),
            Reference::Soft(shares) => ("soft labels", shares.len(), all),
        };
        let given = |values: Option<usize>, expected| values.unwrap_or(expected);
        for (array, found, expected) in [
            ("logits", self.logits.len(), all),
            ("gradient", gradient.len(), all),
            reference,
            ("weights", given(self.weights.map(<[_]>::len), plane), plane),
            (
                "distance map",
                given(self.maps.distance.map(<[_]>::len), all),
                all,
            ),
            (
                "lesion map",
                given(self.maps.lesion.map(<[_]>::len), plane),
                plane,
            ),
            (
                "elements of the grid",
                given(
                    self.grid.map(|g| g.shape.0.iter().product()),
                    layout.elements,
                ),
                layout.elements,
            ),
        ] {
            if found != expected {
                return Err(layout.length_error(array, found, expected));
            }
        }
        match self.grid {
            Some(grid) if !grid.spacing.0.iter().all(|s| s.is_finite() && *s > 0.0) => {
                Err(LossError::Spacing {
                    found: grid.spacing.to_xyz(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Checks every label or soft label, logit and weight.
    pub(crate) fn check_values(&self, options: &Options) -> Result<(), LossError> {
        let layout = &self.layout;
        match self.reference {
            Reference::Labels(labels) => layout.check_labels(labels, options.ignore_label)?,
            Reference::Soft(shares) => layout.check_soft_labels(shares, options.activation)?,
        }
        layout.check_logits(self.logits)?;
        match self.weights {
            Some(weights) => layout.check_weights(weights),
            None => Ok(()),
        }
    }
}
