use std::path::Path;

use lacuna_data::subject::Slices;
use lacuna_losses::Activation;
use lacuna_nets::{ModelName, NormOf};
use lacuna_volume::Spline;
use serde_json::json;

use super::*;

fn json(value: &Value) -> Json {
    Json::parse(Path::new("plans.json"), value.to_string()).unwrap()
}

/// Plans with one configuration and one that inherits from it.
fn plans() -> Value {
    json!({
        "dataset_name": "Dataset001_Test",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": { "mean": 40.0, "std": 20.0, "percentile_00_5": -10.0, "percentile_99_5": 90.0 },
        },
        "configurations": {
            "small": { "inherits_from": "whole", "patch_size": [16, 24, 32] },
            "whole": {
                "preprocessor_name": "DefaultPreprocessor",
                "patch_size": [64, 64, 64],
                "spacing": [3.0, 1.0, 0.5],
                "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
                "use_mask_for_norm": [false, true],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs":
                    { "is_seg": false, "order": 3, "order_z": 0, "force_separate_z": null },
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": { "is_seg": false, "order": 1 },
                "architecture": {
                    "network_class_name":
                        "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": 2,
                        "features_per_stage": [4, 8],
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[1, 3, 3], [3, 3, 3]],
                        "strides": [[1, 1, 1], [1, 2, 2]],
                        "n_conv_per_stage": 2,
                        "n_conv_per_stage_decoder": [1],
                        "conv_bias": true,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": { "eps": 1e-5, "affine": true },
                        "dropout_op": null,
                        "dropout_op_kwargs": null,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": { "inplace": true },
                    },
                },
            },
        },
    })
}

fn dataset() -> Value {
    json!({
        "channel_names": { "0": "CT", "1": "PET" },
        "labels": { "background": 0, "liver": 1, "lesion": 2 },
    })
}

fn prepared(plans: &Value, dataset: &Value) -> Result<Prepared, AutoError> {
    let (plans, dataset) = (json(plans), json(dataset));
    let resolved = resolve::configuration(&plans, "small")?;
    Labels::of(&plans, &dataset)?;
    Ok((
        preparation::of(&plans, &dataset, &resolved)?,
        network::of(&resolved)?,
        resolved.numbers("patch_size")?,
    ))
}

type Prepared = (
    lacuna_data::subject::NnunetConfig,
    lacuna_nets::ModelConfig,
    [usize; 3],
);

#[test]
fn a_configuration_is_understood() {
    let (nnunet, model, patch) = prepared(&plans(), &dataset()).unwrap();
    // Of the configuration itself, and not of the one that it inherits from.
    assert_eq!(patch, [16, 24, 32]);
    assert!(!nnunet.reorient);
    assert_eq!(nnunet.axes, [0, 1, 2]);
    assert_eq!(nnunet.spacing, [0.5, 1.0, 3.0]);
    let ct = lacuna_data::subject::Scheme::Ct {
        lower: -10.0,
        upper: 90.0,
        mean: 40.0,
        sd: 20.0,
    };
    let masked = lacuna_data::subject::Scheme::ZScore { masked: true };
    assert_eq!(nnunet.channels, [ct, masked]);
    assert_eq!(nnunet.images.spline, Spline::Cubic);
    assert_eq!(nnunet.images.slices, Slices::Auto);
    assert_eq!(nnunet.outputs.spline, Spline::Linear);
    // Left out, it is false in nnU-Net's function.
    assert_eq!(nnunet.outputs.slices, Slices::Never);
    let stages = model.stages();
    assert_eq!(model.name, ModelName::PlainConvUnet);
    assert_eq!(stages.kernels, [[3, 3, 1], [3, 3, 3]]);
    assert_eq!(stages.strides, [[1, 1, 1], [2, 2, 1]]);
    assert_eq!((&stages.down, &stages.up), (&vec![2, 2], &vec![1]));
    assert_eq!(stages.norm, NormOf::Instance);
}

