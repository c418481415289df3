"""NIfTI files, and predictions of trained runs."""

import os
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import _lacuna

#: Endings of the names of files that are written.
ENDINGS = tuple(_lacuna.ENDINGS)

Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Image:
    """An image on a regular grid."""

    data: "np.ndarray[tuple[int, int, int], np.dtype[np.float32]]"
    """Voxels, float32, axes x, y, z of the file; scaling is applied."""
    affine: "np.ndarray[tuple[int, int], np.dtype[np.float64]]"
    """4 x 4: voxel index to world position in mm, RAS+."""

    @property
    def spacing(self) -> Tuple[float, float, float]:
        """Voxel edges along x, y, z in mm."""
        x, y, z = (float(edge) for edge in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z


def read_nifti(path: Path) -> Image:
    """Reads a NIfTI-1 or NIfTI-2 image (``.nii``, ``.nii.gz``, ``.hdr``/``.img``).

    Raises OSError when the file cannot be read or is not what it says it is.
    """
    voxels, (x, y, z), affine = _lacuna.read_nifti(os.fspath(path))
    return Image(voxels.reshape(z, y, x).transpose(2, 1, 0), np.array(affine))


def run_folders(run: Union[Path, Sequence[Path]]) -> List[str]:
    """The folders of one run or of several."""
    if isinstance(run, (str, os.PathLike)):
        return [os.fspath(run)]
    return [os.fspath(folder) for folder in run]


def predict(
    run: Union[Path, Sequence[Path]],
    images: Mapping[str, Path],
    out: Path,
    *,
    mask: Optional[Path] = None,
    probabilities: Optional[Path] = None,
    uncertainty: Optional[Path] = None,
    window: Union[int, Sequence[int], None] = None,
    overlap: Optional[float] = None,
    blend: Optional[str] = None,
    mirror: Optional[Sequence[str]] = None,
    average: Optional[str] = None,
    postprocess: Optional[Path] = None,
    checkpoint: Union[str, int] = "last",
) -> List[str]:
    """Segments one subject with a trained run and writes a label map.

    ``run`` is the folder of ``lacuna train``, or a list of several, whose mean is
    predicted: that of their ``average``, "probabilities" or "logits"; or a model, the folder
    of ``lacuna auto`` or the file of ``lacuna export``. ``images`` has a
    file for each of the modalities. The label map of class indices is written to ``out``
    on the grid of the first image; with ``probabilities``, one volume per class as well,
    and with ``uncertainty`` how far the networks of a model are apart.
    Outside ``mask`` everything is background. ``window`` is the size of the
    input window in voxels, a number or one for each axis of the network, x first;
    ``overlap`` is the share by which neighbours overlap (0 to 0.9), ``blend`` their
    weights ("linear", "gaussian" or "nnunet"). Along the axes of ``mirror`` ("left-right",
    "posterior-anterior", "inferior-superior") mirror images are predicted too, and the
    mean is taken. What is left out of these is as ``[predict]`` of the run says. ``postprocess`` is a file of thresholds and rules for components, as
    ``lacuna predict --postprocess`` reads it. ``checkpoint`` is "last", "best" (on the
    validation subjects) or the iteration of one.

    Returns the class names in the order of the values written. Raises OSError
    with the reason when something is wrong; nothing is half-written then.
    """
    for name, target in (
        ("out", out),
        ("probabilities", probabilities),
        ("uncertainty", uncertainty),
    ):
        if target is None:
            continue
        text = os.fspath(target)
        if not text.endswith(ENDINGS):
            endings = ", ".join(ENDINGS)
            raise ValueError(f"{name}: {text}: expected a file name ending in one of {endings}")
        folder = os.path.dirname(text) or "."
        if not os.path.isdir(folder):
            raise OSError(f"{name}: {text}: there is no folder {folder}; create it first")
    if overlap is not None and not 0.0 <= overlap <= 0.9:
        raise ValueError(f"overlap: found {overlap}, expected a number from 0 to 0.9")
    files: Dict[str, str] = {name: os.fspath(path) for name, path in images.items()}
    return _lacuna.predict(
        run_folders(run),
        files,
        os.fspath(out),
        None if mask is None else os.fspath(mask),
        None if probabilities is None else os.fspath(probabilities),
        None if uncertainty is None else os.fspath(uncertainty),
        [int(window)] if isinstance(window, (int, np.integer)) else window,
        overlap,
        blend,
        None if mirror is None else list(mirror),
        average,
        None if postprocess is None else os.fspath(postprocess),
        str(checkpoint),
    )
