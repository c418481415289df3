"""A Lacuna dataset in nnU-Net's form, and nnU-Net's label maps in Lacuna's; for nnunet.py."""

import json
import sys
import tomllib
from pathlib import Path

import nibabel
import numpy as np

ENDING = ".nii.gz"


class Dataset:
    """A manifest: classes, modalities, and the volumes of its subjects, axes towards RAS."""

    def __init__(self, path):
        path = Path(path)
        self.path = path / "dataset.toml" if path.is_dir() else path
        manifest = tomllib.loads(self.path.read_text())
        self.name = manifest["name"]
        self.modalities = manifest["modalities"]
        self.classes = manifest["classes"]
        values = manifest.get("label_values") or dict(enumerate(self.classes))
        self.class_of = {int(v): self.classes.index(name) for v, name in values.items()}
        self.subjects = {subject["id"]: subject for subject in manifest["subject"]}

    def volume(self, entry):
        """Values and affine of `file`, or of volume n of the 4-D `file#n`."""
        name, _, number = entry.rpartition("#")
        if not (name and number.isdigit()):
            name, number = entry, "0"
        image = nibabel.load(self.path.parent / name)
        values = np.asanyarray(image.dataobj)
        if values.ndim == 4:
            values = values[..., int(number)]
        image = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, image.affine))
        return np.asanyarray(image.dataobj), image.affine

    def labels(self, subject):
        """Class index of each voxel, and the affine."""
        values, affine = self.volume(subject["label"])
        unknown = sorted(set(np.unique(values)) - set(self.class_of))
        if unknown:
            sys.exit(f"{subject['label']}: label_values of {self.path} lacks {unknown}")
        classes = np.zeros(values.shape, np.uint8)
        for value, index in self.class_of.items():
            classes[values == value] = index
        return classes, affine

    def mask(self, subject):
        """Where the subject's mask is, or None."""
        return self.volume(subject["mask"])[0] != 0 if "mask" in subject else None


def write_raw(dataset, folds, folder):
    """Writes the subjects of `folds` as one of nnU-Net's raw datasets.

    Values outside a subject's mask become 0, nnU-Net's own sign of "nothing here": its
    crop and its statistics then see what Lacuna's see. Labels stay as they are.
    """
    ids = sorted({i for fold in folds for i in fold["train"] + fold["val"]})
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for i in ids:
        write_subject(dataset, dataset.subjects[i], folder)
    description = {
        "channel_names": {str(c): name for c, name in enumerate(dataset.modalities)},
        # nnU-Net asks for the name "background".
        "labels": {"background": 0} | {c: k for k, c in enumerate(dataset.classes) if k > 0},
        "numTraining": len(ids),
        "file_ending": ENDING,
    }
    write_json(description, folder / "dataset.json")
    # Where it lies beside the images, nnU-Net's planner takes these folds for its own.
    write_json(folds, folder / "splits_final.json")


def write_subject(dataset, subject, folder):
    classes, affine = dataset.labels(subject)
    mask = dataset.mask(subject)
    for channel, modality in enumerate(dataset.modalities):
        image, _ = dataset.volume(subject["images"][modality])
        if image.shape != classes.shape:
            sys.exit(f"{subject['id']}: {modality} is {image.shape}, the label {classes.shape}")
        image = np.asarray(image, np.float32)
        if mask is not None:
            image = np.where(mask, image, np.float32(0))
        save(image, affine, folder / "imagesTr" / f"{subject['id']}_{channel:04}{ENDING}")
    save(classes, affine, folder / "labelsTr" / f"{subject['id']}{ENDING}")


def collect(dataset, predicted, out):
    """Copies label maps, a file by subject id, to `out`/ID.nii.gz, on the reference's grid.

    Outside a subject's mask they are background, as Lacuna's are.
    """
    out.mkdir(parents=True, exist_ok=True)
    for i, file in predicted.items():
        subject = dataset.subjects[i]
        classes = np.asarray(nibabel.load(file).dataobj).astype(np.uint8)
        mask = dataset.mask(subject)
        if mask is not None:
            classes[~mask] = 0
        save(classes, dataset.volume(subject["label"])[1], out / f"{i}{ENDING}")


def save(values, affine, path):
    """Both forms of the affine agree and have no shear, without which ITK reads nothing."""
    image = nibabel.Nifti1Image(values, affine)
    image.set_qform(affine, 1)
    image.set_sform(image.get_qform(), 1)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def read_json(path):
    return json.loads(Path(path).read_text())


def write_json(value, path):
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2))
    part.replace(path)
