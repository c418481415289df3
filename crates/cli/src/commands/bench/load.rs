//! `lacuna bench load`

use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_train::pace::LoadPace;
use serde::Serialize;

use super::{Measure, median, show};

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
    let pace = LoadPace::measure(file, measure.repeat)?;
    let figures = Figures {
        load_s_median: median(&pace.seconds),
        voxels: pace.voxels,
        bytes_file: pace.bytes_file,
        bytes_voxels: pace.bytes_voxels,
    };
    let rate = |bytes: u64| format!("{:.0} MB/s", bytes as f64 / 1e6 / figures.load_s_median);
    let [x, y, z] = pace.shape;
    let rows = vec![
        ["file".into(), file.display().to_string()],
        ["voxels".into(), format!("{x}x{y}x{z}")],
        ["median".into(), format!("{:.4} s", figures.load_s_median)],
        ["of the file".into(), rate(figures.bytes_file)],
        ["uncompressed".into(), rate(figures.bytes_voxels)],
    ];
    show(measure, &figures, rows)
}
