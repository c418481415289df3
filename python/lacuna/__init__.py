"""Segmentation of rare structures: losses, metrics, NIfTI, training and prediction.

- :mod:`lacuna.losses`: losses for PyTorch tensors and NumPy arrays
- :mod:`lacuna.metrics`: scores of a prediction against a reference
- :func:`lacuna.read_nifti`: an image with its affine
- :func:`lacuna.predict`: apply a trained run to one subject
- :func:`lacuna.check`, :func:`lacuna.train`, :func:`lacuna.predict_dataset`,
  :func:`lacuna.evaluate_folder`: whole datasets, as the ``lacuna`` command does
- :func:`lacuna.fingerprint`, :func:`lacuna.plan`, :func:`lacuna.auto`,
  :func:`lacuna.export`, :func:`lacuna.compare`: from a dataset to a model
"""

from . import losses, metrics
from ._lacuna import __version__
from .cohorts import check, evaluate_folder, predict_dataset, train
from .files import Image, predict, read_nifti
from .models import auto, compare, export, fingerprint, plan

__all__ = [
    "Image",
    "__version__",
    "auto",
    "check",
    "compare",
    "evaluate_folder",
    "export",
    "fingerprint",
    "losses",
    "metrics",
    "plan",
    "predict",
    "predict_dataset",
    "read_nifti",
    "train",
]
