"""Golden values of every loss: writes losses/family.json next to this file.

    python tests/golden/loss_family.py

Needs torch, scipy and monai. `equation` cases are the published equations over
probabilities, in float64, differentiated by autograd, with masks, voxel weights,
soft labels, ignored labels and sigmoid regions; `monai` cases are MONAI itself
and `pytorch` cases torch.nn.functional. Nothing is shared with the Rust code.
Each case carries the configuration as it stands in a run's [loss] table.

Grids are [slowest, middle, fastest]; logits, soft labels and gradients
[batch, class, *grid], labels and weights [batch, *grid].
"""

import json
from pathlib import Path

import monai
import torch
import torch.nn.functional as F

import loss_equations as eq

torch.set_default_dtype(torch.float64)


def make_input(seed, batch, classes, grid, spacing, absent=False):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, classes, *grid, generator=generator)
    labels = torch.zeros(batch, *grid, dtype=torch.int64)
    labels[0, :, 1:3, 1:3] = 1
    labels[0, :, -1, -2:] = classes - 1
    if not absent:
        labels[1, 0, 0, 1:4] = classes - 1
        labels[1, :, 3, 0:2] = 1
    weights = torch.tensor([0.0, 0.5, 1.0, 2.0])[
        torch.randint(0, 4, (batch, *grid), generator=generator)
    ]
    soft = torch.softmax(torch.randn(batch, classes, *grid, generator=generator), 1)
    regions = (torch.rand(batch, classes, *grid, generator=generator) > 0.6).double()
    return dict(logits=logits, labels=labels, weights=weights, soft=soft, regions=regions,
                grid=grid, spacing=spacing)


def differentiated(function, logits):
    z = logits.clone().requires_grad_(True)
    value = function(z)
    value.sum().backward()
    return value.detach(), z.grad


def case(source, config, number, dress, function, logits):
    value, gradient = differentiated(function, logits)
    digits = [float(f"{g:.11g}") for g in gradient.flatten().tolist()]
    return {"source": source, "config": config, "input": number, "dress": dress,
            "values": value.reshape(-1).tolist(), "gradient": digits}


def equation_cases(inputs):
    """Every loss, plain and with whatever it honours."""
    for config, function, honours in eq.losses():
        for number, given in enumerate(inputs):
            classes = given["logits"].shape[1]
            if config.get("name") == "generalised-wasserstein-dice" and "distance" in config:
                if len(config["distance"]) != classes:
                    continue
            for dress in ("plain", "weights", "mask", "soft", "regions"):
                if dress == "regions" and "sigmoid" not in honours:
                    continue
                if dress == "soft" and "soft" not in honours:
                    continue
                if dress == "weights" and "weights" not in honours:
                    continue
                for reduction in ("batch", "none"):
                    if dress != "plain" and reduction != "batch":
                        continue
                    full = {**config, "reduction": reduction}
                    if dress == "regions":
                        full["activation"] = "sigmoid"
                    run = eq.runner(function, given, dress, reduction)
                    yield case("equation", full, number, dress, run, given["logits"])


