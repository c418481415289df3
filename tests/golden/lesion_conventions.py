"""Reference values for the lesion-wise conventions and FROC.

Writes metrics/lesion_conventions.json beside this file. Needs numpy, scipy,
connected-components-3d, surface-distance and panoptica (2.1.7).
Run: python tests/golden/lesion_conventions.py

Masks are as in metrics.py. What is compared, and with what:
- one-to-one: scipy's maximum bipartite matching of the pairs with that IoU; at 0.5 also
  panoptica's TP, RQ, SQ and PQ by its maximum bipartite matching.
- msseg: the rule of Commowick et al. 2018 on tables of overlap in floating point, as in
  Anima's SegPerfAnalyzer, from scipy's 6-connected components.
- atlas: scipy's 6-connected components, any overlap.
- brats: the steps of BraTS-2023-Metrics (cc3d, scipy's dilation of the whole mask and
  then of each lesion). HD95 of voxel surfaces by scipy; `deepmind_hd95` is that of the
  challenge's library, whose surfaces run between voxels: near and not the same.
- froc: every threshold tried.
"""

import json
from pathlib import Path

import cc3d
import numpy as np
import surface_distance
from panoptica import (
    ConnectedComponentsInstanceApproximator,
    InputType,
    Panoptica_Evaluator,
)
from panoptica.instance_matcher import MaxBipartiteMatching
from panoptica.metrics import Metric
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

OUT = Path(__file__).parent / "metrics" / "lesion_conventions.json"
SIX = ndimage.generate_binary_structure(3, 1)
EIGHTEEN = ndimage.generate_binary_structure(3, 2)
TWENTY_SIX = ndimage.generate_binary_structure(3, 3)


def runs(array):
    flat = array.ravel().astype(int)
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    lengths = np.diff(starts, append=flat.size)
    return [int(v) for pair in zip(flat[starts], lengths) for v in pair]


def noise(rng, shape, sigma, share):
    field = ndimage.gaussian_filter(rng.standard_normal(shape[::-1]), sigma)
    return field > np.quantile(field, 1 - share)


def table(reference, prediction, structure):
    """Voxels of each pair of components; row and column 0 are of the background."""
    r, n = ndimage.label(reference, structure)
    p, m = ndimage.label(prediction, structure)
    found = np.zeros((n + 1, m + 1), int)
    np.add.at(found, (r.ravel(), p.ravel()), 1)
    return found


def one_to_one(reference, prediction, least):
    found = table(reference, prediction, TWENTY_SIX)
    shared = found[1:, 1:]
    union = found.sum(1)[1:, None] + found.sum(0)[None, 1:] - shared
    edges = (shared > 0) & (shared / union >= least)
    pairs = 0
    if edges.any():
        pairs = int((maximum_bipartite_matching(csr_matrix(edges)) >= 0).sum())
    return [shared.shape[0], pairs, shared.shape[1], shared.shape[1] - pairs]


def panoptica(reference, prediction):
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=MaxBipartiteMatching(matching_threshold=0.5),
        instance_metrics=[Metric.IOU],
        global_metrics=[],
    )
    masks = [m.astype(np.uint8) for m in (prediction, reference)]
    found = evaluator.evaluate(*masks, verbose=False)["ungrouped"]
    return {"tp": int(found.tp), "rq": float(found.rq), "sq": float(found.sq), "pq": float(found.pq)}


def large(mask, voxel_mm3, structure=SIX):
    labels, n = ndimage.label(mask, structure)
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    keep = sizes > np.floor(3.0 / voxel_mm3)
    keep[0] = False
    return keep[labels]


def msseg(reference, prediction, voxel_mm3):
    found = table(large(reference, voxel_mm3), large(prediction, voxel_mm3), SIX)
    hit, true = msseg_detected(found), msseg_detected(found.T)
    n, m = found.shape[0] - 1, found.shape[1] - 1
    return [n, hit, m, m - true]


def msseg_detected(found):
    detected = 0
    outside = found[0] / np.maximum(found.sum(0), 1)
    for row in found[1:]:
        overlap = row[1:].sum()
        if not overlap / row.sum() > 0.1:
            continue
        weight, good = 0.0, True
        for column in sorted(range(1, len(row)), key=lambda c: -row[c]):
            if weight >= 0.65:
                break
            if outside[column] > 0.7:
                good = False
                break
            weight += row[column] / overlap
        detected += good
    return detected


def atlas(reference, prediction):
    found = table(reference, prediction, SIX)
    hit = int((found[1:, 1:].sum(1) > 0).sum())
    false = int((found[1:, 1:].sum(0) == 0).sum())
    n, m = found.shape[0] - 1, found.shape[1] - 1
    f1 = hit / (hit + (false + n - hit) / 2) if n + m else 1.0
    return {"counts": [n, hit, m, false], "f1": f1}


def hd95(a, b, spacing):
    if a.shape[0] == 1:  # an axis of length 1 has no neighbours
        a, b, spacing = a[0], b[0], spacing[:2]
    edges = [m & ~ndimage.binary_erosion(m) for m in (a, b)]
    to = [ndimage.distance_transform_edt(~e, sampling=spacing[::-1]) for e in edges]
    return max(np.percentile(to[1][edges[0]], 95), np.percentile(to[0][edges[1]], 95))


