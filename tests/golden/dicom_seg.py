"""Golden segmentations of DICOM by highdicom, on the first series of dicom.py.

Run from this folder, after dicom.py:  python dicom_seg.py   (highdicom, pydicom, numpy)

Writes dicom_seg/*.dcm and dicom_seg/expected.json: for each shape, affine (mm, RAS+) and values
(x fastest), the numbers of the segments, as highdicom reads it.

To look at what Lacuna writes:  python dicom_seg.py FILE.dcm FOLDER_OF_THE_SERIES LABELS.nii.gz
compares it, as highdicom reads it, with the same label map as NIfTI.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues
from pydicom.sr.codedict import codes

OUT = "dicom_seg"
LPS = np.diag([-1.0, -1.0, 1.0])
ROOT = "1.2.826.0.1.3680043.8.498.7."


def as_highdicom(file):
    """Numbers of the segments (x, y, z) and the affine (RAS+), slices along their normal."""
    volume = hd.seg.segread(file).get_volume(combine_segments=True)
    # Its axes are slices, rows, columns, in left-posterior-superior.
    values = volume.array.transpose(2, 1, 0)
    affine = np.array(volume.affine)[:, [2, 1, 0, 3]]
    if np.dot(np.cross(affine[:3, 0], affine[:3, 1]), affine[:3, 2]) < 0:
        values = values[:, :, ::-1]
        affine[:, 3] += affine[:, 2] * (values.shape[2] - 1)
        affine[:, 2] *= -1
    affine[:3] = LPS @ affine[:3]
    return values, affine[:3]


def compare(file, folder, nifti):
    import nibabel

    values, affine = as_highdicom(file)
    expected = nibabel.load(nifti)
    labels = np.asarray(expected.dataobj)
    same = values.shape == labels.shape and (values == labels).all()
    apart = np.abs(affine - expected.affine[:3]).max()
    read = pydicom.dcmread(file)
    slices = [pydicom.dcmread(path).SOPInstanceUID for path in Path(folder).iterdir()]
    [series] = read.ReferencedSeriesSequence
    referenced = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
    names = [item.SegmentLabel for item in read.SegmentSequence]
    print(f"same voxels: {same}, affines {apart:.1e} apart, segments {names}")
    print(f"refers to all slices: {referenced == set(slices)}, frames: {read.NumberOfFrames}")


def source():
    slices = [pydicom.dcmread(path) for path in sorted(Path("dicom/explicit").iterdir())]
    for ds in slices:
        ds.FrameOfReferenceUID = f"{ROOT}1"
        for name in ["PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID"]:
            setattr(ds, name, "")
        for name in ["StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"]:
            setattr(ds, name, "")
    return sorted(slices, key=lambda ds: ds.ImagePositionPatient[2])


def write(name, pixels, kind=SegmentationTypeValues.BINARY, omit=False, numbers=(1, 2)):
    def segment(number):
        return hd.seg.SegmentDescription(
            number,
            f"segment {number}",
            codes.SCT.Tissue,
            codes.SCT.Tissue,
            SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                "golden", codes.DCM.ArtificialIntelligence, "1"
            ),
        )

    seg = hd.seg.Segmentation(
        source(),
        pixels,
        kind,
        [segment(number) for number in numbers],
        series_instance_uid=f"{ROOT}2",
        series_number=2,
        sop_instance_uid=f"{ROOT}3",
        instance_number=1,
        manufacturer="golden",
        manufacturer_model_name="golden",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=omit,
    )
    seg.save_as(f"{OUT}/{name}.dcm")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    # Slices, rows, columns. 4 x 5 pixels are 20 bits: frames begin within bytes.
    pixels = np.zeros((3, 4, 5), np.uint8)
    pixels[0, 1:3, 2] = 1
    pixels[2, 0, :4] = 2
    pixels[2, 3, 4] = 1
    write("whole", pixels)
    # The slice between has no frame.
    write("sparse", pixels, omit=True)
    ends = pixels.copy()
    ends[0] = 0
    ends[1, 2, 3] = 2
    write("cut", ends, omit=True)
    overlap = np.stack([pixels == 1, pixels > 0], axis=-1).astype(np.uint8)
    write("overlap", overlap)
    write("fractional", (pixels == 1) * 0.5, SegmentationTypeValues.FRACTIONAL, numbers=[1])
    expected = []
    for name in ["whole", "sparse", "cut"]:
        values, affine = as_highdicom(f"{OUT}/{name}.dcm")
        expected.append(
            {
                "file": f"{name}.dcm",
                "shape": values.shape,
                "affine": affine.tolist(),
                "values": [int(v) for v in values.ravel(order="F")],
            }
        )
    lines = ",\n".join(json.dumps(case) for case in expected)
    Path(f"{OUT}/expected.json").write_text(f"[\n{lines}\n]\n")
    print(len(expected), "segmentations")


if len(sys.argv) > 1:
    compare(*sys.argv[1:])
else:
    main()
