"""Segments an image with a network that `lacuna export RUN model.onnx` wrote, as `lacuna
predict --label-values` does; without Lacuna. Needs onnxruntime, nibabel and scipy.

    python onnx_segment.py model.onnx OUT.nii.gz IMAGE... [--mask MASK]

One image for each modality, in the order of model.onnx.json, all on one grid.
"""

import argparse
import json
import sys

import nibabel as nib
import numpy as np
import onnxruntime
from scipy.ndimage import binary_fill_holes, correlate1d, label as components
from scipy.signal import find_peaks


def canonical(path, dtype):
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, dtype)


# Grids, by model["spacing_mm"]: the same field of view, interpolated linearly.

def lengths(shape, own, spacing):
    """Voxels along each axis at another spacing, and what of a voxel's own edge theirs is."""
    exact = np.array(shape) * own / spacing
    same = abs(exact - shape) < 0.01
    return np.where(same, shape, np.floor(exact + 0.5).clip(1)).astype(int), np.where(same, 1, spacing / own)


def resampled(values, shape, ratio):
    """The last three axes."""
    for axis, n, r in zip((-3, -2, -1), shape, ratio):
        at = ((np.arange(n) + 0.5) * r - 0.5).clip(0, values.shape[axis] - 1)
        below = np.floor(at + 1e-6).astype(int)
        above = np.minimum(below + 1, values.shape[axis] - 1)
        part = np.where(abs(at - below) < 1e-6, 0, at - below).reshape(-1, *[1] * (-1 - axis))
        low, high = (np.take(values, index, axis).astype(float) for index in (below, above))
        values = low + (high - low) * part
    return values.astype(np.float32)


# Preparing, by model["normalise"].

def inside(image, mask, background):
    """The voxels that statistics count."""
    if mask is not None:
        return mask
    if background == "auto":
        rim = np.ones(image.shape, bool)
        rim[tuple(slice(1, -1) if n > 1 else slice(None) for n in image.shape)] = False
        background = "zero" if 0 < (zeros := (image[rim] == 0).sum()) >= 0.1 * rim.sum() else "none"
    if background == "zero":
        ringing = -image[image < 0].sum(dtype=float) < 0.01 * np.abs(image).sum(dtype=float)
        return image > 0 if ringing else image != 0
    return np.ones(image.shape, bool) if background == "none" else image != np.float32(background)


def white_matter(values, modality):
    """Mode and spread of the white-matter peak of a smoothed histogram."""
    values = np.sort(values)
    quantile = lambda share: float(values[int(share * (len(values) - 1))])
    iqr = quantile(0.75) - quantile(0.25)
    sd = values.std(dtype=float)
    bandwidth = 0.9 * (min(sd, iqr / 1.349) if iqr > 0 else sd) * len(values) ** -0.2
    start, end = quantile(0.001) - 3 * bandwidth, quantile(0.999) + 3 * bandwidth
    width = max(bandwidth / 4, (end - start) / 65536)
    bins = int(np.ceil((end - start) / width))
    at = (values.astype(float) - start) / width
    counts = np.bincount(at[(at >= 0) & (at < bins)].astype(int), minlength=bins) / (len(values) * width)
    kernel = np.exp(-0.5 * (np.arange(-16, 17) / 4) ** 2)
    density = correlate1d(counts, kernel / kernel.sum(), mode="constant")
    peaks, _ = find_peaks(density, height=0.2 * density.max(), prominence=0.05 * density.max())
    peak = peaks[-1] if modality[:2].lower() == "t1" else max(peaks, key=lambda p: density[p])
    return start + (peak + 0.5) * width, 1 / (np.sqrt(2 * np.pi) * density[peak])


def grey_matter(t1, counted):
    """Where the middle one of three Gaussians is likeliest, fitted to a histogram of the T1."""
    values = np.sort(t1[counted]).astype(float)
    quantile = lambda share: values[int(np.floor(share * (len(values) - 1) + 0.5))]
    low, high = quantile(0.001), quantile(0.999)
    width = (high - low) / 512
    kept = values[(values >= low) & (values <= high)]
    shares = np.bincount(((kept - low) / width).astype(int).clip(0, 511), minlength=512) / len(kept)
    at = low + (np.arange(512) + 0.5) * width

    def fitted(weights):
        parts = shares * weights / np.maximum(weights.sum(0), 1e-300)
        share = parts.sum(1)
        mean = parts @ at / share
        variance = (parts @ at**2 / share - mean**2).clip(width**2)
        return share[:, None], mean[:, None], variance[:, None]

    density = lambda share, mean, variance: share * np.exp(-((at - mean) ** 2) / (2 * variance)) / variance**0.5
    mean = np.array([[quantile(share)] for share in (0.1, 0.4, 0.8)])
    for _ in range(200):
        far = abs(at - mean)
        tissues = fitted((far == far.min(0)).astype(float))
        mean = tissues[1]
    for _ in range(200):
        tissues = fitted(density(*tissues))
    order = np.argsort(tissues[1].ravel())
    fluid, grey, white = density(*tissues)[order]
    likeliest = (grey > fluid) & (grey >= white)
    middle = int((tissues[1].ravel()[order[1]] - low) / width)
    first = middle - np.argmin(np.append(likeliest[middle::-1], False)) + 1
    last = middle + np.argmin(np.append(likeliest[middle:], False)) - 1
    edges = np.float32([at[first] - width / 2, at[last] + width / 2])
    return counted & (t1 >= edges[0]) & (t1 <= edges[1])


