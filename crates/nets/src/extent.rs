//! What layers do to the length of an axis.

use crate::plan::{Conv, Faces, Layer};

/// The effect of one layer on the length `n` of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One value for each window of `span` voxels, the windows `stride` voxels
    /// apart: `(n - span) / stride + 1`, which must be whole.
    Window { span: usize, stride: usize },
    /// The same with zeros at both ends, `(span - 1) / 2` voxels each: `n / stride`,
    /// which must be whole.
    Padded { span: usize, stride: usize },
    /// This many voxels for each one: `n` times the factor.
    Grow(usize),
    /// Voxels dropped at the start and at the end of the axis.
    Crop { before: usize, after: usize },
    /// Odd lengths only.
    Odd,
    /// Parallel branches that end in one: equal lengths needed.
    Join(Vec<Vec<Extent>>),
    /// A detour whose output is joined with its own input, cropped centrally to
    /// the length of the detour's output.
    Skip(Vec<Extent>),
}

/// What `layers` do along axis `axis` of z, y, x.
pub(crate) fn along(layers: &[Layer], axis: usize) -> Vec<Extent> {
    let window = |window: usize, stride: usize| Extent::Window {
        span: window,
        stride,
    };
    layers
        .iter()
        .filter_map(|layer| match layer {
            Layer::Conv(conv) => Some(of_conv(conv, axis)),
            Layer::Transposed(transposed) => Some(Extent::Grow(transposed.factor.0[axis])),
            Layer::MaxPool { window: w, stride } => Some(window(w.0[axis], stride.0[axis])),
            Layer::MeanPool(block) | Layer::Centres(block) => {
                Some(window(block.0[axis], block.0[axis]))
            }
            Layer::Replicate(factor) => Some(Extent::Grow(factor.0[axis])),
            Layer::Crop { before, after } => Some(Extent::Crop {
                before: before.0[axis],
                after: after.0[axis],
            }),
            Layer::Odd => Some(Extent::Odd),
            Layer::Join(branches) => Some(Extent::Join(
                branches.iter().map(|branch| along(branch, axis)).collect(),
            )),
            Layer::Skip { detour, .. } => Some(Extent::Skip(along(detour, axis))),
            Layer::Residual { change, shortcut } => Some(Extent::Join(vec![
                along(change, axis),
                along(shortcut, axis),
            ])),
            Layer::Norm(_) | Layer::Rectify(_) | Layer::Maxout(_) | Layer::Output(_) => None,
        })
        .collect()
}

fn of_conv(conv: &Conv, axis: usize) -> Extent {
    let (span, stride) = (conv.reach(axis) + 1, conv.stride.0[axis]);
    match conv.faces {
        Faces::Valid => Extent::Window { span, stride },
        Faces::Padded => Extent::Padded { span, stride },
    }
}

/// A length on its way through the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Length in voxels.
    pub length: usize,
    /// How many voxels at either end depend on padded zeros.
    pub padded: usize,
}

impl Walk {
    fn cropped(self, before: usize, after: usize) -> Result<Self, String> {
        match self.length.checked_sub(before + after) {
            Some(length) if length > 0 => Ok(Self {
                length,
                padded: self.padded.saturating_sub(before.min(after)),
            }),
            _ => Err(format!(
                "a layer drops {} voxels where {} are left",
                before + after,
                self.length
            )),
        }
    }

    pub(crate) fn through(self, layers: &[Extent]) -> Result<Self, String> {
        layers.iter().try_fold(self, Self::layer)
    }

    fn layer(self, layer: &Extent) -> Result<Self, String> {
        match layer {
            Extent::Window { span, stride } => {
                // What the length loses, the windows see: the first output voxel
                // still reads the first input voxel.
                let left = self.cropped(span - stride.min(span), 0)?.length;
                Ok(Self {
                    length: whole(left, *stride)?,
                    padded: self.padded.div_ceil(*stride),
                })
            }
            Extent::Padded { span, stride } => Ok(Self {
                length: whole(self.length, *stride)?,
                padded: (self.padded + (span - 1) / 2).div_ceil(*stride),
            }),
            Extent::Grow(factor) => Ok(Self {
                length: self.length * factor,
                padded: self.padded * factor,
            }),
            Extent::Crop { before, after } => self.cropped(*before, *after),
            Extent::Odd if self.length % 2 == 1 => Ok(self),
            Extent::Odd => Err(format!("{} is even and must be odd", self.length)),
            Extent::Join(branches) => self.join(branches),
            Extent::Skip(detour) => self.skip(detour),
        }
    }

    fn skip(self, detour: &[Extent]) -> Result<Self, String> {
        let inner = self.through(detour)?;
        let excess = self.length.checked_sub(inner.length).ok_or(format!(
            "a detour makes {} voxels of {}",
            inner.length, self.length
        ))?;
        if excess % 2 == 1 {
            return Err(format!(
                "{} voxels cannot be cropped centrally to {}",
                self.length, inner.length
            ));
        }
        let skipped = self.cropped(excess / 2, excess / 2)?;
        Ok(Self {
            length: inner.length,
            padded: inner.padded.max(skipped.padded),
        })
    }

    fn join(self, branches: &[Vec<Extent>]) -> Result<Self, String> {
        let ends: Vec<Self> = branches
            .iter()
            .map(|branch| self.through(branch))
            .collect::<Result<_, _>>()?;
        let length = ends.first().map_or(self.length, |end| end.length);
        if let Some(other) = ends.iter().find(|end| end.length != length) {
            return Err(format!(
                "two branches end with {length} and {} voxels",
                other.length
            ));
        }
        let padded = ends.iter().map(|end| end.padded).max().unwrap_or(0);
        Ok(Self { length, padded })
    }
}

/// `length / part`, if that is whole.
fn whole(length: usize, part: usize) -> Result<usize, String> {
    match length.is_multiple_of(part) {
        true => Ok(length / part),
        false => Err(format!(
            "a layer that needs a multiple of {part} would receive {length}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(length: usize, layers: &[Extent]) -> Result<usize, String> {
        let start = Walk { length, padded: 0 };
        start.through(layers).map(|end| end.length)
    }

    /// Lengths as PyTorch's `(n + 2 padding - span) / stride + 1`.
    #[test]
    fn windows_and_strides_by_hand() {
        let window = |span, stride| [Extent::Window { span, stride }];
        assert_eq!(end(9, &window(3, 1)), Ok(7));
        assert_eq!(end(8, &window(2, 2)), Ok(4));
        assert_eq!(end(9, &window(3, 2)), Ok(4));
        assert_eq!(
            end(7, &window(2, 2)),
            Err("a layer that needs a multiple of 2 would receive 7".to_owned())
        );
        assert!(end(2, &window(3, 1)).is_err());
        let padded = |span, stride| [Extent::Padded { span, stride }];
        assert_eq!(end(8, &padded(3, 2)), Ok(4));
        assert_eq!(end(8, &padded(1, 2)), Ok(4));
        assert!(end(9, &padded(3, 2)).is_err());
    }

    #[test]
    fn branches_of_unequal_length_are_refused() {
        let valid = |span| Extent::Window { span, stride: 1 };
        let layers = [Extent::Join(vec![vec![valid(3)], vec![valid(5)]])];
        assert_eq!(
            end(9, &layers),
            Err("two branches end with 7 and 5 voxels".to_owned())
        );
        let layers = [Extent::Skip(vec![Extent::Grow(2)])];
        assert_eq!(
            end(9, &layers),
            Err("a detour makes 18 voxels of 9".to_owned())
        );
    }
}
