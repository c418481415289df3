"""Whole datasets, as the ``lacuna`` command works on them."""

import json
import os
from typing import Any, Dict, List, Optional, Sequence, Union

from . import _lacuna
from .files import Path, run_folders

Record = Dict[str, Any]


def check(dataset: Path) -> Record:
    """Looks at every file of a manifest (``lacuna check``).

    Returns what was found: a dict with ``subjects``, ``classes``, ``lesions`` and
    ``problems``, each with a severity, a finding and a remedy. Raises OSError when the
    manifest itself cannot be read.
    """
    return json.loads(_lacuna.check(os.fspath(dataset)))


def train(
    config: Path, out: Path, *, overrides: Sequence[str] = (), resume: bool = False
) -> Record:
    """Trains as a run file says into the folder ``out`` (``lacuna train``).

    ``overrides`` are ``KEY=VALUE``, as ``--set`` takes them. Returns the summary of the
    run. Ctrl-C ends it with a checkpoint, from which ``resume`` goes on. Raises OSError
    with the reason when something is wrong; checkpoints written before stay.
    """
    summary = _lacuna.train(os.fspath(config), os.fspath(out), list(overrides), resume)
    return json.loads(summary)


def predict_dataset(
    run: Union[Path, Sequence[Path]],
    dataset: Path,
    out: Path,
    *,
    split: Optional[str] = None,
    subjects: Sequence[str] = (),
    probabilities: bool = False,
    uncertainty: bool = False,
    label_values: bool = False,
    format: str = "nii.gz",
    existing: str = "refuse",
    overlap: Optional[float] = None,
    blend: Optional[str] = None,
    mirror: Optional[Sequence[str]] = None,
    average: Optional[str] = None,
    postprocess: Optional[Path] = None,
    checkpoint: Union[str, int] = "last",
) -> List[str]:
    """Predicts subjects of a manifest into a folder (``lacuna predict --dataset``).

    ``split`` is "train", "validation", "test" or "unlabelled"; else ``subjects`` are
    predicted, else all. ``existing`` says what becomes of files that are there:
    "refuse", "replace" or "skip"; ``format`` is the ending of the label maps, one of
    ``lacuna.files.ENDINGS`` without its dot; with ``uncertainty``, how far several networks
    are apart is written too; ``run``, ``overlap``, ``blend``, ``mirror``, ``average``,
    ``postprocess`` and ``checkpoint`` are those of :func:`lacuna.predict`. Returns the ids.
    Raises OSError with the reason when something is wrong; what was written before stays
    listed in ``predictions.json``.
    """
    if overlap is not None and not 0.0 <= overlap <= 0.9:
        raise ValueError(f"overlap: found {overlap}, expected a number from 0 to 0.9")
    return _lacuna.predict_dataset(
        run_folders(run),
        os.fspath(dataset),
        os.fspath(out),
        split,
        list(subjects),
        probabilities,
        uncertainty,
        label_values,
        format,
        existing,
        overlap,
        blend,
        None if mirror is None else list(mirror),
        average,
        None if postprocess is None else os.fspath(postprocess),
        str(checkpoint),
    )


def evaluate_folder(
    dataset: Path,
    predictions: Path,
    out: Path,
    *,
    subjects: Sequence[str] = (),
    regions: Sequence[str] = (),
    label_values: bool = False,
    tolerance_mm: float = 1.0,
    force: bool = False,
) -> Record:
    """Scores a folder of predictions (``lacuna evaluate``).

    ``regions`` are classes joined by ``+``. Scores, lesions and pictures are written to
    ``out``. Returns the evaluation: per subject the scores of each class, and their
    summary. Raises OSError with the reason when something is wrong; nothing is written
    then.
    """
    evaluation = _lacuna.evaluate_folder(
        os.fspath(dataset),
        os.fspath(predictions),
        os.fspath(out),
        list(subjects),
        list(regions),
        label_values,
        tolerance_mm,
        force,
    )
    return json.loads(evaluation)
