"""Deep supervision: one loss on outputs of several resolutions."""

from typing import Any, Optional, Sequence

import numpy as np

from .. import _lacuna
from ._base import Loss, Module, _is_tensor


def coarser_labels(labels: Any, factors: Sequence[int]) -> Any:
    """Labels ``[B, *axes]`` on a grid whose axes are divided by ``factors``.

    Of the labels in a block the one that is rarest in its sample wins, so a lesion
    of one voxel is still there on the coarsest grid. NumPy array in and out.
    """
    array = np.ascontiguousarray(np.asarray(labels), dtype=np.uint8)
    if not array.flags.writeable:
        array = array.copy()
    shape = [-(-length // factor) for length, factor in zip(array.shape[1:], factors)]
    coarse = _lacuna.coarser_labels(array.__dlpack__(), [int(f) for f in factors])
    return np.frombuffer(coarse, dtype=np.uint8).copy().reshape([array.shape[0], *shape])


class DeepSupervision(Module):
    """The weighted mean of a loss over outputs, finest first.

    Without ``weights`` each coarser output has half the weight of the one before.
    The target is of the finest output's grid; for coarser outputs its labels are
    made by :func:`coarser_labels`, on the CPU whatever the device.
    """

    def __init__(self, loss: Loss, weights: Optional[Sequence[float]] = None) -> None:
        super().__init__()
        self.loss = loss
        self.weights = None if weights is None else [float(w) for w in weights]

    def forward(self, outputs: Sequence[Any], target: Any, **inputs: Any) -> Any:
        """The loss of ``outputs``, each ``[B, C, *axes]``, against whole labels."""
        if len(outputs) == 0:
            raise ValueError("outputs: found none, expected at least one")
        weights = self.weights or [0.5**i for i in range(len(outputs))]
        if len(weights) != len(outputs):
            raise ValueError(f"weights: found {len(weights)}, expected {len(outputs)}, one per output")
        total = sum(weights)
        if min(weights) < 0 or not total > 0:
            raise ValueError(f"weights: found {weights}, expected none negative and not all 0")
        if inputs.get("weight") is not None or inputs.get("mask") is not None:
            raise ValueError("deep supervision takes no weight or mask: they have no coarser form")
        fine = outputs[0]
        plane = (fine.shape[0],) + tuple(fine.shape[2:])
        whole = target.detach().cpu() if _is_tensor(target) else target
        labels = np.asarray(whole).reshape(plane)
        value: Any = 0.0
        for weight, output in zip(weights, outputs):
            axes = tuple(output.shape[2:])
            factors = [-(-long // short) for long, short in zip(plane[1:], axes)]
            own = labels if all(f == 1 for f in factors) else coarser_labels(labels, factors)
            if own.shape[1:] != axes:
                raise ValueError(
                    f"outputs: one has axes {axes}, which do not divide {plane[1:]} evenly"
                )
            if _is_tensor(output):
                import torch

                own = torch.from_numpy(np.ascontiguousarray(own)).to(output.device)
            value = value + weight / total * self.loss(output, own, **inputs)
        return value
