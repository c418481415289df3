"""NIfTI and metrics against nibabel and by hand."""

import re

import numpy as np
import pytest

import lacuna


def test_scores_by_hand():
    reference = np.zeros((6, 5, 4), dtype=np.int64)
    prediction = np.zeros_like(reference)
    reference[1:3, 1:3, 1:3] = 1  # 8 voxels
    prediction[2:4, 1:3, 1:3] = 1  # 4 of them and 4 others
    (scores,) = lacuna.metrics.evaluate(prediction, reference, (2.0, 1.0, 3.0))
    assert scores["class"] == "foreground"
    assert scores["dsc"] == pytest.approx(0.5)
    assert scores["reference_mm3"] == pytest.approx(48.0)
    # Every surface voxel is off by one step along x at most: 2 mm.
    assert scores["hd95_mm"] == pytest.approx(2.0)
    assert scores["lesion_recall"] == 1.0


def test_single_metrics_by_hand():
    # A row: lesions at 1-2, 5 and 8; predicted 2-3 and 6: one of three is found, one of
    # two is right.
    reference = np.array([[0, 1, 1, 0, 0, 2, 0, 0, 1, 0]])
    prediction = np.array([[0, 0, 1, 1, 0, 0, 2, 0, 0, 0]])
    metrics = lacuna.metrics
    assert metrics.dsc(prediction, reference) == pytest.approx(2 / 7)
    assert metrics.sensitivity(prediction, reference) == pytest.approx(1 / 4)
    assert metrics.precision(prediction, reference) == pytest.approx(1 / 3)
    assert metrics.lesion_recall(prediction, reference) == pytest.approx(1 / 3)
    assert metrics.lesion_precision(prediction, reference) == pytest.approx(1 / 2)
    assert metrics.lesion_f1(prediction, reference) == pytest.approx(0.4)
    assert metrics.dsc(prediction, reference, label=2) == 0.0
    assert metrics.dsc(prediction == 9, reference == 9) == 1.0
    # Steps of 3 mm from the reference: 1, 0, 1, 2; from the prediction: 0, 1, 1.
    spacing = (1.0, 3.0)
    assert metrics.hd95(prediction, reference, spacing) == pytest.approx(3 * 1.85)
    assert metrics.nsd(prediction, reference, spacing, tolerance_mm=3.0) == pytest.approx(6 / 7)
    rows = metrics.evaluate(prediction, reference, spacing, classes=["none", "a", "b"])
    for name in ("dsc", "sensitivity", "precision", "lesion_recall", "lesion_f1"):
        for label, row in ((1, rows[0]), (2, rows[1]), (None, rows[2])):
            one = getattr(metrics, name)(prediction, reference, label=label)
            assert one == row[name], (name, label)
    with pytest.raises(ValueError, match="tolerance_mm"):
        metrics.nsd(prediction, reference, spacing, tolerance_mm=-1.0)
    with pytest.raises(ValueError, match="shape"):
        metrics.dsc(prediction[:, :4], reference)


def test_average_precision_by_hand():
    # Of .8, .4, .35, .1 the first and third are foreground: (1 + 2 / 3) / 2.
    probability = np.array([[0.1, 0.4, 0.0], [0.35, 0.8, 0.0]])
    reference = np.array([[0, 0, 0], [2, 1, 0]])
    area = lacuna.metrics.average_precision
    assert area(probability, reference) == pytest.approx(5 / 6)
    assert area(probability, reference, label=2) == pytest.approx(1 / 3)
    assert area(probability, np.zeros((2, 3))) is None
    with pytest.raises(ValueError, match="probability"):
        area(probability.T, reference)
    with pytest.raises(ValueError, match="1.6"):
        area(2 * probability, reference)


def test_classes_and_their_union():
    reference = np.array([[0, 1, 2], [0, 2, 2]])
    prediction = np.array([[0, 2, 2], [0, 2, 1]])
    rows = lacuna.metrics.evaluate(prediction, reference, (1, 1), classes=["background", "a", "b"])
    assert [row["class"] for row in rows] == ["a", "b", "foreground"]
    assert [row["dsc"] for row in rows] == pytest.approx([0.0, 4 / 6, 1.0])


