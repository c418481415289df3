//! Losses that depend on every element's own probability only, as the vector
//! kernels take them.

/// A run of elements with the probability of their own label; exclusive classes
/// and hard labels.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Labels; anything where the weight is 0.
    pub labels: &'a [u8],
    /// `1 - p`, with its own relative precision.
    pub rest: &'a [f32],
    /// Weights; 0 where an element counts nowhere. All 1 where there are none.
    pub weights: Option<&'a [f32]>,
    /// What [`ElementLoss::factors`](super::ElementLoss::factors) or [`OwnLoss::rank`] gave.
    pub factors: &'a [f64],
}

impl Own<'_> {
    /// Weight of an element.
    #[inline]
    pub fn weight(&self, element: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[element])
    }

    /// Writes each element's factor, that of its label times its weight. A label
    /// without one has 0.
    pub fn write_factors(&self, of_label: impl Fn(usize) -> f64, into: &mut [f32]) {
        let mut table = [0.0_f32; 256];
        for (label, factor) in table.iter_mut().enumerate() {
            *factor = of_label(label) as f32;
        }
        for (into, label) in into.iter_mut().zip(self.labels) {
            *into = table[usize::from(*label)];
        }
        if let Some(weights) = self.weights {
            into.iter_mut()
                .zip(weights)
                .for_each(|(into, weight)| *into *= weight);
        }
    }
}

/// `sum a b`, in f64 and in eight lanes, so that no addition waits for another.
pub(crate) fn product_sum(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(a, b)| f64::from(a * b)).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(a[lane] * b[lane]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// A loss that depends on every element's own probability only, as the vector
/// kernels take it: the same as its other form, faster.
pub trait OwnLoss: Send + Sync {
    /// The loss of a run of elements. `slopes` holds the `log p` and is
    /// overwritten with the derivatives by them, voxel weights included;
    /// `scratch` is as long and may be used.
    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64;

    /// Factor per class of a term `-sum_c k_c log p_c` that each element adds,
    /// times its weight: label smoothing.
    fn spread(&self, factors: &[f64]) -> Option<Vec<f32>> {
        let _ = factors;
        None
    }

    /// Constants of a region as of two classes, outside and inside, from those of
    /// all regions. Without, overlapping regions are computed in f64.
    fn region_factors(&self, factors: &[f64], class: usize) -> Option<Vec<f64>> {
        let _ = (factors, class);
        None
    }

    /// Whether [`OwnLoss::rank`] must see all `log p` before a run is evaluated.
    fn is_ranked(&self) -> bool {
        false
    }

    /// Constants from all `log p` of a group.
    fn rank(&self, log_p: &[f32], weights: Option<&[f32]>) -> Vec<f64> {
        let _ = (log_p, weights);
        Vec::new()
    }
}
