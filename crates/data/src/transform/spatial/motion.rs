//! What is drawn for one patch.

use rand_chacha::ChaCha8Rng;

use super::Spatial;
use super::elastic::Elastic;
use crate::transform::Frame;
use crate::transform::span::happens;

/// How the voxels of a patch find what they show. A voxel at the offset d (in voxels)
/// from the patch's centre reads at M (d + u(d)), also in voxels from the centre.
#[derive(Clone, Debug)]
pub(super) struct Motion {
    /// M: turns back, divides by the magnification; from voxels to voxels.
    pub(super) matrix: [[f64; 3]; 3],
    /// Size of what is shown as a multiple of its own.
    pub(super) magnification: f64,
    /// u, in voxels.
    pub(super) elastic: Option<Elastic>,
}

impl Motion {
    /// `None` when neither turn, scale nor deformation is drawn. Nothing moves along an
    /// axis of one voxel.
    pub(super) fn draw(options: &Spatial, frame: &Frame, rng: &mut ChaCha8Rng) -> Option<Self> {
        let slice_axis = (0..3).find(|a| frame.input[*a] == 1);
        let turned = happens(options.rotation_probability, rng);
        let scaled = happens(options.scale_probability, rng);
        let deformed = happens(options.elastic_probability, rng);
        if !(turned || scaled || deformed) {
            return None;
        }
        let mut degrees = [0.0; 3];
        if turned {
            let axes = &options.rotation_axes;
            let free = |axis: usize| axes.is_empty() || axes.iter().any(|a| a.index() == axis);
            for (axis, angle) in degrees.iter_mut().enumerate() {
                if slice_axis.map_or(free(axis), |slice| slice == axis) {
                    *angle = options.rotation.draw(rng);
                }
            }
        }
        let magnification = match scaled {
            true => options.scale.draw_log(rng),
            false => 1.0,
        };
        let elastic = deformed.then(|| {
            let most_mm = options.elastic_mm.draw(rng);
            Elastic::draw(frame, most_mm, options.elastic_spacing_mm, rng)
        });
        Some(Self {
            matrix: matrix(degrees, magnification, frame, slice_axis),
            magnification,
            elastic,
        })
    }

    /// Voxels beyond each edge that are read: of images and of labels, which both lie
    /// around the centre.
    pub(super) fn margin(&self, frame: &Frame) -> [usize; 3] {
        let displaced = self.elastic.as_ref().map_or([0.0; 3], |e| e.most);
        let beyond = |size: [usize; 3], axis: usize| {
            let half = size.map(|n| (n as f64 - 1.0) / 2.0);
            let row = self.matrix[axis];
            let reach: f64 = (0..3)
                .map(|b| row[b].abs() * (half[b] + displaced[b]))
                .sum();
            // Less than rounding moves a position.
            (reach - half[axis] - 1e-6).ceil().max(0.0) as usize
        };
        [0, 1, 2].map(|a| beyond(frame.input, a).max(beyond(frame.effective, a)))
    }
}

