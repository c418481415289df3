"""Scores of a predicted label map against a reference."""

import json
from typing import Any, Dict, List, Sequence

import numpy as np

from . import _lacuna

__all__ = ["evaluate"]


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
    edges = [float(edge) for edge in spacing]
    if len(edges) == 2:
        edges.append(1.0)
    if len(edges) != 3:
        raise ValueError(f"spacing: found {len(edges)} numbers, expected one per axis, in mm")
    scores = _lacuna.evaluate(
        _labels("prediction", prediction).__dlpack__(),
        _labels("reference", reference).__dlpack__(),
        (edges[0], edges[1], edges[2]),
        list(classes),
        float(tolerance_mm),
        [list(region) for region in regions],
    )
    result: List[Dict[str, Any]] = json.loads(scores)
    return result
