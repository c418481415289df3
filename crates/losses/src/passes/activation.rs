//! Logits to probabilities, and derivatives back to logits: one element in f64 as
//! losses differentiate it, and whole predictions in f32.

use crate::Activation;
use crate::loss::{Element, ElementSlopes};

/// Floor of a log-probability. A difference of two `f32` logits never reaches
/// it; `f64` logits can, and their sums must stay finite.
const LOG_FLOOR: f64 = -1e100;

impl Activation {
    /// Logits `[channels, elements]` as probabilities, in place, in `f32`. They must
    /// be finite.
    ///
    /// # Panics
    /// Without channels.
    pub fn apply(self, logits: &mut [f32], channels: usize) {
        match self {
            Self::Softmax => softmax(logits, channels),
            Self::Sigmoid => (logits.iter_mut()).for_each(|z| *z = 1.0 / (1.0 + (-*z).exp())),
        }
    }
}

fn softmax(values: &mut [f32], channels: usize) {
    let elements = values.len() / channels;
    for element in 0..elements {
        let at = |channel: usize| channel * elements + element;
        let largest = (0..channels).fold(f32::NEG_INFINITY, |m, c| m.max(values[at(c)]));
        let mut sum = 0.0;
        for channel in 0..channels {
            let p = (values[at(channel)] - largest).exp();
            values[at(channel)] = p;
            sum += p;
        }
        (0..channels).for_each(|channel| values[at(channel)] /= sum);
    }
}

/// Buffers of one element, one value per class.
pub(crate) struct Activated {
    activation: Activation,
    /// Logits, set by the caller.
    pub(crate) z: Vec<f64>,
    /// Reference, set by the caller.
    pub(crate) reference: Vec<f64>,
    pub(crate) p: Vec<f64>,
    pub(crate) rest: Vec<f64>,
    pub(crate) log_p: Vec<f64>,
    /// Overlapping regions only, else empty.
    pub(crate) log_rest: Vec<f64>,
    pub(crate) by_p: Vec<f64>,
    pub(crate) by_log_p: Vec<f64>,
    pub(crate) by_log_rest: Vec<f64>,
}

impl Activated {
    pub(crate) fn new(activation: Activation, classes: usize) -> Self {
        let zeros = || vec![0.0; classes];
        let overlapping = match activation {
            Activation::Softmax => 0,
            Activation::Sigmoid => classes,
        };
        Self {
            activation,
            z: zeros(),
            reference: zeros(),
            p: zeros(),
            rest: zeros(),
            log_p: zeros(),
            log_rest: vec![0.0; overlapping],
            by_p: zeros(),
            by_log_p: zeros(),
            by_log_rest: vec![0.0; overlapping],
        }
    }

    /// Probabilities of the logits. No probability, and no `1 - p`, is got by a
    /// subtraction that would lose its digits.
    #[inline]
    pub(crate) fn compute(&mut self, logarithms: bool) {
        match self.activation {
            Activation::Softmax => self.softmax(logarithms),
            Activation::Sigmoid => self.sigmoid(logarithms),
        }
    }

    #[inline]
    fn softmax(&mut self, logarithms: bool) {
        let mut largest = 0;
        for (class, z) in self.z.iter().enumerate() {
            if *z > self.z[largest] {
                largest = class;
            }
        }
        let top = self.z[largest];
        let mut others = 0.0;
        for (class, (p, z)) in self.p.iter_mut().zip(&self.z).enumerate() {
            *p = 1.0;
            if class != largest {
                *p = (z - top).exp();
                others += *p;
            }
        }
        let total = 1.0 + others;
        for (class, (p, rest)) in self.p.iter_mut().zip(&mut self.rest).enumerate() {
            *p /= total;
            *rest = match class == largest {
                true => others / total,
                false => 1.0 - *p,
            };
        }
        if logarithms {
            let log_total = others.ln_1p();
            for (log_p, z) in self.log_p.iter_mut().zip(&self.z) {
                *log_p = (z - top - log_total).max(LOG_FLOOR);
            }
        }
    }

