"""Commands that write, what they must have written when they end, and what may never be seen."""

import csv
import gzip
import hashlib
import json
import os
import shutil
import struct
import subprocess
import time
import tomllib
from pathlib import Path

SETS = ["--set", "model.width=0.125", "--set", "patch.size=44", "--set", "train.batch=2",
        "--set", "train.iterations=12", "--set", "train.checkpoint_every=2"]
STUDY = """name = "crash"
[run]
dataset = "{dataset}"
[run.model]
name = "unet"
width = 0.125
[run.patch]
size = 44
[run.train]
iterations = 4
batch = 2
checkpoint_every = 2
[run.split]
train = ["sub-01"]
test = ["sub-02"]
[[axis]]
"loss.name" = ["generalised-dice", "dice"]
"""


class Job:
    """A command: how it is called, called again after it was cut off, and what it leaves."""

    def __init__(self, name, out, command, again=None, compared=()):
        self.name, self.out, self.command = name, out, command
        self.again = again or (lambda _: command)
        self.compared = compared

    def results(self, place):
        """Hash of each file of the outcome."""
        found = {}
        for pattern in self.compared:
            for path in sorted(place.glob(pattern)):
                found[str(path.relative_to(place))] = hashlib.sha256(essence(path)).hexdigest()
        assert found, f"{self.name} left nothing of {self.compared}"
        return found


def essence(path):
    """What two runs have in common: all, but for the times of events."""
    if path.name == "events.jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return repr([(e["iteration"], e["loss"], e["dsc"]) for e in lines]).encode()
    return path.read_bytes()


class Place:
    """A folder with a cohort, a trained run and predictions, of which each job gets a copy."""

    def __init__(self, program, folder):
        self.program, self.base = program, folder / "base"
        self.base.mkdir()
        self.call(self.base, "phantom", "--out", "cohort", "--set", "subjects=2",
                  "--set", "shape=[48, 48, 40]", "--set", "foreground_share=5e-3")
        (self.base / "run.toml").write_text('dataset = "cohort/dataset.toml"\n')
        (self.base / "study.toml").write_text(
            STUDY.format(dataset="cohort/dataset.toml"))
        self.call(self.base, "train", "run.toml", "--out", "trained", *SETS)
        self.call(self.base, "predict", "trained", "--dataset", "cohort/dataset.toml",
                  "--out", "predicted", "--probabilities")
        self.call(self.base, "evaluate", "--dataset", "cohort/dataset.toml",
                  "--predictions", "predicted", "--out", "evaluated")
        self.call(self.base, "sweep", "study.toml", "--out", "swept")

    def call(self, where, *words):
        result = subprocess.run([self.program, "--quiet", *words], cwd=where, text=True,
                                capture_output=True)
        assert result.returncode == 0, f"{words}: {result.stderr}"

    def copy(self, to):
        """Another place to work in; files are not shared, for some are written in place."""
        shutil.copytree(self.base, to, symlinks=True)
        return to


def jobs():
    """Every command that writes and ends in seconds."""
    train = ["train", "run.toml", "--out", "out", *SETS]

    def go_on(place):
        return train + ["--resume"] * (place / "out" / "run.toml").exists()

    data = ["--dataset", "cohort/dataset.toml"]
    # An optimiser's file has the names that Burn draws for parameters.
    return [
        Job("train", "out", train, go_on,
            ["out/checkpoint-00001?/weights.safetensors", "out/events.jsonl"]),
        Job("predict", "out", ["predict", "trained", *data, "--out", "out", "--probabilities"],
            lambda _: ["predict", "trained", *data, "--out", "out", "--probabilities", "--force"],
            ["out/*.nii.gz"]),
        Job("evaluate", "out", ["evaluate", *data, "--predictions", "predicted", "--out", "out"],
            None, ["out/*.csv", "out/overlays/*.png"]),
        Job("evaluate again", "evaluated",
            ["evaluate", *data, "--predictions", "predicted", "--out", "evaluated", "--force"],
            None, ["evaluated/*.csv", "evaluated/overlays/*.png"]),
        Job("sweep", "out", ["sweep", "study.toml", "--out", "out"], None,
            ["out/runs/*/checkpoint-000004/weights.safetensors", "out/configs/*"]),
        Job("report", "swept", ["report", "swept"], None,
            ["swept/report/tables/*", "swept/report/figures/*.svg"]),
        Job("export", "out.onnx", ["export", "trained", "out.onnx"],
            lambda _: ["export", "trained", "out.onnx", "--force"], ["out.onnx"]),
    ]


def is_left(path):
    """Whether it is what a killed process was writing under another name."""
    return any(part.startswith(".") and part.endswith(".part") for part in path.parts)


def age(folder):
    """Makes what is left look as if it had been left long ago."""
    past = time.time() - 60
    for path in folder.rglob("*"):
        if is_left(path):
            os.utime(path, (past, past))


def torn(folder):
    """Files of `folder` that are not what they say they are."""
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    found = []
    for path in paths:
        if not path.is_file() or is_left(path.relative_to(folder.parent)):
            continue
        try:
            check(path)
        except Exception as error:  # Whatever a half file makes of a reader.
            found.append(f"{path}: {type(error).__name__}: {error}")
    return found


def check(path):
    name, data = path.name, path.read_bytes()
    if name.endswith(".json"):
        json.loads(data)
    elif name.endswith(".toml"):
        tomllib.loads(data.decode())
    elif name.endswith(".jsonl"):
        for line in data.split(b"\n")[:-1]:
            json.loads(line)
    elif name.endswith(".csv"):
        rows = list(csv.reader(data.decode().splitlines()))
        assert rows and all(len(row) == len(rows[0]) for row in rows), "ragged"
    elif name.endswith(".safetensors"):
        (length,) = struct.unpack_from("<Q", data)
        tensors = json.loads(data[8:8 + length])
        ends = [t["data_offsets"][1] for k, t in tensors.items() if k != "__metadata__"]
        assert len(data) == 8 + length + max(ends), "cut"
    elif name.endswith(".gz"):
        gzip.decompress(data)
    elif name.endswith(".png"):
        assert data.endswith(b"IEND\xaeB`\x82"), "cut"
    elif name.endswith(".html"):
        assert data.rstrip().endswith(b"</html>"), "cut"


def unlike(checkpoint):
    """Parts of a checkpoint folder that are not those its list has."""
    state = json.loads((checkpoint / "state.json").read_bytes())
    assert state["parts"], "no list of parts"
    return [name for name, expected in state["parts"].items()
            if hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() != expected]
