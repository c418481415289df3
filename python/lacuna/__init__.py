"""Segmentation of rare structures: losses, metrics, NIfTI and prediction.

- :mod:`lacuna.losses`: losses for PyTorch tensors and NumPy arrays
- :mod:`lacuna.metrics`: scores of a prediction against a reference
- :func:`lacuna.read_nifti`: an image with its affine
- :func:`lacuna.predict`: apply a trained run
"""

from . import losses, metrics
from ._lacuna import __version__
from .files import Image, predict, read_nifti

__all__ = ["Image", "__version__", "losses", "metrics", "predict", "read_nifti"]
