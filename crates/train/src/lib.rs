//! The training loop, checkpoints and prediction.
//!
//! [`config::RunConfig`] says what to do, [`training::train`] does it into a
//! run folder ([`run`]), and a [`predictor::Predictor`] applies the result, or the mean of
//! several, to images.

pub mod apply;
pub mod augmentation;
pub mod checkpoint;
pub mod choice;
mod clip;
mod collapse;
pub mod compute;
pub mod config;
pub mod dataset;
pub mod device;
pub mod doctor;
pub mod events;
pub mod footprint;
pub mod into_folder;
mod loss_maps;
pub mod onnx;
pub mod origin;
pub mod outputs;
pub mod pace;
pub mod postprocess;
pub mod predict;
pub mod predictor;
pub mod run;
pub mod schedule;
pub mod step;
pub mod training;
pub mod validation;
