"""Losses for PyTorch tensors and NumPy arrays.

>>> import numpy as np
>>> from lacuna.losses import GeneralisedDice
>>> logits = np.array([[[4.0, 4.0, 0.0], [0.0, 0.0, 4.0]]], dtype=np.float32)
>>> round(GeneralisedDice()(logits, np.array([[0, 0, 1]])), 3)
0.021

Each class takes its options as keywords; ``lacuna losses NAME`` explains them. An
option that a loss cannot honour is a ValueError.
"""

from typing import Literal, Mapping, Optional, Sequence, Union

from ._base import AbsentClass, Activation, Classes, Compatibility, Loss, Reduction
from ._deep_supervision import DeepSupervision, coarser_labels

Term = Mapping[str, Union[float, Mapping[str, float], Loss]]
"""A term of :class:`Sum`: ``{"factor": 1.0, "loss": Dice()}``; a factor is a number or
``{"from": 0.0, "to": 1.0, "start": 0, "end": 500}``."""

__all__ = [
    "Loss",
    "DeepSupervision",
    "coarser_labels",
    "GeneralisedDice",
    "Dice",
    "SensitivitySpecificity",
    "WeightedCrossEntropy",
    "CrossEntropy",
    "Focal",
    "TopKCrossEntropy",
    "DistanceCrossEntropy",
    "Tversky",
    "FocalTversky",
    "LogDice",
    "ExponentialLogarithmic",
    "UnifiedFocal",
    "GeneralisedWassersteinDice",
    "Matthews",
    "Lovasz",
    "Boundary",
    "Hausdorff",
    "ClDice",
    "SizeReweighted",
    "Blob",
    "Sum",
]


