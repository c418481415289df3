"""Losses of PyTorch tensors. Imported only where a tensor is given."""

from typing import TYPE_CHECKING, Any, Optional, Sequence

import torch
from torch.autograd.function import once_differentiable

from . import _operations
from ._base import _spacing, plane_shape, target_kind

if TYPE_CHECKING:
    from ._base import Loss


class _Apply(torch.autograd.Function):
    """By the kernels, over the tensors' own memory on the CPU."""

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, native: Any, per_sample: bool, target: Any, weights: Any,
        spacing: Any, iteration: int,
    ) -> torch.Tensor:
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        value, values = native.value_and_gradient(
            logits.detach().__dlpack__(),
            target.__dlpack__(),
            gradient.__dlpack__(),
            None if weights is None else weights.__dlpack__(),
            spacing,
            iteration,
        )
        ctx.save_for_backward(gradient)
        return torch.tensor(values if per_sample else value, dtype=logits.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        if upstream.dim() == 1:
            upstream = upstream.reshape(-1, *[1] * (gradient.dim() - 1))
        return gradient * upstream, None, None, None, None, None, None


def _beside(logits: torch.Tensor, name: str, array: Any) -> torch.Tensor:
    """As a tensor on the device of the logits."""
    if not isinstance(array, torch.Tensor):
        return torch.as_tensor(array, device=logits.device)
    if array.device != logits.device:
        raise ValueError(
            f"{name} is on {array.device} and the logits on {logits.device}; move it with "
            f"{name}.to(logits.device)"
        )
    return array.detach()


def _target(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Shares of the logits' type, or labels of a byte."""
    if target_kind(logits, target, target.is_floating_point()):
        return target.to(logits.dtype).contiguous()
    if target.dtype != torch.uint8:
        whole = target.to(torch.uint8)
        if not torch.equal(whole.to(target.dtype), target):
            raise ValueError("target: expected whole labels from 0 to 255")
        target = whole
    return target.reshape(plane_shape(logits)).contiguous()


def _weights(logits: torch.Tensor, weight: Optional[Any], mask: Optional[Any]) -> Any:
    plane = plane_shape(logits)
    weights = None
    for name, given in (("weight", weight), ("mask", mask)):
        if given is None:
            continue
        given = _beside(logits, name, given)
        if tuple(given.shape) not in (plane, plane[:1] + (1,) + plane[1:]):
            raise ValueError(f"{name}: found the shape {tuple(given.shape)}, expected {plane}")
        part = (given != 0 if name == "mask" else given).reshape(plane).float()
        weights = part if weights is None else weights * part
    return None if weights is None else weights.contiguous()


def apply(
    loss: "Loss",
    logits: torch.Tensor,
    target: Any,
    weight: Optional[Any],
    mask: Optional[Any],
    spacing: Optional[Sequence[float]],
    iteration: int,
    operations: Optional[bool] = None,
) -> torch.Tensor:
    """The loss as a tensor that gradients flow back from.

    By the kernels where the tensors are on the CPU, else by PyTorch's operations;
    ``operations`` asks for one or the other, for tests.
    """
    if not logits.is_floating_point():
        raise TypeError(f"logits: found {logits.dtype}, expected a floating type")
    if logits.is_meta:
        raise ValueError("logits: the device meta holds no values to compute a loss of")
    # The gradient flows back through the conversion, in the type that was given.
    if logits.dtype != torch.float64:
        logits = logits.float()
    target = _target(logits, _beside(logits, "target", target))
    weights = _weights(logits, weight, mask)
    mm, per_sample = _spacing(spacing), loss._table["reduction"] == "none"

    def by_kernels(native: Any, z: torch.Tensor, y: torch.Tensor, w: Any) -> torch.Tensor:
        parts = [t if t is None else t.cpu().contiguous() for t in (z, y, w)]
        result: torch.Tensor = _Apply.apply(parts[0], native, per_sample, *parts[1:], mm, iteration)
        return result

    if operations is None:
        operations = logits.device.type != "cpu"
    if not operations:
        return by_kernels(loss._native, logits, target, weights)
    # An option that cannot be honoured is told of one element, a bad value of all of them.
    with torch.no_grad():
        tensors = (logits, target, weights)
        if not _operations.look_wrong(loss._native, loss._table, *tensors):
            tensors = tuple(t if t is None else _corner(t, logits.dim() - 2) for t in tensors)
        by_kernels(loss._native, *tensors)
    with torch.autocast(logits.device.type, enabled=False):
        return _operations.evaluate(
            loss._native, loss._table, logits, target, weights,
            lambda native: by_kernels(native, logits, target, weights), iteration,
        )


def _corner(tensor: torch.Tensor, axes: int) -> torch.Tensor:
    """One element of one sample."""
    return tensor[(slice(1), ..., *[slice(1)] * axes)]