def test_regions_are_classes_scored_as_one():
    reference = np.array([[0, 1, 2, 3]])
    prediction = np.array([[0, 2, 1, 0]])
    names = ["background", "a", "b", "c"]
    rows = lacuna.metrics.evaluate(
        prediction, reference, (1, 1), classes=names, regions=[["a", "b", "c"], ["b", "a"], ["c"]]
    )
    assert [row["class"] for row in rows] == ["a", "b", "c", "a+b", "foreground"]
    assert [row["dsc"] for row in rows] == pytest.approx([0.0, 0.0, 0.0, 1.0, 4 / 5])
    with pytest.raises(ValueError, match="`d`"):
        lacuna.metrics.evaluate(prediction, reference, (1, 1), classes=names, regions=[["d"]])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda a: lacuna.metrics.evaluate(a, a[:2], (1, 1, 1)), "shape"),
        (lambda a: lacuna.metrics.evaluate(a + 0.5, a, (1, 1, 1)), "whole labels"),
        (lambda a: lacuna.metrics.evaluate(a + 9, a, (1, 1, 1)), "9"),
        (lambda a: lacuna.metrics.evaluate(a, a, (1, 0, 1)), "spacing"),
    ],
)
def test_bad_input_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((3, 4, 5)))


def test_read_nifti_is_what_nibabel_reads(tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")
    data = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    affine = np.array([[-2.0, 0, 0, 10], [0, 1.5, 0, -5], [0, 0, 3, 7], [0, 0, 0, 1]])
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    image = lacuna.read_nifti(path)
    assert np.array_equal(image.data, data)
    assert np.allclose(image.affine, affine)
    assert image.spacing == pytest.approx((2.0, 1.5, 3.0))


@pytest.mark.parametrize("ending", ["nii.gz", "nii"])
def test_write_nifti_is_what_nibabel_reads(tmp_path, ending):
    nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")
    affine = np.array([[-2.0, 0, 0, 10], [0, 1.5, 0, -5], [0, 0, 3, 7], [0, 0, 0, 1]])
    image = np.arange(60, dtype=np.float64).reshape(3, 4, 5) / 7
    labels = (np.arange(60) % 3).reshape(3, 4, 5)
    for array, dtype in ((image, np.float32), (labels, np.uint8), (labels == 1, np.uint8)):
        path = tmp_path / f"a.{ending}"
        lacuna.write_nifti(path, array, affine, force=True)
        read = nibabel.load(path)
        assert read.get_data_dtype() == dtype
        assert np.array_equal(np.asarray(read.dataobj), array.astype(dtype))
        assert np.allclose(read.affine, affine)
        assert np.array_equal(lacuna.read_nifti(path).data, array.astype(np.float32))
    with pytest.raises(OSError, match="is there already"):
        lacuna.write_nifti(path, image, affine)
    lacuna.write_nifti(path, image[:, :, 0], affine[:3], force=True)
    assert lacuna.read_nifti(path).data.shape == (3, 4, 1)


@pytest.mark.parametrize(
    "array, affine, message",
    [
        (np.zeros(3), np.eye(4), "voxels along x, y, z"),
        (np.zeros((3, 0, 4)), np.eye(4), "voxels along x, y, z"),
        (np.zeros((3, 4, 5)), np.eye(3), "affine: found the shape (3, 3)"),
        (np.zeros((3, 4, 5)), np.zeros((4, 4)), "affine"),
        (np.full((3, 4, 5), 300), np.eye(4), "beyond 0 to 255"),
        (np.zeros((3, 4, 5), dtype=complex), np.eye(4), "complex128"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path, array, affine, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        lacuna.write_nifti(tmp_path / "a.nii", array, affine)
    assert not list(tmp_path.iterdir())


def test_missing_files_and_folders_are_told(tmp_path):
    with pytest.raises(OSError, match="missing.nii"):
        lacuna.read_nifti(tmp_path / "missing.nii")
    with pytest.raises(OSError, match="run.toml"):
        lacuna.predict(tmp_path, {"FLAIR": "a.nii"}, tmp_path / "out.nii.gz")
    with pytest.raises(ValueError, match="ending in one of .seg.nrrd, .nii.gz"):
        lacuna.predict(tmp_path, {}, tmp_path / "out.png")
    with pytest.raises(OSError, match="create it first"):
        lacuna.predict(tmp_path, {}, tmp_path / "no" / "out.nii")
