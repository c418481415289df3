"""Segmentation of rare structures: losses, metrics, NIfTI, training and prediction.

- :mod:`lacuna.losses`: losses for PyTorch tensors and NumPy arrays
- :mod:`lacuna.metrics`: scores of a prediction against a reference
- :func:`lacuna.read_nifti`: an image with its affine
- :func:`lacuna.predict`: apply a trained run to one subject
- :func:`lacuna.check`, :func:`lacuna.train`, :func:`lacuna.predict_dataset`,
  :func:`lacuna.evaluate_folder`: whole datasets, as the ``lacuna`` command does
"""

from . import losses, metrics
from ._lacuna import __version__
from .cohorts import check, evaluate_folder, predict_dataset, train
from .files import Image, predict, read_nifti

__all__ = [
    "Image",
    "__version__",
    "check",
    "evaluate_folder",
    "losses",
    "metrics",
    "predict",
    "predict_dataset",
    "read_nifti",
    "train",
]
