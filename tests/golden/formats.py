"""Golden MetaImage, NRRD, MGH, PNG, JPEG and TIFF files: datatypes, byte orders, compression,
geometry.

Run from this folder:  python formats.py      (SimpleITK, pynrrd, nibabel, Pillow, numpy)

Writes small files to formats/ and formats/expected.json: for each file its shape, number of
volumes, affine (mm, RAS+) and values (x fastest, volume after volume), as SimpleITK, or
nibabel for MGH and Pillow for pictures, reads them. Decoders of JPEG round in their own ways, by
`tolerance` at most.
"""

import gzip
import json
import os
import shutil
import struct
import zlib

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk
from PIL import Image
from ramps import ramp

OUT = "formats"
shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)
expected = []
LPS = np.diag([-1.0, -1.0, 1.0])
ANGLES = np.deg2rad([10, -20, 35])


def turn():
    (cx, cy, cz), (sx, sy, sz) = np.cos(ANGLES), np.sin(ANGLES)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x


def image(array, vector=False):
    """An oblique SimpleITK image of an array in x, y, z(, channel)."""
    axes = [2, 1, 0, 3] if vector else range(array.ndim)[::-1]
    it = sitk.GetImageFromArray(np.transpose(array, axes), isVector=vector)
    it.SetSpacing([0.5, 1.25, 3.0, 2.0][: it.GetDimension()])
    it.SetOrigin([30.5, -20.25, 7.125, 0.0][: it.GetDimension()])
    matrix = np.eye(it.GetDimension())
    matrix[:3, :3] = turn()[: it.GetDimension(), : it.GetDimension()]
    if it.GetDimension() == 2:
        matrix = np.array([[0.0, -1.0], [1.0, 0.0]])
    it.SetDirection(matrix.ravel())
    return it


def affine_of(it):
    """As SimpleITK places an image, in RAS+."""
    n = it.GetDimension()
    matrix, origin = np.eye(3), np.zeros(3)
    m = min(n, 3)
    direction = np.array(it.GetDirection()).reshape(n, n)[:m, :m]
    matrix[:m, :m] = direction @ np.diag(it.GetSpacing()[:m])
    origin[:m] = it.GetOrigin()[:m]
    return np.column_stack([LPS @ matrix, LPS @ origin])


def note(name, array, affine):
    shape = list(array.shape[:3]) + [1] * (3 - min(array.ndim, 3))
    expected.append(
        {
            "file": name,
            "shape": shape,
            "volumes": array.shape[3] if array.ndim == 4 else 1,
            "affine": np.asarray(affine)[:3].tolist(),
            "values": [float(v) for v in array.ravel(order="F")],
        }
    )


def by_itk(name, array):
    """Expects what SimpleITK reads, which must be the array where it reads one at all."""
    it = sitk.ReadImage(f"{OUT}/{name}")
    found = sitk.GetArrayFromImage(it)
    vector = it.GetNumberOfComponentsPerPixel() > 1
    # Arrays of SimpleITK are z, y, x, with channels last.
    found = found.transpose(2, 1, 0, 3) if vector else found.T
    assert found.shape == array.shape and (found == array).all(), (name, found.shape)
    note(name, array, affine_of(it))


def write(name, data):
    with open(f"{OUT}/{name}", "wb") as file:
        file.write(data)


SHAPE = (4, 3, 2)
for dtype in ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]:
    data = ramp(SHAPE, np.dtype(dtype))
    for ending in ["mha", "nrrd"]:
        name = f"{dtype}.{ending}"
        sitk.WriteImage(image(data), f"{OUT}/{name}", useCompression=dtype in ("i2", "f4"))
        by_itk(name, data)

data = ramp(SHAPE, np.dtype("i2"))
sitk.WriteImage(image(data), f"{OUT}/plain.mhd")
by_itk("plain.mhd", data)
sitk.WriteImage(image(data), f"{OUT}/packed.mhd", useCompression=True)
by_itk("packed.mhd", data)
sitk.WriteImage(image(data), f"{OUT}/plain.nhdr")
by_itk("plain.nhdr", data)
sitk.WriteImage(image(data), f"{OUT}/packed.nhdr", useCompression=True)
by_itk("packed.nhdr", data)

