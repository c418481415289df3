//! The sums over elements that the losses are functions of.
//!
//! Notation, used in all loss files: `r_ln` is 1 where element n has label l,
//! else 0; `p_cn` is the softmax probability of class c there; `V_l` the
//! elements with label l; `P_c` the predicted volume of class c; `N` all
//! elements. Sums run over the elements of one sample or of the whole batch.

/// Sums over the elements of a sample or a batch, by label and class.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    classes: usize,
    pub(crate) count: Vec<u64>,
    pub(crate) sum_p: Vec<f64>,
    pub(crate) squared_error: Vec<f64>,
    pub(crate) sum_log_p: Vec<f64>,
}

impl Statistics {
    /// No element yet.
    pub(crate) fn empty(classes: usize) -> Self {
        Self {
            classes,
            count: vec![0; classes],
            sum_p: vec![0.0; classes * classes],
            squared_error: vec![0.0; classes * classes],
            sum_log_p: vec![0.0; classes],
        }
    }

    /// Of sums per label, and per label and class.
    pub(crate) fn new(
        count: Vec<u64>,
        sum_p: Vec<f64>,
        squared_error: Vec<f64>,
        sum_log_p: Vec<f64>,
    ) -> Self {
        Self {
            classes: count.len(),
            count,
            sum_p,
            squared_error,
            sum_log_p,
        }
    }

    /// Adds the sums of further elements.
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.sum_p, &other.sum_p),
            (&mut self.squared_error, &other.squared_error),
            (&mut self.sum_log_p, &other.sum_log_p),
        ];
        for (total, part) in pairs {
            for (t, p) in total.iter_mut().zip(part) {
                *t += p;
            }
        }
        for (t, p) in self.count.iter_mut().zip(&other.count) {
            *t += p;
        }
    }

    /// Number of classes, background included.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All elements, `N`.
    pub fn elements(&self) -> f64 {
        self.count.iter().sum::<u64>() as f64
    }

    /// Elements with label `l`, `V_l`.
    pub fn volume(&self, l: usize) -> f64 {
        self.count[l] as f64
    }

    /// `sum_n r_ln p_cn`: probability of class `c` over the elements with label `l`.
    pub fn sum_p(&self, l: usize, c: usize) -> f64 {
        self.sum_p[l * self.classes + c]
    }

    /// `sum_n r_ln (r_cn - p_cn)^2`: squared error of class `c` over the
    /// elements with label `l`. Summed as such, not from `p` and `p^2`, so a
    /// nearly perfect prediction keeps its relative precision.
    pub fn squared_error(&self, l: usize, c: usize) -> f64 {
        self.squared_error[l * self.classes + c]
    }

    /// `sum_n r_ln log p_ln`: log-probability of the true class, at most 0.
    pub fn sum_log_p(&self, l: usize) -> f64 {
        self.sum_log_p[l]
    }

    /// Predicted volume of class `c`, `P_c = sum_n p_cn`.
    pub fn predicted(&self, c: usize) -> f64 {
        (0..self.classes).map(|l| self.sum_p(l, c)).sum()
    }

    /// `V_c + P_c - 2 sum_n r_cn p_cn`: what class `c` misses plus what it
    /// claims falsely. Added up from small terms, so it is exact near 0.
    pub fn mismatch(&self, c: usize) -> f64 {
        (0..self.classes)
            .filter(|&l| l != c)
            .map(|l| self.sum_p(c, l) + self.sum_p(l, c))
            .sum()
    }
}

/// Derivatives of a loss by the sums of [`Statistics`], same indices.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsGradient {
    classes: usize,
    pub(crate) sum_p: Vec<f64>,
    pub(crate) squared_error: Vec<f64>,
    pub(crate) sum_log_p: Vec<f64>,
}

impl StatisticsGradient {
    /// All derivatives zero.
    pub fn zeros(classes: usize) -> Self {
        Self {
            classes,
            sum_p: vec![0.0; classes * classes],
            squared_error: vec![0.0; classes * classes],
            sum_log_p: vec![0.0; classes],
        }
    }

    /// Derivative by [`Statistics::sum_p`] of label `l` and class `c`.
    pub fn sum_p_mut(&mut self, l: usize, c: usize) -> &mut f64 {
        &mut self.sum_p[l * self.classes + c]
    }

    /// Derivative by [`Statistics::squared_error`] of label `l` and class `c`.
    pub fn squared_error_mut(&mut self, l: usize, c: usize) -> &mut f64 {
        &mut self.squared_error[l * self.classes + c]
    }

    /// Derivative by [`Statistics::sum_log_p`] of label `l`.
    pub fn sum_log_p_mut(&mut self, l: usize) -> &mut f64 {
        &mut self.sum_log_p[l]
    }

    /// Multiplies every derivative, as a mean over samples does.
    pub(crate) fn scale(&mut self, factor: f64) {
        let all = self
            .sum_p
            .iter_mut()
            .chain(&mut self.squared_error)
            .chain(&mut self.sum_log_p);
        for derivative in all {
            *derivative *= factor;
        }
    }
}
