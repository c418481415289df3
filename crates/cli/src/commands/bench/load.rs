//! `lacuna bench load`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use lacuna_io::{read_image, read_reference};
use serde::Serialize;

use super::{Measure, median, show, timed};

#[derive(clap::Args)]
pub struct Arguments {
    /// The image: .nii, .nii.gz, or the .img of a pair
    file: PathBuf,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Serialize)]
struct Figures {
    /// From the file's name to a volume in memory.
    load_s_median: f64,
    voxels: usize,
    /// As they are on the disk.
    bytes_file: u64,
    /// Of all voxels, uncompressed, in the file's datatype.
    bytes_voxels: u64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { file, measure } = arguments;
    let header = read_reference(file)?;
    // Untimed, so that the file is in the system's cache.
    let voxels = read_image(file)?.data().len();
    let bytes_file = std::fs::metadata(file)
        .with_context(|| format!("cannot read {}", file.display()))?
        .len();
    let mut seconds = Vec::new();
    for _ in 0..measure.repeat {
        let (image, taken) = timed(|| read_image(file));
        image?;
        seconds.push(taken);
    }

    let figures = Figures {
        load_s_median: median(&seconds),
        voxels,
        bytes_file,
        bytes_voxels: voxels as u64 * header.voxel_bytes() as u64,
    };
    let rate = |bytes: u64| format!("{:.0} MB/s", bytes as f64 / 1e6 / figures.load_s_median);
    let [x, y, z] = header.shape();
    let rows = vec![
        ["file".into(), file.display().to_string()],
        ["voxels".into(), format!("{x}x{y}x{z}")],
        ["median".into(), format!("{:.4} s", figures.load_s_median)],
        ["of the file".into(), rate(figures.bytes_file)],
        ["uncompressed".into(), rate(figures.bytes_voxels)],
    ];
    show(measure, &figures, rows)
}
