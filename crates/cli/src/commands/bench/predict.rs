//! `lacuna bench predict`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_data::normalise::{NormaliseConfig, NormaliseMethod};
use lacuna_data::sampler::Plane;
use lacuna_data::subject::{Preprocess, load_case};
use lacuna_nets::{ModelConfig, Network};
use lacuna_train::config::RunConfig;
use lacuna_train::device::PrecisionName;
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::{Session, SingleNetwork, WindowOptions, predict_case};
use lacuna_volume::PatchSize;
use serde::Serialize;

use super::{Measure, Model, median, show, timed};
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
    let names: Vec<String> = (0..images.len())
        .map(|i| format!("image {}", i + 1))
        .collect();
    let mut subject = Subject {
        id: "image".to_owned(),
        mask: mask.clone(),
        ..Subject::default()
    };
    for (name, file) in names.iter().zip(images) {
        let file = ImageRef::parse(&file.to_string_lossy());
        subject.images.insert(name.clone(), file);
    }
    let classes = vec!["background".to_owned(), "foreground".to_owned()];
    let label_values = (0..).zip(classes.iter().cloned()).collect();
    let manifest = Manifest::new(
        Path::new("FILE"),
        "bench".to_owned(),
        names,
        classes,
        label_values,
        vec![subject],
    )?;
    let preprocess = Preprocess {
        normalise: NormaliseConfig {
            method: NormaliseMethod::ZScore,
            ..NormaliseConfig::default()
        },
        ..Preprocess::default()
    };
    let case = load_case(&manifest, &manifest.subjects[0], &preprocess)?;
    let config = ModelConfig::new(model.net);
    let outputs = Outputs::new(&RunConfig::default(), &manifest.classes)?;
    let channels = images.len();
    let network = Network::new(&config, channels, outputs.count(), 0, compute.device())?;
    let single = SingleNetwork::new(network, compute, outputs, Plane::default());
    let stop = AtomicBool::new(false);
    let session = Session {
        windows: WindowOptions {
            window: *window,
            ..WindowOptions::default()
        },
        ..Session::new(&stop)
    };

    let mut windows = 0;
    let mut seconds = Vec::new();
    let mut bar = Progress::new("bench", 0, u64::from(measure.repeat) * 1000);
    for repetition in 0..u64::from(measure.repeat) {
        let (predicted, taken) = timed(|| {
            predict_case(&single, &case, session, &mut |done, total| {
                windows = total;
                bar.at(1000 * repetition + (1000 * done / total.max(1)) as u64, "");
            })
            .map_err(anyhow::Error::from)
        });
        predicted?;
        seconds.push(taken);
    }
    bar.finish();

    let figures = Figures {
        net: model.net.to_string(),
        precision: PrecisionName::from(model.precision).to_string(),
        windows,
        voxels: case.channels[0].data().len(),
        predict_s_median: median(&seconds),
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
