"""Scores of a predicted label map against a reference.

:func:`evaluate` gives all of them for each class, :func:`dsc`, :func:`hd95`,
:func:`lesion_f1` and the others one of them. Label maps have axes x, y, z (or x, y).

>>> import numpy as np
>>> from lacuna import metrics
>>> reference = np.array([[0, 1, 1, 0, 0]])
>>> metrics.dsc(np.array([[0, 0, 1, 1, 0]]), reference)
0.5
>>> metrics.hd95(np.array([[0, 0, 0, 1, 1]]), reference, spacing=(1.0, 3.0))
5.85
"""

import json
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from . import _lacuna

__all__ = [
    "average_precision",
    "dsc",
    "evaluate",
    "hd95",
    "lesion_f1",
    "lesion_precision",
    "lesion_recall",
    "nsd",
    "precision",
    "sensitivity",
]


def _labels(name: str, array: Any) -> Any:
    array = np.asarray(array)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"{name}: found {array.ndim} axes, expected x, y, z, or x, y")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.size == 0:
        raise ValueError(f"{name}: found no voxels")
    whole = array.astype(np.uint8)
    if not np.array_equal(whole, array):
        raise ValueError(f"{name}: expected whole labels from 0 to 255")
    # Axes z, y, x in memory: x fastest, as in a NIfTI file.
    return np.ascontiguousarray(whole.T)


def _edges(spacing: Sequence[float]) -> Tuple[float, float, float]:
    edges = [float(edge) for edge in spacing]
    if len(edges) == 2:
        edges.append(1.0)
    if len(edges) != 3:
        raise ValueError(f"spacing: found {len(edges)} numbers, expected one per axis, in mm")
    return edges[0], edges[1], edges[2]


def evaluate(
    prediction: Any,
    reference: Any,
    spacing: Sequence[float],
    *,
    classes: Sequence[str] = ("background", "foreground"),
    tolerance_mm: float = 1.0,
    regions: Sequence[Sequence[str]] = (),
) -> List[Dict[str, Any]]:
    """Scores each foreground class, then ``regions``, sets of classes that are scored
    as one, and the union of all classes last if there are several.

    ``prediction`` and ``reference`` are label maps of one shape with axes x, y, z
    (or x, y); ``spacing`` has the voxel edges in mm along those axes; ``classes``
    names the labels in order, the background first.

    Each class has DSC, sensitivity, precision, volumes (mm^3), HD95 (mm), NSD at
    ``tolerance_mm``, lesion recall, precision and F1, the lesions with their sizes,
    and the conventions behind the numbers. All are finite, empty masks included.

    Raises ValueError when shapes differ, or a label or a name in a region is no class.
    """
    scores = _lacuna.evaluate(
        _labels("prediction", prediction).__dlpack__(),
        _labels("reference", reference).__dlpack__(),
        _edges(spacing),
        list(classes),
        float(tolerance_mm),
        [list(region) for region in regions],
    )
    result: List[Dict[str, Any]] = json.loads(scores)
    return result


def _measure(
    metric: str,
    prediction: Any,
    reference: Any,
    label: Optional[int],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    tolerance_mm: float = 1.0,
) -> float:
    if not 0.0 <= tolerance_mm < float("inf"):
        raise ValueError(f"tolerance_mm: found {tolerance_mm}, expected a length of at least 0")
    masks = []
    for name, array in (("prediction", prediction), ("reference", reference)):
        labels = _labels(name, array)
        masks.append(labels if label is None else (labels == label).astype(np.uint8))
    return _lacuna.measure(
        metric, masks[0].__dlpack__(), masks[1].__dlpack__(), _edges(spacing), float(tolerance_mm)
    )


def dsc(prediction: Any, reference: Any, *, label: Optional[int] = None) -> float:
    """Dice similarity coefficient of one label, or of all that is not 0.

    From 0 to 1; 1 where both are empty, 0 where one is.
    """
    return _measure("dsc", prediction, reference, label)


def sensitivity(prediction: Any, reference: Any, *, label: Optional[int] = None) -> float:
    """Share of the reference's voxels that are predicted; empty masks as for :func:`dsc`."""
    return _measure("sensitivity", prediction, reference, label)


def precision(prediction: Any, reference: Any, *, label: Optional[int] = None) -> float:
    """Share of the predicted voxels that are right; empty masks as for :func:`dsc`."""
    return _measure("precision", prediction, reference, label)


def hd95(
    prediction: Any, reference: Any, spacing: Sequence[float], *, label: Optional[int] = None
) -> float:
    """95 % Hausdorff distance in mm, by the voxel edges ``spacing`` along the axes in mm: the
    larger of the two directed percentiles between surface voxels.

    0 where both masks are empty, the diagonal of the image where one is.
    """
    return _measure("hd95_mm", prediction, reference, label, spacing)


def nsd(
    prediction: Any,
    reference: Any,
    spacing: Sequence[float],
    *,
    tolerance_mm: float = 1.0,
    label: Optional[int] = None,
) -> float:
    """Normalised surface distance: share of the surface voxels of both within a tolerance of
    the other surface; empty masks as for :func:`dsc`."""
    return _measure("nsd", prediction, reference, label, spacing, tolerance_mm)


def lesion_recall(prediction: Any, reference: Any, *, label: Optional[int] = None) -> float:
    """Share of the reference's lesions (components of 26 neighbours) of which a voxel is
    predicted; 1 where there are none."""
    return _measure("lesion_recall", prediction, reference, label)


def lesion_precision(prediction: Any, reference: Any, *, label: Optional[int] = None) -> float:
    """Share of the predicted lesions with a voxel in the reference; 1 where there are none."""
    return _measure("lesion_precision", prediction, reference, label)


def lesion_f1(prediction: Any, reference: Any, *, label: Optional[int] = None) -> float:
    """Harmonic mean of :func:`lesion_recall` and :func:`lesion_precision`."""
    return _measure("lesion_f1", prediction, reference, label)


def average_precision(
    probability: Any, reference: Any, *, label: Optional[int] = None
) -> Optional[float]:
    """Area under precision and recall of voxels over all thresholds of a probability of one
    label, or of all that is not 0: the sum of precision times what recall gains, as that of
    scikit-learn. Probabilities are told apart by twelve significant bits.

    The share of foreground where probabilities say nothing; None without foreground.
    """
    labels = _labels("reference", reference)
    mask = (labels > 0 if label is None else labels == label).astype(np.uint8)
    values = np.asarray(probability, dtype=np.float32)
    if values.shape != np.shape(reference):
        raise ValueError(
            f"probability: found shape {values.shape}, expected that of the reference, "
            f"{np.shape(reference)}"
        )
    # A copy, as what may not be written to is not handed over.
    values = np.array(values.T.reshape(mask.shape), order="C")
    area: Optional[float] = _lacuna.average_precision(values.__dlpack__(), mask.__dlpack__())
    return area
