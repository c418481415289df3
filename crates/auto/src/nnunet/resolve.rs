//! A configuration of the plans with what it inherits.

use serde_json::{Map, Value, json};

use super::json::Json;
use crate::error::AutoError;

/// The configuration `name`, whole.
pub(super) fn configuration(plans: &Json, name: &str) -> Result<Json, AutoError> {
    let all = plans.object("configurations")?;
    let mut chain: Vec<String> = Vec::new();
    let mut next = Some(name.to_owned());
    let mut merged = Map::new();
    while let Some(name) = next {
        if chain.contains(&name) {
            return Err(AutoError::nnunet(
                plans.path(),
                format!("`configurations.{name}` inherits from itself; repair the plans"),
            ));
        }
        let Some(Value::Object(found)) = all.get(&name) else {
            let there: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(AutoError::nnunet(
                plans.path(),
                format!(
                    "there is no configuration {name:?}; choose one of {}",
                    there.join(", ")
                ),
            ));
        };
        let parent = found.get("inherits_from").and_then(Value::as_str);
        next = parent.map(str::to_owned);
        // What was there before goes before what it inherits.
        for (key, value) in found {
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
        chain.push(name);
    }
    if !merged.contains_key("architecture") {
        merged.insert("architecture".to_owned(), old_architecture(&merged));
    }
    let resolved = plans.with(format!("configurations.{name}."), Value::Object(merged));
    if resolved.get("previous_stage").is_some() {
        return Err(resolved.refuse(
            "previous_stage",
            "none: the second stage of a cascade reads the labels of the first, which is not \
             done here; import 3d_fullres, or predict with nnU-Net",
        ));
    }
    match resolved.text("preprocessor_name")? {
        "DefaultPreprocessor" => Ok(resolved),
        _ => Err(resolved.refuse(
            "preprocessor_name",
            "\"DefaultPreprocessor\": predict with nnU-Net where another was used",
        )),
    }
}

/// The architecture as plans have it that were made before version 2.4.
fn old_architecture(configuration: &Map<String, Value>) -> Value {
    let get = |key: &str| configuration.get(key).cloned().unwrap_or_default();
    let whole = |key: &str| get(key).as_u64().unwrap_or_default();
    let name = get("UNet_class_name");
    let down = get("n_conv_per_stage_encoder");
    let stages = down.as_array().map_or(0, Vec::len);
    let axes = get("patch_size").as_array().map_or(0, Vec::len);
    let features = |stage: usize| {
        let doubled = whole("UNet_base_num_features").saturating_mul(1 << stage.min(32));
        doubled.min(whole("unet_max_num_features"))
    };
    let blocks = match name.as_str() {
        Some("ResidualEncoderUNet") => "n_blocks_per_stage",
        _ => "n_conv_per_stage",
    };
    json!({
        "network_class_name": name,
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": (0..stages).map(features).collect::<Vec<_>>(),
            "conv_op": format!("Conv{axes}d"),
            "kernel_sizes": get("conv_kernel_sizes"),
            "strides": get("pool_op_kernel_sizes"),
            blocks: down,
            "n_conv_per_stage_decoder": get("n_conv_per_stage_decoder"),
            "conv_bias": true,
            "norm_op": format!("InstanceNorm{axes}d"),
            "norm_op_kwargs": { "eps": 1e-5, "affine": true },
            "nonlin": "LeakyReLU",
        },
    })
}
