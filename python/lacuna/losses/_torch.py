"""Losses of PyTorch tensors. Imported only where a tensor is given."""

from typing import TYPE_CHECKING, Any, Optional, Sequence

import torch
from torch.autograd.function import once_differentiable

from ._base import _spacing, plane_shape, target_kind

if TYPE_CHECKING:
    from ._base import Loss


def _on_cpu(name: str, tensor: torch.Tensor) -> None:
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{name} is on {tensor.device}: Lacuna computes on the CPU; move it there with "
            "tensor.cpu(), gradients flow back through the move"
        )


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, loss: "Loss", target: Any, weights: Any, spacing: Any, iteration: int) -> torch.Tensor:
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        value, values = loss._native.value_and_gradient(
            logits.detach().__dlpack__(),
            target.__dlpack__(),
            gradient.__dlpack__(),
            None if weights is None else weights.__dlpack__(),
            _spacing(spacing),
            iteration,
        )
        ctx.save_for_backward(gradient)
        if loss._table["reduction"] == "none":
            return torch.tensor(values, dtype=logits.dtype)
        return torch.tensor(value, dtype=logits.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        if upstream.dim() == 1:
            upstream = upstream.reshape(-1, *[1] * (gradient.dim() - 1))
        return gradient * upstream, None, None, None, None, None


def apply(
    loss: "Loss",
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: Optional[torch.Tensor],
    mask: Optional[torch.Tensor],
    spacing: Optional[Sequence[float]],
    iteration: int,
) -> torch.Tensor:
    """The loss as a tensor that gradients flow back from."""
    _on_cpu("logits", logits)
    if logits.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"logits: found {logits.dtype}, expected torch.float32 or torch.float64; use logits.float()"
        )
    target = torch.as_tensor(target)
    _on_cpu("target", target)
    plane = plane_shape(logits)
    if target_kind(logits, target, target.is_floating_point()):
        target = target.detach().to(logits.dtype).contiguous()
    else:
        if target.dtype != torch.uint8:
            whole = target.to(torch.uint8)
            if not torch.equal(whole.to(target.dtype), target):
                raise ValueError("target: expected whole labels from 0 to 255")
            target = whole
        target = target.reshape(plane).contiguous()
    weights = None
    for name, given in (("weight", weight), ("mask", mask)):
        if given is None:
            continue
        given = torch.as_tensor(given)
        _on_cpu(name, given)
        one_channel = plane[:1] + (1,) + plane[1:]
        if tuple(given.shape) not in (plane, one_channel):
            raise ValueError(f"{name}: found the shape {tuple(given.shape)}, expected {plane}")
        given = given.detach().reshape(plane)
        part = (given != 0).float() if name == "mask" else given.float()
        weights = part if weights is None else weights * part
    if weights is not None:
        weights = weights.contiguous()
    result: torch.Tensor = _Apply.apply(logits.contiguous(), loss, target, weights, spacing, iteration)
    return result
