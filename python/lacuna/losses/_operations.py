"""Losses of tensors that are not on the CPU, by PyTorch operations on their device.

Losses of sums over the elements have their sums made there; what is done with a few sums,
equation, options and derivatives, is asked of the native half, so it is written once. Losses of
single elements get their constants from there and have their equation here, as have those that
rank elements or pool neighbours. What needs distances or connected components is computed on the
CPU, from copies, and said once per process.
"""

import json
import math
import warnings
from functools import cached_property
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Options = Dict[str, Any]


class Batch:
    """What a loss is of: planes ``[B, C, N]`` with gradients, weights ``[B, 1, N]``.

    ``target`` is labels ``[B, *axes]`` or shares ``[B, C, *axes]``.
    """

    def __init__(self, logits: Tensor, target: Tensor, weights: Optional[Tensor], table: Options):
        self.overlapping = table["activation"] == "sigmoid"
        self.pooled = table["reduction"] == "batch"
        self.monai = table.get("compatibility") == "monai"
        self.axes = logits.shape[2:]
        self.z = z = logits.flatten(2)
        self.classes = z.shape[1]
        #: What sums are made in: as the kernels do, where the device can.
        self.wide = torch.float32 if z.device.type == "mps" else torch.float64
        self.w = torch.ones_like(z[:, :1])
        if weights is not None:
            self.w = weights.to(z.dtype).reshape(self.w.shape)
        if target.dim() == logits.dim():
            self.r = target.flatten(2).to(z.dtype)
            return
        labels = target.reshape(self.w.shape)
        if table.get("ignore_label") is not None:
            self.w = self.w * (labels != table["ignore_label"])
        # A single region is where the label is 1.
        first = 1 if self.classes == 1 else 0
        own = torch.arange(first, first + self.classes, device=z.device)
        self.r = (labels == own[None, :, None]).to(z.dtype)

    @cached_property
    def p(self) -> Tensor:
        return self.z.sigmoid() if self.overlapping else self.z.softmax(1)

    @cached_property
    def rest(self) -> Tensor:
        """``1 - p``, with digits of its own where p is near 1."""
        if self.overlapping:
            return (-self.z).sigmoid()
        large = self.p > 0.5
        others = self.p.masked_fill(large, 0).sum(1, keepdim=True)
        return torch.where(large, others, 1 - self.p)

    @cached_property
    def log_p(self) -> Tensor:
        if self.overlapping:
            return functional.logsigmoid(self.z)
        near = torch.log1p(-self.rest.clamp(max=0.5))
        return torch.where(self.p > 0.5, near, self.z.log_softmax(1))

    @cached_property
    def log_rest(self) -> Tensor:
        """Of overlapping regions."""
        return functional.logsigmoid(-self.z)

    def total(self, planes: Tensor) -> Tensor:
        """Sums over the elements, of each sample."""
        return planes.sum(-1, dtype=self.wide)

    def pool(self, sums: Tensor) -> Tensor:
        """Sums of each sample to those of each group of samples that has a value."""
        return sums.sum(0, keepdim=True) if self.pooled else sums

    def groups(self, planes: Tensor) -> List[Tensor]:
        """``[B, n]`` as the elements of each group."""
        return [planes.flatten()] if self.pooled else list(planes)

    def members(self, options: Options) -> Sequence[int]:
        """The classes of an option ``classes``."""
        if isinstance(options["classes"], list):
            return options["classes"]
        first = options["classes"] == "foreground" and not self.overlapping
        return range(int(first), self.classes)

    @cached_property
    def volumes(self) -> Tensor:
        """``[B, 1 + C]``: all elements, and those of each class."""
        return torch.cat([self.total(self.w), self.total(self.w * self.r)], 1)

    def sums(self, squared: bool, logs: bool) -> Tensor:
        """``[B, K]``: the sums that the native half takes, in its order."""
        wr, none = self.w * self.r, torch.zeros_like(self.volumes[:, 1:])
        head = [self.volumes, self.total(wr * self.r)]
        log_hit = self.total(wr * self.log_p) if logs else none
        miss = self.total(wr * self.rest**2) if squared else none
        if self.overlapping:
            outside = self.w * (1 - self.r)
            alarm = self.total(outside * self.p**2) if squared else none
            rejection = self.total(outside * self.log_rest) if logs else none
            first = [self.total(x) for x in (wr * self.p, wr * self.rest, outside * self.p)]
            by_class = torch.stack([*first, miss, alarm, log_hit, rejection], -1)
            return torch.cat([*head, by_class.flatten(1)], 1)
        by_label = self._by_label(wr, self.p)
        errors = torch.zeros_like(by_label)
        if squared:
            own = torch.eye(self.classes, dtype=self.wide, device=wr.device)
            errors = self._by_label(wr, self.p**2) * (1 - own) + torch.diag_embed(miss)
        return torch.cat([*head, by_label.flatten(1), errors.flatten(1), log_hit], 1)

    def _by_label(self, wr: Tensor, planes: Tensor) -> Tensor:
        """``[B, labels, C]``. Not a matrix product, which may round on a GPU."""
        return torch.stack([self.total(own[:, None] * planes) for own in wr.unbind(1)], 1)


