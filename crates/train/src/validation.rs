//! Whole-volume scores of the validation subjects during training.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_data::subject::Case;
use lacuna_metrics::Counts;
use lacuna_nets::Network;

use crate::config::RunConfig;
use crate::predict::{WindowOptions, predict_case};
use crate::run::RunError;

/// Predicts every case, appends one line per case to `validation.jsonl` and
/// returns the mean foreground DSC (both empty scores 1).
///
/// # Errors
/// When prediction or writing fails.
pub fn score(
    run: &Path,
    iteration: u64,
    network: &Network,
    cases: &[Case],
    classes: usize,
    config: &RunConfig,
    device: &Device,
    stop: &AtomicBool,
) -> Result<f64, RunError> {
    let path = run.join("validation.jsonl");
    let mut sum = 0.0;
    for case in cases {
        let prediction = predict_case(
            network,
            config.patch.plane,
            case,
            classes,
            WindowOptions::default(),
            false,
            device,
            stop,
            &mut |_, _| {},
        )?;
        let Some(reference) = &case.label else {
            continue;
        };
        let dsc = Counts::of_foreground(reference.data(), prediction.labels.data())?.dsc();
        let line = serde_json::json!({
            "iteration": iteration, "subject": case.id, "dsc": dsc,
        });
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut f| writeln!(f, "{line}"))
            .map_err(RunError::io(&path))?;
        sum += dsc;
    }
    Ok(sum / cases.len() as f64)
}
