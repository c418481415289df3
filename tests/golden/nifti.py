"""Golden NIfTI files: every datatype, byte order, scaling, geometry and container.

Run from this folder:  python nifti.py      (nibabel, numpy)

Writes small files to nifti/ and nifti/expected.json: for each file its shape,
number of volumes, affine (mm) and values (x fastest), all as nibabel reads
them. Where nibabel has no answer (`affine_scale`, `values`) it is stated below.
"""

import gzip
import json
import os
import shutil

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1PairHeader
from nibabel.nifti2 import Nifti2PairHeader
from ramps import ramp

OUT = "nifti"
shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
expected = []

OBLIQUE = np.array(
    [
        [-1.9, 0.3, 0.2, 30.5],
        [0.4, 1.1, -0.3, -20.25],
        [0.1, 0.2, 2.8, 7.125],
        [0, 0, 0, 1],
    ]
)


def header(shape, dtype, endian="<", cls=nib.Nifti1Header, affine=OBLIQUE):
    h = cls(endianness=endian)
    h.set_data_shape(shape)
    h.set_data_dtype(np.dtype(dtype))
    h["pixdim"][1 : len(shape) + 1] = np.arange(2, 2 + len(shape))
    if affine is not None:
        h.set_sform(affine, code=2)
    h.set_xyzt_units("mm")
    h["scl_slope"], h["scl_inter"] = 1, 0
    return h


def payload(h, data):
    return np.asarray(data).astype(h.get_data_dtype()).tobytes(order="F")


def single(h, data, extension=b""):
    """The bytes of a single-file image; the fields of `h` stay as they are."""
    first = h.sizeof_hdr + 4 + len(extension)
    h["vox_offset"] = first
    h["magic"] = h.single_magic
    flag = bytes([1 if extension else 0, 0, 0, 0])
    return h.binaryblock + flag + extension + payload(h, data)


def note(name, *, reader=None, affine_scale=1.0, values=None):
    """Records what nibabel finds in `reader` (by default the file itself)."""
    img = nib.load(os.path.join(OUT, reader or name))
    if values is None:
        values = img.get_fdata(dtype=np.float64)
    shape = list(img.shape)
    affine = np.array(img.affine)[:3]
    affine[:, :] *= affine_scale
    expected.append(
        {
            "file": name,
            "shape": (shape + [1])[:3],
            "volumes": int(np.prod(shape[3:])),
            "affine": affine.tolist(),
            "values": np.asarray(values, np.float64).astype(np.float32)
            .astype(np.float64).ravel(order="F").tolist(),
        }
    )


def put(name, data):
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)


TYPES = {
    "u8": np.uint8, "i8": np.int8, "u16": np.uint16, "i16": np.int16, "u32": np.uint32,
    "i32": np.int32, "u64": np.uint64, "i64": np.int64, "f32": np.float32, "f64": np.float64,
}  # fmt: skip

# Every datatype in both byte orders.
for label, dtype in TYPES.items():
    for order, endian in [("le", "<"), ("be", ">")]:
        name = f"{label}_{order}.nii"
        put(name, single(header((3, 2, 2), dtype, endian), ramp((3, 2, 2), dtype)))
        note(name)

# Slope and intercept.
NAN = float("nan")
for label, dtype, slope, inter in [
    ("i16", np.int16, 2.5, -3.25),
    ("u8", np.uint8, 0.01, 100),
    ("f32", np.float32, -0.5, 1),
    ("u64", np.uint64, 1e-18, 0),
    ("i16_zero", np.int16, 0, 7),
    ("i16_nan", np.int16, NAN, 7),
    ("i16_nan_inter", np.int16, 2, NAN),
]:
    h = header((3, 2, 2), dtype)
    h["scl_slope"], h["scl_inter"] = slope, inter
    data = ramp((3, 2, 2), dtype)
    name = f"scaled_{label}.nii"
    put(name, single(h, data))
    # nibabel refuses an intercept that is not a number; here it counts as 0.
    note(name, values=data * 2.0 if label == "i16_nan_inter" else None,
         reader="i16_le.nii" if label == "i16_nan_inter" else None)  # fmt: skip

# Geometry: quaternion (b, c, d), qfac, codes.
DATA = ramp((3, 4, 2), np.int16)