/// The last axis of nnU-Net's arrays is x: the first array axis of the network is the file's
/// y (1), the second its x (2), the last its z (0).
#[test]
fn transposed_axes_are_told_x_first() {
    let mut plans = plans();
    plans["transpose_forward"] = json!([1, 2, 0]);
    let (nnunet, ..) = prepared(&plans, &dataset()).unwrap();
    assert_eq!(nnunet.axes, [2, 0, 1]);
}

/// As plans were before nnU-Net 2.4.
#[test]
fn old_plans_are_understood() {
    let mut old = plans();
    let whole = old["configurations"]["whole"].as_object_mut().unwrap();
    whole.remove("architecture");
    for (key, value) in [
        ("UNet_class_name", json!("PlainConvUNet")),
        ("UNet_base_num_features", json!(4)),
        ("unet_max_num_features", json!(320)),
        ("conv_kernel_sizes", json!([[1, 3, 3], [3, 3, 3]])),
        ("pool_op_kernel_sizes", json!([[1, 1, 1], [1, 2, 2]])),
        ("n_conv_per_stage_encoder", json!([2, 2])),
        ("n_conv_per_stage_decoder", json!([1])),
    ] {
        whole.insert(key.to_owned(), value);
    }
    let (_, found, _) = prepared(&old, &dataset()).unwrap();
    let (_, expected, _) = prepared(&plans(), &dataset()).unwrap();
    assert_eq!(found, expected);
}

/// What is not understood, where it stands, and what names it.
#[test]
fn what_is_not_understood_is_refused_by_name() {
    let whole = "/configurations/whole";
    let kwargs = format!("{whole}/architecture/arch_kwargs");
    let cases = [
        (
            "/image_reader_writer".to_owned(),
            json!("Tiff3DIO"),
            "Tiff3DIO",
        ),
        ("/transpose_forward".to_owned(), json!([0, 0, 2]), "[0,0,2]"),
        ("/label_manager".to_owned(), json!("Mine"), "Mine"),
        (
            format!("{whole}/previous_stage"),
            json!("3d_lowres"),
            "cascade",
        ),
        (
            format!("{whole}/preprocessor_name"),
            json!("Other"),
            "Other",
        ),
        (
            format!("{whole}/inherits_from"),
            json!("small"),
            "inherits from itself",
        ),
        (
            format!("{whole}/inherits_from"),
            json!("none"),
            "no configuration \"none\"",
        ),
        (
            format!("{whole}/normalization_schemes"),
            json!(["CTNormalization", "MyNorm"]),
            "MyNorm",
        ),
        (
            format!("{whole}/normalization_schemes"),
            json!(["CTNormalization"]),
            "expected 2 of them",
        ),
        (
            format!("{whole}/resampling_fn_data"),
            json!("resample_torch_fornnunet"),
            "resample_torch_fornnunet",
        ),
        (
            format!("{whole}/resampling_fn_data_kwargs/order"),
            json!(2),
            "order` is 2",
        ),
        (
            format!("{whole}/resampling_fn_data_kwargs/mode"),
            json!("x"),
            "mode",
        ),
        (
            format!("{whole}/architecture/network_class_name"),
            json!("a.b.PrimusM"),
            "PrimusM",
        ),
        (
            format!("{kwargs}/conv_op"),
            json!("torch.nn.Conv1d"),
            "Conv1d",
        ),
        (
            format!("{kwargs}/norm_op"),
            json!("torch.nn.GroupNorm"),
            "GroupNorm",
        ),
        (format!("{kwargs}/norm_op_kwargs/eps"), json!(1e-3), "eps"),
        (
            format!("{kwargs}/nonlin"),
            json!("torch.nn.ReLU"),
            "torch.nn.ReLU",
        ),
        (
            format!("{kwargs}/nonlin_kwargs/negative_slope"),
            json!(0.2),
            "0.2",
        ),
        (format!("{kwargs}/conv_bias"), json!(false), "conv_bias"),
        (
            format!("{kwargs}/nonlin_first"),
            json!(true),
            "nonlin_first",
        ),
        (
            format!("{kwargs}/squeeze_excitation"),
            json!(true),
            "squeeze_excitation",
        ),
        (
            format!("{kwargs}/features_per_stage"),
            json!([4]),
            "features_per_stage",
        ),
        (
            format!("{kwargs}/strides"),
            json!([[1, 1], [2, 2]]),
            "strides",
        ),
    ];
    for (pointer, value, named) in cases {
        let mut plans = plans();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        plans.pointer_mut(parent).unwrap()[key] = value;
        let refused = prepared(&plans, &dataset()).unwrap_err().to_string();
        assert!(refused.contains(named), "{pointer}: {refused}");
        assert!(refused.starts_with("plans.json: "), "{refused}");
    }
}

