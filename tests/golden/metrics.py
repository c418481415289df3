"""Reference values for connected components, distances and segmentation metrics.

Writes metrics/{components,distance,real,pairs,summary}.json beside
this file. Needs numpy, scipy, torch, monai, nibabel, SimpleITK and
surface-distance (google-deepmind).
Run: LACUNA_DATA=... python tests/golden/metrics.py

Arrays are [z][y][x] in C order, so x varies fastest, as in the Rust code;
shapes and spacings are written as x, y, z. Masks and label maps are run lengths
[value, length, value, length, ...].

What is compared, and with what:
- components (6, 18, 26) and distances: scipy.ndimage.
- HD95 and NSD, "voxel-surface-3d": the SciPy reference below, MONAI, which has
  the same definition. MONAI gives NaN or infinity for empty masks and is not
  asked there.
- HD95, "wmh-in-plane": SimpleITK erosion with radius (1, 1, 0) and a k-d tree,
  the definition of the WMH challenge.
- google-deepmind surface-distance has *another* definition: its surface runs
  between voxels (marching cubes) and its elements are weighted by area. Stored
  as `deepmind_*`, to assert that the results are near and not the same.
- lesions, "wmh": SimpleITK fully connected components.
- generalised Dice: MONAI with square weights and background.
"""

import json
import os
import warnings
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
import surface_distance
import torch
from monai.metrics import (
    compute_generalized_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from scipy import ndimage, stats
from scipy.spatial import cKDTree

OUT = Path(__file__).with_suffix("")
TOLERANCES = [0.5, 1.0, 2.0, 3.7]


def runs(array):
    flat = array.ravel().astype(int)
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    lengths = np.diff(starts, append=flat.size)
    return [int(v) for pair in zip(flat[starts], lengths) for v in pair]


def blob(shape, centre, radii):
    grid = np.indices(shape[::-1])[::-1]
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii)) <= 1


def noise(rng, shape, sigma, share):
    field = ndimage.gaussian_filter(rng.standard_normal(shape[::-1]), sigma)
    return field > np.quantile(field, 1 - share)


# --- components and distances -------------------------------------------------


def components(rng):
    masks = [rng.random((9, 11, 13)) < share for share in (0.08, 0.2, 0.35)]
    masks.append(noise(rng, (17, 12, 10), 1.0, 0.15))
    return [{"shape": m.shape[::-1], "mask": runs(m), "sizes": sizes(m)} for m in masks]


def sizes(mask):
    """Component sizes in the order of the first voxel, for each connectivity."""
    found = {}
    for name, rank in (("6", 1), ("18", 2), ("26", 3)):
        structure = ndimage.generate_binary_structure(3, rank)
        labels, count = ndimage.label(mask, structure)
        values, first, voxels = np.unique(labels, return_index=True, return_counts=True)
        order = [i for i in np.argsort(first) if values[i]]
        found[name] = [int(voxels[i]) for i in order]
        assert len(order) == count
    return found


def distance(rng):
    rows = []
    for shape, spacing, share in (
        ((9, 8, 7), (1.0, 1.0, 1.0), 0.01),
        ((8, 9, 5), (0.9375, 0.9375, 3.0), 0.03),
        ((6, 5, 9), (4.0, 0.7, 1.3), 0.1),
        ((15, 12, 1), (0.5, 0.8, 1.0), 0.02),
    ):
        mask = rng.random(shape[::-1]) < share
        mm = ndimage.distance_transform_edt(~mask, sampling=spacing[::-1])
        rows.append(
            {
                "shape": shape,
                "spacing": spacing,
                "mask": runs(mask),
                "mm": [round(float(v), 10) for v in mm.ravel()],
            }
        )
    return rows


# --- metrics of pairs ---------------------------------------------------------


def scipy_surface(reference, prediction, spacing):
    """HD95 and NSD of voxel surfaces; the image of one slice is two-dimensional."""
    flat = [m[0] if m.shape[0] == 1 else m for m in (reference, prediction)]
    step = spacing[::-1][-flat[0].ndim :]
    edges = [m & ~ndimage.binary_erosion(m) for m in flat]
    to = [ndimage.distance_transform_edt(~e, sampling=step) for e in edges]
    directed = [to[1][edges[0]], to[0][edges[1]]]
    both = np.concatenate(directed)
    return (
        max(np.percentile(d, 95) for d in directed),
        [float((both <= t).mean()) for t in TOLERANCES],
    )