def normalised(image, mask, modality, how, grey):
    if how["method"] == "none":
        return image
    counted = inside(image, mask, how["background"])
    values = image[counted]
    if how["method"] == "percentile":
        low, high = np.percentile(values.astype(float), [0.5, 99.5])
        shift, scale = low, high - low
    elif how["method"] == "z-score":
        shift, scale = values.mean(dtype=float), values.std(dtype=float)
    elif how["method"] == "grey-matter":
        tissue = np.sort(image[counted & grey])
        shift = float(tissue[len(tissue) // 2])
        scale = shift / 4
    else:
        shift, scale = white_matter(values, modality)
    scaled = ((image - shift) / scale).astype(np.float32)
    if how["method"] == "percentile":
        scaled = scaled.clip(0, 1)
    outside = scaled[counted].min() if how["outside"] == "minimum" else 0
    return np.where(counted, scaled, np.float32(outside))


def shown(images):
    """Where normalised images show something, which stands for a mask."""
    found = np.any([(image != 0) & (image != image.min()) for image in images], 0)
    found = binary_fill_holes(found) if found.any() else ~found
    everything = (~found).mean() <= 0.01 or 1 in found.shape
    return None if everything else found


# Windows, by model["windows"]. Axes are z, y, x; of a 2-D network slice, y, x.

def starts(length, edge, overlap):
    """Of windows that cover an axis, spread evenly."""
    if length <= edge:
        return [0]
    count = -(-(length - edge) // max(1, int(edge * (1 - overlap)))) + 1
    return [i * (length - edge) // (count - 1) for i in range(count)]


def reflected(start, size, n):
    i = np.arange(start, start + size) % max(1, 2 * (n - 1))
    return np.minimum(i, max(1, 2 * (n - 1)) - i) if n > 1 else i * 0


def ramp(edge, overlap):
    i = np.arange(edge)
    rise = min(max(int(edge * overlap), 1), -(-edge // 2))
    return np.minimum(np.minimum(i + 1, edge - i), rise).astype(np.float32) / np.float32(rise)


def probabilities(session, volume, mask, windows):
    """Of `volume` [modality, z, y, x], blended over windows around the mask."""
    rank = len(windows["border"])
    zyx = lambda key: np.array(([0 if key == "border" else 1] * (3 - rank)) + windows[key][::-1])
    border, shortest, step = zyx("border"), zyx("shortest"), zyx("step")
    at = np.argwhere(mask) if mask is not None else np.array([[0, 0, 0], np.array(volume.shape[1:]) - 1])
    low, extent = at.min(0), np.ptp(at, axis=0) + 1
    wanted = min(extent[3 - rank:].max(), windows["longest_output"]) + border
    size = shortest + -(-np.maximum(wanted - shortest, 0) // step) * step
    if rank == 2:
        size[0] = 1
    edge = size - border
    weight = np.einsum("z,y,x->zyx", *(ramp(n, windows["overlap"]) for n in edge))
    sums, weights = 0, np.zeros(np.array(volume.shape[1:]) + edge, np.float32)
    for corner in np.stack(np.meshgrid(*map(lambda n, e: starts(n, e, windows["overlap"]), extent, edge), indexing="ij"), -1).reshape(-1, 3):
        first = low + corner
        box = tuple(slice(a, a + n) for a, n in zip(first, edge))
        if mask is not None and not mask[box].any():
            continue
        index = [reflected(a - b // 2, n, length) for a, b, n, length in zip(first, border, size, volume.shape[1:])]
        window = volume[(slice(None), *np.ix_(*index))][None]
        (found,) = session.run(["probabilities"], {"images": window[:, :, 0] if rank == 2 else window})
        found = found.reshape(found.shape[1], *edge)
        if np.isscalar(sums):
            sums = np.zeros((len(found), *weights.shape), np.float32)
        sums[(slice(None), *box)] += found * weight
        weights[box] += weight
    inside = tuple(slice(0, n) for n in volume.shape[1:])
    return (sums / np.maximum(weights, 1e-30))[(slice(None), *inside)]


# Labels, by model["regions"] and model["postprocess"].

def tempered(p, temperature, regions):
    power = lambda p: np.exp(np.log(p.clip(1e-7, 1 - 1e-7).astype(float)) / temperature)
    return (power(p) / (power(p) + power(1 - p) if regions else power(p).sum(0))).astype(np.float32)


def labels(p, model, rules):
    """Class of each voxel, and the probability of its channel."""
    classes, regions = model["classes"], model["regions"]
    least = [rules(name).get("threshold") for name in classes]
    if regions:
        own = [next(c for c in r if not any(c in later for later in regions[i + 1:])) for i, r in enumerate(regions)]
        result, painted = np.zeros(p.shape[1:], np.uint8), np.zeros(p.shape[1:], np.float32)
        for region, name in enumerate(own):
            limit = least[classes.index(name)]
            where = p[region] > 0.5 if limit is None else p[region] >= np.float32(limit)
            result[where], painted[where] = classes.index(name), p[region][where]
        return result, painted
    result = p.argmax(0)
    if any(limit is not None for limit in least):
        reached = np.stack([result == c if t is None else p[c] >= np.float32(t) for c, t in enumerate(least)])
        reached[0] = False
        result = np.where(reached.any(0), np.where(reached, p, -1).argmax(0), 0)
    return result.astype(np.uint8), np.where(result > 0, np.take_along_axis(p, result[None], 0)[0], 0)


def cleaned(result, painted, classes, rules, voxel_mm3):
    """Without the components that are too small, too faint or beside the largest."""
    for c, name in enumerate(classes[1:], 1):
        found, count = components(result == c, np.ones((3, 3, 3)))
        sizes = np.bincount(found.ravel(), minlength=count + 1)[1:]
        peaks = np.array([painted[found == i].max() for i in range(1, count + 1)])
        stays = sizes * voxel_mm3 >= rules(name).get("min_volume_mm3", 0) * (1 - 1e-6)
        stays &= peaks >= np.float32(rules(name).get("min_peak_probability", 0))
        if rules(name).get("largest_component") and stays.any():
            stays &= np.arange(count) == np.where(stays, sizes, 0).argmax()
        result[np.isin(found, 1 + np.flatnonzero(~stays))] = 0
    return result


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("out")
parser.add_argument("images", nargs="+")
parser.add_argument("--mask")
arguments = parser.parse_args()
model = json.load(open(arguments.model + ".json"))
if len(arguments.images) != len(model["modalities"]):
    sys.exit(f"expected an image for each of {model['modalities']}, in this order")
first = nib.load(arguments.images[0])
own_mask = canonical(arguments.mask, np.float32) != 0 if arguments.mask else None
images = [canonical(path, np.float32) for path in arguments.images]
own_shape, mask = images[0].shape, own_mask
own_mm = nib.affines.voxel_sizes(nib.as_closest_canonical(first).affine)
shape, ratio = lengths(own_shape, own_mm, model["spacing_mm"] or own_mm)
if (ratio != 1).any():
    images = [resampled(image, shape, ratio) for image in images]
    mask = None if mask is None else resampled(mask, shape, ratio) > 0.5
how, grey = model["normalise"], None
if how["method"] == "grey-matter":
    t1 = next(i for i, name in zip(images, model["modalities"]) if name[:2].lower() == "t1")
    grey = grey_matter(t1, inside(t1, mask, how["background"]))
images = [normalised(i, mask, name, how, grey) for i, name in zip(images, model["modalities"])]
mask = shown(images) if mask is None else mask
# From x, y, z to z, y, x; of a 2-D network the slices' number comes first.
axes = {None: (2, 1, 0), "axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}[model["plane"]]
session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])
turned = None if mask is None else mask.transpose(axes)
p = probabilities(session, np.stack([image.transpose(axes) for image in images]), turned, model["windows"])
post = model["postprocess"] or {}
rules = lambda name: {**post.get("foreground", {}), **post.get("class", {}).get(name, {})}
if post.get("temperature"):
    p = tempered(p, post["temperature"], model["regions"])
p = p.transpose(0, *(1 + np.argsort(axes)))
if (ratio != 1).any():
    # Where nothing is shown there is background, which is interpolated too.
    background = np.zeros(len(p)) if model["regions"] else np.eye(len(p))[0]
    p = p if mask is None else np.where(mask, p, background[:, None, None, None])
    p, mask = resampled(p, own_shape, 1 / ratio), own_mask
result, painted = labels(p, model, rules)
if mask is not None:
    result = np.where(mask, result, 0)
voxel_mm3 = abs(np.linalg.det(first.affine[:3, :3]))
result = cleaned(result, painted, model["classes"], rules, voxel_mm3)
values = np.array(model["label_values"] or range(len(model["classes"])), np.uint16)
to_own = nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], nib.io_orientation(first.affine))
own = nib.orientations.apply_orientation(values[result], to_own)
nib.save(nib.Nifti1Image(own, first.affine), arguments.out)
