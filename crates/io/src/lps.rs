//! To and from the left-posterior-superior axes of DICOM, ITK and NRRD.

use lacuna_volume::Affine;

/// Spacings, directions of the three voxel axes and position of the first voxel, in the
/// left-posterior-superior axes of DICOM, ITK and NRRD.
pub(crate) fn to_lps(affine: &Affine) -> ([f64; 3], [[f64; 3]; 3], [f64; 3]) {
    let sign = [-1.0, -1.0, 1.0];
    let spacing = affine.spacing().0;
    let column = |axis: usize| [0, 1, 2].map(|w| sign[w] * affine.0[w][axis] / spacing[axis] + 0.0);
    let origin = [0, 1, 2].map(|w| sign[w] * affine.0[w][3] + 0.0);
    (spacing, [0, 1, 2].map(column), origin)
}

/// From the left-posterior-superior axes of DICOM, ITK and NRRD to RAS+: columns of the three
/// voxel axes (mm) and the position of the first voxel.
pub(crate) fn from_lps(columns: [[f64; 3]; 3], origin: [f64; 3]) -> Affine {
    let sign = [-1.0, -1.0, 1.0];
    Affine(std::array::from_fn(|row| {
        let [x, y, z] = columns.map(|column| sign[row] * column[row]);
        // No negative zeros.
        [x, y, z, sign[row] * origin[row]].map(|v| v + 0.0)
    }))
}

/// The direction across two others, as long as the area that they span.
pub(crate) fn cross(x: [f64; 3], y: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|at| {
        let (a, b) = ((at + 1) % 3, (at + 2) % 3);
        x[a] * y[b] - x[b] * y[a]
    })
}
