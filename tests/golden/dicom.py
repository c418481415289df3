"""Golden DICOM series: geometry, rescaling, transfer syntaxes; and series to refuse.

Run from this folder:  python dicom.py   (pydicom, pylibjpeg-openjpeg, SimpleITK, numpy)

Writes a folder of slices for each case to dicom/ and dicom/expected.json: shape, affine (mm,
RAS+) and values (x fastest) as SimpleITK (GDCM) reads the series.
"""

import json
import os
import shutil

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

OUT = "dicom"
shutil.rmtree(OUT, ignore_errors=True)
expected = []
ROOT = "1.2.826.0.1.3680043.8.498."


def turn():
    (cx, cy, cz), (sx, sy, sz) = np.cos([0.2, -0.3, 0.5]), np.sin([0.2, -0.3, 0.5])
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x


DIRECTIONS = turn()
APART = 2.5


def slice_(at, series=1, signed=True, syntax=ExplicitVRLittleEndian, bits=16, size=(4, 5)):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{ROOT}{series}.{at + 1}"
    meta.TransferSyntaxUID = syntax
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.SeriesInstanceUID = f"{ROOT}{series}"
    ds.StudyInstanceUID = f"{ROOT}9"
    ds.SeriesDescription = f"series {series}"
    ds.Modality = "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    ds.PixelSpacing = [1.25, 0.5]
    ds.SliceThickness = 2
    ds.ImageOrientationPatient = [f"{v:.12g}" for v in DIRECTIONS.T[:2].ravel()]
    ds.ImagePositionPatient = [
        f"{v:.12g}" for v in np.array([30.5, -20.25, 7.125]) + at * APART * DIRECTIONS[:, 2]
    ]
    ds.RescaleSlope, ds.RescaleIntercept = 2, -1000
    low = -(2 ** (bits - 1)) if signed else 0
    n = size[0] * size[1]
    values = low + (np.arange(n) * 37 + at * 1001) % (2**bits)
    pixels = values.astype("<i4").reshape(size)
    ds.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    return ds


def save(ds, case, name):
    os.makedirs(f"{OUT}/{case}", exist_ok=True)
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax in (RLELossless, JPEG2000Lossless):
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(syntax, generate_instance_uid=False)
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = "OW" if syntax not in (RLELossless, JPEG2000Lossless) else "OB"
    pydicom.dcmwrite(f"{OUT}/{case}/{name}.dcm", ds, enforce_file_format=True)


def expect(case, names):
    reader = sitk.ImageSeriesReader()
    found = reader.GetGDCMSeriesFileNames(f"{OUT}/{case}")
    assert len(found) == len(names), case
    reader.SetFileNames(found)
    it = reader.Execute()
    lps = np.diag([-1.0, -1.0, 1.0])
    matrix = lps @ np.array(it.GetDirection()).reshape(3, 3) @ np.diag(it.GetSpacing())
    expected.append(
        {
            "file": case,
            "shape": it.GetSize(),
            "volumes": 1,
            "affine": np.column_stack([matrix, lps @ np.array(it.GetOrigin())]).tolist(),
            "values": [float(v) for v in sitk.GetArrayFromImage(it).ravel()],
        }
    )


# Names go against the order of the slices.
NAMES = ["c", "a", "b"]
for case, given in {
    "explicit": {},
    "implicit": {"syntax": ImplicitVRLittleEndian},
    "big": {"signed": False, "syntax": ExplicitVRBigEndian},
    "deflated": {"syntax": DeflatedExplicitVRLittleEndian},
    "rle": {"syntax": RLELossless},
    "jpeg2000": {"syntax": JPEG2000Lossless, "signed": False, "size": (33, 34)},
    "unsigned": {"signed": False},
    "twelve": {"bits": 12, "signed": True},
    "masked": {"bits": 12, "signed": True},
    "overlay": {"bits": 12, "signed": False},
}.items():
    for at, name in enumerate(NAMES):
        ds = slice_(at, **given)
        stored = np.frombuffer(ds.PixelData, "<u2")
        # The bits above those that are stored are not part of the values.
        if case == "masked":
            ds.PixelData = (stored & 0x0FFF).tobytes()
        if case == "overlay":
            ds.PixelData = (stored | (stored % 3 << 12)).astype("<u2").tobytes()
        save(ds, case, name)
    if case != "rle":
        expect(case, NAMES)
# GDCM does not read these; they are the first series in another transfer syntax.
expected.append({**expected[0], "file": "rle"})

# To refuse.
REFUSED = "gap tilt two twice turned mosaic colours palette frames nowhere report bits square"
for case in REFUSED.split():
    for at, name in enumerate([*NAMES, "d"]):
        ds = slice_(at)
        place = np.array([float(v) for v in ds.ImagePositionPatient])
        last = at == 3
        if case == "gap" and last:
            place += APART * DIRECTIONS[:, 2]
        if case == "tilt":
            place += at * 0.6 * DIRECTIONS[:, 1]
        if case == "two" and last:
            ds.SeriesInstanceUID, ds.SeriesDescription = f"{ROOT}2", "series 2"
        if case == "twice" and last:
            place -= APART * DIRECTIONS[:, 2]
        if case == "turned" and last:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        if case == "mosaic":
            ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
        if case == "colours":
            ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, "RGB"
        if case == "palette":
            ds.PhotometricInterpretation = "PALETTE COLOR"
        if case == "bits":
            ds.HighBit = 11
        if case == "square":
            ds.ImageOrientationPatient = [2, 0, 0, 0, 1, 0]
        if case == "frames":
            ds.NumberOfFrames = 2
        ds.ImagePositionPatient = [f"{v:.12g}" for v in place]
        if case == "nowhere":
            del ds.ImagePositionPatient
        if case == "report":
            del ds.Rows, ds.Columns
        save(ds, case, name)

with open(f"{OUT}/expected.json", "w") as file:
    # A line for each file.
    lines = ",\n".join(json.dumps(case) for case in expected)
    file.write(f"[\n{lines}\n]\n")
print(len(expected), "series")
