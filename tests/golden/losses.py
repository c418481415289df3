"""Golden values of crates/losses: writes losses/losses.json next to this file.

    python tests/golden/losses.py

Needs torch and monai. Every loss is written here as its equation over one-hot
labels and softmax probabilities, in float64, and differentiated by autograd;
nothing is shared with the Rust code. Where MONAI's losses have the same
definition, their values and gradients are stored as well.

Layout: logits and gradients [batch, class, element], labels [batch, element].
Each case carries the configuration as it stands in a run's [loss] table.
"""

import json
from pathlib import Path

import torch
from monai.losses import DiceLoss, GeneralizedDiceLoss

# In elements, of the paper's printed Dice and of MONAI.
EPSILON = 1e-5
# Share of the elements.
SMOOTHING = 1e-8


def one_hot(labels, classes):
    """[n] -> [class, n]"""
    return torch.nn.functional.one_hot(labels, classes).T.double()


def generalised_dice(r, p, weight="square", empty_class="max", differentiate_weight=False):
    volume, predicted = r.sum(1), p.sum(1)
    sum_part = predicted if differentiate_weight else predicted.detach()

    def inverse(v):
        return {
            "square": lambda: 1 / v**2,
            "simple": lambda: 1 / v,
            "uniform": lambda: torch.ones_like(v),
            "volume-sum": lambda: 1 / (v + sum_part),
        }[weight]()

    present = volume > 0
    w = inverse(torch.where(present, volume, torch.ones_like(volume)))  # absent: as one voxel
    if empty_class == "max":
        w = torch.where(present, w, w[present].max())
    elif empty_class == "zero":
        w = torch.where(present, w, torch.zeros_like(w))
    return 1 - 2 * (w * (r * p).sum(1)).sum() / (w * (volume + predicted)).sum()


def dice(r, p, form="plain", smoothing=SMOOTHING):
    overlap, volume, total = (r * p).sum(1), r.sum(1), (r + p).sum(1)
    if form == "as-printed":
        return 1 - 2 * ((overlap + EPSILON) / (total + EPSILON)).mean()
    s = smoothing * r.shape[1]
    score = (2 * overlap + s) / (total + s)
    return torch.where(volume > 0, 1 - score, p.sum(1) / r.shape[1]).mean()


def sensitivity_specificity(r, p, form="as-printed", lam=0.05, smoothing=SMOOTHING):
    error, s = (r - p) ** 2, smoothing * r.shape[1]
    inside = (error * r).sum(1) / (r.sum(1) + s)
    outside = (error * (1 - r)).sum(1) / ((1 - r).sum(1) + s)
    per_class = lam * inside + (1 - lam) * outside
    return per_class[1:].mean() if form == "as-printed" else per_class.sum()


def weighted_cross_entropy(r, log_p, differentiate_weight=False):
    p = log_p.exp()
    n = p.shape[1]
    predicted = p.sum(1)
    w = (n - predicted) / predicted.clamp(min=1.0)
    w = torch.cat([torch.ones(1, dtype=torch.float64), w[1:]])
    if not differentiate_weight:
        w = w.detach()
    return -(w * (r * log_p).sum(1)).sum() / n


def one_loss(config, logits, labels):
    """Loss of [class, n] logits and [n] labels."""
    r = one_hot(labels, logits.shape[0])
    log_p = torch.log_softmax(logits, 0)
    options = {k: v for k, v in config.items() if k not in ("name", "reduction")}
    if "lambda" in options:
        options["lam"] = options.pop("lambda")
    if config["name"] == "weighted-cross-entropy":
        return weighted_cross_entropy(r, log_p, **options)
    function = {
        "generalised-dice": generalised_dice,
        "dice": dice,
        "sensitivity-specificity": sensitivity_specificity,
    }[config["name"]]
    return function(r, log_p.exp(), **options)


def evaluate(config, logits, labels):
    """Loss of [batch, class, n] logits and [batch, n] labels, by the reduction."""
    if config["reduction"] == "batch":
        return one_loss(config, logits.transpose(0, 1).flatten(1), labels.flatten())
    return torch.stack([one_loss(config, z, l) for z, l in zip(logits, labels)]).mean()


