"""What nnU-Net makes of arrays: resampling, window starts and their weights.

Needs `nnunetv2` 2.8. Arrays are written with x fastest, as [z, y, x].
"""

import json
from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.sliding_window_prediction import (
    compute_gaussian,
    compute_steps_for_sliding_window,
)
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from nnunetv2.preprocessing.resampling.default_resampling import (
    compute_new_shape,
    resample_data_or_seg_to_shape,
)

HERE = Path(__file__).parent / "nnunet"


def resampled():
    rng = np.random.default_rng(7)
    # Spacing before and after along z, y, x; order; order along the axis of thick slices.
    for shape, old, new, order, order_z in [
        ((6, 7, 9), (1.0, 1.2, 0.9), (0.8, 0.8, 0.8), 3, 0),
        ((6, 7, 9), (0.8, 0.8, 0.8), (1.0, 1.2, 0.9), 1, 0),
        ((5, 8, 7), (4.0, 1.0, 1.0), (3.0, 0.7, 0.8), 3, 0),
        ((5, 8, 7), (1.0, 1.1, 5.0), (1.3, 1.0, 3.0), 3, 1),
        ((5, 8, 7), (3.0, 0.7, 0.8), (4.0, 1.0, 1.0), 1, 0),
        ((4, 8, 7), (1.0, 4.0, 1.0), (1.5, 4.0, 0.8), 3, 0),
        ((4, 5, 6), (5.0, 5.0, 1.0), (4.0, 4.0, 1.5), 3, 0),
        ((1, 8, 7), (9.0, 1.0, 1.0), (9.0, 0.7, 0.7), 3, 0),
    ]:
        data = rng.normal(size=(1, *shape)).astype(np.float32)
        to = compute_new_shape(shape, old, new)
        out = resample_data_or_seg_to_shape(
            data, to, old, new, is_seg=False, order=order, order_z=order_z, force_separate_z=None
        )
        yield {
            "shape": list(shape[::-1]),
            "old": list(old[::-1]),
            "new": list(new[::-1]),
            "order": order,
            "order_z": order_z,
            "data": data.ravel().tolist(),
            "new_shape": [int(n) for n in to[::-1]],
            "expected": out.ravel().tolist(),
        }


def starts():
    for image, tile, step in [
        (110, 64, 0.5),
        (69, 48, 0.5),
        (101, 48, 0.5),
        (131, 40, 0.5),
        (97, 33, 0.25),
        (48, 48, 0.5),
    ]:
        found = compute_steps_for_sliding_window((image,), (tile,), step)[0]
        yield {"length": image, "window": tile, "overlap": 1 - step, "expected": found}


def gaussians():
    """In 16 bits, where the least weights of large windows are 0 but for what nnU-Net does."""
    for z, y, x in ((8, 7, 10), (20, 24, 16), (1, 12, 9)):
        weights = compute_gaussian(
            (z, y, x), value_scaling_factor=10, device=torch.device("cpu")
        )
        expected = weights.to(torch.float32).ravel().tolist()
        yield {"window": [x, y, z], "expected": expected}


def filled():
    rng = np.random.default_rng(3)
    images = (rng.random((2, 5, 6, 7)) < 0.35).astype(np.float32)
    # A closed shell with a hole.
    images[0, 1:4, 1:4, 2:5] = 1
    images[:, 2, 2, 3] = 0
    mask = create_nonzero_mask(images)
    return {
        "shape": [7, 6, 5],
        "images": [image.ravel().tolist() for image in images],
        "expected": mask.astype(int).ravel().tolist(),
    }


HERE.mkdir(exist_ok=True)
for name, values in [
    ("resampled", list(resampled())),
    ("starts", list(starts())),
    ("gaussians", list(gaussians())),
    ("filled", filled()),
]:
    (HERE / f"{name}.json").write_text(json.dumps(values) + "\n")
