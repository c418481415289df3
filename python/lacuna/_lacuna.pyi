from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

__version__: str
ENDINGS: List[str]

def command(arguments: Sequence[str], program: Optional[str]) -> int: ...

class Loss:
    def __new__(cls, table: str) -> "Loss": ...
    def __getnewargs__(self) -> Tuple[str]: ...
    def table(self) -> str: ...
    def terms(self, iteration: int) -> List[Tuple[float, "Loss"]]: ...
    def is_of_sums(self) -> bool: ...
    def needs(self) -> Optional[Tuple[bool, bool]]: ...
    def takes_fractions(self) -> Tuple[bool, bool]: ...
    def of_sums(
        self, classes: int, sums: List[List[float]], iteration: int
    ) -> Tuple[List[float], List[List[float]]]: ...
    def element_factors(self, elements: float, volume: List[float]) -> Optional[List[float]]: ...
    def value_and_gradient(
        self,
        logits: Any,
        target: Any,
        gradient: Any,
        weights: Optional[Any],
        spacing: Optional[Sequence[float]],
        iteration: int,
    ) -> Tuple[float, List[float]]: ...

def default_losses() -> List[str]: ...
def coarser_labels(labels: Any, factors: Sequence[int]) -> bytes: ...
def evaluate(
    prediction: Any,
    reference: Any,
    spacing: Tuple[float, float, float],
    classes: List[str],
    tolerance_mm: float,
    regions: List[List[str]],
) -> str: ...
def average_precision(probability: Any, reference: Any) -> Optional[float]: ...
def measure(
    metric: str,
    prediction: Any,
    reference: Any,
    spacing: Tuple[float, float, float],
    tolerance_mm: float,
) -> float: ...
def read_nifti(
    path: str, several: bool
) -> Tuple[
    "np.ndarray[Any, np.dtype[np.float32]]", Tuple[int, int, int], int, List[List[float]]
]: ...
def write_nifti(path: str, array: Any, affine: List[List[float]]) -> None: ...
def predict(
    runs: List[str],
    images: Dict[str, str],
    out: str,
    mask: Optional[str],
    probabilities: Optional[str],
    uncertainty: Optional[str],
    window: Optional[Sequence[int]],
    overlap: Optional[float],
    blend: Optional[str],
    mirror: Optional[List[str]],
    average: Optional[str],
    postprocess: Optional[str],
    checkpoint: str,
) -> List[str]: ...
def check(dataset: str) -> str: ...
def train(config: str, out: str, overrides: List[str], resume: bool) -> str: ...
def predict_dataset(
    runs: List[str],
    dataset: str,
    out: str,
    split: Optional[str],
    subjects: List[str],
    probabilities: bool,
    uncertainty: bool,
    label_values: bool,
    format: str,
    existing: str,
    overlap: Optional[float],
    blend: Optional[str],
    mirror: Optional[List[str]],
    average: Optional[str],
    postprocess: Optional[str],
    checkpoint: str,
) -> List[str]: ...
def evaluate_folder(
    dataset: str,
    predictions: str,
    out: str,
    subjects: List[str],
    regions: List[str],
    label_values: bool,
    tolerance_mm: float,
    force: bool,
) -> str: ...
def auto(
    dataset: str,
    out: str,
    budget: str,
    structure: Optional[str],
    overrides: List[str],
    splits: Optional[str],
    skip_bad: bool,
    seed: int,
    carry_out: bool,
) -> str: ...
def export(auto: str, file: str, force: bool) -> None: ...
def dataset_fingerprint(dataset: str, out: Optional[str], skip_bad: bool) -> str: ...
def compare(
    folders: List[str],
    dataset: str,
    out: str,
    names: List[str],
    label_values: List[str],
    subjects: List[str],
    pictures: int,
    force: bool,
) -> str: ...
