"""Losses by PyTorch's operations, as on a GPU, against the kernels; half precision; modules."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest

from lacuna import losses

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from lacuna.losses import _operations, _torch  # noqa: E402

# What is computed on copies by the kernels would be compared with itself.
COPIED = (
    losses.Boundary,
    losses.DistanceCrossEntropy,
    losses.Hausdorff,
    losses.SizeReweighted,
    losses.Blob,
)
TERMS = [
    {"factor": 0.5, "loss": losses.Focal()},
    {"factor": {"from": 0.0, "to": 1.0, "start": 2, "end": 6}, "loss": losses.GeneralisedDice()},
    {"factor": 2.0, "loss": losses.Boundary()},
    {"loss": losses.Sum()},
]
# Every loss that is not copied, and the options that change its equation.
VARIANTS = [
    (losses.GeneralisedDice, {}),
    (losses.GeneralisedDice, dict(weight="simple", empty_class="zero")),
    (losses.GeneralisedDice, dict(weight="uniform", empty_class="one-voxel")),
    (losses.GeneralisedDice, dict(weight="volume-sum", differentiate_weight=True)),
    (losses.GeneralisedDice, dict(classes="foreground")),
    (losses.Dice, {}),
    (losses.Dice, dict(form="squared", classes="foreground")),
    (losses.Dice, dict(form="jaccard", empty_class="skip")),
    (losses.Dice, dict(empty_class="smooth", smoothing=1e-3, class_weight=[1.0, 3.0, 0.5])),
    (losses.Dice, dict(form="as-printed")),
    (losses.SensitivitySpecificity, {}),
    (losses.SensitivitySpecificity, dict(form="symmetric", lambda_=0.3)),
    (losses.WeightedCrossEntropy, {}),
    (losses.WeightedCrossEntropy, dict(differentiate_weight=True)),
    (losses.CrossEntropy, dict(class_weight=[1.0, 3.0, 0.5])),
    (losses.CrossEntropy, dict(label_smoothing=0.1)),
    (losses.CrossEntropy, dict(label_smoothing=0.2, class_weight=[1.0, 3.0, 0.5])),
    (losses.Focal, {}),
    (losses.Focal, dict(gamma=0.5, alpha=0.25, class_weight=[1.0, 3.0, 0.5])),
    (losses.Focal, dict(gamma=0.0, classes="foreground")),
    (losses.TopKCrossEntropy, {}),
    (losses.TopKCrossEntropy, dict(share=0.43)),
    (losses.Tversky, {}),
    (losses.Tversky, dict(alpha=1.0, beta=1.0, empty_class="skip", classes=[1, 2])),
    (losses.FocalTversky, {}),
    (losses.FocalTversky, dict(gamma=1.33, classes="foreground")),
    (losses.LogDice, {}),
    (losses.LogDice, dict(gamma=0.3, classes="foreground")),
    (losses.ExponentialLogarithmic, {}),
    (losses.ExponentialLogarithmic, dict(gamma=2.0, class_weight=[1.0, 3.0, 0.5])),
    (losses.UnifiedFocal, {}),
    (losses.UnifiedFocal, dict(weight=0.2, delta=0.8, gamma=0.25)),
    (losses.GeneralisedWassersteinDice, {}),
    (losses.GeneralisedWassersteinDice, dict(weighting="generalised-dice")),
    (
        losses.GeneralisedWassersteinDice,
        dict(distance=[[0.0, 1.0, 1.0], [1.0, 0.0, 0.4], [1.0, 0.4, 0.0]]),
    ),
    (losses.Matthews, {}),
    (losses.Matthews, dict(classes="all", empty_class="skip", smoothing=1e-3)),
    (losses.Lovasz, {}),
    (losses.Lovasz, dict(classes="foreground", empty_class="skip")),
    (losses.ClDice, {}),
    (losses.ClDice, dict(iterations=1, classes="all", smoothing=1e-3)),
    (losses.Sum, {}),
    (losses.Sum, dict(terms=TERMS)),
]


def settings(kind, options):
    """The loss with each reduction, activation and compatibility that it honours."""
    for activation in ("softmax", "sigmoid"):
        for compatibility in (None, "monai", "niftynet"):
            for reduction in ("batch", "sample", "none"):
                shared = dict(activation=activation, reduction=reduction)
                try:
                    yield kind(**options, **shared, compatibility=compatibility)
                except ValueError as error:
                    assert "does not support" in str(error), error


def by(loss, logits, target, operations, weight=None, mask=None, iteration=0):
    """Value, and gradient by the logits; samples of one that has several values differ in weight."""
    z = logits.detach().clone().requires_grad_(True)
    value = _torch.apply(loss, z, target, weight, mask, (3.0, 1.0, 0.75)[: z.dim() - 2], iteration, operations)
    (value * torch.arange(1.0, 1.0 + max(value.numel(), 1)).to(value.dtype).reshape(value.shape)).sum().backward()
    return value.detach(), z.grad


def assert_alike(loss, logits, target, tolerance, **inputs):
    expected, theirs = by(loss, logits, target, False, **inputs)
    value, gradient = by(loss, logits, target, True, **inputs)
    assert value.dtype == logits.dtype and value.shape == expected.shape
    assert torch.allclose(value, expected, rtol=tolerance, atol=tolerance * 1e-2), loss
    scale = theirs.abs().max()
    assert (gradient - theirs).abs().max() <= tolerance * scale + 1e-12, loss


def inputs_of(loss, dtype, shape=(4, 5, 3), seed=0):
    """Logits, labels in which a sample lacks a class, shares and weights, such as it takes."""
    generator = torch.Generator().manual_seed(seed)
    logits = (2 * torch.randn(2, 3, *shape, generator=generator)).to(dtype)
    labels = torch.randint(0, 3, (2, *shape), generator=generator)
    labels[1][labels[1] == 2] = 0
    fractions, weighted = loss._native.takes_fractions()
    shares = torch.rand(2, 3, *shape, generator=generator).to(dtype)
    if loss.table["activation"] == "softmax":
        shares = shares / shares.sum(1, keepdim=True)
    weight = torch.randint(0, 2, (2, *shape), generator=generator).float()
    if weighted:
        weight = weight * (1 + torch.rand(2, *shape, generator=generator))
    return logits, labels, shares if fractions else None, weight


@pytest.mark.filterwarnings("ignore:boundary")
@pytest.mark.parametrize("kind, options", VARIANTS)
def test_operations_are_the_kernels(kind, options):
    for loss in settings(kind, options):
        for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
            logits, labels, shares, weight = inputs_of(loss, dtype)
            assert_alike(loss, logits, labels, tolerance, iteration=3)
            assert_alike(loss, logits, labels, tolerance, weight=weight, mask=labels != 1)
            if shares is not None:
                assert_alike(loss, logits, shares, tolerance, weight=weight)


@pytest.mark.parametrize("kind, options", VARIANTS)
def test_of_two_and_one_axes_and_of_one_region(kind, options):
    options = {k: v for k, v in options.items() if k not in ("class_weight", "distance", "terms")}
    for shape in ((6, 7), (9,)):
        loss = kind(**options)
        logits, labels, _, _ = inputs_of(loss, torch.float64, shape)
        assert_alike(loss, logits, labels, 1e-9)
    if options.get("classes") == [1, 2]:
        return
    try:
        loss = kind(**options, activation="sigmoid")
    except ValueError:
        return
    assert_alike(loss, logits[:, :1], (labels == 1).long(), 1e-9)
    assert_alike(loss, logits[:, :1], (labels == 1)[:, None].double(), 1e-9)


@pytest.mark.parametrize("kind, options", VARIANTS)
def test_absent_classes_ignored_labels_and_nothing_at_all(kind, options):
    loss = kind(**options, ignore_label=255)
    logits, labels, _, _ = inputs_of(loss, torch.float64)
    for target in (torch.zeros_like(labels), torch.ones_like(labels), labels.masked_fill(labels == 2, 255)):
        assert_alike(loss, logits, target, 1e-9)
    value, gradient = by(loss, logits, labels, True, mask=torch.zeros_like(labels))
    expected, _ = by(loss, logits, labels, False, mask=torch.zeros_like(labels))
    assert torch.allclose(value, expected) and not gradient.any()


@pytest.mark.parametrize("kind, options", VARIANTS)
@pytest.mark.parametrize("right", [True, False])
def test_saturated_logits_have_finite_gradients(kind, options, right):
    """Logits of 60 are sure beyond what 32 bits tell from 0 and 1."""
    for activation in ("softmax", "sigmoid"):
        try:
            loss = kind(**options, activation=activation)
        except ValueError:
            continue
        logits, labels, _, _ = inputs_of(loss, torch.float32)
        on = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).bool()
        logits = torch.where(on == right, 60.0, -60.0)
        expected, theirs = by(loss, logits, labels, False)
        value, gradient = by(loss, logits, labels, True)
        assert gradient.isfinite().all()
        assert torch.allclose(value, expected, rtol=1e-4, atol=1e-6)
        # Of neighbours that are equal, a pool may take another one.
        if kind is not losses.ClDice:
            assert torch.allclose(gradient, theirs, rtol=1e-3, atol=1e-6), loss


def test_what_is_copied_is_told_once_and_right():
    _operations._told.clear()
    for kind in COPIED:
        loss = kind(reduction="none")
        logits, labels, _, _ = inputs_of(loss, torch.float64)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert_alike(loss, logits, labels, 1e-12)
            assert_alike(loss, logits, labels, 1e-12)
        (warning,) = told
        assert loss.table["name"] in str(warning.message) and "on the CPU" in str(warning.message)
    # Everything else is computed by operations, and named here.
    kinds = {kind for kind, _ in VARIANTS} | set(COPIED)
    names = set(losses.__all__) - {"Loss", "DeepSupervision", "coarser_labels"}
    assert {kind.__name__ for kind in kinds} == names


@pytest.mark.parametrize("operations", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(operations, dtype):
    for loss in (losses.Dice(), losses.Focal(), losses.Sum()):
        logits, labels, _, _ = inputs_of(loss, dtype)
        value, gradient = by(loss, logits, labels, operations)
        expected, theirs = by(loss, logits.float(), labels, operations)
        assert value.dtype == torch.float32 and torch.equal(value, expected)
        assert gradient.dtype == dtype and torch.equal(gradient, theirs.to(dtype))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            under, _ = by(loss, logits, labels, operations)
        assert torch.equal(under, expected)


def test_half_precision_of_arrays():
    logits, labels, _, _ = inputs_of(losses.Dice(), torch.float16)
    value, gradient = losses.Dice().value_and_gradient(logits.numpy(), labels.numpy())
    expected, theirs = losses.Dice().value_and_gradient(logits.float().numpy(), labels.numpy())
    assert value == expected and gradient.dtype == np.float16
    assert np.array_equal(gradient, theirs.astype(np.float16))


def test_losses_are_modules():
    loss = losses.Sum(terms=TERMS)
    assert isinstance(loss, torch.nn.Module) and not list(loss.parameters())
    logits, labels, _, _ = inputs_of(loss, torch.float64)
    for same in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), loss.to(torch.float16)):
        assert same.table == loss.table
        assert same(logits, labels, iteration=4) == loss(logits, labels, iteration=4)
    seen = []
    loss.register_forward_hook(lambda *call: seen.append(call[-1]))
    assert loss(logits, labels) == seen[0]
    deep = losses.DeepSupervision(loss)
    assert list(deep.children()) == [loss]
    assert deep([logits], labels) == loss(logits, labels)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda z, y: losses.Dice(classes=[7])._by(z, y), "from 0 to 2"),
        (lambda z, y: losses.Dice()._by(z, y + 3), "expected a class from 0 to 2"),
        (lambda z, y: losses.Dice()._by(z, y - 1), "whole labels from 0 to 255"),
        (lambda z, y: losses.Dice()._by(z * float("nan"), y), "expected a finite number"),
        (lambda z, y: losses.Dice()._by(z[:, :1], y * 0), "expected 2 to 256"),
        (lambda z, y: losses.Dice()._by(z, y, weight=y - 1.0), "at least 0"),
        (lambda z, y: losses.Lovasz()._by(z, y, weight=y / 2), "does not support voxel weights"),
        (lambda z, y: losses.Lovasz()._by(z, z.softmax(1)), "does not support soft labels"),
        (lambda z, y: losses.Dice()._by(z, z.sigmoid()), "add up to"),
        (lambda z, y: losses.Dice(ignore_label=3)._by(z, z.softmax(1)), "ignore_label with soft"),
        (lambda z, y: losses.ClDice()._by(z, y, spacing=(1.0, 1.0)), "one per axis"),
        (lambda z, y: losses.Dice()(z, y.to("meta")), "target is on meta and the logits on cpu"),
        (lambda z, y: losses.Dice()(z, y, mask=y.to("meta")), "mask.to(logits.device)"),
    ],
)
def test_what_cannot_be_honoured_is_told_as_by_the_kernels(make, message, monkeypatch):
    def apply(loss, z, y, weight=None, spacing=None):
        return _torch.apply(loss, z, y, weight, None, spacing, 0, True)

    monkeypatch.setattr(losses.Loss, "_by", apply, raising=False)
    logits, labels, _, _ = inputs_of(losses.Dice(), torch.float64)
    with pytest.raises(ValueError, match=re.escape(message)):
        make(logits, labels)
