"""NIfTI files, and predictions of trained runs."""

import os
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

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
    """Reads an image of one volume: NIfTI, or any other format that Lacuna reads.

    Raises OSError when the file cannot be read or is not what it says it is.
    """
    data, affine = _volumes(path, several=False)
    return Image(data[0], affine)


def _volumes(path: Path, *, several: bool) -> Tuple[Any, Any]:
    """Voxels with axes volume, x, y, z, and the affine."""
    voxels, (x, y, z), count, affine = _lacuna.read_nifti(os.fspath(path), several)
    return voxels.reshape(count, z, y, x).transpose(0, 3, 2, 1), np.array(affine)


def write_nifti(path: Path, array: Any, affine: Any, *, force: bool = False) -> None:
    """Writes an image with axes x, y, z (or x, y), as :func:`read_nifti` gives it.

    Whole numbers from 0 to 255 and truth values are written as bytes, floating numbers as
    32-bit ones. ``affine`` is 4 x 4 or 3 x 4: voxel index to world position in mm, RAS+;
    NIfTI keeps it in 32 bits. The ending of the name tells the format: ``.nii.gz``,
    ``.nii``, ``.nrrd``, ``.mha``, ``.mgz`` or ``.mgh``. The file appears when it is complete.

    Raises ValueError for an array or an affine that cannot be written, OSError when the file
    cannot, or is there already and ``force`` is not given.
    """
    text = _writable("path", path)
    if os.path.exists(text) and not force:
        raise OSError(f"path: {text} is there already; replace it with force=True")
    rows = np.asarray(affine, dtype=np.float64)
    if rows.shape not in ((4, 4), (3, 4)):
        raise ValueError(f"affine: found the shape {rows.shape}, expected (4, 4)")
    voxels = np.asarray(array)
    if voxels.ndim == 2:
        voxels = voxels[:, :, None]
    if voxels.ndim != 3 or voxels.size == 0:
        raise ValueError(f"array: found the shape {np.shape(array)}, expected voxels along x, y, z")
    if voxels.dtype.kind == "f":
        kept = voxels.astype(np.float32)
    elif voxels.dtype.kind in "bui" and 0 <= voxels.min() and voxels.max() <= 255:
        kept = voxels.astype(np.uint8)
    else:
        raise ValueError(
            f"array: found {voxels.dtype} with values beyond 0 to 255, which label maps have; "
            "for an image use array.astype('float32')"
        )
    # Axes z, y, x in memory: x fastest, as in the file.
    dense = np.ascontiguousarray(kept.T)
    dense = dense if dense.flags.writeable else dense.copy()
    _lacuna.write_nifti(text, dense.__dlpack__(), [list(map(float, row)) for row in rows[:3]])


def _writable(name: str, path: Path) -> str:
    """Refuses a name of no format that is written, and one in no folder."""
    text = os.fspath(path)
    if not text.endswith(ENDINGS):
        endings = ", ".join(ENDINGS)
        raise ValueError(f"{name}: {text}: expected a file name ending in one of {endings}")
    folder = os.path.dirname(text) or "."
    if not os.path.isdir(folder):
        raise OSError(f"{name}: {text}: there is no folder {folder}; create it first")
    return text


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
    mean is taken. What is left out of these is as ``[predict]`` of the run says.
    ``postprocess`` is a file of thresholds and rules for components, as ``lacuna predict
    --postprocess`` reads it. ``checkpoint`` is "last", "best" (on the validation subjects)
    or the iteration of one.

    Returns the class names in the order of the values written. Raises OSError
    with the reason when something is wrong; nothing is half-written then.
    """
    for name, target in (
        ("out", out),
        ("probabilities", probabilities),
        ("uncertainty", uncertainty),
    ):
        if target is not None:
            _writable(name, target)
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


def predict_array(
    run: Union[Path, Sequence[Path]],
    images: Mapping[str, Any],
    affine: Any,
    *,
    mask: Optional[Any] = None,
    probabilities: bool = False,
    **options: Any,
) -> Any:
    """Segments arrays as :func:`predict` segments files.

    ``images`` has an array for each of the modalities, all of one shape with axes x, y, z
    (or x, y), as :func:`read_nifti` gives them; ``affine`` is that of all, and ``mask`` lies
    on them. ``options`` are ``window``, ``overlap``, ``blend``, ``mirror``, ``average``,
    ``postprocess`` and ``checkpoint`` of :func:`predict`.

    Returns the label map, uint8 of the shape of the images; with ``probabilities`` the label
    map and an array float32 of a first axis of classes (or regions) and their shape. Images
    pass through files in a temporary folder as 32-bit numbers. Raises as :func:`predict`,
    ValueError when shapes differ.
    """
    shapes = {name: np.shape(array) for name, array in images.items()}
    if mask is not None:
        shapes["mask"] = np.shape(mask)
    shape = next(iter(shapes.values()), ())
    if any(other != shape for other in shapes.values()):
        raise ValueError(f"images: found the shapes {shapes}, expected one shape for all")
    with TemporaryDirectory(prefix="lacuna-") as folder:

        def file(name: str) -> str:
            return os.path.join(folder, f"{name}.nii")

        files = {}
        for number, (name, array) in enumerate(images.items()):
            files[name] = file(f"image-{number}")
            write_nifti(files[name], np.asarray(array, dtype=np.float32), affine)
        if mask is not None:
            write_nifti(file("mask"), np.asarray(mask) != 0, affine)
        predict(
            run,
            files,
            file("labels"),
            mask=None if mask is None else file("mask"),
            probabilities=file("probabilities") if probabilities else None,
            **options,
        )
        labels = read_nifti(file("labels")).data.astype(np.uint8).reshape(shape)
        if not probabilities:
            return labels
        shares, _ = _volumes(file("probabilities"), several=True)
        return labels, shares.reshape(-1, *shape)
