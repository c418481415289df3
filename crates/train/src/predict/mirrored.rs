//! A model asked about a window and its mirror images (test-time augmentation).

use lacuna_data::sampler::Plane;
use lacuna_data::transform::AnatomicalAxis;
use lacuna_nets::Architecture;
use lacuna_volume::Zyx;

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
pub(crate) fn network_axes(
    axes: &[AnatomicalAxis],
    rank: usize,
    plane: Plane,
) -> Result<Vec<usize>, RunError> {
    let of_volume = match rank {
        2 => plane.axes()[..2].to_vec(),
        _ => vec![0, 1, 2],
    };
    let mut found = Vec::new();
    for axis in axes {
        let refused = |message: String| RunError::Mirror { message };
        let place = of_volume.iter().position(|a| *a == axis.index());
        let place = place.ok_or_else(|| {
            refused(format!(
                "the slices of the network lie across {axis}; leave that axis out"
            ))
        })?;
        if found.contains(&place) {
            return Err(refused(format!("{axis} is named twice; name it once")));
        }
        found.push(place);
    }
    Ok(found)
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

    fn probabilities(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        // An even border lies alike on both sides, so that a mirrored window gives the
        // mirrored effective window.
        let effective = self.model.architecture().effective_size(window.size);
        let effective = effective.expect("a window is legal for its model");
        let ways = 1usize << self.axes.len();
        let mut sum = self.model.probabilities(window.clone())?;
        for way in 1..ways {
            let along: [bool; 3] = std::array::from_fn(|axis| {
                let named = self.axes.iter().position(|a| *a == axis);
                named.is_some_and(|bit| way >> bit & 1 == 1)
            });
            let turned = Window {
                values: mirror(&window.values, window.size, along),
                ..window.clone()
            };
            let there = self.model.probabilities(turned)?;
            let back = mirror(&there, effective, along);
            (sum.iter_mut().zip(back)).for_each(|(sum, p)| *sum += p);
        }
        sum.iter_mut().for_each(|p| *p /= ways as f32);
        Ok(sum)
    }
}

/// `values` `[channel, z, y, x]` mirrored along some of x, y and z.
fn mirror(values: &[f32], Zyx([nz, ny, nx]): Zyx<usize>, along: [bool; 3]) -> Vec<f32> {
    let place = |i: usize, n: usize, mirrored: bool| if mirrored { n - 1 - i } else { i };
    let mut result = Vec::with_capacity(values.len());
    for volume in values.chunks_exact(nz * ny * nx) {
        for z in 0..nz {
            for y in 0..ny {
                let line = place(z, nz, along[2]) * ny + place(y, ny, along[1]);
                let row = &volume[line * nx..][..nx];
                match along[0] {
                    true => result.extend(row.iter().rev()),
                    false => result.extend(row),
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_mirrored_along_each_axis() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let size = Zyx([2, 2, 3]);
        let found = mirror(&values, size, [true, false, false]);
        assert_eq!(found[..6], [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
        let found = mirror(&values, size, [false, true, false]);
        assert_eq!(found[..6], [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
        let found = mirror(&values, size, [false, false, true]);
        assert_eq!(found[..6], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        let twice = mirror(&mirror(&values, size, [true; 3]), size, [true; 3]);
        assert_eq!(twice, values);
    }

    #[test]
    fn axes_are_those_of_the_slices() {
        use AnatomicalAxis::{InferiorSuperior, LeftRight, PosteriorAnterior};
        let axes = |axes: &[AnatomicalAxis], rank, plane| network_axes(axes, rank, plane);
        let found = axes(&[LeftRight, InferiorSuperior], 2, Plane::Coronal);
        assert_eq!(found.unwrap(), [0, 1]);
        let found = axes(&[InferiorSuperior], 2, Plane::Sagittal);
        assert_eq!(found.unwrap(), [1]);
        let found = axes(&[InferiorSuperior, LeftRight], 3, Plane::Axial);
        assert_eq!(found.unwrap(), [2, 0]);
        let refused = axes(&[PosteriorAnterior], 2, Plane::Coronal).unwrap_err();
        assert!(refused.to_string().contains("across"), "{refused}");
        let refused = axes(&[LeftRight, LeftRight], 3, Plane::Axial).unwrap_err();
        assert!(refused.to_string().contains("twice"), "{refused}");
    }
}