def brats(reference, prediction, spacing, dilations, floor):
    own = cc3d.connected_components(reference, connectivity=26)
    others = cc3d.connected_components(prediction, connectivity=26)
    grown = ndimage.binary_dilation(reference, EIGHTEEN, iterations=dilations)
    joined = cc3d.connected_components(grown, connectivity=26) * (own > 0)
    true, found, missed, dsc, mm, deepmind = set(), 0, 0, [], [], []
    for lesion in range(1, int(joined.max()) + 1):
        mask = joined == lesion
        around = ndimage.binary_dilation(mask, EIGHTEEN, iterations=dilations)
        touching = set(np.unique(others[around]).tolist()) - {0}
        true |= touching
        if mask.sum() * np.prod(spacing) <= floor:
            continue
        if not touching:
            missed += 1
            dsc.append(0.0)
            mm.append(374.0)
            deepmind.append(374.0)
            continue
        found += 1
        predicted = np.isin(others, list(touching))
        dsc.append(2 * (mask & predicted).sum() / (mask.sum() + predicted.sum()))
        mm.append(hd95(mask, predicted, spacing))
        surfaces = surface_distance.compute_surface_distances(mask, predicted, spacing[::-1])
        deepmind.append(surface_distance.compute_robust_hausdorff(surfaces, 95))
    false = int(others.max()) - len(true)
    count = found + missed + false
    mean = lambda values, penalty: float((sum(values) + penalty * false) / count)
    return {
        "counts": [found + missed, found, int(others.max()), false],
        "dsc": mean(dsc, 0) if count else 1.0,
        "hd95": mean(mm, 374.0) if count else 0.0,
        "deepmind_hd95": mean(deepmind, 374.0) if count else 0.0,
    }


def froc_subject(reference, probability, threshold):
    found = table(reference, probability >= threshold, TWENTY_SIX)
    labels, _ = ndimage.label(probability >= threshold, TWENTY_SIX)
    peaks = ndimage.maximum(probability, labels, range(1, found.shape[1]))
    hits = [np.flatnonzero(found[1:, c]).tolist() for c in range(1, found.shape[1])]
    return found.shape[0] - 1, list(zip(np.atleast_1d(peaks).tolist(), hits))


def froc(subjects):
    total = sum(n for n, _ in subjects)
    scores = sorted({s for _, candidates in subjects for s, _ in candidates})
    best = []
    for rate in (0.125, 0.25, 0.5, 1, 2, 4, 8):
        sensitivity = 0.0
        for score in scores:
            kept = [(i, h) for i, (_, c) in enumerate(subjects) for s, h in c if s >= score]
            if sum(not h for _, h in kept) / len(subjects) <= rate:
                hit = {(i, lesion) for i, h in kept for lesion in h}
                sensitivity = max(sensitivity, len(hit) / total)
        best.append(sensitivity)
    return {"sensitivities": best, "cpm": float(np.mean(best)), "lesions": total}


def cases(rng):
    for name, spacing, sigma, share in (
        ("specks", (1.0, 1.0, 1.0), 0.7, 0.03),
        ("lesions", (1.0, 1.0, 1.0), 1.2, 0.06),
        ("lesions, unequal edges", (0.96, 0.96, 3.0), 1.2, 0.05),
        ("small voxels", (0.5, 0.5, 0.8), 1.5, 0.08),
        ("few", (1.0, 1.0, 1.0), 1.7, 0.012),
        ("few, unequal edges", (1.2, 0.9, 2.5), 1.5, 0.012),
        ("many in each other", (1.0, 1.0, 1.0), 0.9, 0.2),
        ("one slice", (0.7, 0.7, 4.0), 1.2, 0.08),
    ):
        shape = (36, 34, 1) if name == "one slice" else (44, 40, 28) if sigma >= 1.5 else (26, 24, 18)
        size = shape[::-1]
        truth = ndimage.gaussian_filter(rng.standard_normal(size), sigma)
        other = ndimage.gaussian_filter(rng.standard_normal(size), sigma)
        mixed = truth / truth.std() + 0.8 * other / other.std()
        reference = truth > np.quantile(truth, 1 - share)
        yield name, spacing, shape, reference, mixed > np.quantile(mixed, 1 - 1.1 * share)


def main():
    rng = np.random.default_rng(2023)
    rows = []
    for name, spacing, shape, reference, prediction in cases(rng):
        row = {
            "name": name,
            "shape": shape,
            "spacing": spacing,
            "reference": runs(reference),
            "prediction": runs(prediction),
            "one_to_one": {str(t): one_to_one(reference, prediction, t) for t in (0.0, 0.1, 0.5)},
            "panoptica": panoptica(reference, prediction),
            "msseg": msseg(reference, prediction, np.prod(spacing)),
            "atlas": atlas(reference, prediction),
            "brats-2023-gli": brats(reference, prediction, spacing, 3, 50),
            "brats-2023-met": brats(reference, prediction, spacing, 1, 2),
        }
        rows.append(row)
    subjects, stored = [], []
    for _ in range(4):
        shape = (16, 14, 12)
        field = ndimage.gaussian_filter(rng.standard_normal(shape[::-1]), 1.0)
        other = ndimage.gaussian_filter(rng.standard_normal(shape[::-1]), 1.0)
        reference = field > np.quantile(field, 0.97)
        score = field / field.std() + 1.6 * other / other.std()
        levels = np.round(20 / (1 + np.exp(5 - 1.5 * score))).astype(int)
        subjects.append(froc_subject(reference, levels / 20, 0.1))
        stored.append({"reference": runs(reference), "twentieths": runs(levels)})
    found = {"shape": shape, "subjects": stored, **froc(subjects)}
    OUT.write_text(json.dumps({"pairs": rows, "froc": found}, separators=(",", ":")) + "\n")
    for row in rows:
        print(row["name"], *(row[k] for k in row if k not in ("reference", "prediction")))
    print(found["sensitivities"], found["lesions"])


if __name__ == "__main__":
    main()
