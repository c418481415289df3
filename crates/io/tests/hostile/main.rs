//! Damaged and lying files of every format: each is refused with an error that names it, and
//! none of them panics or takes memory for voxels that are not there.

mod claims;
mod formats;
mod others;
mod sizes;
mod values;
mod volumes;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use lacuna_io::nifti::NiftiError;
use lacuna_io::{
    ImageError, Reference, read, read_image, read_labels, read_reference, write_image,
};
use lacuna_volume::{Affine, Volume};
use tempfile::TempDir;

const DIM: usize = 40;
const DATATYPE: usize = 70;
const PIXDIM: usize = 76;
const VOX_OFFSET: usize = 108;
const SLOPE: usize = 112;
const QFORM_CODE: usize = 252;
const SFORM_CODE: usize = 254;
const QUATERN: usize = 256;
const SROW_X: usize = 280;
const MAGIC: usize = 344;

/// A sound 4x3x2 image of 32-bit floating point, in bytes.
fn sound() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sound.nii");
        let data = (0..24).map(|v| v as f32).collect();
        let image = Volume::new([4, 3, 2], Affine::identity(), data).unwrap();
        write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
        fs::read(path).unwrap()
    });
    bytes.clone()
}

fn changed(at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = sound();
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Reads a file in every way, whatever comes of it.
fn read_whatever(path: &Path) {
    let _ = read_reference(path);
    let _ = read(path);
    let _ = read_image(path);
    let _ = read_labels(path);
}

/// The error of reading `bytes` as a file called `name`, which it must name.
fn refused(name: &str, bytes: &[u8]) -> ImageError {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir, name, bytes);
    let error = read_image(&path).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    error
}

fn refused_field(bytes: &[u8]) -> &'static str {
    match refused("case.nii", bytes) {
        ImageError::Nifti(NiftiError::Field { field, .. }) => field,
        other => panic!("{other}"),
    }
}