def evaluate_monai(config, logits, labels):
    batch = config["reduction"] == "batch"
    common = dict(to_onehot_y=True, softmax=True, batch=batch)
    if config["name"] == "dice":
        loss = DiceLoss(smooth_nr=EPSILON, smooth_dr=EPSILON, **common)
    else:
        loss = GeneralizedDiceLoss(w_type=config["weight"], smooth_nr=0, smooth_dr=0, **common)
    return loss(logits, labels[:, None])


def case(source, function, config, inputs, logits, labels):
    z = logits.clone().requires_grad_(True)
    value = function(config, z, labels)
    value.backward()
    return {
        "source": source,
        "config": config,
        "inputs": inputs,
        "value": value.item(),
        "gradient": [float(f"{g:.13g}") for g in z.grad.flatten().tolist()],
    }


def configurations(absent):
    """Everything where all classes are present; where one is not, the policies."""
    gdl = [
        {"weight": "square"},
        {"weight": "simple"},
        {"weight": "uniform"},
        {"weight": "volume-sum"},
        {"weight": "volume-sum", "differentiate_weight": True},
    ]
    if absent:
        gdl = [
            {**weighting, "empty_class": policy}
            for weighting in (gdl[0], gdl[4])
            for policy in ("max", "zero", "one-voxel")
        ]
    for options in gdl:
        yield {"name": "generalised-dice", **options}
    for form in ("plain", "as-printed"):
        yield {"name": "dice", "form": form}
    yield {"name": "sensitivity-specificity", "form": "as-printed"}
    if not absent:
        yield {"name": "sensitivity-specificity", "form": "symmetric"}
        yield {"name": "sensitivity-specificity", "form": "as-printed", "lambda": 0.3}
    for flag in (False, True):
        yield {"name": "weighted-cross-entropy", "differentiate_weight": flag}


def lesion_free_monai(edge):
    """MONAI's generalised Dice loss, all of a lesion-free cube predicted as lesion."""
    logits = torch.zeros(1, 2, edge, edge, edge)
    logits[:, 1] = 100.0
    labels = torch.zeros(1, 1, edge, edge, edge)
    return GeneralizedDiceLoss(to_onehot_y=True, softmax=True)(logits, labels).item()


def main():
    generator = torch.Generator().manual_seed(1707)
    batch, elements = 2, 12
    inputs, cases = [], []
    for classes in (2, 3):
        for absent in (False, True):
            logits = 2 * torch.randn(batch, classes, elements, generator=generator, dtype=torch.float64)
            labels = torch.zeros(batch, elements, dtype=torch.int64)
            labels[0, 2:5] = 1  # sample 1 of the absent case holds background only
            if not absent:
                labels[1, 7:9] = 1
                labels[0, 9:10] = classes - 1
                labels[1, 0:4] = classes - 1
            for config in configurations(absent):
                for reduction in ("batch", "sample"):
                    full = {**config, "reduction": reduction}
                    cases.append(case("equation", evaluate, full, len(inputs), logits, labels))
            if not absent:
                monai = [{"name": "generalised-dice", "weight": w} for w in ("square", "simple", "uniform")]
                for config in monai + [{"name": "dice", "compatibility": "monai"}]:
                    for reduction in ("batch", "sample"):
                        full = {**config, "reduction": reduction}
                        cases.append(case("monai", evaluate_monai, full, len(inputs), logits, labels))
            inputs.append(
                {
                    "batch": batch,
                    "classes": classes,
                    "elements": elements,
                    "logits": logits.flatten().tolist(),
                    "labels": labels.flatten().tolist(),
                }
            )
    out = Path(__file__).parent / "losses" / "losses.json"
    out.parent.mkdir(exist_ok=True)
    golden = {
        "inputs": inputs,
        "cases": cases,
        "monai_all_lesion_in_lesion_free_96": lesion_free_monai(96),
    }
    out.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{out}: {len(cases)} cases, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