def placed(name, *, quatern=(0.1, -0.2, 0.3), qfac=1.0, qcode=1, scode=0, units=2, scale=1.0):
    h = header((3, 4, 2), np.int16)
    h["pixdim"][:4] = qfac, 0.9, 1.1, 2.5
    h["quatern_b"], h["quatern_c"], h["quatern_d"] = quatern
    h["qoffset_x"], h["qoffset_y"], h["qoffset_z"] = 11.5, -22.25, 33.125
    h["qform_code"], h["sform_code"], h["xyzt_units"] = qcode, scode, units
    put(name, single(h, DATA))
    note(name, affine_scale=scale)


placed("sform.nii", qcode=0, scode=2)
placed("qform.nii")
placed("qform_left_handed.nii", qfac=-1.0)
placed("qform_qfac_zero.nii", qfac=0.0)
placed("qform_half_turn.nii", quatern=(0.6, -0.8, 0.0))
placed("both.nii", qcode=1, scode=1)
placed("neither.nii", qcode=0)
# nibabel leaves the unit to its user; here the affine is always in mm.
placed("micron.nii", units=3, scale=1e-3)
placed("metre.nii", units=1, scale=1e3)
placed("seconds.nii", units=8 + 2)

# Axes.
for name, shape in [
    ("two_d.nii", (4, 3)),
    ("four_d.nii", (3, 2, 2, 3)),
    ("four_d_one.nii", (3, 2, 2, 1)),
    ("five_d.nii", (3, 2, 2, 2, 1)),
    ("six_d.nii", (3, 2, 1, 1, 1, 1)),
]:
    put(name, single(header(shape, np.float32), ramp(shape, np.float32)))
    note(name)
h = header((4, 3), np.uint8, affine=None)
put("two_d_neither.nii", single(h, ramp((4, 3), np.uint8)))
note("two_d_neither.nii")

# NIfTI-2.
for order, endian in [("le", "<"), ("be", ">")]:
    h = header((3, 2, 2), np.int16, endian, nib.Nifti2Header)
    h["scl_slope"], h["scl_inter"] = 1.1, 0.3
    name = f"nifti2_{order}.nii"
    put(name, single(h, ramp((3, 2, 2), np.int16)))
    note(name)
h = header((3, 2, 2), np.int16, ">", nib.Nifti2Header, affine=None)
h["pixdim"][0], h["qform_code"] = -1, 1
h["quatern_b"], h["quatern_c"], h["quatern_d"] = 0.5, 0.5, 0.5
h["qoffset_x"] = -90.1
put("nifti2_qform.nii", single(h, ramp((3, 2, 2), np.int16)))
note("nifti2_qform.nii")

# Containers.
DATA = ramp((5, 4, 3), np.float32)
H = header((5, 4, 3), np.float32)
whole = single(H, DATA)
put("plain.nii", whole)
note("plain.nii")
put("single.nii.gz", gzip.compress(whole, mtime=0))
note("single.nii.gz")
# Members end inside the header and inside a voxel, as in block-compressed files.
cuts = [0, 100, 360, 361, 500, len(whole)]
members = [gzip.compress(whole[a:b], mtime=0) for a, b in zip(cuts, cuts[1:])]
put("members.nii.gz", b"".join(members))
note("members.nii.gz")
put("padded.nii.gz", gzip.compress(whole, mtime=0) + bytes(512))
note("padded.nii.gz")
put("disguised.nii", gzip.compress(whole, mtime=0))
note("disguised.nii", reader="plain.nii")
put("trailing.nii", whole + b"more")
note("trailing.nii")
note_bytes = (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"an extension".ljust(24, b"\0")
put("extension.nii", single(H.copy(), DATA, note_bytes))
note("extension.nii")

for cls, label in [(Nifti1PairHeader, "pair"), (Nifti2PairHeader, "pair2")]:
    h = header((5, 4, 3), np.float32, ">", cls)
    h["vox_offset"], h["magic"] = 16, h.pair_magic
    put(f"{label}.hdr", h.binaryblock + bytes(4))
    put(f"{label}.img", bytes(16) + payload(h, DATA))
    note(f"{label}.hdr")
    note(f"{label}.img")
h = header((5, 4, 3), np.float32, "<", Nifti1PairHeader)
h["magic"] = h.pair_magic
put("pair_gz.hdr.gz", gzip.compress(h.binaryblock, mtime=0))
put("pair_gz.img.gz", gzip.compress(payload(h, DATA), mtime=0))
note("pair_gz.hdr.gz")
note("pair_gz.img.gz")

with open(os.path.join(OUT, "expected.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(e) for e in expected) + "\n]\n")