def monai_surface(reference, prediction, spacing):
    flat = [m[0] if m.shape[0] == 1 else m for m in (reference, prediction)]
    step = list(spacing[::-1][-flat[0].ndim :])
    r, p = [torch.from_numpy(m[None, None].astype(np.float32)) for m in flat]
    hd = compute_hausdorff_distance(p, r, include_background=True, percentile=95, spacing=step)
    nsd = [
        compute_surface_dice(p, r, [t], include_background=True, spacing=step).item()
        for t in TOLERANCES
    ]
    return hd.item(), nsd


def deepmind_surface(reference, prediction, spacing):
    found = surface_distance.compute_surface_distances(reference, prediction, spacing[::-1])
    return (
        float(surface_distance.compute_robust_hausdorff(found, 95)),
        [
            float(surface_distance.compute_surface_dice_at_tolerance(found, t))
            for t in TOLERANCES
        ],
    )


def sitk_image(mask, spacing):
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing)
    return image


def wmh_hd95(reference, prediction, spacing):
    points = []
    for mask in (reference, prediction):
        image = sitk_image(mask, spacing)
        edge = sitk.Subtract(image, sitk.BinaryErode(image, (1, 1, 0)))
        voxels = np.argwhere(sitk.GetArrayFromImage(edge))[:, ::-1]
        points.append(voxels * np.array(spacing))
    directed = [cKDTree(b).query(a)[0] for a, b in (points, points[::-1])]
    return max(np.percentile(d, 95) for d in directed)


def wmh_lesions(reference, prediction, spacing):
    """Lesion sizes and which of them the other mask touches."""
    tables = []
    for mask, other in ((reference, prediction), (prediction, reference)):
        labels = sitk.GetArrayFromImage(
            sitk.ConnectedComponent(sitk_image(mask, spacing), True)
        )
        sizes = [int((labels == v).sum()) for v in range(1, labels.max() + 1)]
        hit = [bool(other[labels == v].any()) for v in range(1, labels.max() + 1)]
        tables.append(sorted(zip(sizes, hit)))
    share = [np.mean([h for _, h in t]) if t else 1.0 for t in tables]
    f1 = 2 * share[0] * share[1] / sum(share) if sum(share) else 0.0
    return tables, [float(share[0]), float(share[1]), float(f1)]


def monai_gds(reference, prediction, classes):
    r, p = [
        torch.from_numpy(np.stack([m == c for c in range(classes)])[None].astype(np.float64))
        for m in (reference, prediction)
    ]
    return compute_generalized_dice(p, r, weight_type="square", sum_over_classes=True).item()


def score(reference, prediction, spacing):
    tables, lesion = wmh_lesions(reference, prediction, spacing)
    row = {
        "tp": int((reference & prediction).sum()),
        "fp": int((~reference & prediction).sum()),
        "fn": int((reference & ~prediction).sum()),
        "tn": int((~reference & ~prediction).sum()),
        "lesion": lesion,
        "reference_lesions": tables[0],
        "prediction_lesions": tables[1],
        "image_diagonal_mm": float(np.linalg.norm(np.multiply(reference.shape[::-1], spacing))),
        "voxel_diagonal_mm": float(np.linalg.norm(spacing)),
    }
    if reference.any() and prediction.any():
        row["hd95"], row["nsd"] = scipy_surface(reference, prediction, spacing)
        row["monai_hd95"], row["monai_nsd"] = monai_surface(reference, prediction, spacing)
        row["wmh_hd95"] = wmh_hd95(reference, prediction, spacing)
        if reference.shape[0] > 1:
            found = deepmind_surface(reference, prediction, spacing)
            row["deepmind_hd95"], row["deepmind_nsd"] = found
    return row


