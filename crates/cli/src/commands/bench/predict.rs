//! `lacuna bench predict`

use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_train::device::PrecisionName;
use lacuna_train::pace::{VolumePace, VolumeScene};
use lacuna_volume::PatchSize;
use serde::Serialize;

use super::{Measure, Model, median, show};
use crate::terminal::Progress;

#[derive(clap::Args)]
pub struct Arguments {
    /// The images of one subject, NIfTI files on one grid, one per modality
    #[arg(required = true, value_name = "FILE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: Model,
    /// Voxels of the input window: one number, or one for each axis, x first; chosen when
    /// left out, as by lacuna predict
    #[arg(long, value_name = "N[,N,N]")]
    window: Option<PatchSize>,
    /// Brain mask: only windows that touch it are computed
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Serialize)]
struct Figures {
    net: String,
    precision: String,
    windows: usize,
    voxels: usize,
    /// All windows of the volume, blended, to class indices; without reading.
    predict_s_median: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        images,
        model,
        window,
        mask,
        measure,
    } = arguments;
    let compute = model.compute()?;
    let scene = VolumeScene {
        images,
        mask: mask.as_deref(),
        network: model.net,
        window: *window,
    };
    let mut bar = Progress::new("bench", 0, u64::from(measure.repeat) * 1000);
    let pace = VolumePace::measure(&scene, compute, measure.repeat, &mut |turn, done, total| {
        let share = (1000 * done / total.max(1)) as u64;
        bar.at(1000 * u64::from(turn) + share, "");
    })?;
    bar.finish();

    let figures = Figures {
        net: model.net.to_string(),
        precision: PrecisionName::from(model.precision).to_string(),
        windows: pace.windows,
        voxels: pace.voxels,
        predict_s_median: median(&pace.seconds),
    };
    let rows = vec![
        [
            "network".into(),
            format!("{}, untrained, {}", figures.net, figures.precision),
        ],
        ["windows".into(), figures.windows.to_string()],
        ["voxels".into(), figures.voxels.to_string()],
        [
            "median".into(),
            format!("{:.2} s a volume", figures.predict_s_median),
        ],
    ];
    show(measure, &figures, rows)
}
