"""Reflected indices that crates/data/src/window.rs asserts: numpy.pad of an arange."""

import numpy as np

for n, before, after in ((1, 3, 2), (2, 5, 4), (3, 7, 6), (5, 6, 9)):
    print(n, -before, np.pad(np.arange(n), (before, after), mode="reflect").tolist())