def pairs(rng):
    iso, aniso = (1.0, 1.0, 1.0), (0.9375, 0.9375, 3.0)
    shape = (22, 20, 14)
    none = np.zeros(shape[::-1], bool)
    ball = blob(shape, (10, 9, 6), (6, 5, 4))
    shifted = blob(shape, (12, 10, 7), (5, 6, 4))
    at_border = blob(shape, (1, 18, 0), (6, 5, 4))
    larger = blob(shape, (0, 19, 1), (7, 6, 3))
    one = none.copy()
    one[3, 4, 5] = True
    other = none.copy()
    other[11, 17, 20] = True
    lesions = noise(rng, shape, 1.2, 0.06)
    missed = lesions.copy()
    missed[:5] = False
    missed |= noise(rng, shape, 1.2, 0.03)
    ring = blob((30, 24, 1), (14, 11, 0), (9, 8, 1)) & ~blob((30, 24, 1), (14, 11, 0), (4, 4, 1))
    disc = blob((30, 24, 1), (16, 12, 0), (8, 9, 1))
    half, front = none.copy(), none.copy()
    half[:, :, :8] = True
    front[:, :11] = True
    inner = blob(shape, (10, 9, 6), (3, 3, 2))
    nested = ball.astype(int) + inner
    guess = shifted.astype(int) + blob(shape, (12, 9, 6), (2, 3, 2))
    cases = [
        ("shifted balls", iso, ball, shifted),
        ("shifted balls, unequal edges", aniso, ball, shifted),
        ("touching the border", aniso, at_border, larger),
        ("halves of the image", aniso, half, front),
        ("one voxel each", aniso, one, other),
        ("one voxel and a ball", iso, one, ball),
        ("many lesions", iso, lesions, missed),
        ("many lesions, unequal edges", (0.7, 1.3, 4.0), lesions, missed),
        ("two-dimensional", (0.6, 0.8, 1.0), ring, disc),
        ("nothing predicted", aniso, ball, none),
        ("nothing to find", iso, none, lesions),
        ("both empty", iso, none, none),
        ("identical", aniso, lesions, lesions),
        ("two nested classes", aniso, nested, guess),
        ("a class only predicted", iso, ball.astype(int), guess),
    ]
    rows = []
    for name, spacing, reference, prediction in cases:
        reference, prediction = reference.astype(int), prediction.astype(int)
        classes = max(reference.max(), prediction.max(), 1) + 1
        scores = [score(reference == c, prediction == c, spacing) for c in range(1, classes)]
        if classes > 2:
            scores.append(score(reference > 0, prediction > 0, spacing))
        rows.append(
            {
                "name": name,
                "shape": reference.shape[::-1],
                "spacing": spacing,
                "reference": runs(reference),
                "prediction": runs(prediction),
                "classes": int(classes),
                "generalised_dice": monai_gds(reference, prediction, classes),
                "rows": scores,
            }
        )
    return {"tolerances_mm": TOLERANCES, "pairs": rows}


def real(_):
    """Lesions of the MS data set (Lesjak et al. 2017, CC BY): the components of
    two patients, and one scored against the other on their common grid."""
    masks = {}
    for patient in ("patient07", "patient19"):
        path = Path(os.environ["LACUNA_DATA"]) / "ms_lesion" / patient / "lesion.nii.gz"
        masks[patient] = np.asarray(nibabel.load(path).dataobj).T > 0
    return {
        "components": {patient: sizes(mask) for patient, mask in masks.items()},
        "pair": score(masks["patient19"], masks["patient07"], (1.0, 1.0, 1.0)),
    }


# --- summaries ----------------------------------------------------------------


def summary(rng):
    values = np.round(rng.beta(5, 2, 40), 6)
    found = {
        "values": values.tolist(),
        "mean": float(values.mean()),
        "quartiles": np.percentile(values, [25, 50, 75]).tolist(),
        "percentile_95": float(np.percentile(values, 95)),
    }
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        interval = stats.bootstrap(
            (values,), statistic, n_resamples=200_000, batch=1000, method="percentile", rng=rng
        ).confidence_interval
        found[f"{name}_interval"] = [float(interval.low), float(interval.high)]
    return found


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(exist_ok=True)
    for make in (components, distance, real, pairs, summary):
        rng = np.random.default_rng(2017)
        path = OUT / f"{make.__name__}.json"
        path.write_text(json.dumps(make(rng), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
