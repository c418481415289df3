"""Golden for linear resampling: scipy.ndimage.map_coordinates(order=1, mode="nearest").

Run from this folder:  python resample.py      (scipy, numpy)
Writes resample/linear.json and resample/labels.json; values are x fastest.
The labels are the argmax over the interpolated indicators of all classes, and
0 where the position is more than half a voxel outside.
"""

import json
import os

import numpy as np
from scipy.ndimage import map_coordinates

os.makedirs("resample", exist_ok=True)
rng = np.random.default_rng(20171)


def affine(spacing, angles, origin):
    a, b, c = angles
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    out = np.eye(4)
    out[:3, :3] = rz @ ry @ rx @ np.diag(spacing)
    out[:3, 3] = origin
    return out


OLD = affine([1.0, 1.2, 2.5], [0.1, -0.2, 0.3], [-5, 4, 3]), (9, 8, 6)
# Larger than the old grid on some sides and turned against it.
NEW = affine([-0.9, 1.1, 1.7], [-0.2, 0.1, 0.5], [3, 3, 3.5]), (10, 8, 9)

index = np.stack(np.meshgrid(*[np.arange(n) for n in NEW[1]], indexing="ij"))
turn = np.linalg.inv(OLD[0]) @ NEW[0]
position = np.einsum("ij,j...->i...", turn[:3, :3], index) + turn[:3, 3][:, None, None, None]


def interpolate(volume):
    return map_coordinates(volume, position, order=1, mode="nearest", output=np.float64)


def grids():
    return {
        name: {"shape": list(shape), "affine": a[:3].tolist()}
        for name, (a, shape) in [("old", OLD), ("new", NEW)]
    }


def flat(volume):
    return volume.ravel(order="F").tolist()


image = rng.normal(100, 30, OLD[1]).astype(np.float32)
with open("resample/linear.json", "w") as f:
    json.dump(grids() | {"values": flat(image.astype(float)), "expected": flat(interpolate(image))}, f)

labels = rng.integers(0, 4, OLD[1])
votes = np.stack([interpolate((labels == c).astype(float)) for c in range(4)])
best = np.sort(votes, axis=0)
assert (best[-1] - best[-2])[best[-1] > 0].min() > 1e-9, "a tie would depend on rounding"
limits = np.array(OLD[1])[:, None, None, None] - 0.5
inside = ((position >= -0.5) & (position <= limits)).all(axis=0)
print("outside:", (~inside).mean())
result = np.where(inside, votes.argmax(axis=0), 0)
with open("resample/labels.json", "w") as f:
    json.dump(grids() | {"values": flat(labels), "expected": flat(result)}, f)
