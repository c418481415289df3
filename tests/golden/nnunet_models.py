"""Models of nnU-Net with random weights, and what it predicts with them.

Needs `nnunetv2` 2.8. Each folder of nnunet_models/ has the model, images and probabilities [channels, z, y, x].
"""

import json
from pathlib import Path

import nibabel
import numpy as np
import nnunetv2.inference.predict_from_raw_data as nnunet
import torch
from nnunetv2.imageio.nibabel_reader_writer import NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

HERE = Path(__file__).parent / "nnunet_models"


def resampling(order, separate):
    return {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": separate}


def architecture(network, axes, kernels, strides):
    plain = network == "PlainConvUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 6, 8],
            "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
            "kernel_sizes": kernels,
            "strides": strides,
            ("n_conv_per_stage" if plain else "n_blocks_per_stage"): [1, 2, 1],
            "n_conv_per_stage_decoder": [1, 1],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def plans(reader, transpose, configuration):
    configuration = {
        "data_identifier": "test",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling(3, None),
        "resampling_fn_seg_kwargs": {**resampling(1, None), "is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling(1, None),
        "batch_dice": False,
        **configuration,
    }
    backward = [transpose.index(axis) for axis in range(3)]
    return {
        "dataset_name": "Dataset001_Random",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": reader,
        "label_manager": "LabelManager",
        "transpose_forward": transpose,
        "transpose_backward": backward,
        "foreground_intensity_properties_per_channel": {
            channel: {"mean": 0.3, "std": 0.8, "percentile_00_5": -1.0, "percentile_99_5": 2.0}
            for channel in ("0", "1")
        },
        "configurations": {"test": configuration},
    }


def write_model(folder, plans, dataset, folds, mirrored, seed):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans, indent=1) + "\n")
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1) + "\n")
    regions = [v for v in dataset["labels"].values() if v != 0]
    has_regions = any(isinstance(v, list) for v in regions)
    channels = len(regions) if has_regions else len(regions) + 1
    arch = plans["configurations"]["test"]["architecture"]
    for fold in folds:
        torch.manual_seed(seed + fold)
        network = get_network_from_plans(
            arch["network_class_name"],
            arch["arch_kwargs"],
            arch["_kw_requires_import"],
            len(dataset["channel_names"]),
            channels,
            deep_supervision=True,
        )
        for parameter in network.parameters():
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, 0.3, 0.5)
        path = folder / f"fold_{fold}"
        path.mkdir(exist_ok=True)
        torch.save(
            {
                "network_weights": network.state_dict(),
                "trainer_name": "nnUNetTrainer",
                "init_args": {
                    "plans": plans,
                    "configuration": "test",
                    "fold": fold,
                    "dataset_json": dataset,
                },
                "inference_allowed_mirroring_axes": mirrored,
            },
            path / "checkpoint_final.pth",
        )


def write_images(folder, shape, spacing, signs, channels, seed):
    """Smooth noise with 0 around it, x first."""
    rng = np.random.default_rng(seed)
    names = []
    for channel in range(channels):
        image = np.zeros(shape, np.float32)
        inner = tuple(slice(2, n - 1) for n in shape)
        values = rng.normal(size=[n - 3 for n in shape])
        values = values + np.roll(values, 1, 0) + np.roll(values, 1, 1)
        image[inner] = values
        # Corners without anything, so that the mask is no box.
        image[:6, :6] = 0
        affine = np.diag([s * f for s, f in zip(spacing, signs)] + [1.0])
        affine[:3, 3] = [10.0, -20.0, 5.0]
        names.append(folder / f"image_{channel:04d}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(image, affine), names[-1])
    return [str(name) for name in names]


def predict(model, reader, images, folds, mirror):
    predictor = nnunet.nnUNetPredictor(
        use_mirroring=mirror, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(model), folds)
    array, properties = reader.read_images(images)
    labels, probabilities = predictor.predict_single_npy_array(
        array, properties, None, None, True
    )
    if isinstance(reader, NibabelIOWithReorient):
        # Back to the axes of the file, of which x and y run the other way.
        labels, probabilities = labels[:, ::-1, ::-1], probabilities[..., ::-1, ::-1]
    return np.ascontiguousarray(probabilities, np.float32), np.ascontiguousarray(labels, np.uint8)


def make(name, plans, dataset, reader, folds, mirrored, images):
    folder = HERE / name
    write_model(folder / "model", plans, dataset, folds, mirrored, 11)
    files = write_images(folder, *images, len(dataset["channel_names"]), 5)
    for mirror in (False, True):
        found, labels = predict(folder / "model", reader, files, folds, mirror)
        suffix = "_mirrored" if mirror else ""
        np.save(folder / f"probabilities{suffix}.npy", found)
        np.save(folder / f"labels{suffix}.npy", labels)
        print(name, found.shape, np.bincount(labels.ravel()))


# Thick slices, axes in another order, CT, regions, the mean of two folds.
make(
    "thick",
    plans(
        "SimpleITKIO",
        [1, 0, 2],
        {
            "patch_size": [16, 8, 20],
            "spacing": [1.0, 4.0, 0.9],
            "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
            "use_mask_for_norm": [False, True],
            "architecture": architecture(
                "PlainConvUNet",
                3,
                [[3, 1, 3], [3, 3, 3], [3, 3, 3]],
                [[1, 1, 1], [2, 1, 2], [2, 2, 2]],
            ),
        },
    ),
    {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "whole": [1, 2], "core": 2},
        "regions_class_order": [1, 2],
        "numTraining": 2,
        "file_ending": ".nii.gz",
    },
    SimpleITKIO(),
    [0, 1],
    (0, 2),
    ((25, 22, 9), (1.1, 1.3, 3.7), (-1, -1, 1)),
)
# Slices of canonical axes, a residual encoder, an image smaller than a window.
make(
    "slices",
    plans(
        "NibabelIOWithReorient",
        [0, 1, 2],
        {
            "patch_size": [32, 16],
            "spacing": [0.8, 1.0],
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [False],
            "architecture": architecture(
                "ResidualEncoderUNet", 2, [[3, 3]] * 3, [[1, 1], [2, 2], [2, 2]]
            ),
        },
    ),
    {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "rim": 1, "core": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    },
    NibabelIOWithReorient(),
    [0],
    (0, 1),
    ((23, 26, 5), (1.0, 0.9, 1.5), (-1, -1, 1)),
)