#[test]
fn an_unknown_configuration_is_answered_with_those_there_are() {
    let refused = resolve::configuration(&json(&plans()), "3d_fullres").unwrap_err();
    assert!(
        refused.to_string().contains("choose one of small, whole"),
        "{refused}"
    );
}

fn labels(dataset: &str) -> Result<Labels, AutoError> {
    let dataset = Json::parse(Path::new("dataset.json"), dataset.to_owned())?;
    Labels::of(&json(&plans()), &dataset)
}

#[test]
fn labels_are_classes_in_the_order_of_their_values() {
    let found = labels(r#"{"labels": {"background": 0, "b": 2, "a": 1, "ignore": 3}}"#).unwrap();
    assert_eq!(found.classes, ["background", "a", "b"]);
    assert_eq!(found.activation, Activation::Softmax);
    for bad in [
        r#"{"labels": {"background": 0, "a": 2}}"#,
        r#"{"labels": {"a": 0, "b": 1}}"#,
        r#"{"labels": {"background": 0}}"#,
        r#"{"labels": {"background": 0, "a": "one"}}"#,
        r#"{"labels": [0, 1]}"#,
    ] {
        let refused = labels(bad).unwrap_err().to_string();
        assert!(refused.starts_with("dataset.json: `labels`"), "{refused}");
    }
}

/// Channels are the regions in the order of the file, whatever the order of their names.
#[test]
fn regions_are_sets_of_classes() {
    let brats = |order: &str| {
        labels(&format!(
            r#"{{"labels": {{"background": 0, "whole": [1, 2, 3], "core": [2, 3], "active": 3}},
                "regions_class_order": {order}}}"#
        ))
    };
    let found = brats("[1, 2, 3]").unwrap();
    assert_eq!(
        found.classes,
        ["background", "label-1", "label-2", "active"]
    );
    let expected = [
        vec!["label-1", "label-2", "active"],
        vec!["label-2", "active"],
        vec!["active"],
    ];
    assert_eq!(found.regions, expected);
    assert_eq!(found.activation, Activation::Sigmoid);
    for order in ["[1, 3, 2]", "[1, 2]", "null"] {
        let refused = brats(order).unwrap_err().to_string();
        assert!(refused.contains("regions_class_order"), "{refused}");
    }
}

#[test]
fn channels_of_one_name_are_numbered() {
    let named = |names: Value| preparation::modalities(&json(&names)).unwrap();
    let twice = json!({ "channel_names": { "0": "MR", "1": "CT", "2": "MR" } });
    assert_eq!(named(twice), ["MR-0", "CT", "MR-2"]);
    let old = json!({ "modality": { "0": "T1" } });
    assert_eq!(named(old), ["T1"]);
}

#[test]
fn folders_without_folds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |asked: Asked| folds(folder.path(), &asked).err().unwrap().to_string();
    assert!(refused(Asked::default()).contains("no fold_0/checkpoint_final.pth"));
    let best = Asked {
        best: true,
        folds: vec!["3".to_owned()],
        ..Asked::default()
    };
    let message = refused(best);
    assert!(
        message.contains("no fold_3/checkpoint_best.pth"),
        "{message}"
    );
    assert!(message.contains("with that file: none"), "{message}");
}
