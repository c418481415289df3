"""White-matter intensities of the shared data, found without Lacuna.

For each image: the mode by scipy's Gaussian KDE of 100 000 random brain voxels
(T1-weighted: the last local maximum at least half as high as the largest; others:
the largest), the SD of the White Stripe (voxels whose quantile is within 0.05 of
the mode's) and, for the MS images, which lie in MNI space, the median intensity of
two boxes in the centrum semiovale, deep white matter at x = -26 and +26, y = -10,
z = 34 mm, leaving out lesions.

Run with LACUNA_DATA set; writes white_matter/values.json.
"""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.signal import find_peaks
from scipy.stats import gaussian_kde

DATA = Path(os.environ["LACUNA_DATA"])
OUT = Path(__file__).parent / "white_matter" / "values.json"


def mode_of(x, last):
    sample = np.random.default_rng(0).choice(x, 100_000, replace=False)
    low, high = np.quantile(x, [0.001, 0.999])
    grid = np.linspace(low, high, 1500)
    density = gaussian_kde(sample)(grid)
    peaks, _ = find_peaks(density, height=density.max() / 2)
    return grid[peaks[-1] if last else np.argmax(density)]


def stripe_sd(x, mode):
    q = (x < mode).mean()
    low, high = np.quantile(x, [max(q - 0.05, 0), min(q + 0.05, 1)])
    return x[(x >= low) & (x <= high)].std()


def centrum_semiovale(image, values, lesion):
    index = np.stack(np.meshgrid(*[np.arange(s) for s in values.shape], indexing="ij"), -1)
    world = index @ image.affine[:3, :3].T + image.affine[:3, 3]
    box = np.zeros(values.shape, bool)
    for x in (-26, 26):
        box |= (np.abs(world - (x, -10, 34)) <= (3, 12, 4)).all(-1)
    return np.median(values[box & ~lesion])


found = {}
for path in sorted([*DATA.glob("ms_lesion/*/*.nii.gz"), *DATA.glob("brats2015/*/*.nii.gz")]):
    modality = path.name.removesuffix(".nii.gz")
    if modality not in ("T1", "T1c", "T2", "FLAIR"):
        continue
    image = nib.load(path)
    values = np.asarray(image.dataobj, dtype=np.float64)
    mask = path.parent / "brain_mask.nii.gz"
    inside = np.asarray(nib.load(mask).dataobj) > 0.5 if mask.exists() else values > 0
    x = values[inside]
    mode = mode_of(x, modality.startswith("T1"))
    entry = {"mode": float(mode), "quantile": float((x < mode).mean()), "stripe_sd": float(stripe_sd(x, mode))}
    lesion = path.parent / "lesion.nii.gz"
    if lesion.exists():
        entry["centrum_semiovale"] = float(centrum_semiovale(image, values, np.asarray(nib.load(lesion).dataobj) > 0))
    found[str(path.relative_to(DATA))] = {key: round(value, 5) for key, value in entry.items()}

OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps(found, indent=1) + "\n")
