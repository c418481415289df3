//! How fast a whole volume is predicted.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_data::normalise::{NormaliseConfig, NormaliseMethod};
use lacuna_data::sampler::Plane;
use lacuna_data::subject::{Preprocess, load_case};
use lacuna_nets::{ModelConfig, ModelName, Network};
use lacuna_volume::PatchSize;

use super::timed;
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::outputs::Outputs;
use crate::predict::{Session, SingleNetwork, WindowOptions, predict_case};
use crate::run::RunError;

/// What is predicted: the images of one subject on one grid, by an untrained network.
#[derive(Clone, Debug)]
pub struct VolumeScene<'a> {
    /// An image for each modality.
    pub images: &'a [PathBuf],
    /// Only windows that touch it are computed.
    pub mask: Option<&'a Path>,
    /// The network.
    pub network: ModelName,
    /// Voxels of the input window; chosen where there are none.
    pub window: Option<PatchSize>,
}

/// Predicting a volume: all windows, blended, to class indices, without reading.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumePace {
    /// Seconds of each repetition.
    pub seconds: Vec<f64>,
    /// Windows of the volume.
    pub windows: usize,
    /// Voxels of the volume.
    pub voxels: usize,
}

impl VolumePace {
    /// Predicts `repeat` times. `on_window` hears the repetition, the windows done in it and
    /// the windows in all.
    ///
    /// # Errors
    /// When an image cannot be used or the window is refused.
    pub fn measure(
        scene: &VolumeScene,
        compute: Compute,
        repeat: u32,
        on_window: &mut dyn FnMut(u32, usize, usize),
    ) -> Result<Self, RunError> {
        let manifest = manifest(scene)?;
        let preprocess = Preprocess {
            normalise: NormaliseConfig {
                method: NormaliseMethod::ZScore,
                ..NormaliseConfig::default()
            },
            ..Preprocess::default()
        };
        let case = load_case(&manifest, &manifest.subjects[0], &preprocess)?;
        let config = ModelConfig::new(scene.network);
        let outputs = Outputs::new(&RunConfig::default(), &manifest.classes)?;
        let channels = scene.images.len();
        let network = Network::new(&config, channels, outputs.count(), 0, compute.device())?;
        let single = SingleNetwork::new(network, compute, outputs, Plane::default());
        let stop = AtomicBool::new(false);
        let session = Session {
            windows: WindowOptions {
                window: scene.window,
                ..WindowOptions::default()
            },
            ..Session::new(&stop)
        };
        let mut windows = 0;
        let mut seconds = Vec::new();
        for repetition in 0..repeat {
            let (predicted, taken) = timed(|| {
                predict_case(&single, &case, session, &mut |done, total| {
                    windows = total;
                    on_window(repetition, done, total);
                })
            });
            predicted?;
            seconds.push(taken);
        }
        Ok(Self {
            seconds,
            windows,
            voxels: case.channels[0].data().len(),
        })
    }
}

/// One subject with the images of the scene.
fn manifest(scene: &VolumeScene) -> Result<Manifest, RunError> {
    let names: Vec<String> = (0..scene.images.len())
        .map(|i| format!("image {}", i + 1))
        .collect();
    let mut subject = Subject {
        id: "image".to_owned(),
        mask: scene.mask.map(Path::to_owned),
        ..Subject::default()
    };
    for (name, file) in names.iter().zip(scene.images) {
        let file = ImageRef::parse(&file.to_string_lossy());
        subject.images.insert(name.clone(), file);
    }
    let classes = vec!["background".to_owned(), "foreground".to_owned()];
    let label_values = (0..).zip(classes.iter().cloned()).collect();
    Ok(Manifest::new(
        Path::new("FILE"),
        "bench".to_owned(),
        names,
        classes,
        label_values,
        vec![subject],
    )?)
}