class GeneralisedDice(Loss):
    """Dice over all classes, each weighted by 1/volume^2.

    ``lacuna losses generalised-dice`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        classes: Classes = "all",
        weight: Literal["square", "simple", "uniform", "volume-sum"] = "square",
        empty_class: Literal["max", "zero", "one-voxel"] = "max",
        differentiate_weight: bool = False,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "generalised-dice",
            classes=classes,
            weight=weight,
            empty_class=empty_class,
            differentiate_weight=differentiate_weight,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Dice(Loss):
    """Mean soft Dice score of the classes; also squared, as Jaccard, as the paper printed it.

    ``lacuna losses dice`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        form: Literal["plain", "squared", "jaccard", "as-printed"] = "plain",
        classes: Classes = "all",
        empty_class: AbsentClass = "share",
        smoothing: float = 1e-08,
        class_weight: Optional[Sequence[float]] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "dice",
            form=form,
            classes=classes,
            empty_class=empty_class,
            smoothing=smoothing,
            class_weight=class_weight,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class SensitivitySpecificity(Loss):
    """Squared error inside the lesion and outside, each by its volume.

    ``lacuna losses sensitivity-specificity`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        form: Literal["as-printed", "symmetric"] = "as-printed",
        lambda_: float = 0.05,
        smoothing: float = 1e-08,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "sensitivity-specificity",
            form=form,
            lambda_=lambda_,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class WeightedCrossEntropy(Loss):
    """Cross-entropy weighted by the predicted foreground, as the paper has it.

    ``lacuna losses weighted-cross-entropy`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        differentiate_weight: bool = False,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "weighted-cross-entropy",
            differentiate_weight=differentiate_weight,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class CrossEntropy(Loss):
    """Mean negative log-probability of the truth.

    ``lacuna losses cross-entropy`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        class_weight: Optional[Sequence[float]] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "cross-entropy",
            label_smoothing=label_smoothing,
            class_weight=class_weight,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Focal(Loss):
    """Cross-entropy with easy elements turned down.

    ``lacuna losses focal`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        classes: Classes = "all",
        alpha: Optional[float] = None,
        class_weight: Optional[Sequence[float]] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "focal",
            gamma=gamma,
            classes=classes,
            alpha=alpha,
            class_weight=class_weight,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class TopKCrossEntropy(Loss):
    """Cross-entropy of the hardest share of the elements.

    ``lacuna losses top-k-cross-entropy`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        share: float = 0.1,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "top-k-cross-entropy",
            share=share,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class DistanceCrossEntropy(Loss):
    """Cross-entropy that weighs distance to the nearest boundary in mm.

    ``lacuna losses distance-cross-entropy`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        factor: float = 1.0,
        scale_mm: float = 5.0,
        emphasis: Literal["near", "far"] = "near",
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "distance-cross-entropy",
            factor=factor,
            scale_mm=scale_mm,
            emphasis=emphasis,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Tversky(Loss):
    """Dice with separate prices for false positives and negatives.

    ``lacuna losses tversky`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        classes: Classes = "all",
        empty_class: AbsentClass = "share",
        smoothing: float = 1e-08,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "tversky",
            alpha=alpha,
            beta=beta,
            classes=classes,
            empty_class=empty_class,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class FocalTversky(Loss):
    """Tversky raised to a power.

    ``lacuna losses focal-tversky`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 0.75,
        classes: Classes = "all",
        empty_class: AbsentClass = "share",
        smoothing: float = 1e-08,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "focal-tversky",
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            classes=classes,
            empty_class=empty_class,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class LogDice(Loss):
    """Logarithm of the soft Dice score.

    ``lacuna losses log-dice`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        gamma: float = 1.0,
        classes: Classes = "all",
        empty_class: AbsentClass = "share",
        smoothing: float = 1e-08,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "log-dice",
            gamma=gamma,
            classes=classes,
            empty_class=empty_class,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class ExponentialLogarithmic(Loss):
    """Log-Dice and weighted log-probabilities, both to a power.

    ``lacuna losses exponential-logarithmic`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        dice_factor: float = 0.8,
        entropy_factor: float = 0.2,
        gamma: float = 0.3,
        class_weight: Optional[Sequence[float]] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "exponential-logarithmic",
            dice_factor=dice_factor,
            entropy_factor=entropy_factor,
            gamma=gamma,
            class_weight=class_weight,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class UnifiedFocal(Loss):
    """Asymmetric focal and focal Tversky losses in one.

    ``lacuna losses unified-focal`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        weight: float = 0.5,
        delta: float = 0.6,
        gamma: float = 0.5,
        smoothing: float = 1e-08,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "unified-focal",
            weight=weight,
            delta=delta,
            gamma=gamma,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class GeneralisedWassersteinDice(Loss):
    """Dice with a distance between labels.

    ``lacuna losses generalised-wasserstein-dice`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        weighting: Literal["default", "generalised-dice"] = "default",
        distance: Optional[Sequence[Sequence[float]]] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "generalised-wasserstein-dice",
            weighting=weighting,
            distance=distance,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Matthews(Loss):
    """Matthews correlation of soft counts.

    ``lacuna losses matthews`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        classes: Classes = "foreground",
        empty_class: Literal["share", "skip"] = "share",
        smoothing: float = 1e-06,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "matthews",
            classes=classes,
            empty_class=empty_class,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Lovasz(Loss):
    """Convex extension of the Jaccard loss.

    ``lacuna losses lovasz`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        classes: Classes = "all",
        empty_class: Literal["share", "skip"] = "share",
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "lovasz",
            classes=classes,
            empty_class=empty_class,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Boundary(Loss):
    """Probability weighted by signed distance to the reference's boundary.

    ``lacuna losses boundary`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        classes: Classes = "foreground",
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "boundary",
            classes=classes,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Hausdorff(Loss):
    """Squared error weighted by powers of the distance to the boundaries.

    ``lacuna losses hausdorff`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        distance: Literal["both", "reference"] = "both",
        log: bool = False,
        classes: Classes = "foreground",
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "hausdorff",
            alpha=alpha,
            distance=distance,
            log=log,
            classes=classes,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class ClDice(Loss):
    """Overlap of centrelines, for thin structures.

    ``lacuna losses cl-dice`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        iterations: int = 3,
        classes: Classes = "foreground",
        smoothing: float = 1e-06,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "cl-dice",
            iterations=iterations,
            classes=classes,
            smoothing=smoothing,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class SizeReweighted(Loss):
    """Any loss with voxels weighted against the size of their lesion.

    ``lacuna losses size-reweighted`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        loss: Optional["Loss"] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "size-reweighted",
            loss=loss,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Blob(Loss):
    """Any overlap loss, of everything and of each lesion alone.

    ``lacuna losses blob`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        loss: Optional["Loss"] = None,
        global_factor: float = 2.0,
        lesion_factor: float = 1.0,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "blob",
            loss=loss,
            global_factor=global_factor,
            lesion_factor=lesion_factor,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )


class Sum(Loss):
    """Weighted sum of losses, with factors that may change over a training.

    ``lacuna losses sum`` prints its equation, source and options.
    """

    def __init__(
        self,
        *,
        terms: Optional[Sequence[Term]] = None,
        reduction: Reduction = "batch",
        activation: Activation = "softmax",
        ignore_label: Optional[int] = None,
        compatibility: Optional[Compatibility] = None,
    ) -> None:
        super().__init__(
            "sum",
            terms=terms,
            reduction=reduction,
            activation=activation,
            ignore_label=ignore_label,
            compatibility=compatibility,
        )
