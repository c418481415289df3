"""Compares the runs and predictions of tests/vulkan/run.sh; standard library only.

Tolerances: losses and probabilities agree to rounding. The step is judged by the
weights alone: where a max pool sees equal values, in the constant background of
phantoms, devices send the gradient to different places, which biases feel.
"""

import array
import gzip
import json
import math
import struct
import sys
from pathlib import Path

# Relative: loss, step; absolute: probability.
USUAL = (1e-6, 1e-3, 1e-4)
TOLERANCES = {"padded-unet": (1e-6, 1e-2, 1e-4), "high-res-3d-net": (1e-5, 1e-3, 1e-4)}


def weights(run):
    """Tensors with more than one axis, from the run's only checkpoint."""
    data = (run / "checkpoint-000001" / "weights.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, tensor in header.items():
        if name == "__metadata__" or len(tensor["shape"]) < 2:
            continue
        begin, end = (8 + length + offset for offset in tensor["data_offsets"])
        tensors[name] = array.array("f", data[begin:end])
    return tensors


def apart(left, right):
    return math.sqrt(sum((a - b) ** 2 for n in left for a, b in zip(left[n], right[n])))


def loss(run):
    return json.loads((run / "events.jsonl").read_text().splitlines()[0])["loss"]


def probabilities(folder):
    data = gzip.decompress((folder / "sub-02.probabilities.nii.gz").read_bytes())
    (datatype,) = struct.unpack_from("<h", data, 70)
    assert datatype == 16, f"{folder}: datatype {datatype}, expected 16 (32-bit floats)"
    (offset,) = struct.unpack_from("<f", data, 108)
    return array.array("f", data[int(offset) :])


def main(work):
    failed = 0
    runs = sorted((work / "device" / "runs").iterdir())
    for run in runs:
        network = run.name.split("_")[0]
        processor = work / "cpu" / "runs" / run.name
        start = weights(work / "cpu" / "runs" / f"{network}_learning_rate1e-30")
        on_processor, on_device = weights(processor), weights(run)
        moved = apart(on_processor, start)
        assert moved > 0, f"{network}: the step moved nothing"
        found = (
            abs(loss(run) - loss(processor)) / abs(loss(processor)),
            apart(on_device, on_processor) / moved,
            max(
                abs(a - b)
                for a, b in zip(
                    probabilities(work / "predicted-device" / run.name),
                    probabilities(work / "predicted-cpu" / run.name),
                )
            ),
        )
        allowed = TOLERANCES.get(network, USUAL)
        # A value that is no number is not within any tolerance.
        good = all(value <= most for value, most in zip(found, allowed))
        failed += not good
        values = "  ".join(
            f"{what} {value:.1e} (at most {most:.0e})"
            for what, value, most in zip(("loss", "step", "probability"), found, allowed)
        )
        print(f"{'ok    ' if good else 'FAILED'} {network}: {values}")
    print(f"{len(runs) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