flat = ramp((4, 3), np.dtype("u1"))
frames = ramp((4, 3, 2, 5), np.dtype("f4"))
channels = ramp((4, 3, 2, 3), np.dtype("u1"))
for ending in ["mha", "nrrd"]:
    sitk.WriteImage(image(flat), f"{OUT}/flat.{ending}")
    by_itk(f"flat.{ending}", flat)
    sitk.WriteImage(image(frames), f"{OUT}/frames.{ending}")
    by_itk(f"frames.{ending}", frames)
    sitk.WriteImage(image(channels, vector=True), f"{OUT}/channels.{ending}")
    by_itk(f"channels.{ending}", channels)

# By hand: what SimpleITK reads and does not write.
big = data.astype(">i2").tobytes(order="F")
words = lambda values: " ".join(repr(float(v)) for v in values)
old = (
    "Comment = by hand\nObjectType = Image\nNDims = 3\nBinaryData = True\n"
    "BinaryDataByteOrderMSB = True\nPosition = 1 2 3\n"
    f"Orientation = {words(turn().T.ravel())}\nElementSize = 2 3 4\n"
    "DimSize = 4 3 2\nElementType = MET_SHORT\n"
)
write("old.mha", (old + "ElementDataFile = LOCAL\n").encode() + big)
by_itk("old.mha", data)
write("tail.mhd", (old + "HeaderSize = -1\nElementDataFile = tail.raw\n").encode())
write("tail.raw", b"seven bytes before" + big)
by_itk("tail.mhd", data)
write("skip.mhd", (old + "HeaderSize = 18\nElementDataFile = tail.raw\n").encode())
by_itk("skip.mhd", data)
bare = "NDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\nElementByteOrderMSB = True\n"
write("bare.mha", (bare + "ElementDataFile = LOCAL\n").encode() + big)
by_itk("bare.mha", data)

for space in ["right-anterior-superior", "LAS", "left-posterior-superior", "scanner-xyz"]:
    name = f"{space[:5].strip('-')}.nrrd"
    vectors = turn().T * np.array([[0.5], [1.25], [3.0]])
    nrrd.write(
        f"{OUT}/{name}",
        data,
        {
            "space": space,
            "space directions": vectors,
            "space origin": [30.5, -20.25, 7.125],
            "kinds": ["domain"] * 3,
            "encoding": "gzip",
        },
        index_order="F",
    )
    by_itk(name, data)

head = "NRRD0004\n# by hand\ntype: int16\ndimension: 3\nsizes: 4 3 2\nendian: big\n"
write("spacings.nrrd", (head + "encoding: raw\nspacings: 2 3 4\nkey:=a: value\n\n").encode() + big)
by_itk("spacings.nrrd", data)
space = "space dimension: 3\nspace directions: (2, 0, 0) (0, 3, 0) (0, 0, 4)\n"
detached = "encoding: {}\ndata file: {}\n"
write("tail.nhdr", (head + space + "byte skip: -1\n" + detached.format("raw", "tail.raw")).encode())
by_itk("tail.nhdr", data)
write("lines.nhdr", (head + space + "line skip: 2\n" + detached.format("raw", "two.raw")).encode())
write("two.raw", b"one\ntwo\n" + big)
by_itk("lines.nhdr", data)

# Slicer keeps overlapping segments as layers along a first axis.
layers = ramp((4, 3, 2, 3), np.dtype("u1"))
segments = (
    "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 3 4 3 2\n"
    "space directions: none (0.5,0,0) (0,1.25,0) (0,0,3)\nkinds: list domain domain domain\n"
    "encoding: gzip\nspace origin: (1,2,3)\nSegment0_LabelValue:=1\nSegment0_Name:=lesion\n\n"
)
write(
    "layers.seg.nrrd",
    segments.encode() + gzip.compress(np.moveaxis(layers, 3, 0).tobytes(order="F"), mtime=0),
)
by_itk("layers.seg.nrrd", layers)

affine = np.eye(4)
affine[:3, :3] = turn() @ np.diag([0.5, 1.25, 3.0])
affine[:3, 3] = [30.5, -20.25, 7.125]
for dtype in ["u1", "i2", "i4", "f4"]:
    array = ramp(SHAPE, np.dtype(dtype))
    name = f"{dtype}.{'mgz' if dtype == 'i2' else 'mgh'}"
    nib.save(nib.MGHImage(array, affine), f"{OUT}/{name}")
    note(name, array, nib.load(f"{OUT}/{name}").affine)
array = ramp((4, 3, 2, 5), np.dtype("f4"))
nib.save(nib.MGHImage(array, affine), f"{OUT}/frames.mgz")
note("frames.mgz", array, nib.load(f"{OUT}/frames.mgz").affine)
with open(f"{OUT}/u1.mgh", "rb") as file:
    raw = bytearray(file.read())