    #[inline]
    fn sigmoid(&mut self, logarithms: bool) {
        for class in 0..self.z.len() {
            let z = self.z[class];
            let e = (-z.abs()).exp();
            let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
            let on = z > 0.0;
            self.p[class] = if on { large } else { small };
            self.rest[class] = if on { small } else { large };
            if logarithms {
                let log_large = e.ln_1p();
                self.log_p[class] = (z.min(0.0) - log_large).max(LOG_FLOOR);
                self.log_rest[class] = (-z.max(0.0) - log_large).max(LOG_FLOOR);
            }
        }
    }

    /// The element as a loss sees it.
    #[inline]
    pub(crate) fn parts<'a>(&'a mut self, distance: &'a [f32]) -> (Element<'a>, ElementSlopes<'a>) {
        let element = Element {
            p: &self.p,
            rest: &self.rest,
            log_p: &self.log_p,
            log_rest: &self.log_rest,
            reference: &self.reference,
            distance,
        };
        let slopes = ElementSlopes {
            p: &mut self.by_p,
            log_p: &mut self.by_log_p,
            log_rest: &mut self.by_log_rest,
        };
        (element, slopes)
    }

    /// Forgets the derivatives.
    #[inline]
    pub(crate) fn clear_slopes(&mut self) {
        self.by_p.fill(0.0);
        self.by_log_p.fill(0.0);
        self.by_log_rest.fill(0.0);
    }

    /// Derivatives by the logits, `weight` times those by the probabilities,
    /// written over the logits.
    ///
    /// Softmax, with `g = dL/dp` and `h = dL/dlog p`:
    /// `dL/dz_c = p_c (g_c - sum_k p_k g_k) + h_c (1 - p_c) - p_c sum_{k != c} h_k`.
    /// Sigmoid, with `b = dL/dlog(1 - p)`: `(p g + h) (1 - p) - b p`.
    #[inline]
    pub(crate) fn backward(&mut self, weight: f64) {
        let classes = self.z.len();
        match self.activation {
            Activation::Softmax => {
                // The softmax is blind to a constant added to all g_c. Taken
                // relative to the largest class, whose p is rounded the most,
                // only small terms are added and a saturated element keeps its
                // relative precision.
                let mut largest = 0;
                for class in 1..classes {
                    if self.p[class] > self.p[largest] {
                        largest = class;
                    }
                }
                let reference = self.by_p[largest];
                let (mut mean, mut by_log) = (0.0, 0.0);
                for class in 0..classes {
                    self.by_p[class] -= reference;
                    mean += self.p[class] * self.by_p[class];
                    by_log += self.by_log_p[class];
                }
                for class in 0..classes {
                    let own = self.by_log_p[class];
                    let slope = self.p[class] * (self.by_p[class] - mean) + own * self.rest[class]
                        - self.p[class] * (by_log - own);
                    self.z[class] = weight * slope;
                }
            }
            Activation::Sigmoid => {
                for class in 0..classes {
                    let by_hit = self.p[class] * self.by_p[class] + self.by_log_p[class];
                    let slope = by_hit * self.rest[class] - self.by_log_rest[class] * self.p[class];
                    self.z[class] = weight * slope;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_survive_large_logits() {
        // Two channels of two elements: e^-1e4 is 0, and e^0 / (2 e^0) is 1/2.
        let mut z = [1e4, 3.0, 0.0, 3.0];
        Activation::Softmax.apply(&mut z, 2);
        assert_eq!(z, [1.0, 0.5, 0.0, 0.5]);
        let mut z = [1e4, 0.0, -1e4];
        Activation::Sigmoid.apply(&mut z, 3);
        assert_eq!(z, [1.0, 0.5, 0.0]);
    }
}
