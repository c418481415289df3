"""Goldens for crates/train: optimiser steps of PyTorch from the same weights.

Run with Python 3, torch 2.13 and safetensors, from anywhere:
    python tests/golden/steps.py
It starts from nets/unet.safetensors (tests/golden/nets.py) and writes, next to
itself, steps/<optimiser>.safetensors with the weights after 1 and 3 steps
    1.<name>, 3.<name>
and the losses before each of the three steps
    loss
all computed in float64 and stored as float32.

Every step has the same batch: images pattern((2, 2, 44, 52)), whose effective
patch is (4, 12), and labels i * 7 % 11 % 3 for the i-th effective voxel. The loss
is torch.nn.functional.cross_entropy, its mean over the voxels.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from nets import UNET_NAMES, UNet, pattern, renamed

HERE = pathlib.Path(__file__).parent
OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.5),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.99, nesterov=True, weight_decay=0.01),
    "sgd_clipped": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
}
# The largest norm of all gradients together.
CLIPPED = {"sgd_clipped": 0.1}


def steps(name, make):
    model = UNet(2, 3, 0.04).double()
    stored = load_file(HERE / "nets" / "unet.safetensors")
    model.load_state_dict({k: stored[renamed(k, UNET_NAMES)].double() for k in model.state_dict()})
    optimiser = make(model.parameters())
    images = pattern((2, 2, 44, 52))
    losses, weights = [], {}
    for step in (1, 2, 3):
        optimiser.zero_grad()
        logits = model(images)
        b, _, h, w = logits.shape
        labels = (torch.arange(b * h * w) * 7 % 11 % 3).reshape(b, h, w)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        if name in CLIPPED:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPPED[name])
            assert norm > CLIPPED[name]
        optimiser.step()
        losses.append(loss.item())
        if step != 2:
            for key, value in model.state_dict().items():
                weights[f"{step}.{renamed(key, UNET_NAMES)}"] = value.float().clone().contiguous()
    weights["loss"] = torch.tensor(losses)
    (HERE / "steps").mkdir(exist_ok=True)
    save_file(weights, HERE / "steps" / f"{name}.safetensors")
    print(name, tuple(logits.shape), losses)


if __name__ == "__main__":
    for name, make in OPTIMISERS.items():
        steps(name, make)
