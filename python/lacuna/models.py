"""From a dataset to a model, and predictions compared, as the ``lacuna`` command does it."""

import json
import os
from typing import Any, Dict, Optional, Sequence

from . import _lacuna
from .files import Path

Record = Dict[str, Any]


def _optional(path: Optional[Path]) -> Optional[str]:
    return None if path is None else os.fspath(path)


def plan(
    dataset: Path,
    out: Path,
    *,
    budget: str,
    structure: Optional[str] = None,
    overrides: Sequence[str] = (),
    splits: Optional[Path] = None,
    skip_bad: bool = False,
    seed: int = 0,
) -> Record:
    """Decides how to train on a dataset in a given time, such as "40m" (``lacuna plan``).

    Returns the plan: ``decisions``, each with its reason and the figure it came from, and
    ``trainings``. Raises OSError with the reason when something is wrong, ValueError for a
    budget or a structure that is none.
    """
    return _auto(dataset, out, budget, structure, overrides, splits, skip_bad, seed, False)


def auto(
    dataset: Path,
    out: Path,
    *,
    budget: str,
    structure: Optional[str] = None,
    overrides: Sequence[str] = (),
    splits: Optional[Path] = None,
    skip_bad: bool = False,
    seed: int = 0,
) -> Optional[Record]:
    """From a dataset to a tuned and judged model in the folder ``out`` (``lacuna auto``).

    Goes on where an earlier call was cut off; Ctrl-C ends it with a checkpoint. Returns the
    scores of the held-out subjects, None where nothing could be held out. Raises as
    :func:`plan`. :func:`lacuna.predict` takes the folder as a run.
    """
    return _auto(dataset, out, budget, structure, overrides, splits, skip_bad, seed, True)


def _auto(
    dataset: Path,
    out: Path,
    budget: str,
    structure: Optional[str],
    overrides: Sequence[str],
    splits: Optional[Path],
    skip_bad: bool,
    seed: int,
    carry_out: bool,
) -> Any:
    made = _lacuna.auto(
        os.fspath(dataset),
        os.fspath(out),
        budget,
        structure,
        list(overrides),
        _optional(splits),
        skip_bad,
        seed,
        carry_out,
    )
    return json.loads(made)


def export(auto: Path, file: Path, *, force: bool = False) -> None:
    """Writes the model of a folder of :func:`auto` into one file (``lacuna export``).

    A file that is there is replaced with ``force`` only; OSError otherwise."""
    _lacuna.export(os.fspath(auto), os.fspath(file), force)


def fingerprint(dataset: Path, out: Optional[Path] = None, *, skip_bad: bool = False) -> Record:
    """Measures what a dataset looks like (``lacuna fingerprint``); with ``out``, tables and
    charts are written there. Raises OSError that tells all subjects that cannot be used,
    unless ``skip_bad`` leaves them out."""
    return json.loads(
        _lacuna.dataset_fingerprint(os.fspath(dataset), _optional(out), skip_bad)
    )


def compare(
    predictions: Sequence[Path],
    dataset: Path,
    out: Path,
    *,
    names: Sequence[str] = (),
    label_values: Sequence[str] = (),
    subjects: Sequence[str] = (),
    pictures: int = 4,
    force: bool = False,
) -> Record:
    """Compares two or more folders of predictions (``lacuna compare``).

    ``names`` are those of the folders in tables; those among ``label_values`` hold the
    dataset's own label values. Returns what ``compare.json`` in ``out`` holds. Raises
    OSError with the reason when something is wrong.
    """
    compared = _lacuna.compare(
        [os.fspath(folder) for folder in predictions],
        os.fspath(dataset),
        os.fspath(out),
        list(names),
        list(label_values),
        list(subjects),
        pictures,
        force,
    )
    return json.loads(compared)
