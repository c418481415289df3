"""Goldens for the transforms of patches, crates/data/src/transform.

Run from this folder:  python augment.py      (numpy, scipy)
Writes augment/*.json; values are x fastest.
"""

import json
import os

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

os.makedirs("augment", exist_ok=True)
rng = np.random.default_rng(20211)


def flat(volume):
    return np.asarray(volume).ravel(order="F").tolist()


def write(name, **values):
    with open(f"augment/{name}.json", "w") as f:
        json.dump(values, f)


def spatial():
    """Turned by 25 degrees about x, y, z and 1.2 times as large, anisotropic voxels."""
    source, target, spacing = (21, 19, 13), (9, 7, 5), np.diag([1.0, 1.5, 3.0])
    s, c = np.sin(np.radians(25)), np.cos(np.radians(25))
    rx = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    ry = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    rz = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    # In mm, tissue at p goes to 1.2 R p.
    back = np.linalg.inv(spacing) @ np.linalg.inv(1.2 * rz @ ry @ rx) @ spacing
    middle = [(np.array(n) - 1) / 2 for n in (source, target)]
    index = np.stack(np.meshgrid(*[np.arange(n) for n in target], indexing="ij"))
    offset = index - middle[1][:, None, None, None]
    position = np.einsum("ij,j...->i...", back, offset) + middle[0][:, None, None, None]

    def interpolate(volume):
        return map_coordinates(volume, position, order=1, output=np.float64)

    image = rng.normal(0, 1, source).astype(np.float32)
    labels = (gaussian_filter(rng.normal(0, 1, source), 1.5) * 12).round().clip(0, 2).astype(int)
    votes = np.stack([interpolate((labels == k).astype(float)) for k in range(3)])
    ordered = np.sort(votes, axis=0)
    write(
        "spatial",
        source=source,
        target=target,
        image=flat(image.astype(float)),
        image_expected=flat(interpolate(image.astype(float))),
        labels=flat(labels),
        labels_expected=flat(votes.argmax(axis=0)),
        # Where two labels are so near that rounding decides.
        undecided=flat(ordered[-1] - ordered[-2] < 1e-5),
    )


def blur():
    image = rng.normal(0, 1, (9, 8, 7)).astype(np.float32)
    sigma = (0.5, 0.8, 1.0)
    expected = gaussian_filter(image.astype(float), sigma, mode="mirror")
    write("blur", shape=image.shape, sigma=sigma, image=flat(image.astype(float)), expected=flat(expected))


def low_resolution():
    """Along each axis: nearest voxels of a coarser grid over the same extent, and back linearly."""
    image = rng.normal(0, 1, (9, 8, 7)).astype(np.float32)
    factor, out = 0.6, image.astype(float)
    for axis, n in enumerate(image.shape):
        coarse = max(round(n * factor), 1)
        nearest = np.floor((np.arange(coarse) + 0.5) * n / coarse).astype(int)
        out = np.take(out, nearest, axis)
    for axis, n in enumerate(image.shape):
        coarse = out.shape[axis]
        place = (np.arange(n) + 0.5) * coarse / n - 0.5
        out = np.apply_along_axis(lambda v: np.interp(place, np.arange(coarse), v), axis, out)
    write("low_resolution", shape=image.shape, factor=factor, image=flat(image.astype(float)), expected=flat(out))


def gamma():
    """nnU-Net's, which restores mean and standard deviation; also of the inverted image."""
    image = rng.normal(1, 2, 60).astype(np.float32).astype(float)

    def changed(x, power):
        low, span = x.min(), np.ptp(x)
        y = ((x - low) / span) ** power * span + low
        return (y - y.mean()) / y.std() * x.std() + x.mean()

    write("gamma", power=1.3, image=flat(image), expected=flat(changed(image, 1.3)),
          inverted=flat(-changed(-image, 1.3)))


spatial()
blur()
low_resolution()
gamma()
