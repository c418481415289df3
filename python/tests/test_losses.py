"""Losses of tensors and arrays: against MONAI, against finite differences, and by hand."""

import ctypes
import inspect
import json
import re
import threading
import time

import numpy as np
import pytest

import lacuna
from lacuna import _lacuna, losses

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def batch(classes=3, shape=(4, 5, 3), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *shape, generator=generator, dtype=dtype)
    labels = torch.randint(0, classes, (2, *shape), generator=generator)
    return logits, labels


ALL = [getattr(losses, name) for name in losses.__all__ if name not in ("Loss", "DeepSupervision", "coarser_labels")]


def test_every_native_loss_has_a_class_with_its_defaults():
    native = {table["name"]: table for table in map(json.loads, _lacuna.default_losses())}
    assert len(native) == len(ALL)
    for kind in ALL:
        table = kind().table
        assert native.pop(table["name"]) == table
        # What a reader and a type checker see is what the native side has.
        for key, parameter in inspect.signature(kind.__init__).parameters.items():
            if key != "self" and parameter.default is not None:
                assert table[key.rstrip("_")] == parameter.default, (kind, key)


@pytest.mark.parametrize("kind", ALL)
def test_gradcheck(kind):
    if kind is losses.WeightedCrossEntropy:
        loss = kind(differentiate_weight=True)
    else:
        loss = kind()
    logits, labels = batch(shape=(2, 3, 3))
    logits.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda z: loss(z, labels, spacing=(3.0, 1.0, 1.0)), logits)


@pytest.mark.parametrize("reduction", ["batch", "sample", "none"])
def test_gradcheck_of_regions_and_reductions(reduction):
    logits, _ = batch(classes=2, shape=(3, 4))
    regions = (torch.rand(2, 2, 3, 4, dtype=torch.float64) > 0.5).double()
    weight = torch.rand(2, 3, 4)
    logits.requires_grad_(True)
    loss = losses.Dice(activation="sigmoid", reduction=reduction)
    assert torch.autograd.gradcheck(lambda z: loss(z, regions, weight=weight), logits)


def monai_cases():
    monai = pytest.importorskip("monai.losses", reason="MONAI is not installed")
    common = dict(to_onehot_y=True, softmax=True)
    peer = dict(compatibility="monai", reduction="sample")
    return [
        (losses.Dice(**peer), monai.DiceLoss(**common)),
        (losses.Dice(form="squared", classes="foreground", **peer), monai.DiceLoss(squared_pred=True, include_background=False, **common)),
        (losses.Dice(form="jaccard", compatibility="monai"), monai.DiceLoss(jaccard=True, batch=True, **common)),
        (losses.GeneralisedDice(**peer), monai.GeneralizedDiceLoss(**common)),
        (losses.Tversky(**peer), monai.TverskyLoss(alpha=0.3, beta=0.7, **common)),
        (losses.Focal(**peer), monai.FocalLoss(to_onehot_y=True, use_softmax=True)),
        (losses.Sum(**peer), monai.DiceCELoss(**common)),
        (losses.Hausdorff(classes="all", **peer), monai.HausdorffDTLoss(include_background=True, **common)),
        (losses.ClDice(**peer), monai.SoftclDiceLoss(include_background=False, **common)),
    ]


def test_values_and_gradients_are_those_of_monai():
    for ours, theirs in monai_cases():
        logits, labels = batch(dtype=torch.float32)
        a, b = logits.clone().requires_grad_(True), logits.clone().requires_grad_(True)
        value, expected = ours(a, labels), theirs(b, labels[:, None])
        (3 * value).backward()
        (3 * expected).backward()
        assert value.item() == pytest.approx(expected.item(), abs=1e-5), ours
        assert torch.allclose(a.grad, b.grad, atol=1e-5), ours


def test_numpy_and_torch_agree_and_soft_labels_are_taken():
    logits, labels = batch()
    hot = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    for kind in ALL:
        loss = kind()
        z = logits.clone().requires_grad_(True)
        value = loss(z, labels)
        value.backward()
        found, gradient = loss.value_and_gradient(logits.numpy(), labels.numpy())
        assert found == pytest.approx(value.item(), abs=1e-14)
        assert np.array_equal(gradient, z.grad.numpy())
        assert loss(logits.numpy(), hot.numpy()) == pytest.approx(found, abs=1e-12)


def test_arrays_are_not_copied():
    logits, labels = batch(dtype=torch.float32)
    small = labels.to(torch.uint8)
    seen = []

    def data(capsule):
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        return ctypes.cast(get(capsule, b"dltensor"), ctypes.POINTER(ctypes.c_void_p))[0]

    class Spy:
        def value_and_gradient(self, z, target, gradient, *rest):
            seen.extend([data(z), data(target)])
            return native.value_and_gradient(z, target, gradient, *rest)

    loss = losses.Dice()
    native, loss._native = loss._native, Spy()
    loss(logits, small)
    assert seen == [logits.data_ptr(), small.data_ptr()]


