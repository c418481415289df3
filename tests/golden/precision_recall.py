"""Reference values for the area under precision and recall of voxels.

Writes metrics/precision_recall.json beside this file: probabilities, foreground and
sklearn.metrics.average_precision_score, for probabilities of few bits (512ths, with many ties),
whose order any rounding keeps, and for any (9 decimals). Needs numpy and scikit-learn.
Run: python tests/golden/precision_recall.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

OUT = Path(__file__).with_name("metrics") / "precision_recall.json"


def case(rng, voxels, share, bits):
    foreground = rng.random(voxels) < share
    foreground[0] = True
    probability = 1 / (1 + np.exp(-rng.normal(4 * foreground - 3, 1.5)))
    probability = np.round(probability * 512) / 512 if bits else np.round(probability, 9)
    return {
        "of_few_bits": bits,
        "probability": probability.tolist(),
        "foreground": foreground.astype(int).tolist(),
        "average_precision": average_precision_score(foreground, probability),
    }


rng = np.random.default_rng(2006)
cases = [case(rng, n, share, bits) for bits in (True, False)
         for n, share in ((40, 0.5), (300, 0.1), (600, 0.01))]
OUT.write_text(json.dumps(cases) + "\n")