class _OfSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, native: Any, classes: int, iteration: int) -> Tensor:
        values, slopes = native.of_sums(classes, sums.tolist(), iteration)
        ctx.save_for_backward(sums.new_tensor(slopes))
        return sums.new_tensor(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return slopes * upstream[:, None], None, None, None


# Losses of single elements. `f` are the constants `[B, n, 1]`; the result is `[B, C, N]`.


def _power(x: Tensor, exponent: float) -> Tensor:
    """With a finite slope at 0 for every exponent."""
    return x.clamp_min(torch.finfo(x.dtype).tiny) ** exponent


def _guarded_power(x: Tensor, exponent: float) -> Tensor:
    """Below an exponent of 1 and under 1e-4, its chord from 0."""
    if exponent >= 1:
        return x**exponent
    guard = 1e-4
    chord = x * guard ** (exponent - 1)
    return torch.where(x < guard, chord, x.clamp_min(guard) ** exponent)


def _cross_entropy(batch: Batch, options: Options, f: Tensor) -> Tensor:
    spread = options["label_smoothing"]
    r = (1 - spread) * batch.r + spread / (2 if batch.overlapping else batch.classes)
    loss = -f[:, :-1] * r * batch.log_p
    return loss - f[:, -1:] * (1 - r) * batch.log_rest if batch.overlapping else loss


def _focal(batch: Batch, options: Options, f: Tensor) -> Tensor:
    hit, rejection = f.chunk(2, 1)
    loss = -hit * batch.r * _power(batch.rest, options["gamma"]) * batch.log_p
    if batch.overlapping:
        outside = (1 - batch.r) * _power(batch.p, options["gamma"])
        loss = loss - rejection * outside * batch.log_rest
    return loss


def _exponential_logarithmic(batch: Batch, options: Options, f: Tensor) -> Tensor:
    return f * batch.r * _guarded_power(-batch.log_p, options["gamma"])


def _unified_focal(batch: Batch, options: Options, f: Tensor) -> Tensor:
    delta = options["delta"]
    background = (1 - delta) * _power(batch.rest[:, :1], options["gamma"])
    factors = torch.cat([background, torch.full_like(batch.r[:, 1:], delta)], 1)
    return -f * factors * batch.r * batch.log_p


ELEMENTS: Dict[str, Callable[[Batch, Options, Tensor], Tensor]] = {
    "cross-entropy": _cross_entropy,
    "focal": _focal,
    "exponential-logarithmic": _exponential_logarithmic,
    "unified-focal": _unified_focal,
}


def _of_elements(batch: Batch, native: Any, options: Options) -> Tensor:
    rows = batch.pool(batch.volumes).tolist()
    factors = [native.element_factors(row[0], row[1:]) for row in rows]
    # Where no element counts, the constants are those of a division by nothing.
    factors = [[f if row[0] > 0 else 0.0 for f in own] for row, own in zip(rows, factors)]
    f = batch.z.new_tensor(factors)[:, :, None]
    loss = ELEMENTS[options["name"]](batch, options, f)
    return batch.pool(batch.total(batch.w * loss).sum(1))


# Losses of all elements of a group at once.


def _top_k(batch: Batch, options: Options) -> Tensor:
    values = []
    entropies = batch.groups(-(batch.r * batch.log_p).sum(1))
    for entropy, w in zip(entropies, batch.groups(batch.w[:, 0])):
        entropy = entropy[w > 0]
        if entropy.numel() == 0:
            values.append(entropy.sum(dtype=batch.wide))
            continue
        k = options["share"] * entropy.numel()
        with torch.no_grad():
            at = entropy.topk(min(max(math.ceil(k), 1), entropy.numel()), sorted=False)[0].min()
            above, ties = (entropy > at).to(entropy.dtype), (entropy == at).to(entropy.dtype)
            share = above + ties * (k - above.sum(dtype=batch.wide)) / ties.sum()
        values.append((share / k * entropy).sum(dtype=batch.wide))
    return torch.stack(values)


def _lovasz(batch: Batch, options: Options) -> Tensor:
    values = []
    members = batch.members(options)
    counted = batch.groups(batch.w[:, 0] > 0)
    planes = [batch.groups(batch.r[:, c] > 0.5) for c in members]
    wrong = torch.where(batch.r > 0.5, batch.rest, batch.p)
    errors = [batch.groups(wrong[:, c]) for c in members]
    for group, mask in enumerate(counted):
        costs = []
        for inside, error in zip(planes, errors):
            here, own = inside[group][mask], error[group][mask]
            if here.any():
                costs.append(_extension(own, here, batch.wide))
            elif options["empty_class"] == "share" and own.numel() > 0:
                costs.append(own.mean(dtype=batch.wide))
        # The sum of none has a gradient, as any loss has.
        values.append(torch.stack(costs).mean() if costs else batch.p[:0].sum(dtype=batch.wide))
    return torch.stack(values)


def _extension(errors: Tensor, inside: Tensor, wide: torch.dtype) -> Tensor:
    """The Lovász extension of the Jaccard loss."""
    errors, order = errors.sort(descending=True)
    inside = inside[order].to(wide)
    missed, claimed = inside.cumsum(0), (1 - inside).cumsum(0)
    jaccard = (missed + claimed) / (missed[-1] + claimed)
    return (errors.to(wide) * jaccard.diff(prepend=jaccard.new_zeros(1))).sum()


def _pooled(x: Tensor, axes: Sequence[int]) -> Tensor:
    """The greatest of each element and its neighbours along these axes, of ``[B, C, *axes]``."""
    rank = x.dim() - 2
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    size = [3 if axis in axes else 1 for axis in range(rank)]
    return pool(x, size, stride=1, padding=[n // 2 for n in size])


def _skeleton(x: Tensor, iterations: int) -> Tensor:
    every = range(x.dim() - 2)
    skeleton = torch.zeros_like(x)
    for k in range(iterations + 1):
        eroded = -_pooled(-x, [0])
        for axis in every[1:]:
            eroded = torch.minimum(eroded, -_pooled(-x, [axis]))
        lost = (x - _pooled(eroded, every)).relu()
        skeleton = lost if k == 0 else skeleton + (lost * (1 - skeleton)).relu()
        x = eroded
    return skeleton


def _cl_dice(batch: Batch, options: Options) -> Tensor:
    members = list(batch.members(options))
    counts = batch.w > 0

    def lines(planes: Tensor) -> Tensor:
        shaped = planes.unflatten(2, tuple(batch.axes))
        return _skeleton(shaped, options["iterations"]).flatten(2)

    p, r = batch.p[:, members] * counts, batch.r[:, members] * counts
    of_p, of_r = lines(p), lines(r)
    pairs = (of_p * r, of_p, of_r * p, of_r, p, r)
    sums = [batch.pool(batch.total(batch.w * x)) for x in pairs]
    if batch.monai:
        sums = [x.sum(1, keepdim=True) for x in sums]
    precise, predicted, sensed, true_line, claimed, volume = sums
    elements = batch.pool(batch.volumes)[:, :1]
    elements = elements + (elements == 0)
    s, harmonic = (1.0, 1e-4) if batch.monai else (options["smoothing"] * elements, 0.0)
    precision, sensitivity = (precise + s) / (predicted + s), (sensed + s) / (true_line + s)
    costs = 1 - 2 * precision * sensitivity / (precision + sensitivity + harmonic)
    if not batch.monai:
        costs = torch.where(volume == 0, claimed / elements, costs)
    return costs.mean(1)


FIELDS: Dict[str, Callable[[Batch, Options], Tensor]] = {
    "top-k-cross-entropy": _top_k,
    "lovasz": _lovasz,
    "cl-dice": _cl_dice,
}

_told: Set[str] = set()


def tell_of_copies(what: str) -> None:
    """Warns, once per process and thing, that it is computed on the CPU."""
    if what not in _told:
        _told.add(what)
        text = "computed on the CPU, from copies of the tensors: it measures distances or components"
        warnings.warn(f"{what}: {text}", stacklevel=2)


def evaluate(
    native: Any,
    table: Options,
    logits: Tensor,
    target: Tensor,
    weights: Optional[Tensor],
    on_copies: Callable[[Any], Tensor],
    iteration: int,
) -> Tensor:
    """The loss of tensors that have been checked; ``on_copies`` evaluates a native loss on the
    CPU."""
    batch = Batch(logits, target, weights, table)
    parts: List[Tensor] = []

    def add(factor: float, values: Tensor) -> None:
        mean = values[0] if batch.pooled else values
        parts.append(factor * (mean.mean() if table["reduction"] == "sample" else mean))

    needs = native.needs()
    if needs is not None:
        sums = batch.pool(batch.sums(*needs))
        add(1.0, _OfSums.apply(sums, native, batch.classes, iteration))
    for factor, term in native.terms(iteration):
        options = json.loads(term.table())
        name = options["name"]
        if term.is_of_sums():
            continue
        if name in ELEMENTS:
            add(factor, _of_elements(batch, term, options))
        elif name in FIELDS:
            add(factor, FIELDS[name](batch, options))
        else:
            tell_of_copies(name)
            parts.append(factor * on_copies(term).to(logits.device, batch.wide))
    return torch.stack(parts).sum(0).to(logits.dtype)


def look_wrong(
    native: Any, table: Options, logits: Tensor, target: Tensor, weights: Optional[Tensor]
) -> bool:
    """Whether a value is one that the native half might refuse."""
    fractions, weighted = native.takes_fractions()
    wrong = [~logits.isfinite().all()]
    if target.dim() == logits.dim():
        wrong.append(~((target >= 0) & (target <= 1)).all())
        if table["activation"] == "softmax":
            wrong.append(((target.sum(1) - 1).abs() > 1e-3).any())
        if not fractions:
            wrong.append(((target != 0) & (target != 1)).any())
    else:
        bad = target >= max(logits.shape[1], 2)
        if table.get("ignore_label") is not None:
            bad = bad & (target != table["ignore_label"])
        wrong.append(bad.any())
    if weights is not None:
        wrong.append(~((weights >= 0) & weights.isfinite()).all())
        if not weighted:
            wrong.append(((weights != 0) & (weights != 1)).any())
    return bool(torch.stack(wrong).any())
