//! The memory that a training step takes, known before the first.

use lacuna_nets::{Architecture, ModelName};
use lacuna_volume::{PatchSize, Zyx};

use crate::config::{MOST_ACCUMULATED, MemoryLimit, RunConfig, TooLarge};
use crate::run::RunError;

/// What a process takes beside the network.
const BESIDE: u64 = 64 << 20;
/// Of each parameter: itself, its gradient, two moments and a copy on the way to the disk.
const BYTES_PER_PARAMETER: u64 = 20;

/// Bytes that a step takes at its peak for each value that the layers make of a batch: the
/// difference of measured peaks at 1 and at 4 times the same batch, with Adam in f32.
fn bytes_per_value(network: ModelName) -> f64 {
    match network {
        ModelName::Unet => 5.6,
        ModelName::PaddedUnet => 4.1,
        ModelName::TwoPathCnn => 6.5,
        ModelName::DeepMedic => 7.7,
        ModelName::HighRes3dNet => 3.2,
        ModelName::PlainConvUnet => 5.0,
        ModelName::ResidualEncoderUnet => 4.6,
    }
}

/// Bytes that a training step of a run takes, about. `inputs` and `outputs` are channels.
///
/// # Errors
/// When the network cannot take patches of that size.
pub fn step_bytes(config: &RunConfig, inputs: usize, outputs: usize) -> Result<u64, RunError> {
    let [lengths, _] = Architecture::of(&config.model)?.patch(config.patch.size)?;
    let plan = config.model.plan(inputs, outputs)?;
    // The architecture has taken them, so that the layers do, too.
    let values = plan.values(lengths).unwrap_or(f64::INFINITY);
    let images = (inputs * lengths.0.iter().product::<usize>()) as f64;
    let parameters = BYTES_PER_PARAMETER * plan.parameter_count() as u64;
    let values = config.train.batch as f64 * (values + images);
    let step = bytes_per_value(config.model.name) * values;
    Ok(BESIDE
        .saturating_add(parameters)
        .saturating_add(step as u64))
}

/// Refuses a run whose steps need more memory than there is, with the largest batch and the
/// largest patch that fit.
///
/// # Errors
/// [`RunError::Memory`], and those of [`step_bytes`].
pub(crate) fn check(config: &RunConfig, inputs: usize, outputs: usize) -> Result<(), RunError> {
    let free = MemoryLimit::Share(100).bytes();
    let needed = step_bytes(config, inputs, outputs)?;
    if needed <= free {
        return Ok(());
    }
    let fits = |batch: usize, size: PatchSize| {
        let mut smaller = config.clone();
        (smaller.train.batch, smaller.patch.size) = (batch, size);
        step_bytes(&smaller, inputs, outputs).is_ok_and(|bytes| bytes <= free)
    };
    let (batch, size) = (config.train.batch, config.patch.size);
    Err(RunError::Memory {
        needed,
        free,
        batch,
        patch: size,
        batch_that_fits: largest_below(batch, |batch| fits(batch, size)),
        patch_that_fits: (smaller_patches(config)?.into_iter()).find(|size| fits(batch, *size)),
    })
}

/// The largest number from 1 to below `end` that fits, where none fits that is larger than one
/// that does not.
fn largest_below(end: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut fitting, mut beyond) = (0, end);
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        match fits(middle) {
            true => fitting = middle,
            false => beyond = middle,
        }
    }
    (fitting > 0).then_some(fitting)
}

/// As [`check`], but a batch that is too large is taken in as few equal parts as fit, where
/// `train.too_large` says so; `config` then has them. Tells of it.
///
/// # Errors
/// As [`check`], also where a single patch does not fit.
pub(crate) fn fit(
    config: &mut RunConfig,
    inputs: usize,
    outputs: usize,
) -> Result<Option<String>, RunError> {
    let Err(refused) = check(config, inputs, outputs) else {
        return Ok(None);
    };
    let train = &mut config.train;
    let most = match refused {
        RunError::Memory {
            batch_that_fits: Some(most),
            ..
        } if train.too_large == TooLarge::Accumulate => most,
        refused => return Err(refused),
    };
    let whole = train.batch;
    let part = (1..=most).rev().find(|part| whole.is_multiple_of(*part));
    let part = part.expect("one patch is a part");
    let accumulate = train.accumulate * (whole / part);
    if accumulate > MOST_ACCUMULATED {
        return Err(refused);
    }
    (train.batch, train.accumulate) = (part, accumulate);
    Ok(Some(format!(
        "a batch of {whole} patches does not fit into memory: it is taken in parts of {part}, whose \
         gradients are averaged (train.batch = {part}, train.accumulate = {accumulate})"
    )))
}

