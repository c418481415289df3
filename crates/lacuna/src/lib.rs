//! Segmentation of rare structures in 2-D and 3-D medical images.
//!
//! This facade re-exports the crates behind the `lacuna` command:
//!
//! | module | what it holds | needs Burn |
//! |---|---|---|
//! | [`volume`] | volumes, affine geometry, orientation, resampling, components, distance transform | no |
//! | [`io`] | NIfTI-1 and NIfTI-2, atomic writes | no |
//! | [`metrics`] | DSC, HD95, NSD, lesion-wise scores, bootstrap | no |
//! | [`losses`] | losses for rare structures: value and analytic gradient in one operation | no |
//! | [`data`] | manifest, checks, normalisation, samplers, prefetch, phantoms | no |
//! | [`record`] | what runs, predictions, evaluations and studies leave on disk | no |
//! | [`evaluate`] | scores folders of predictions | no |
//! | [`tune`] | thresholds, least volumes and temperatures from out-of-fold predictions | no |
//! | [`view`] | results in a local web page | no |
//! | [`interop`] | checkpoints of PyTorch, ONNX models, TensorBoard event files | no |
//! | [`report`] | overlay pictures, plots, HTML | no |
//! | [`nets`] | UNet (valid and padded), TwoPathCNN, DeepMedic, HighRes3DNet | yes |
//! | [`train`] | run configuration, training loop, checkpoints, prediction | yes |
//! | [`study`] | studies: grids, plans, estimates, executors | yes |
//! | [`auto`] | from a dataset to a tuned and judged model in a given time | yes |
//! | [`demo`] | the whole way on a phantom cohort | yes |
//! | [`page`] | the page of a study, a run or an evaluation | yes |
//!
//! `examples/train_predict_evaluate.rs` goes the whole way. The shortest way from files
//! to numbers:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::atomic::AtomicBool;
//!
//! use lacuna::train::{config::RunConfig, device::DeviceName, training::train};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = RunConfig::read(Path::new("run.toml"), &["train.batch=5".to_owned()])?;
//! let device = DeviceName::Cpu.open()?;
//! let stop = AtomicBool::new(false);
//! let summary = train(&config, Path::new("run"), false, &device, &stop, &mut |_| {})?;
//! println!("{:?}", summary.last_iterations);
//! # Ok(())
//! # }
//! ```

pub mod demo;
pub mod page;

pub use lacuna_auto as auto;
pub use lacuna_data as data;
pub use lacuna_evaluate as evaluate;
pub use lacuna_interop as interop;
pub use lacuna_io as io;
pub use lacuna_losses as losses;
pub use lacuna_metrics as metrics;
pub use lacuna_nets as nets;
pub use lacuna_record as record;
pub use lacuna_report as report;
pub use lacuna_study as study;
pub use lacuna_train as train;
pub use lacuna_tune as tune;
pub use lacuna_view as view;
pub use lacuna_volume as volume;
