//! How a configuration prepares images.

use lacuna_data::subject::{NnunetConfig, Resampling, Scheme, Slices};
use lacuna_volume::Spline;
use serde_json::Value;

use super::json::Json;
use crate::error::AutoError;

/// Names of the modalities in the order of the channels; the number is put behind those
/// that are there more than once.
pub(super) fn modalities(dataset: &Json) -> Result<Vec<String>, AutoError> {
    let key = match dataset.get("channel_names") {
        Some(_) => "channel_names",
        None => "modality",
    };
    let channels = dataset.object(key)?;
    let mut named = Vec::new();
    for number in 0..channels.keys().count() {
        named.push(channels.text(&number.to_string())?.to_owned());
    }
    if named.is_empty() {
        return Err(dataset.refuse(key, "a name for each channel"));
    }
    let often = |name: &String| named.iter().filter(|other| *other == name).count() > 1;
    let unique = named
        .iter()
        .enumerate()
        .map(|(number, name)| match often(name) {
            true => format!("{name}-{number}"),
            false => name.clone(),
        });
    Ok(unique.collect())
}

/// How images are prepared.
pub(super) fn of(
    plans: &Json,
    dataset: &Json,
    configuration: &Json,
) -> Result<NnunetConfig, AutoError> {
    let reorient = match plans.text("image_reader_writer")? {
        "SimpleITKIO" | "NibabelIO" => false,
        "NibabelIOWithReorient" => true,
        _ => {
            return Err(plans.refuse(
                "image_reader_writer",
                "SimpleITKIO, NibabelIO or NibabelIOWithReorient: predict with nnU-Net where \
                 images are read otherwise",
            ));
        }
    };
    let [z, y, x]: [usize; 3] = plans.numbers("transpose_forward")?;
    let mut sorted = [z, y, x];
    sorted.sort_unstable();
    if sorted != [0, 1, 2] {
        return Err(plans.refuse("transpose_forward", "0, 1 and 2 in some order"));
    }
    let mut spacing: Vec<f64> = configuration.numbers("spacing")?;
    spacing.reverse();
    Ok(NnunetConfig {
        reorient,
        // Arrays of nnU-Net have x last.
        axes: [2 - x, 2 - y, 2 - z],
        spacing,
        channels: schemes(plans, dataset, configuration)?,
        images: resampling(configuration, "data")?,
        outputs: resampling(configuration, "probabilities")?,
    })
}

fn schemes(plans: &Json, dataset: &Json, configuration: &Json) -> Result<Vec<Scheme>, AutoError> {
    let names: Vec<String> = configuration.numbers("normalization_schemes")?;
    let masked: Vec<bool> = configuration.numbers("use_mask_for_norm")?;
    let channels = modalities(dataset)?.len();
    for (key, found) in [
        ("normalization_schemes", names.len()),
        ("use_mask_for_norm", masked.len()),
    ] {
        if found != channels {
            let expected = format!("{channels} of them, as dataset.json has channels");
            return Err(configuration.refuse(key, &expected));
        }
    }
    let scheme = |(channel, (name, masked)): (usize, (&String, bool))| match name.as_str() {
        "ZScoreNormalization" => Ok(Scheme::ZScore { masked }),
        "CTNormalization" => ct(plans, channel),
        "NoNormalization" => Ok(Scheme::None {}),
        "RescaleTo01Normalization" => Ok(Scheme::Range {}),
        "RGBTo01Normalization" => Ok(Scheme::Rgb {}),
        _ => Err(configuration.refuse(
            "normalization_schemes",
            "ZScoreNormalization, CTNormalization, NoNormalization, RescaleTo01Normalization or \
             RGBTo01Normalization for each: predict with nnU-Net where it is another",
        )),
    };
    names.iter().zip(masked).enumerate().map(scheme).collect()
}

/// Of the foreground of the training, which older plans have under another key.
fn ct(plans: &Json, channel: usize) -> Result<Scheme, AutoError> {
    let key = match plans.get("foreground_intensity_properties_per_channel") {
        Some(_) => "foreground_intensity_properties_per_channel",
        None => "foreground_intensity_properties_by_modality",
    };
    let intensities = plans.object(key)?.object(&channel.to_string())?;
    Ok(Scheme::Ct {
        lower: intensities.numbers("percentile_00_5")?,
        upper: intensities.numbers("percentile_99_5")?,
        mean: intensities.numbers("mean")?,
        sd: intensities.numbers("std")?,
    })
}

/// How `data` or `probabilities` are resampled.
fn resampling(configuration: &Json, what: &str) -> Result<Resampling, AutoError> {
    let function = format!("resampling_fn_{what}");
    if configuration.text(&function)? != "resample_data_or_seg_to_shape" {
        return Err(configuration.refuse(
            &function,
            "\"resample_data_or_seg_to_shape\": predict with nnU-Net where it is another",
        ));
    }
    let kwargs = configuration.object(&format!("{function}_kwargs"))?;
    kwargs.only(&["is_seg", "order", "order_z", "force_separate_z"])?;
    if kwargs
        .get("is_seg")
        .is_some_and(|is| *is != Value::Bool(false))
    {
        return Err(kwargs.refuse("is_seg", "false"));
    }
    let spline =
        |key: &str, default: u64| match kwargs.get(key).map_or(Some(default), Value::as_u64) {
            Some(0) => Ok(Spline::Nearest),
            Some(1) => Ok(Spline::Linear),
            Some(3) => Ok(Spline::Cubic),
            _ => Err(kwargs.refuse(key, "0, 1 or 3")),
        };
    Ok(Resampling {
        spline: spline("order", 3)?,
        across: spline("order_z", 0)?,
        slices: match kwargs.get("force_separate_z") {
            // Left out it is false, and null leaves it to the spacing.
            None if kwargs.keys().any(|key| key == "force_separate_z") => Slices::Auto,
            None | Some(Value::Bool(false)) => Slices::Never,
            Some(Value::Bool(true)) => Slices::Always,
            Some(_) => return Err(kwargs.refuse("force_separate_z", "null, true or false")),
        },
    })
}
