"""Reference values for paired comparisons and for lesions that touch.

Writes metrics/{wilcoxon,mcnemar,touching}.json beside this file; `touching` reads the masks
of metrics/pairs.json. Needs numpy and scipy.
Run: python tests/golden/comparison.py

- wilcoxon: scipy.stats.wilcoxon, two-sided, zero differences dropped. Without ties
  and up to 25 pairs `method="exact"`; with ties the permutation test over every
  assignment of signs; beyond, the normal approximation with continuity correction.
- mcnemar: scipy.stats.binomtest of the lesions that only one finds, two-sided, p = 1/2.
- touching: per lesion (26-connected, scipy.ndimage) its voxels, those that the other
  mask holds too, and the voxels of the other mask's lesions that share one with it.
"""

import json
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

OUT = Path(__file__).with_name("metrics")
EXACT_PAIRS = 25


def wilcoxon():
    rng = np.random.default_rng(1945)
    cases = []
    for pairs in (1, 2, 5, 6, 8, 13, 24, 25, 26, 40, 200):
        cases.append((f"{pairs} pairs", rng.normal(0.3, 1.0, pairs)))
    cases.append(("8 of one sign", -rng.random(8)))
    for pairs in (4, 8, 12, 16, 30, 60):
        # Sixteenths, so that differences are equal in binary too.
        values = rng.integers(-3, 6, pairs) / 16
        cases.append((f"{pairs} with ties and zeros", values))
    cases.append(("30 of which few differ", np.r_[np.zeros(23), rng.normal(0.5, 1.0, 7)]))
    cases.append(("30 in balance", np.r_[np.arange(1, 16), -np.arange(1, 16)] / 16))
    return [case(name, values) for name, values in cases]


def case(name, values):
    kept = values[values != 0]
    if len(kept) > EXACT_PAIRS:
        method = "asymptotic"
    elif len(np.unique(np.abs(kept))) == len(kept):
        method = "exact"
    else:
        method = stats.PermutationMethod(n_resamples=np.inf, batch=10_000)
    found = stats.wilcoxon(kept, zero_method="wilcox", correction=True, method=method)
    ranks = stats.rankdata(np.abs(kept))
    return {
        "name": name,
        "differences": values.tolist(),
        "pairs": len(kept),
        "exact": method != "asymptotic",
        "positive_ranks": float(ranks[kept > 0].sum()),
        "negative_ranks": float(ranks[kept < 0].sum()),
        "p": float(found.pvalue),
    }


def mcnemar():
    counts = [(0, 1), (0, 5), (0, 6), (1, 9), (3, 4), (7, 7), (12, 30), (140, 100), (900, 1200)]
    return [
        {"only_first": a, "only_second": b, "p": float(stats.binomtest(a, a + b).pvalue)}
        for a, b in counts
    ]


def touching():
    pairs = json.loads((OUT / "pairs.json").read_text())["pairs"]
    rows = []
    for pair in pairs:
        reference, prediction = (mask(pair, image) for image in ("reference", "prediction"))
        rows.append(
            {
                "name": pair["name"],
                "reference": lesions(reference, prediction),
                "prediction": lesions(prediction, reference),
            }
        )
    return rows


def mask(pair, image):
    values, lengths = pair[image][::2], pair[image][1::2]
    return np.repeat(values, lengths).reshape(pair["shape"][::-1]) > 0


def lesions(of, other):
    structure = np.ones((3, 3, 3))
    labels, count = ndimage.label(of, structure)
    others, _ = ndimage.label(other, structure)
    rows = []
    for label in range(1, count + 1):
        lesion = labels == label
        hit = np.setdiff1d(np.unique(others[lesion]), [0])
        row = [lesion.sum(), (lesion & other).sum(), np.isin(others, hit).sum()]
        rows.append([int(v) for v in row])
    return sorted(rows)


def main():
    for make in (wilcoxon, mcnemar, touching):
        path = OUT / f"{make.__name__}.json"
        path.write_text(json.dumps(make(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
