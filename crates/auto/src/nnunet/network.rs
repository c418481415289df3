//! The network that a configuration describes.

use lacuna_nets::{ModelConfig, ModelName, NormOf, Stages};
use serde_json::Value;

use super::json::Json;
use crate::error::AutoError;

/// What has no effect when a network is applied.
const WITHOUT_EFFECT: [&str; 3] = ["dropout_op", "dropout_op_kwargs", "deep_supervision"];

/// The network.
pub(super) fn of(configuration: &Json) -> Result<ModelConfig, AutoError> {
    let architecture = configuration.object("architecture")?;
    let kwargs = architecture.object("arch_kwargs")?;
    let class = last_part(architecture.text("network_class_name")?);
    let (name, blocks) = match class {
        "PlainConvUNet" => (ModelName::PlainConvUnet, "n_conv_per_stage"),
        "ResidualEncoderUNet" => (ModelName::ResidualEncoderUnet, "n_blocks_per_stage"),
        _ => {
            return Err(architecture.refuse(
                "network_class_name",
                "PlainConvUNet or ResidualEncoderUNet: predict with nnU-Net where a network is \
                 another",
            ));
        }
    };
    let axes = match last_part(kwargs.text("conv_op")?) {
        "Conv2d" => 2,
        "Conv3d" => 3,
        _ => return Err(kwargs.refuse("conv_op", "Conv2d or Conv3d")),
    };
    check(&kwargs, blocks, axes)?;
    let stages: usize = kwargs.numbers("n_stages")?;
    let features: Vec<usize> = each(&kwargs, "features_per_stage", stages)?;
    if kwargs
        .get("stem_channels")
        .is_some_and(|stem| *stem != features[0])
    {
        return Err(kwargs.refuse("stem_channels", "as many as the first stage has"));
    }
    let mut model = ModelConfig::new(name);
    model.stages = Some(Stages {
        axes,
        kernels: along_x_first(&kwargs, "kernel_sizes", stages, axes)?,
        strides: along_x_first(&kwargs, "strides", stages, axes)?,
        down: each(&kwargs, blocks, stages)?,
        up: each(
            &kwargs,
            "n_conv_per_stage_decoder",
            stages.saturating_sub(1),
        )?,
        norm: match last_part(kwargs.text("norm_op")?) {
            "InstanceNorm2d" | "InstanceNorm3d" => NormOf::Instance,
            _ => NormOf::Batch,
        },
        features,
    });
    model
        .validate()
        .map_err(|e| AutoError::nnunet(configuration.path(), e.to_string()))?;
    Ok(model)
}

/// Refuses what is done otherwise here.
fn check(kwargs: &Json, blocks: &str, axes: usize) -> Result<(), AutoError> {
    let mut known = vec![
        "n_stages",
        "features_per_stage",
        "conv_op",
        "kernel_sizes",
        "strides",
        blocks,
        "n_conv_per_stage_decoder",
        "conv_bias",
        "norm_op",
        "norm_op_kwargs",
        "nonlin",
        "nonlin_kwargs",
        "nonlin_first",
        "block",
        "bottleneck_channels",
        "stem_channels",
    ];
    known.extend(WITHOUT_EFFECT);
    kwargs.only(&known)?;
    let norms = [format!("InstanceNorm{axes}d"), format!("BatchNorm{axes}d")];
    let norm = last_part(kwargs.text("norm_op")?);
    if !norms.iter().any(|known| known == norm) {
        return Err(kwargs.refuse("norm_op", &norms.join(" or ")));
    }
    if last_part(kwargs.text("nonlin")?) != "LeakyReLU" {
        return Err(kwargs.refuse("nonlin", "LeakyReLU"));
    }
    for (key, expected) in [
        ("conv_bias", Value::Bool(true)),
        ("nonlin_first", Value::Bool(false)),
        ("bottleneck_channels", Value::Null),
    ] {
        let found = kwargs.get(key).cloned();
        let left_out = key != "conv_bias" && found.is_none();
        if !left_out && found.as_ref() != Some(&expected) {
            return Err(kwargs.refuse(key, &expected.to_string()));
        }
    }
    if let Some(block) = kwargs.get("block")
        && block.as_str().map(last_part) != Some("BasicBlockD")
    {
        return Err(kwargs.refuse("block", "BasicBlockD"));
    }
    let number = |table: &Json, key: &str| table.get(key).and_then(Value::as_f64);
    let norm = kwargs.object("norm_op_kwargs")?;
    norm.only(&["eps", "affine"])?;
    if number(&norm, "eps").is_some_and(|eps| eps != 1e-5) {
        return Err(norm.refuse("eps", "1e-5"));
    }
    if norm.get("affine") != Some(&Value::Bool(true)) {
        return Err(norm.refuse("affine", "true"));
    }
    if kwargs.get("nonlin_kwargs").is_some() {
        let nonlin = kwargs.object("nonlin_kwargs")?;
        nonlin.only(&["inplace", "negative_slope"])?;
        if number(&nonlin, "negative_slope").is_some_and(|slope| slope != 0.01) {
            return Err(nonlin.refuse("negative_slope", "0.01"));
        }
    }
    Ok(())
}

/// The name of a class without those of its modules.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// One number for each of `count` stages, or the same for all.
fn each(kwargs: &Json, key: &str, count: usize) -> Result<Vec<usize>, AutoError> {
    if let Some(Value::Number(_)) = kwargs.get(key) {
        return Ok(vec![kwargs.numbers(key)?; count]);
    }
    let numbers: Vec<usize> = kwargs.numbers(key)?;
    match numbers.len() == count {
        true => Ok(numbers),
        false => Err(kwargs.refuse(key, &format!("{count} numbers"))),
    }
}

/// The lengths of each stage along x, y (and z), which plans have last axis first.
fn along_x_first(
    kwargs: &Json,
    key: &str,
    stages: usize,
    axes: usize,
) -> Result<Vec<Vec<usize>>, AutoError> {
    let cubes = |edges: Vec<usize>| edges.into_iter().map(|edge| vec![edge; axes]).collect();
    let lists = match kwargs.get(key) {
        Some(Value::Array(list)) if list.iter().all(Value::is_array) => kwargs.numbers(key)?,
        _ => cubes(each(kwargs, key, stages)?),
    };
    let mut lists: Vec<Vec<usize>> = lists;
    if lists.len() != stages || lists.iter().any(|list| list.len() != axes) {
        return Err(kwargs.refuse(key, &format!("{stages} lists of {axes} numbers")));
    }
    lists.iter_mut().for_each(|list| list.reverse());
    Ok(lists)
}