/// S^-1 R^T S / magnification, where S has the spacing on its diagonal and R turns about
/// x, then y, then z. Along the axis of a slice it is the identity.
fn matrix(
    degrees: [f64; 3],
    magnification: f64,
    frame: &Frame,
    slice_axis: Option<usize>,
) -> [[f64; 3]; 3] {
    let [x, y, z] = degrees.map(f64::to_radians).map(f64::sin_cos);
    let turn_x = [[1.0, 0.0, 0.0], [0.0, x.1, -x.0], [0.0, x.0, x.1]];
    let turn_y = [[y.1, 0.0, y.0], [0.0, 1.0, 0.0], [-y.0, 0.0, y.1]];
    let turn_z = [[z.1, -z.0, 0.0], [z.0, z.1, 0.0], [0.0, 0.0, 1.0]];
    let turn = product(turn_z, product(turn_y, turn_x));
    let spacing = frame.spacing.0;
    let mut matrix = [[0.0; 3]; 3];
    for (a, row) in matrix.iter_mut().enumerate() {
        for (b, value) in row.iter_mut().enumerate() {
            *value = match (slice_axis == Some(a), slice_axis == Some(b)) {
                (true, true) => 1.0,
                (false, false) => turn[b][a] * spacing[b] / (spacing[a] * magnification),
                _ => 0.0,
            };
        }
    }
    matrix
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    a.map(|row| [0, 1, 2].map(|c| (0..3).map(|k| row[k] * b[k][c]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};
    use crate::transform::Span;
    use lacuna_volume::Spacing;

    fn frame(input: [usize; 3], spacing: [f64; 3]) -> Frame {
        Frame {
            input,
            effective: input,
            spacing: Spacing(spacing),
        }
    }

    #[test]
    fn a_quarter_turn_on_unequal_voxels_by_hand() {
        // A voxel one step (2 mm) along x shows what lay 2 mm along -y: half a voxel.
        let m = matrix([0.0, 0.0, 90.0], 1.0, &frame([9; 3], [2.0, 4.0, 1.0]), None);
        let expected = [[0.0, 2.0, 0.0], [-0.5, 0.0, 0.0], [0.0, 0.0, 1.0]];
        for (row, expected) in m.iter().zip(expected) {
            assert!(
                row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
                "{m:?}"
            );
        }
        // Three times as large: a third of the way.
        let m = matrix([0.0; 3], 3.0, &frame([9; 3], [2.0, 4.0, 1.0]), None);
        assert!((m[0][0] - 1.0 / 3.0).abs() < 1e-12 && (m[1][1] - m[2][2]).abs() < 1e-12);
        // Slices have no z to scale.
        let m = matrix([0.0; 3], 2.0, &frame([9, 9, 1], [1.0; 3]), Some(2));
        assert_eq!([m[0][0], m[1][1], m[2][2]], [0.5, 0.5, 1.0]);
    }

    #[test]
    fn the_margin_is_what_is_read() {
        let motion = |degrees: [f64; 3], magnification, frame: &Frame| Motion {
            matrix: matrix(degrees, magnification, frame, None),
            magnification,
            elastic: None,
        };
        // Half-widths 4, 1, 1: a turn of 90 degrees reads 4 along y and 1 along x.
        let bar = frame([9, 3, 3], [1.0; 3]);
        assert_eq!(motion([0.0, 0.0, 90.0], 1.0, &bar).margin(&bar), [0, 3, 0]);
        // sqrt(2) * 4 = 5.66 of 4.
        let cube = frame([9, 9, 9], [1.0; 3]);
        assert_eq!(
            motion([0.0, 0.0, 45.0], 1.0, &cube).margin(&cube),
            [2, 2, 0]
        );
        // Half as large reads twice as far; larger reads no margin.
        assert_eq!(motion([0.0; 3], 0.5, &cube).margin(&cube), [4; 3]);
        assert_eq!(motion([0.0; 3], 2.0, &cube).margin(&cube), [0; 3]);
        // Labels of half-width 4, 0: turned they need 4 beyond, the images only 3.
        let bordered = Frame {
            input: [11, 5, 1],
            effective: [9, 1, 1],
            ..bar
        };
        assert_eq!(
            motion([0.0, 0.0, 90.0], 1.0, &bordered).margin(&bordered)[1],
            4
        );
    }

    #[test]
    fn what_never_happens_is_not_drawn_and_slices_turn_in_their_plane() {
        let mut options = Spatial {
            rotation_probability: 0.0,
            scale_probability: 0.0,
            elastic_probability: 0.0,
            rotation: Span(10.0, 30.0),
            ..Spatial::default()
        };
        let rng = |sample| keyed_rng(1, Domain::Transform, 0, sample);
        let cube = frame([9; 3], [1.0; 3]);
        assert!((0..50).all(|i| Motion::draw(&options, &cube, &mut rng(i)).is_none()));
        options.rotation_probability = 0.5;
        let drawn = (0..1000).filter(|i| Motion::draw(&options, &cube, &mut rng(*i)).is_some());
        // SD 16.
        assert!(drawn.count().abs_diff(500) < 64);
        options.rotation_probability = 1.0;
        let slice = frame([9, 1, 9], [1.0; 3]);
        let m = Motion::draw(&options, &slice, &mut rng(0)).unwrap().matrix;
        assert_eq!([m[0][1], m[1][0], m[1][2], m[1][1]], [0.0, 0.0, 0.0, 1.0]);
        assert!(m[0][2].abs() > 0.1);
    }
}
