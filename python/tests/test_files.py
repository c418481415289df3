"""NIfTI and metrics against nibabel and by hand."""

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


def test_missing_files_and_folders_are_told(tmp_path):
    with pytest.raises(OSError, match="missing.nii"):
        lacuna.read_nifti(tmp_path / "missing.nii")
    with pytest.raises(OSError, match="run.toml"):
        lacuna.predict(tmp_path, {"FLAIR": "a.nii"}, tmp_path / "out.nii.gz")
    with pytest.raises(ValueError, match="ending in one of .nii.gz"):
        lacuna.predict(tmp_path, {}, tmp_path / "out.png")
    with pytest.raises(OSError, match="create it first"):
        lacuna.predict(tmp_path, {}, tmp_path / "no" / "out.nii")
