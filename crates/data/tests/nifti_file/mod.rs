//! Tiny NIfTI-1 files, written field by field after the standard so that the
//! tests do not rest on this workspace's own writer.

use std::path::Path;

/// Axes R A S, 1 mm, origin at voxel 0.
pub const UNIT: [[f32; 4]; 3] = [
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
];

/// Writes 32-bit floats with an sform; makes the folder too.
pub fn write(path: &Path, shape: &[usize], sform: [[f32; 4]; 3], values: &[f32]) {
    assert_eq!(shape.iter().product::<usize>(), values.len());
    let mut file = vec![0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    put(40, &(shape.len() as i16).to_le_bytes());
    for axis in 0..7 {
        let length = shape.get(axis).copied().unwrap_or(1) as i16;
        put(42 + 2 * axis, &length.to_le_bytes());
        put(80 + 4 * axis, &1f32.to_le_bytes());
    }
    put(70, &16i16.to_le_bytes()); // float32
    put(72, &32i16.to_le_bytes());
    put(76, &1f32.to_le_bytes());
    for axis in 0..3 {
        let squares: f32 = sform.iter().map(|row| row[axis] * row[axis]).sum();
        put(80 + 4 * axis, &squares.sqrt().to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(123, &[2]); // mm
    put(254, &1i16.to_le_bytes());
    for (i, value) in sform.iter().flatten().enumerate() {
        put(280 + 4 * i, &value.to_le_bytes());
    }
    put(344, b"n+1\0");
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file).unwrap();
}
