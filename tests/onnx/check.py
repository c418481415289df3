"""Exported networks in another runtime: every .onnx file of a folder that
`cargo run -p lacuna-nets --example onnx_cases -- FOLDER` wrote is a valid model, and
onnxruntime gives what Lacuna gave, for images of two sizes, to 1e-4 of the largest logit.

    python tests/onnx/check.py FOLDER      (needs onnx, onnxruntime, safetensors)
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

TOLERANCE = 1e-4

files = sorted(Path(sys.argv[1]).glob("*.onnx"))
assert len(files) == 17, f"{len(files)} files"
for file in files:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    cases = load_file(file.with_suffix(".safetensors"))
    worst = 0.0
    for number in range(2):
        (found,) = session.run(None, {"images": cases[f"images.{number}"]})
        expected = cases[f"logits.{number}"]
        assert found.shape == expected.shape, (file.stem, found.shape, expected.shape)
        assert expected.std() > 1e-3, f"{file.stem}: the logits say nothing"
        worst = max(worst, np.abs(found - expected).max() / np.abs(expected).max())
    operators = {node.op_type for node in model.graph.node}
    print(f"{file.stem}: {worst:.1e} ({', '.join(sorted(operators))})")
    assert worst < TOLERANCE, file.stem
