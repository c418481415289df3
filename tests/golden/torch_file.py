"""Goldens for crates/interop: checkpoints as PyTorch writes them.

Run with Python 3 and torch:
    python tests/golden/torch_file.py
It writes, next to itself, torch_file/*.pth. The test works out their values by hand.
"""

from collections import OrderedDict
from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "torch_file"
FOLDER.mkdir(exist_ok=True)

ramp = torch.arange(6, dtype=torch.float32).reshape(2, 3)
weights = OrderedDict(
    ramp=ramp,
    turned=ramp.T,  # strides (1, 3)
    row=ramp[1],  # starts inside its storage
    half=torch.tensor([0.5, -2.0], dtype=torch.float16),
    brain=torch.tensor([1.5, 3.0], dtype=torch.bfloat16),
    double=torch.tensor(0.1, dtype=torch.float64),
    count=torch.tensor(7),
    parameter=torch.nn.Parameter(torch.tensor([4.0])),
)
torch.save(weights, FOLDER / "alone.pth")
torch.save(weights, FOLDER / "old.pth", _use_new_zipfile_serialization=False)
torch.save(
    {
        "epoch": 3,
        "state_dict": {f"module.{name}": tensor for name, tensor in weights.items()},
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "lr": 0.25},
        "device": torch.device("cpu"),
        "names": ("FLAIR", None, True),
    },
    FOLDER / "nested.pth",
)
