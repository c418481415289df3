"""What all losses have in common: arrays in, value and gradient out."""

import json
from typing import Any, Dict, Literal, Optional, Sequence, Tuple, Union

import numpy as np

from .. import _lacuna

try:
    from torch.nn import Module
except ImportError:

    class Module:  # type: ignore[no-redef]
        """What takes its place where PyTorch is not installed."""

        def __call__(self, *inputs: Any, **named: Any) -> Any:
            return self.forward(*inputs, **named)  # type: ignore[attr-defined]


Classes = Union[Literal["all", "foreground"], Sequence[int]]
AbsentClass = Literal["share", "skip", "smooth"]
Reduction = Literal["batch", "sample", "none"]
Activation = Literal["softmax", "sigmoid"]
Compatibility = Literal["monai", "niftynet"]


class Loss(Module):
    """A loss with its options; call it with logits and a target.

    ``loss(logits, target)`` takes PyTorch tensors or NumPy arrays: logits
    ``[B, C, *axes]`` of a floating type with one to three axes; target either
    whole labels ``[B, *axes]`` or ``[B, 1, *axes]``, or shares ``[B, C, *axes]`` of a
    floating type (soft labels, or with ``activation="sigmoid"`` overlapping
    regions). A floating ``[B, 1, *axes]`` with one channel is such a region.

    - ``weight``: voxel weights ``[B, *axes]`` or ``[B, 1, *axes]``, at least 0
    - ``mask``: where elements count; the rest is as if it were not there
    - ``spacing``: mm along the axes, for losses that measure distances
    - ``iteration``: for sums whose factors change over a training

    With tensors the result is a tensor with a gradient, with arrays a number (an
    array with ``reduction="none"``); :meth:`value_and_gradient` gives both. It is a
    ``torch.nn.Module`` where PyTorch is installed.

    Half precision (float16, bfloat16), under ``torch.autocast`` or not, is computed in
    float32: the value is of float32, the gradient of the type of the logits.

    Tensors on the CPU go through Lacuna's kernels. Tensors on another device are computed
    there by PyTorch's operations, all inputs on one device. :class:`Boundary`,
    :class:`Hausdorff`, :class:`DistanceCrossEntropy`, :class:`SizeReweighted` and
    :class:`Blob` measure distances or connected components: they are computed on the CPU, from
    copies of the tensors, with one warning per process.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        table: Dict[str, Any] = {"name": name}
        for key, value in options.items():
            if value is not None:
                table[key.rstrip("_")] = _plain(value)
        self._native = _lacuna.Loss(json.dumps(table))
        self._table = json.loads(self._native.table())

    @property
    def table(self) -> Dict[str, Any]:
        """Every option with its value, as in the ``[loss]`` table of a run."""
        return dict(self._table)

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in self._table.items() if k != "name")
        return f"{type(self).__name__}({options})"

    def forward(
        self,
        logits: Any,
        target: Any,
        *,
        weight: Optional[Any] = None,
        mask: Optional[Any] = None,
        spacing: Optional[Sequence[float]] = None,
        iteration: int = 0,
    ) -> Any:
        """The loss of ``logits`` against ``target``."""
        if _is_tensor(logits):
            from ._torch import apply

            return apply(self, logits, target, weight, mask, spacing, iteration)
        value, _ = self.value_and_gradient(
            logits, target, weight=weight, mask=mask, spacing=spacing, iteration=iteration
        )
        return value

    def value_and_gradient(
        self,
        logits: Any,
        target: Any,
        *,
        weight: Optional[Any] = None,
        mask: Optional[Any] = None,
        spacing: Optional[Sequence[float]] = None,
        iteration: int = 0,
    ) -> Tuple[Any, Any]:
        """Value and gradient by the logits of NumPy arrays.

        With ``reduction="none"`` there is a value per sample, and the gradient of a
        sample is that of its own value.
        """
        if _is_tensor(logits):
            raise TypeError("value_and_gradient takes NumPy arrays; call the loss with tensors")
        logits = np.asarray(logits)
        given = logits.dtype
        if given == np.float16:
            logits = logits.astype(np.float32)
        if logits.dtype not in (np.float32, np.float64):
            raise TypeError(f"logits: found {given}, expected float16, float32 or float64")
        logits = _writable(np.ascontiguousarray(logits))
        target = _numpy_target(logits, np.asarray(target))
        weights = _numpy_weights(logits, weight, mask)
        gradient = np.empty_like(logits)
        value, values = self._native.value_and_gradient(
            logits.__dlpack__(),
            target.__dlpack__(),
            gradient.__dlpack__(),
            None if weights is None else weights.__dlpack__(),
            _spacing(spacing),
            iteration,
        )
        gradient = gradient.astype(given, copy=False)
        if self._table["reduction"] == "none":
            return np.array(values), gradient
        return value, gradient


def _plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, Loss):
        shared = {"reduction": "batch", "activation": "softmax"}
        own = {k: v for k, v in value.table.items() if k not in shared}
        for key in ("reduction", "activation", "ignore_label", "compatibility"):
            if value.table.get(key) != shared.get(key):
                raise ValueError(f"{value!r}: give {key} to the outer loss, which it is asked of")
        return own
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _is_tensor(array: Any) -> bool:
    """Whether it is PyTorch's, without importing PyTorch."""
    return type(array).__module__.split(".")[0] == "torch" or any(
        base.__module__.split(".")[0] == "torch" for base in type(array).__mro__
    )


