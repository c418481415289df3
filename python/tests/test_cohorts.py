"""A cohort on disk, checked, trained on, predicted and scored."""

import json

import numpy as np
import pytest

import lacuna

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")


@pytest.fixture
def dataset(tmp_path):
    """Three subjects with a bright cube of 4 voxels' edge in noise."""
    random = np.random.default_rng(0)
    subjects = []
    for name in ("a", "b", "c"):
        image = random.normal(1.0, 0.1, (48, 48, 4)).astype(np.float32)
        label = np.zeros(image.shape, dtype=np.uint8)
        label[20:24, 20:24, :] = 1
        image[label == 1] += 3.0
        for kind, data in (("image", image), ("label", label)):
            nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / f"{name}.{kind}.nii.gz")
        subjects.append(
            f"""
[[subject]]
id = "{name}"
images = {{ T1 = "{name}.image.nii.gz" }}
label = "{name}.label.nii.gz"
"""
        )
    path = tmp_path / "dataset.toml"
    path.write_text(
        """name = "cubes"
modalities = ["T1"]
classes = ["background", "cube"]
label_values = { 0 = "background", 1 = "cube" }
"""
        + "".join(subjects)
    )
    return path


def test_the_whole_way(dataset, tmp_path):
    found = lacuna.check(dataset)
    assert [subject["id"] for subject in found["subjects"]] == ["a", "b", "c"]
    assert found["subjects"][0]["label"]["lesions"]["count"] == 1

    config = tmp_path / "run.toml"
    config.write_text(
        f"""dataset = "{dataset}"
seed = 1
[split]
train = ["a", "b"]
test = ["c"]
[patch]
size = 48
[model]
width = 0.0625
[train]
iterations = 4
batch = 1
"""
    )
    run = tmp_path / "run"
    summary = lacuna.train(config, run, overrides=["train.learning_rate=1e-3"])
    assert summary["iterations"] == 4 and summary["finished"]
    assert summary == json.loads((run / "summary.json").read_text())
    with pytest.raises(OSError, match="resume"):
        lacuna.train(config, run)

    predictions = tmp_path / "predictions"
    assert lacuna.predict_dataset(run, dataset, predictions, split="test") == ["c"]
    assert nibabel.load(predictions / "c.nii.gz").shape == (48, 48, 4)
    image = lacuna.read_nifti(tmp_path / "c.image.nii.gz")
    labels, shares = lacuna.predict_array(
        run, {"T1": image.data}, image.affine, mask=np.ones(image.data.shape), probabilities=True
    )
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, np.asarray(nibabel.load(predictions / "c.nii.gz").dataobj))
    assert shares.shape == (2, 48, 48, 4) and np.allclose(shares.sum(0), 1, atol=1e-5)
    assert np.array_equal(shares.argmax(0), labels)
    with pytest.raises(ValueError, match="one shape for all"):
        lacuna.predict_array(run, {"T1": image.data}, image.affine, mask=image.data[1:])
    with pytest.raises(OSError, match="T1"):
        lacuna.predict_array(run, {"T2": image.data}, image.affine)
    # Another run's files are not replaced unasked.
    other = tmp_path / "other"
    lacuna.train(config, other, overrides=["seed=2"])
    with pytest.raises(OSError, match="--force"):
        lacuna.predict_dataset(other, dataset, predictions, split="test")
    lacuna.predict_dataset(
        other, dataset, predictions, split="test", existing="replace", blend="gaussian", mirror=["left-right"]
    )

    # Several runs are another maker.
    with pytest.raises(OSError, match="--force"):
        lacuna.predict_dataset([run, other], dataset, predictions, split="test")
    with pytest.raises(ValueError, match="average"):
        lacuna.predict_dataset([run, other], dataset, predictions, average="labels")
    both = tmp_path / "both"
    assert lacuna.predict_dataset([run, other], dataset, both, split="test") == ["c"]
    listed = json.loads((both / "predictions.json").read_text())
    assert [entry["run"] for entry in listed["ensemble"]["runs"]] == [str(run), str(other)]
    rules = tmp_path / "postprocess.toml"
    rules.write_text('classes = ["background", "cube"]\n[foreground]\nlargest_component = true\n')
    cleaned = tmp_path / "cleaned"
    lacuna.predict_dataset([run, other], dataset, cleaned, split="test", postprocess=rules)
    assert (cleaned / "postprocess.csv").read_text().splitlines()[1].startswith("c,cube,")
    rules.write_text('classes = ["background"]\n[foreground]\nthreshold = 0.5\n')
    with pytest.raises(OSError, match="another dataset"):
        lacuna.predict_dataset(run, dataset, tmp_path / "none", postprocess=rules)
    with pytest.raises(OSError, match="no run folder"):
        lacuna.predict_dataset([], dataset, tmp_path / "none", split="test")

    # A prediction that is known: the reference moved by two voxels along x.
    moved = np.zeros((48, 48, 4), dtype=np.uint8)
    moved[22:26, 20:24, :] = 1
    own = tmp_path / "own"
    own.mkdir()
    nibabel.save(nibabel.Nifti1Image(moved, np.eye(4)), own / "c.nii.gz")
    evaluation = lacuna.evaluate_folder(dataset, own, tmp_path / "scores", subjects=["c"])
    (subject,) = evaluation["subjects"]
    assert subject["classes"][0]["dsc"] == pytest.approx(0.5)
    assert (tmp_path / "scores" / "scores.csv").exists()


