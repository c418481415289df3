"""Golden values of crates/kernels/src/adam.rs: writes adam/steps.json next to this file.

    python tests/golden/adam.py

Needs torch. Five steps of torch.optim.Adam in float64 over 21 values whose
gradients span several magnitudes, one of them always 0. Starts and gradients are
exact in float32.
"""

import json
from pathlib import Path

import torch

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-5

generator = torch.Generator().manual_seed(3)
start = torch.randn(21, generator=generator)
scales = 10.0 ** torch.linspace(-6, 1, 21)
scales[20] = 0.0

parameter = start.double().requires_grad_()
optimiser = torch.optim.Adam([parameter], lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON)
steps = []
for _ in range(5):
    gradient = torch.randn(21, generator=generator) * scales
    parameter.grad = gradient.double()
    optimiser.step()
    state = optimiser.state[parameter]
    steps.append(
        {
            "gradient": gradient.tolist(),
            "parameter": parameter.tolist(),
            "mean": state["exp_avg"].tolist(),
            "squares": state["exp_avg_sq"].tolist(),
        }
    )

folder = Path(__file__).parent / "adam"
folder.mkdir(exist_ok=True)
golden = {
    "rate": RATE,
    "beta_1": BETA_1,
    "beta_2": BETA_2,
    "epsilon": EPSILON,
    "start": start.tolist(),
    "steps": steps,
}
(folder / "steps.json").write_text(json.dumps(golden, indent=1) + "\n")
