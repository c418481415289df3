"""Values for golden images; for nifti.py and formats.py."""

import numpy as np


def ramp(shape, dtype):
    """Distinct values that reach towards both ends of the type."""
    n = int(np.prod(shape))
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        values = [info.min + (info.max - info.min) * i // (n - 1) for i in range(n)]
    else:
        values = [(-1) ** i * (i + 1) ** 3 / 7 for i in range(n)]
    return np.array(values, dtype).reshape(shape, order="F")
