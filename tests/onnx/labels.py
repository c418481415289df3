"""Tells in how many voxels two label maps differ, which is none or a rounding error's worth.

python labels.py EXPECTED FOUND
"""

import sys

import nibabel as nib
import numpy as np

expected, found = (np.asarray(nib.load(path).dataobj) for path in sys.argv[1:])
assert np.allclose(nib.load(sys.argv[1]).affine, nib.load(sys.argv[2]).affine)
differ, foreground = int((expected != found).sum()), int((expected > 0).sum())
print(f"{sys.argv[2]}: {differ} of {expected.size} voxels differ; {foreground} are foreground")
assert foreground > 0, "nothing to compare"
assert differ <= 1e-4 * expected.size