def monai_cases(inputs):
    from monai import losses as m

    def softmaxed(loss):
        return lambda z, y: loss(z, y[:, None])

    def one(config, make, reductions=("batch", "sample")):
        for reduction in reductions:
            yield {**config, "compatibility": "monai", "reduction": reduction}, make(reduction == "batch")

    common = dict(softmax=True, to_onehot_y=True)
    plain, foreground = {"name": "dice"}, {"classes": "foreground"}
    table = []
    for extra, options in (({}, {}), (foreground, {"include_background": False})):
        table += one({**plain, **extra}, lambda b, o=options: softmaxed(m.DiceLoss(batch=b, **common, **o)))
        table += one({**plain, "form": "squared", **extra}, lambda b, o=options: softmaxed(m.DiceLoss(batch=b, squared_pred=True, **common, **o)))
        table += one({**plain, "form": "jaccard", **extra}, lambda b, o=options: softmaxed(m.DiceLoss(batch=b, jaccard=True, **common, **o)))
        table += one({"name": "tversky", "alpha": 0.3, "beta": 0.7, **extra}, lambda b, o=options: softmaxed(m.TverskyLoss(alpha=0.3, beta=0.7, batch=b, **common, **o)))
        table += one({"name": "matthews", "classes": "all", **extra}, lambda b, o=options: softmaxed(m.MatthewsCorrelationCoefficientLoss(batch=b, **common, **o)) if hasattr(m, "MatthewsCorrelationCoefficientLoss") else softmaxed(m.MCCLoss(batch=b, **common, **o)))
        for weight in ("square", "simple", "uniform"):
            table += one({"name": "generalised-dice", "weight": weight, **extra}, lambda b, o=options, w=weight: softmaxed(m.GeneralizedDiceLoss(w_type=w, batch=b, **common, **o)))
    dice_ce = {"name": "sum", "terms": [{"loss": {"name": "dice"}}, {"loss": {"name": "cross-entropy"}}]}
    table += one(dice_ce, lambda b: softmaxed(m.DiceCELoss(batch=b, **common)))
    table += one({"name": "focal"}, lambda b: softmaxed(m.FocalLoss(to_onehot_y=True, use_softmax=True)))
    table += one({"name": "focal", "gamma": 1.5, "alpha": 0.25}, lambda b: softmaxed(m.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=1.5, alpha=0.25)))
    for alpha in ("both", "default"):
        log = alpha == "default"
        kind = m.LogHausdorffDTLoss if log else m.HausdorffDTLoss
        reductions = ("batch",) if log else ("batch", "sample")
        table += one({"name": "hausdorff", "classes": "all", "log": log}, lambda b, k=kind: softmaxed(k(batch=b, include_background=True, **common)), reductions)
    table += one({"name": "hausdorff", "alpha": 1.5}, lambda b: softmaxed(m.HausdorffDTLoss(alpha=1.5, batch=b, include_background=False, **common)))
    table += one({"name": "cl-dice", "classes": "all"}, lambda b: softmaxed(m.SoftclDiceLoss(**common)), ("sample",))
    table += one({"name": "cl-dice", "iterations": 1}, lambda b: softmaxed(m.SoftclDiceLoss(iter_=1, include_background=False, **common)), ("sample",))
    for number, given in enumerate(inputs):
        classes = given["logits"].shape[1]
        own = list(table)
        if classes == 2:
            def unified(z, y):
                hot = F.one_hot(y, 2).movedim(-1, 1).double()
                loss = m.AsymmetricUnifiedFocalLoss(weight=0.5, gamma=0.5, delta=0.7)
                return loss(torch.softmax(z, 1), hot)
            config = {"name": "unified-focal", "weight": 0.5, "gamma": 0.5, "delta": 0.7}
            own += [({**config, "compatibility": "monai", "reduction": "sample"}, unified)]
        matrix = eq.distance_matrix(classes)
        for weighting, mode in (("default", "default"), ("generalised-dice", "GDL")):
            loss = m.GeneralizedWassersteinDiceLoss(torch.tensor(matrix).numpy(), weighting_mode=mode)
            config = {"name": "generalised-wasserstein-dice", "distance": matrix, "weighting": weighting}
            own += [({**config, "compatibility": "monai", "reduction": "sample"}, lambda z, y, l=loss: l(z, y))]
        for config, function in own:
            # MONAI's unified focal loss ends in a mean over samples of sums that are
            # powers: the same only where it is evaluated per sample.
            run = lambda z, f=function: f(z, given["labels"])
            yield case("monai", config, number, "plain", run, given["logits"])
        # Sigmoid regions.
        for config, loss in (
            ({"name": "dice"}, m.DiceLoss(sigmoid=True)),
            ({"name": "generalised-dice"}, m.GeneralizedDiceLoss(sigmoid=True)),
            ({"name": "focal"}, m.FocalLoss()),
            ({"name": "focal", "alpha": 0.7}, m.FocalLoss(alpha=0.7)),
        ):
            full = {**config, "compatibility": "monai", "reduction": "sample", "activation": "sigmoid"}
            run = lambda z, l=loss: l(z, given["regions"])
            yield case("monai", full, number, "regions", run, given["logits"])


def pytorch_cases(inputs):
    for number, given in enumerate(inputs):
        z0, y = given["logits"], given["labels"]
        classes = z0.shape[1]
        weight = torch.arange(1, classes + 1).double()
        for options in ({}, {"label_smoothing": 0.1}, {"weight": weight}, {"weight": weight, "label_smoothing": 0.2}):
            config = {"name": "cross-entropy", "reduction": "batch"}
            if "weight" in options:
                config["class_weight"] = weight.tolist()
            if "label_smoothing" in options:
                config["label_smoothing"] = options["label_smoothing"]
            yield case("pytorch", config, number, "plain", lambda z, o=options: F.cross_entropy(z, y, **o), z0)
        ignored = {"name": "cross-entropy", "reduction": "batch", "ignore_label": 1}
        yield case("pytorch", ignored, number, "plain", lambda z: F.cross_entropy(z, y, ignore_index=1), z0)
        binary = {"name": "cross-entropy", "activation": "sigmoid", "reduction": "batch", "class_weight": weight.tolist()}
        pos = weight.reshape(1, -1, 1, 1, 1)
        run = lambda z: F.binary_cross_entropy_with_logits(z, given["regions"], pos_weight=pos)
        yield case("pytorch", binary, number, "regions", run, z0)


def main():
    inputs = [
        make_input(1, 2, 2, (1, 6, 5), (1.0, 1.0, 1.0)),
        make_input(2, 2, 3, (2, 5, 4), (3.0, 1.0, 0.5)),
        make_input(3, 2, 4, (1, 5, 6), (1.0, 2.0, 1.0), absent=True),
    ]
    cases = list(equation_cases(inputs)) + list(pytorch_cases(inputs))
    # MONAI's losses are for 2-D or 3-D grids; distances in voxels.
    cases += list(monai_cases(inputs))
    golden = {
        "monai": monai.__version__,
        "inputs": [
            {
                "batch": i["logits"].shape[0],
                "classes": i["logits"].shape[1],
                "grid": i["grid"],
                "spacing": i["spacing"],
                **{k: i[k].flatten().tolist() for k in ("logits", "labels", "weights", "soft", "regions")},
            }
            for i in inputs
        ],
        "cases": cases,
    }
    out = Path(__file__).parent / "losses" / "family.json"
    out.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{out}: {len(cases)} cases, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