def test_other_threads_run_meanwhile():
    logits = torch.randn(1, 2, 128, 128, 96)
    labels = torch.zeros(1, 128, 128, 96, dtype=torch.uint8)
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    losses.Lovasz()(logits, labels)
    end = time.perf_counter()
    done.set()
    thread.join()
    inside = [t for t in ticks if start < t < end]
    assert len(inside) > 0.1 * (end - start) / 0.001


def test_masks_and_ignored_labels_count_nowhere():
    logits, labels = batch()
    mask = torch.rand(2, 4, 5, 3) > 0.3
    ignored = torch.where(mask, labels, torch.full_like(labels, 255))
    a = losses.CrossEntropy()(logits, labels, mask=mask)
    b = losses.CrossEntropy(ignore_label=255)(logits, ignored)
    expected = torch.nn.functional.cross_entropy(logits, torch.where(mask, labels, -100))
    assert a.item() == pytest.approx(expected.item(), abs=1e-12)
    assert b.item() == pytest.approx(expected.item(), abs=1e-12)


def test_deep_supervision_is_the_weighted_mean():
    logits, labels = batch(shape=(4, 6, 4))
    coarse = torch.randn(2, 3, 2, 3, 2, dtype=torch.float64)
    loss = losses.GeneralisedDice()
    value = losses.DeepSupervision(loss)([logits, coarse], labels)
    small = losses.coarser_labels(labels.numpy(), (2, 2, 2))
    expected = (2 * loss(logits, labels) + loss(coarse, torch.from_numpy(small))) / 3
    assert value.item() == pytest.approx(expected.item(), abs=1e-14)


def test_a_one_voxel_lesion_survives_coarser_labels():
    labels = np.zeros((1, 8, 8, 8), dtype=np.uint8)
    labels[0, 3, 5, 6] = 1
    assert losses.coarser_labels(labels, (4, 4, 4)).sum() == 1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda z, y: losses.Dice(form="cubic"), "unknown variant `cubic`"),
        (lambda z, y: losses.Dice(smoothing=0.0), "from 1e-30 to 1.0"),
        (lambda z, y: losses.Dice(classes=[7])(z, y), "from 0 to 2"),
        (lambda z, y: losses.Dice()(z, y + 3), "expected a class from 0 to 2"),
        (lambda z, y: losses.Dice()(z, y - 1), "whole labels from 0 to 255"),
        (lambda z, y: losses.Dice()(z, y[:, :2]), "target: found the shape"),
        (lambda z, y: losses.Dice()(z[0, 0, 0], y), "logits: found the shape"),
        (lambda z, y: losses.Dice()(z * float("nan"), y), "expected a finite number"),
        (lambda z, y: losses.Dice()(z, y, weight=-torch.ones(2, 4, 5, 3)), "at least 0"),
        (lambda z, y: losses.Hausdorff()(z, y, spacing=(1.0, 1.0)), "one per axis"),
        (lambda z, y: losses.Boundary(compatibility="monai")(z, y), "does not support"),
        (lambda z, y: losses.Blob(loss=losses.Focal()), "a loss of sums"),
        (lambda z, y: losses.Sum(terms=[{"loss": losses.Dice(reduction="sample")}]), "outer loss"),
        (lambda z, y: losses.Dice()(z.to("meta"), y.to("meta")), "holds no values"),
    ],
)
def test_what_cannot_be_honoured_is_a_clear_error(make, message):
    logits, labels = batch()
    with pytest.raises(ValueError, match=re.escape(message)):
        make(logits, labels)


def test_whole_logits_and_second_derivatives_are_refused():
    logits, labels = batch()
    with pytest.raises(TypeError, match="expected a floating type"):
        losses.Dice()(logits.long(), labels)
    logits.requires_grad_(True)
    (gradient,) = torch.autograd.grad(losses.Dice()(logits, labels), logits, create_graph=True)
    with pytest.raises(RuntimeError):
        gradient.sum().backward()


def test_tensors_that_are_not_contiguous_are_taken():
    logits, labels = batch()
    strided = logits.transpose(2, 4).contiguous().transpose(2, 4).requires_grad_(True)
    plain = logits.clone().requires_grad_(True)
    losses.Dice()(strided, labels).backward()
    losses.Dice()(plain, labels).backward()
    assert torch.equal(strided.grad, plain.grad)


def test_version():
    assert lacuna.__version__.count(".") == 2
