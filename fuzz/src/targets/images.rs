//! Images of every format, read in every way.

use std::path::Path;

use lacuna_io::{
    ImageError, Reference, files_of, read_image, read_labels, read_reference, read_volume,
};
use lacuna_volume::Volume;

use super::{Outcome, goldens};
use crate::input::Input;

/// Those of a folder that are one file each.
fn single(folder: &str, endings: &[&str]) -> Vec<Input> {
    let files = goldens(folder, endings).into_iter();
    files.map(|(name, bytes)| Input::new(name, bytes)).collect()
}

/// Those whose header and voxels are two files; either is damaged.
fn pair(folder: &str, header: &str, voxels: &str) -> Input {
    let all = goldens(folder, &[header, voxels]);
    let of = |wanted: &str| {
        let found = all.iter().find(|(name, _)| name == wanted);
        found.expect("a file of the corpus").1.clone()
    };
    Input::new(header, of(header)).with(voxels, of(voxels))
}

pub fn nifti() -> Vec<Input> {
    let mut inputs = single("nifti", &[".nii", ".nii.gz"]);
    inputs.extend([
        pair("nifti", "pair.hdr", "pair.img"),
        pair("nifti", "pair2.hdr", "pair2.img"),
        pair("nifti", "pair_gz.hdr.gz", "pair_gz.img.gz"),
    ]);
    inputs
}

pub fn nrrd() -> Vec<Input> {
    let mut inputs = single("formats", &[".nrrd"]);
    inputs.extend([
        pair("formats", "plain.nhdr", "plain.raw"),
        pair("formats", "packed.nhdr", "packed.raw.gz"),
        pair("formats", "tail.nhdr", "tail.raw"),
        pair("formats", "lines.nhdr", "two.raw"),
    ]);
    inputs
}

pub fn metaimage() -> Vec<Input> {
    let mut inputs = single("formats", &[".mha"]);
    inputs.extend([
        pair("formats", "plain.mhd", "plain.raw"),
        pair("formats", "packed.mhd", "packed.zraw"),
        pair("formats", "tail.mhd", "tail.raw"),
    ]);
    inputs
}

pub fn mgh() -> Vec<Input> {
    single("formats", &[".mgh", ".mgz"])
}

pub fn png() -> Vec<Input> {
    single("formats", &[".png"])
}

pub fn jpeg() -> Vec<Input> {
    single("formats", &[".jpg"])
}

pub fn tiff() -> Vec<Input> {
    single("formats", &[".tif"])
}

/// Two slices of each series, in a folder.
pub fn dicom() -> Vec<Input> {
    let series = std::fs::read_dir(super::golden("dicom")).expect("the corpus is there");
    let mut names: Vec<String> = (series.flatten())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let input = |name: String| {
        let mut files = goldens(&format!("dicom/{name}"), &[".dcm"]);
        files.truncate(2);
        for (file, _) in &mut files {
            *file = format!("series/{file}");
        }
        Input { files }
    };
    names.into_iter().map(input).collect()
}

pub fn segmentations() -> Vec<Input> {
    single("dicom_seg", &[".dcm"])
}

/// Reads a file, or the folder that it is in, in every way.
pub fn read(folder: &Path, input: &Input) -> Outcome {
    let path = match input.name().split_once('/') {
        Some((series, _)) => folder.join(series),
        None => folder.join(input.name()),
    };
    let _ = files_of(&path);
    let reference = read_reference(&path);
    let volumes = reference.as_ref().map_or(1, Reference::volumes);
    if let Some(fault) = reference.as_ref().ok().and_then(placed) {
        return Outcome::Wrong(fault);
    }
    drop(read_labels(&path));
    let one = read_image(&path).map(drop);
    let image = match lacuna_io::read(&path) {
        // Too many for all of them; one can be had.
        Err(ImageError::TooManyVolumes { .. }) => {
            return Outcome::of(read_volume(&path, volumes - 1).map(drop));
        }
        Err(error) => {
            return match one {
                Ok(()) => Outcome::Wrong(format!("one volume, but not all: {error}")),
                Err(_) => Outcome::Refused(error.to_string()),
            };
        }
        Ok(image) => image,
    };
    let own = reference.is_ok_and(|reference| reference.grid() == image.reference.grid());
    if !own || image.volumes.len() != volumes || one.is_ok() != (volumes == 1) {
        return Outcome::Wrong(format!("{volumes} volumes are {}", image.volumes.len()));
    }
    for at in [0, volumes / 2, volumes - 1] {
        match read_volume(&path, at) {
            Ok(volume) if same(&volume, &image.volumes[at]) => {}
            Ok(_) => return Outcome::Wrong(format!("volume {at} is another among all")),
            Err(error) => return Outcome::Wrong(format!("volume {at} alone: {error}")),
        }
    }
    match read_volume(&path, volumes) {
        Err(ImageError::NoSuchVolume { .. }) => Outcome::Decoded,
        _ => Outcome::Wrong(format!("{volumes} volumes have a volume {volumes}")),
    }
}

/// What is wrong with the place of the voxels.
fn placed(reference: &Reference) -> Option<String> {
    let grid = reference.grid();
    let edges = grid.spacing().0;
    let numbers = grid.affine.0.as_flattened().iter().chain(&edges);
    let finite = numbers
        .chain(&[grid.affine.voxel_mm3()])
        .all(|v| v.is_finite());
    let some = grid.affine.voxel_mm3() > 0.0 && edges.iter().all(|mm| *mm > 0.0);
    let shape = !grid.shape.contains(&0) && reference.volumes() > 0;
    (!finite || !some || !shape).then(|| format!("{:?}, voxels of {edges:?}", grid.affine.0))
}

fn same(a: &Volume<f32>, b: &Volume<f32>) -> bool {
    let bits = |volume: &Volume<f32>| {
        volume
            .data()
            .iter()
            .map(|v| v.to_bits())
            .collect::<Vec<_>>()
    };
    a.grid() == b.grid() && (a.data() == b.data() || bits(a) == bits(b))
}
