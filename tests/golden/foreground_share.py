"""Foreground share of the paper's training patches, worked out without Lacuna.

For one BRATS subject and the effective patches of the 2-D UNet (16, 24, 48), and
one MS subject and those of DeepMedic (3, 15, 39): the mean foreground share over
all positions whose patch holds at least one foreground voxel (and touches the
brain mask). crates/data/tests/real_subjects.rs asserts the numbers printed here.
Run with LACUNA_DATA set.
"""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

DATA = Path(os.environ["LACUNA_DATA"])


def box_sums(mask, extent):
    sums = mask.astype(np.int32)
    for axis, length in enumerate(extent):
        total = np.insert(np.cumsum(sums, axis=axis, dtype=np.int32), 0, 0, axis=axis)
        last = np.take(total, range(length, total.shape[axis]), axis=axis)
        sums = last - np.take(total, range(total.shape[axis] - length), axis=axis)
    return sums


# The sums against a direct count.
probe = np.random.default_rng(0).random((7, 6, 5)) < 0.3
assert (box_sums(probe, (3, 2, 4)) == sliding_window_view(probe, (3, 2, 4)).sum((3, 4, 5))).all()

for folder, label, mask, extents in (
    ("brats2015/pat0005", "tumour", "brain_mask", [(n, n, 1) for n in (16, 24, 48)]),
    ("ms_lesion/patient19", "lesion", None, [(n, n, n) for n in (3, 15, 39)]),
):
    read = lambda name: np.asarray(nib.load(DATA / folder / f"{name}.nii.gz").dataobj) > 0.5
    foreground = read(label)
    brain = read(mask) if mask else np.ones_like(foreground)
    for extent in extents:
        held = box_sums(foreground, extent)
        legal = (held > 0) & (box_sums(brain, extent) > 0)
        share = held[legal] / np.prod(extent)
        print(folder, extent, "positions", legal.sum(), "mean", round(share.mean(), 5), "SD", round(share.std(), 5))