raw[28:30] = b"\0\0"
write("nowhere.mgh", raw)
# As the format's own page says: coronal slices of 1 mm about the origin. nibabel does not.
coronal = [[-1, 0, 0, 2], [0, 0, 1, -1], [0, -1, 0, 1.5]]
note("nowhere.mgh", ramp(SHAPE, np.dtype("u1")), coronal)

# Pictures: rows from the top, as ITK lays them.
LAID = [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0]]


def by_pillow(name):
    """Expects what Pillow reads; colours become volumes."""
    read = np.array(Image.open(f"{OUT}/{name}"))
    array = read.transpose(1, 0, 2)[:, :, None, :3] if read.ndim == 3 else read.T
    note(name, np.asarray(array), LAID)


rows = ramp((5, 7), np.dtype("u1"))
Image.fromarray(rows).save(f"{OUT}/grey.png")
Image.fromarray(ramp((5, 7), np.dtype("u2"))).save(f"{OUT}/deep.png")
Image.fromarray((rows > 99)).save(f"{OUT}/mask.png")
colours = ramp((5, 7, 3), np.dtype("u1"))
Image.fromarray(colours).save(f"{OUT}/colours.png")
opaque = np.concatenate([colours, np.full((5, 7, 1), 255, "u1")], axis=2)
Image.fromarray(opaque).save(f"{OUT}/opaque.png")
Image.fromarray(colours).save(f"{OUT}/colours.tif", compression="tiff_lzw")
for dtype, packing in [("u1", "tiff_adobe_deflate"), ("u2", None), ("f4", None), ("i4", None)]:
    plain = ramp((5, 7), np.dtype(dtype))
    Image.fromarray(plain).save(f"{OUT}/{dtype}.tif", compression=packing)
for name in ["grey.png", "deep.png", "mask.png", "colours.png", "opaque.png", "colours.tif"]:
    by_pillow(name)
for dtype in ["u1", "u2", "f4", "i4"]:
    by_pillow(f"{dtype}.tif")

# Four and two bits a pixel, which Pillow scales: the values are those that are stored.
for bits in (2, 4):
    stored = ramp((5, 7), np.dtype("u1")) >> (8 - bits)
    packed = b""
    for row in stored:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        packed += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 7, 5, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(packed)),
        (b"IEND", b""),
    ]
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(
        ">I", zlib.crc32(kind + body)
    )
    write(f"{bits}bits.png", b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks))
    note(f"{bits}bits.png", stored.T, LAID)

y, x = np.mgrid[0:21, 0:35]
smooth = np.stack([5 * x + 40, 8 * y + 30, 200 - 3 * x - 2 * y], axis=2).astype("u1")
Image.fromarray(smooth).save(f"{OUT}/smooth.jpg", quality=95, subsampling=0)
Image.fromarray(smooth[:, :, 0]).save(f"{OUT}/grey.jpg", quality=95)
Image.fromarray(smooth).save(f"{OUT}/progressive.jpg", quality=95, subsampling=0, progressive=True)
for name in ["smooth.jpg", "grey.jpg", "progressive.jpg"]:
    by_pillow(name)
    expected[-1]["tolerance"] = 3

# What is not read, and is in no list of values.
Image.fromarray(rows).convert("P").save(f"{OUT}/palette.png")
Image.fromarray(rows).convert("P").save(f"{OUT}/palette.tif")
opaque[0, 0, 3] = 0
Image.fromarray(opaque).save(f"{OUT}/transparent.png")
Image.fromarray(smooth).convert("CMYK").save(f"{OUT}/cmyk.jpg")
Image.fromarray(rows > 99).save(f"{OUT}/bits.tif")
pages = [Image.fromarray(rows), Image.fromarray(rows)]
pages[0].save(f"{OUT}/pages.tif", save_all=True, append_images=pages[1:])

exif = Image.Exif()
exif[0x0112] = 3
Image.fromarray(smooth).save(f"{OUT}/turned.jpg", exif=exif)
Image.fromarray(rows).save(f"{OUT}/turned.tif", tiffinfo={0x0112: 3})

with open(f"{OUT}/expected.json", "w") as file:
    # A line for each file.
    lines = ",\n".join(json.dumps(case) for case in expected)
    file.write(f"[\n{lines}\n]\n")
print(len(expected), "files")
