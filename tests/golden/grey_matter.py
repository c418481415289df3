"""Median intensity of grey matter in the MS subjects, worked out without Lacuna.

Grey matter is the middle component of scikit-learn's GaussianMixture of three on the T1
image's 99.8 % of middle intensities, fitted to the end, where the other image is positive too.
crates/data/tests/real_subjects.rs asserts the numbers printed here. Run with LACUNA_DATA set.
"""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
from sklearn.mixture import GaussianMixture

DATA = Path(os.environ["LACUNA_DATA"]) / "ms_lesion"

for patient in ["patient07", "patient19"]:
    read = lambda name: nib.load(DATA / patient / f"{name}.nii.gz").get_fdata()
    t1 = read("T1")
    brain = t1 > 0
    values = t1[brain]
    low, high = np.quantile(values, [0.001, 0.999])
    tissue = values[(values >= low) & (values <= high)][:, None]
    sample = np.random.default_rng(0).choice(tissue, 100_000)
    mixture = GaussianMixture(3, tol=1e-8, max_iter=3000, random_state=0).fit(sample)
    middle = np.argsort(mixture.means_.ravel())[1]
    grey = np.zeros(t1.shape, bool)
    grey[brain] = mixture.predict(values[:, None]) == middle
    for name in ["FLAIR", "T1", "T2"]:
        image = read(name)
        print(patient, name, round(float(np.median(image[grey & (image > 0)])), 1))
