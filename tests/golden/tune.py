"""Reference values for temperatures and calibration.

Writes tune/temperature.json beside this file. Needs numpy, scipy and scikit-learn.
Run: python tests/golden/tune.py

Labels are drawn from softmax(logits), the probabilities are softmax(2.5 logits).
- temperature: scipy.optimize.minimize_scalar of the mean negative log likelihood of
  softmax(log p / T) over log T.
- before, after: sklearn.metrics.brier_score_loss and log_loss of the last class against
  the others; the expected calibration error by its definition, 20 equal bins.
"""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss, log_loss

OUT = Path(__file__).with_name("tune")


def ece(p, y):
    bins = np.minimum((p * 20).astype(int), 19)
    gaps = [abs(np.sum(y[bins == b]) - np.sum(p[bins == b])) for b in range(20)]
    return sum(gaps) / len(p)


def scores(p, y):
    return {
        "brier": brier_score_loss(y, p),
        "log_loss": log_loss(y, p),
        "ece": ece(p, y),
    }


def case(name, rng, classes, voxels):
    logits = rng.normal(0.0, 1.5, (voxels, classes))
    logits[:, 0] += 1.0
    truth = softmax(logits, axis=1)
    labels = np.array([rng.choice(classes, p=row) for row in truth])
    p = np.round(softmax(2.5 * logits, axis=1), 6).clip(1e-7, 1 - 1e-7).astype(np.float32)
    logs = np.log(p.astype(np.float64))

    def nll(log_t):
        tempered = log_softmax(logs / np.exp(log_t), axis=1)
        return -tempered[np.arange(voxels), labels].mean()

    found = minimize_scalar(nll, bounds=np.log([0.2, 10]), method="bounded", options={"xatol": 1e-9})
    after = softmax(logs / np.exp(found.x), axis=1)[:, -1]
    last = (labels == classes - 1).astype(int)
    return {
        "name": name,
        "probabilities": [[float(f"{v:.7g}") for v in p[:, c]] for c in range(classes)],
        "labels": labels.tolist(),
        "temperature": float(np.exp(found.x)),
        "nll": nll(0.0),
        "nll_after": float(found.fun),
        "before": scores(p[:, -1].astype(np.float64), last),
        "after": scores(after, last),
    }


if __name__ == "__main__":
    rng = np.random.default_rng(2017)
    cases = [case("two classes", rng, 2, 400), case("four classes", rng, 4, 300)]
    OUT.mkdir(exist_ok=True)
    (OUT / "temperature.json").write_text(json.dumps({"cases": cases}) + "\n")