def _spacing(spacing: Optional[Sequence[float]]) -> Optional[Sequence[float]]:
    return None if spacing is None else [float(edge) for edge in spacing]


def _writable(array: Any) -> Any:
    """NumPy lends memory by DLPack only if it may be written."""
    return array if array.flags.writeable else array.copy()


def plane_shape(logits: Any) -> Tuple[int, ...]:
    """Shape of labels and weights."""
    shape = tuple(logits.shape)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"logits: found the shape {shape}, expected [batch, classes] and one to three axes"
        )
    return (shape[0],) + shape[2:]


def target_kind(logits: Any, target: Any, floating: bool) -> bool:
    """Whether a target of this shape holds shares and not labels."""
    plane = plane_shape(logits)
    one_channel = plane[:1] + (1,) + plane[1:]
    shape = tuple(target.shape)
    if floating and shape == tuple(logits.shape):
        return True
    if shape in (plane, one_channel):
        return False
    raise ValueError(
        f"target: found the shape {shape}, expected labels {plane} or {one_channel}, or shares "
        f"{tuple(logits.shape)} of a floating type"
    )


def _numpy_target(logits: Any, target: Any) -> Any:
    floating = np.issubdtype(target.dtype, np.floating)
    if target_kind(logits, target, floating):
        return _writable(np.ascontiguousarray(target, dtype=logits.dtype))
    if target.dtype != np.uint8:
        whole = target.astype(np.uint8)
        if not np.array_equal(whole, target):
            raise ValueError("target: expected whole labels from 0 to 255")
        target = whole
    return _writable(np.ascontiguousarray(target.reshape(plane_shape(logits))))


def _numpy_weights(logits: Any, weight: Optional[Any], mask: Optional[Any]) -> Optional[Any]:
    if weight is None and mask is None:
        return None
    plane = plane_shape(logits)
    one_channel = plane[:1] + (1,) + plane[1:]
    result = np.ones(plane, dtype=np.float32)
    for name, given in (("weight", weight), ("mask", mask)):
        if given is None:
            continue
        given = np.asarray(given)
        if given.shape not in (plane, one_channel):
            raise ValueError(f"{name}: found the shape {given.shape}, expected {plane}")
        given = given.reshape(plane)
        result *= (given != 0) if name == "mask" else given.astype(np.float32)
    return result
