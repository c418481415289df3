"""Losses of other packages: writes losses/peers.json next to this file.

    python tests/golden/loss_peers.py

Needs torch, scipy, monai, SimpleITK, kornia (Apache-2.0), segmentation-models-pytorch
(MIT), nnunetv2 (Apache-2.0) and mist-medical (Apache-2.0); the last four may be
installed without what they depend on (kornia needs kornia_rs). Only numbers that they
compute are written: values and gradients, in float64 where the package can.

- Lovász-softmax: kornia, which scores each image alone over all classes (the inputs
  have every class in each), and segmentation-models-pytorch, over the classes that are
  present, pooled or by image, with and without an ignored label, in float32.
- Top-k cross-entropy: nnU-Net.
- Boundary loss: MIST, on signed distances of SimpleITK in mm, which stand in the
  input; of images that have every class.

Arrays are in the order of loss_family.py; distances [batch, class, *grid].
"""

import importlib
import importlib.metadata
import importlib.util
import json
import sys
import types
from pathlib import Path

import SimpleITK as sitk
import torch

from loss_family import case, make_input


def losses_alone(package):
    """The losses of a package whose root imports what they do not need."""
    folder = Path(importlib.util.find_spec(package).origin).parent
    root = types.ModuleType(package)
    root.__path__ = [str(folder)]
    sys.modules[package] = root
    return importlib.import_module(f"{package}.losses.lovasz")


def images(array):
    """A batch of 3-D patches as images, the two slower axes in one."""
    return array.flatten(-3, -2)


def has_every_class(given):
    classes = range(given["logits"].shape[1])
    return all((labels == label).any() for labels in given["labels"] for label in classes)


def signed_distances(given):
    """[batch, class, *grid]: mm, negative inside."""
    classes = given["logits"].shape[1]
    maps = []
    for labels in given["labels"]:
        for label in range(classes):
            mask = sitk.GetImageFromArray((labels == label).numpy().astype("uint8"))
            mask.SetSpacing([float(mm) for mm in reversed(given["spacing"])])
            distance = sitk.SignedMaurerDistanceMap(
                mask, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
            )
            maps.append(torch.from_numpy(sitk.GetArrayFromImage(distance)))
    return torch.stack(maps).reshape(given["logits"].shape)


def cases(inputs):
    from kornia.losses import lovasz_softmax_loss
    from mist.loss_functions.losses.boundary import BoundaryLoss
    from nnunetv2.training.loss.robust_ce_loss import TopKLoss

    smp = losses_alone("segmentation_models_pytorch").LovaszLoss
    for number, given in enumerate(inputs):
        z0, y = given["logits"], given["labels"]
        if has_every_class(given):
            run = lambda z: lovasz_softmax_loss(images(z), images(y))
            yield case("kornia", {"name": "lovasz", "reduction": "sample"}, number, "plain", run, z0)
        for reduction in ("batch", "sample"):
            for ignored in (None, 1):
                config = {"name": "lovasz", "empty_class": "skip", "reduction": reduction}
                if ignored is not None:
                    config["ignore_label"] = ignored
                loss = smp("multiclass", per_image=reduction == "sample", ignore_index=ignored)
                run = lambda z, loss=loss: loss(images(z).float(), images(y))
                yield case("segmentation-models-pytorch", config, number, "plain", run, z0)

        for percent in (10, 25, 100):
            count = y.numel() * percent / 100
            assert count == int(count), "a broken k is ours alone"
            config = {"name": "top-k-cross-entropy", "share": percent / 100, "reduction": "batch"}
            run = lambda z, k=percent: TopKLoss(k=k)(z, y[:, None])
            yield case("nnunetv2", config, number, "plain", run, z0)

        if "distance" in given:
            config = {"name": "boundary", "reduction": "batch"}
            distance = given["distance"].double()
            run = lambda z: BoundaryLoss()(y[:, None], z, dtm=distance, alpha=0.0)
            yield case("mist-medical", config, number, "distance", run, z0)


def main():
    inputs = [
        make_input(4, 2, 2, (1, 6, 10), (1.0, 1.0, 1.0)),
        make_input(5, 2, 3, (2, 5, 4), (3.0, 1.0, 0.5)),
        make_input(6, 2, 4, (1, 5, 8), (1.0, 2.0, 1.0), absent=True),
    ]
    for given in filter(has_every_class, inputs):
        given["distance"] = signed_distances(given)
    found = list(cases(inputs))
    arrays = ("logits", "labels", "weights", "soft", "regions", "distance")
    names = ("kornia", "segmentation-models-pytorch", "nnunetv2", "mist-medical")
    golden = {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "inputs": [
            {
                "batch": i["logits"].shape[0],
                "classes": i["logits"].shape[1],
                "grid": i["grid"],
                "spacing": i["spacing"],
                **{k: i[k].flatten().tolist() for k in arrays if k in i},
            }
            for i in inputs
        ],
        "cases": found,
    }
    out = Path(__file__).parent / "losses" / "peers.json"
    out.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{out}: {len(found)} cases, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