/// Legal patches with no edge above those of `config`, the largest first.
fn smaller_patches(config: &RunConfig) -> Result<Vec<PatchSize>, RunError> {
    let architecture = Architecture::of(&config.model)?;
    let [Zyx(lengths), _] = architecture.patch(config.patch.size)?;
    let Zyx(axes) = architecture.axes();
    let longest = lengths.iter().copied().max().unwrap_or(1);
    let cut = |edge: usize| {
        let mut cut = lengths;
        for (axis, length) in axes.iter().zip(&mut cut) {
            let most = edge.min(*length);
            *length = (1..=most).rev().find(|length| axis.is_legal(*length))?;
        }
        Some(PatchSize::of(Zyx(cut), architecture.rank()))
    };
    let mut sizes: Vec<PatchSize> = (1..longest).rev().map_while(cut).collect();
    sizes.dedup();
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> RunConfig {
        let text = format!("dataset = \"d.toml\"\n[model]\nname = \"unet\"\n{text}");
        RunConfig::parse(&text, &[], "test", std::path::Path::new(".")).unwrap()
    }

    #[test]
    fn more_of_anything_takes_more() {
        let of = |text: &str| step_bytes(&config(text), 1, 2).unwrap();
        let small = of("[patch]\nsize = 108\n[train]\nbatch = 2");
        let twice = of("[patch]\nsize = 108\n[train]\nbatch = 4");
        let thrice = of("[patch]\nsize = 108\n[train]\nbatch = 6");
        assert!((thrice - twice).abs_diff(twice - small) <= 1);
        assert!(of("[patch]\nsize = 124\n[train]\nbatch = 2") > small);
        assert!(of("width = 0.5\n[patch]\nsize = 108\n[train]\nbatch = 2") < small);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_what_would() {
        let mut huge = config("[patch]\nsize = 108");
        huge.train.batch = 10_000_000;
        let error = check(&huge, 1, 2).unwrap_err();
        let RunError::Memory {
            needed,
            free,
            batch_that_fits: Some(batch),
            patch_that_fits: None,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert!(needed > free);
        let mut smaller = huge.clone();
        smaller.train.batch = batch;
        assert!(step_bytes(&smaller, 1, 2).unwrap() <= free);
        smaller.train.batch = batch + 1;
        assert!(step_bytes(&smaller, 1, 2).unwrap() > free);
        let told = error.to_string();
        assert!(told.contains(&format!("train.batch = {batch}")), "{told}");
        assert!(told.contains("train.accumulate"), "{told}");
        check(&config("[patch]\nsize = 108"), 1, 2).unwrap();

        // Asked to, it is taken in two parts, as a half is the largest that fits.
        let mut parts = huge.clone();
        (parts.train.batch, parts.train.too_large) = (2 * batch, TooLarge::Accumulate);
        parts.train.accumulate = 3;
        let told = fit(&mut parts, 1, 2).unwrap().unwrap();
        assert_eq!((parts.train.batch, parts.train.accumulate), (batch, 6));
        assert!(told.contains(&format!("train.batch = {batch}")), "{told}");
        assert_eq!(fit(&mut parts, 1, 2).unwrap(), None);
        // In more parts than an iteration may have, or refused by default, it stays as it is.
        for (patches, too_large) in [
            (100_000_007, TooLarge::Accumulate),
            (2 * batch, TooLarge::Refuse),
        ] {
            let mut refused = huge.clone();
            (refused.train.batch, refused.train.too_large) = (patches, too_large);
            assert!(fit(&mut refused, 1, 2).is_err());
            assert_eq!(refused.train.batch, patches);
        }
    }
}