def test_what_is_wrong_is_told(dataset, tmp_path):
    with pytest.raises(OSError, match="missing.toml"):
        lacuna.check(tmp_path / "missing.toml")
    with pytest.raises(OSError, match="missing.toml"):
        lacuna.train(tmp_path / "missing.toml", tmp_path / "run")
    with pytest.raises(ValueError, match="split"):
        lacuna.predict_dataset(tmp_path, dataset, tmp_path / "out", split="tset")
    with pytest.raises(ValueError, match="existing"):
        lacuna.predict_dataset(tmp_path, dataset, tmp_path / "out", existing="all")
    with pytest.raises(ValueError, match="mirror"):
        lacuna.predict_dataset(tmp_path, dataset, tmp_path / "out", mirror=["x"])
    with pytest.raises(OSError, match="none-here"):
        lacuna.evaluate_folder(dataset, tmp_path / "none-here", tmp_path / "scores")


def test_from_a_dataset_to_a_model(dataset, tmp_path):
    found = lacuna.fingerprint(dataset)
    assert [s["foreground"][0]["voxels"] for s in found["subjects"]] == [64, 64, 64]

    auto = tmp_path / "auto"
    sets = [
        "train.iterations=3",
        "train.batch=2",
        "patch.size=[16, 16, 4]",
        "model.stages={ axes = 3, features = [4, 8], kernels = [[3, 3, 1], [3, 3, 3]], "
        'strides = [[1, 1, 1], [2, 2, 1]], down = [1, 1], up = [1], norm = "instance" }',
    ]
    plan = lacuna.plan(dataset, tmp_path / "plan", budget="30m", overrides=sets)
    assert [len(t["held_out"]) for t in plan["trainings"]] == [1, 1, 1]
    scores = lacuna.auto(dataset, auto, budget="30m", overrides=sets)
    assert sorted(s["subject"] for s in scores["subjects"]) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="no time"):
        lacuna.auto(dataset, auto, budget="soon")
    with pytest.raises(OSError, match="another --budget"):
        lacuna.auto(dataset, auto, budget="40m", overrides=sets)

    model = tmp_path / "model.lacuna"
    lacuna.export(auto, model)
    with pytest.raises(OSError, match="is there already"):
        lacuna.export(auto, model)
    image = tmp_path / "a.image.nii.gz"
    out, uncertainty = tmp_path / "out.nii.gz", tmp_path / "uncertainty.nii.gz"
    assert lacuna.predict(model, {"T1": image}, out, uncertainty=uncertainty) == [
        "background",
        "cube",
    ]
    assert nibabel.load(uncertainty).shape == nibabel.load(image).shape
    before = image.read_bytes()
    with pytest.raises(OSError):
        lacuna.predict(model, {"T1": image}, image)
    assert image.read_bytes() == before

    folders = [auto / "tuned", auto / "out-of-fold" / "labels"]
    compared = lacuna.compare(folders, dataset, tmp_path / "compared", names=["tuned", "plain"])
    assert compared["subjects"] and (tmp_path / "compared" / "compare.html").exists()
