"""Fingerprints of real data by nibabel, NumPy and SciPy: tests/golden/fingerprint/real.json.

Run with LACUNA_DATA set. The file holds figures only. Components are scipy.ndimage.label with the full structure, distances
scipy.ndimage.distance_transform_edt of the mask, quantiles numpy.percentile.
"""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

DATASETS = {
    "brats2015": (["FLAIR", "T1c"], "tumour", "brain_mask"),
    "ms_lesion": (["T1", "T2", "FLAIR"], "lesion", None),
    "spinal_gm": (["T2starw"], "T2starw_gmseg-manual", "T2starw_seg-manual"),
}
QUANTILES = {"min": 0, "p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "max": 100}


def quantiles(values):
    return {name: float(np.percentile(values, q)) for name, q in QUANTILES.items()}


def box(mask):
    return [int(np.ptp(axis)) + 1 for axis in np.nonzero(mask)]


def load(path):
    native = nib.load(path)
    codes = "".join(nib.aff2axcodes(native.affine))
    image = nib.as_closest_canonical(native)
    return np.asarray(image.dataobj), image.affine, codes


def subject(folder, modalities, label, mask, pooled):
    images = []
    for modality in modalities:
        data, affine, codes = load(folder / f"{modality}.nii.gz")
        images.append(data.astype(np.float32).astype(np.float64))
        if modality == modalities[0]:
            first_affine, first_codes = affine, codes
    spacing = nib.affines.voxel_sizes(first_affine)
    foreground = np.rint(load(folder / f"{label}.nii.gz")[0]) != 0
    not_zero = np.any([image != 0 for image in images], axis=0)
    inside = np.rint(load(folder / f"{mask}.nii.gz")[0]) != 0 if mask else not_zero
    mm3 = float(np.prod(spacing))
    numbered, count = ndimage.label(foreground, np.ones((3, 3, 3)))
    components = []
    for where, number in zip(ndimage.find_objects(numbered), range(1, count + 1)):
        extent = [s.stop - s.start for s in where]
        components.append(
            {
                "voxels": int((numbered[where] == number).sum()),
                "extent_voxels": extent,
                "extent_mm": [float(n * s) for n, s in zip(extent, spacing)],
            }
        )
    components.sort(key=lambda c: (c["voxels"], c["extent_voxels"]))
    edge = None
    if mask:
        distance = ndimage.distance_transform_edt(inside, sampling=spacing)[foreground]
        edge = {"min_mm": float(distance.min()), "median_mm": float(np.median(distance))}
    for modality, image in zip(modalities, images):
        pooled.setdefault(modality, {"foreground": [], "inside": []})
        pooled[modality]["foreground"].append(image[foreground])
        pooled[modality]["inside"].append(image[inside])
    return {
        "shape": list(images[0].shape),
        "spacing_mm": [float(s) for s in spacing],
        "orientation": first_codes,
        "inside_voxels": int(inside.sum()),
        "nonzero_box_share": float(np.prod(box(not_zero)) / not_zero.size),
        "crop_shape": box(inside),
        "voxels": int(foreground.sum()),
        "voxel_mm3": mm3,
        "share_of_grid": float(foreground.mean()),
        "share_inside": float((foreground & inside).sum() / inside.sum()),
        "edge": edge,
        "components": components,
    }


def intensities(values):
    values = np.concatenate(values)
    return {
        "voxels": int(values.size),
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "min": float(values.min()),
        "p0_5": float(np.percentile(values, 0.5)),
        "p50": float(np.percentile(values, 50)),
        "p99_5": float(np.percentile(values, 99.5)),
        "max": float(values.max()),
    }


def contrast(parts):
    """Foreground of each subject in SDs of its inside, above the mean of its inside."""
    pairs = list(zip(parts["foreground"], parts["inside"]))
    scaled = [(foreground - inside.mean()) / inside.std() for foreground, inside in pairs]
    return {
        "between_subjects": float(np.std([s.mean() for s in scaled], ddof=1)),
        "within_subjects": float(np.mean([s.std() for s in scaled])),
    }


def dataset(folder, modalities, label, mask):
    pooled = {}
    folders = sorted(f for f in folder.iterdir() if f.is_dir())
    subjects = {f.name: subject(f, modalities, label, mask, pooled) for f in folders}
    spacings = np.array([s["spacing_mm"] for s in subjects.values()])
    shapes = np.array([s["shape"] for s in subjects.values()])
    median = np.median(spacings, axis=0)
    off = (np.abs(spacings / median - 1) > 0.2).any(axis=1)
    components = [c for s in subjects.values() for c in s["components"]]
    volumes = [c["voxels"] * s["voxel_mm3"] for s in subjects.values() for c in s["components"]]
    extents = {
        f"p{q}_{unit}": np.percentile([c[f"extent_{unit}"] for c in components], q, axis=0).tolist()
        for q in (50, 95)
        for unit in ("mm", "voxels")
    }
    over = lambda key: quantiles([s[key] for s in subjects.values()])
    # Components of the largest datasets are told by their number and volumes above.
    for s in subjects.values():
        s["components"], s["component_count"] = s["components"][-5:], len(s["components"])
    return {
        "subjects": subjects,
        "spacing_mm": median.tolist(),
        "shape": np.median(shapes, axis=0).tolist(),
        "off_median_spacing": float(off.mean()),
        "anisotropy": float(median.max() / median.min()),
        "share_of_grid": over("share_of_grid"),
        "share_inside": over("share_inside"),
        "components_per_subject": over("component_count"),
        "component_mm3": quantiles(volumes),
        "smaller": {str(mm3): float((np.array(volumes) < mm3).mean()) for mm3 in (5, 15, 50, 150)},
        "extents": extents,
        "intensities": {
            modality: {part: intensities(values) for part, values in parts.items()}
            for modality, parts in pooled.items()
        },
        "contrast": {modality: contrast(parts) for modality, parts in pooled.items()},
    }


def main():
    data = Path(os.environ["LACUNA_DATA"])
    found = {name: dataset(data / name, *files) for name, files in DATASETS.items()}
    out = Path(__file__).parent / "fingerprint" / "real.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
