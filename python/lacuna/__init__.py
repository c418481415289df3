"""Segmentation of rare structures: losses, metrics, NIfTI, training and prediction.

- :mod:`lacuna.losses`: losses for PyTorch tensors and NumPy arrays
- :mod:`lacuna.metrics`: scores of a prediction against a reference
- :func:`lacuna.read_nifti`, :func:`lacuna.write_nifti`: an image with its affine
- :func:`lacuna.predict`, :func:`lacuna.predict_array`: apply a trained run to one subject,
  in files or in arrays
- :func:`lacuna.check`, :func:`lacuna.train`, :func:`lacuna.predict_dataset`,
  :func:`lacuna.evaluate_folder`: whole datasets, as the ``lacuna`` command does
- :func:`lacuna.fingerprint`, :func:`lacuna.plan`, :func:`lacuna.auto`,
  :func:`lacuna.export`, :func:`lacuna.compare`: from a dataset to a model
"""

from typing import TYPE_CHECKING, Any

from . import metrics
from ._lacuna import __version__
from .cohorts import check, evaluate_folder, predict_dataset, train
from .files import Image, predict, predict_array, read_nifti, write_nifti
from .models import auto, compare, export, fingerprint, plan

if TYPE_CHECKING:
    from . import losses

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
    "predict_array",
    "predict_dataset",
    "read_nifti",
    "train",
    "write_nifti",
]


def __getattr__(name: str) -> Any:
    # Losses are modules of PyTorch, which takes its time to import.
    if name == "losses":
        from importlib import import_module

        return import_module(".losses", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
