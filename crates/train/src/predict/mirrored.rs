//! A model asked about a window and its mirror images (test-time augmentation).

use lacuna_data::sampler::Plane;
use lacuna_data::transform::{AnatomicalAxis, AxesError, check_axes, mirror};
use lacuna_nets::Architecture;

use super::model::{NotFinite, Window, WindowModel};
use crate::outputs::Outputs;
use crate::run::RunError;

/// The mean of what a model says of a window and of its mirror images along every
/// combination of some axes, each turned back.
pub struct Mirrored<'a> {
    model: &'a dyn WindowModel,
    /// Axes of the network: 0 is x.
    axes: Vec<usize>,
}

impl<'a> Mirrored<'a> {
    /// `axes` are those of the volume.
    ///
    /// # Errors
    /// [`RunError::Mirror`] for an axis that is named twice, or that the slices of a
    /// 2-D network lie across.
    pub fn new(model: &'a dyn WindowModel, axes: &[AnatomicalAxis]) -> Result<Self, RunError> {
        let (rank, plane) = (model.architecture().rank(), model.plane());
        Ok(Self {
            model,
            axes: network_axes(axes, rank, plane)?,
        })
    }
}

/// Axes of a network of that rank, whose slices lie in `plane` where it is 2-D.
fn network_axes(
    axes: &[AnatomicalAxis],
    rank: usize,
    plane: Plane,
) -> Result<Vec<usize>, AxesError> {
    let slices = (rank == 2).then_some(plane);
    check_axes(axes, slices)?;
    let of_volume = slices.map_or([0, 1, 2], Plane::axes);
    let place = |axis: &AnatomicalAxis| of_volume.iter().position(|a| *a == axis.index());
    Ok(axes.iter().filter_map(place).collect())
}

impl WindowModel for Mirrored<'_> {
    fn architecture(&self) -> Architecture {
        self.model.architecture()
    }

    fn plane(&self) -> Plane {
        self.model.plane()
    }

    fn outputs(&self) -> &Outputs {
        self.model.outputs()
    }

    fn values(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        // An even border lies alike on both sides, so that a mirrored window gives the
        // mirrored effective window.
        let effective = self.model.architecture().effective_size(window.size);
        let effective = effective.expect("a window is legal for its model");
        let ways = 1usize << self.axes.len();
        let mut sum = self.model.values(window.clone())?;
        for way in 1..ways {
            let bits = self.axes.iter().enumerate();
            let along = bits.filter(|(bit, _)| way >> bit & 1 == 1);
            let along: Vec<usize> = along.map(|(_, axis)| *axis).collect();
            let mut turned = window.clone();
            for &axis in &along {
                mirror(&mut turned.values, window.size.to_xyz(), axis);
            }
            let mut there = self.model.values(turned)?;
            for &axis in &along {
                mirror(&mut there, effective.to_xyz(), axis);
            }
            (sum.iter_mut().zip(there)).for_each(|(sum, p)| *sum += p);
        }
        sum.iter_mut().for_each(|p| *p /= ways as f32);
        Ok(sum)
    }

    fn finish(&self, means: &mut [f32]) {
        self.model.finish(means);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_those_of_the_slices() {
        use AnatomicalAxis::{InferiorSuperior, LeftRight, PosteriorAnterior};
        let found = network_axes(&[LeftRight, InferiorSuperior], 2, Plane::Coronal);
        assert_eq!(found.unwrap(), [0, 1]);
        let found = network_axes(&[InferiorSuperior], 2, Plane::Sagittal);
        assert_eq!(found.unwrap(), [1]);
        let found = network_axes(&[InferiorSuperior, LeftRight], 3, Plane::Axial);
        assert_eq!(found.unwrap(), [2, 0]);
        let refused = network_axes(&[PosteriorAnterior], 2, Plane::Coronal).unwrap_err();
        assert!(refused.to_string().contains("across"), "{refused}");
        let refused = network_axes(&[LeftRight, LeftRight], 3, Plane::Axial).unwrap_err();
        assert!(refused.to_string().contains("twice"), "{refused}");
    }
}
