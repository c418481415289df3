//! Any number of classes. A chunk is worked through in tiles that stay in the
//! cache, class by class within a tile.

use crate::Real;
use crate::kernel::{LOG_FLOOR, Sums};
use crate::statistics::StatisticsGradient;

/// Elements that are worked on together.
const TILE: usize = 256;

/// Softmax of a tile of elements.
struct Tile {
    /// Per class and element `exp(z - largest)`.
    exponentials: Vec<[f64; TILE]>,
    /// Largest logit per element.
    largest: [f64; TILE],
    /// Sum of the exponentials of the classes that are not the true one.
    others: [f64; TILE],
    /// Sum of all exponentials, 1 to the number of classes.
    total: [f64; TILE],
}

impl Tile {
    fn new(classes: usize) -> Self {
        Self {
            exponentials: vec![[0.0; TILE]; classes],
            largest: [0.0; TILE],
            others: [0.0; TILE],
            total: [0.0; TILE],
        }
    }

    /// `planes` are the logits of the elements from `start` on, one per label.
    fn compute<F: Real>(&mut self, planes: &[&[F]], start: usize, labels: &[u8]) {
        self.largest.fill(f64::NEG_INFINITY);
        for plane in planes {
            for (largest, z) in self.largest.iter_mut().zip(&plane[start..]) {
                *largest = largest.max(z.to_f64());
            }
        }
        self.others.fill(0.0);
        self.total.fill(0.0);
        for (class, (plane, exponentials)) in planes.iter().zip(&mut self.exponentials).enumerate()
        {
            for (i, (&label, z)) in labels.iter().zip(&plane[start..]).enumerate() {
                let e = (z.to_f64() - self.largest[i]).exp();
                exponentials[i] = e;
                self.total[i] += e;
                self.others[i] += if usize::from(label) == class { 0.0 } else { e };
            }
        }
    }
}

/// First pass over one chunk: adds to `sums` and writes the probabilities.
/// `planes` and `out` have one plane per class.
pub(crate) fn add_sums<F: Real>(
    planes: &[&[F]],
    labels: &[u8],
    out: &mut [&mut [F]],
    sums: &mut Sums,
) {
    let classes = planes.len();
    let mut tile = Tile::new(classes);
    for (tile_number, labels) in labels.chunks(TILE).enumerate() {
        let start = tile_number * TILE;
        tile.compute(planes, start, labels);

        for (i, &label) in labels.iter().enumerate() {
            let below_largest = planes[usize::from(label)][start + i].to_f64() - tile.largest[i];
            let log_own = (below_largest - tile.total[i].ln()).max(LOG_FLOOR);
            sums.statistics.count[usize::from(label)] += 1;
            sums.statistics.sum_log_p[usize::from(label)] += log_own;
            let predicted = tile.largest[i] > planes[0][start + i].to_f64();
            sums.count_foreground(label > 0, predicted);
        }
        for (class, out) in out.iter_mut().enumerate() {
            let out = &mut out[start..];
            for (i, (&label, out)) in labels.iter().zip(out).enumerate() {
                let label = usize::from(label);
                let p = tile.exponentials[class][i] / tile.total[i];
                let error = if label == class {
                    tile.others[i] / tile.total[i]
                } else {
                    p
                };
                sums.statistics.sum_p[label * classes + class] += p;
                sums.statistics.squared_error[label * classes + class] += error * error;
                *out = F::from_f64(p);
            }
        }
    }
}

/// Second pass over one chunk: probabilities to gradient, in place.
pub(crate) fn write_gradient<F: Real>(
    planes: &mut [&mut [F]],
    labels: &[u8],
    derivatives: &StatisticsGradient,
) {
    let classes = planes.len();
    let mut p = vec![0.0; classes];
    let mut g = vec![0.0; classes];
    for (element, &label) in labels.iter().enumerate() {
        let label = usize::from(label);
        let (mut miss, mut largest) = (0.0, 0);
        for class in 0..classes {
            p[class] = planes[class][element].to_f64();
            if class != label {
                miss += p[class];
            }
            if p[class] > p[largest] {
                largest = class;
            }
        }

        // The softmax is blind to a constant added to all g_c. Taken relative
        // to the largest class, whose p is rounded the most, only small terms
        // are added and a saturated element keeps its relative precision.
        let row = label * classes..(label + 1) * classes;
        let slope = &derivatives.sum_p[row.clone()];
        let curve = &derivatives.squared_error[row];
        for class in 0..classes {
            let error = if class == label { -miss } else { p[class] };
            g[class] = slope[class] + 2.0 * curve[class] * error;
        }
        let reference = g[largest];
        let mut mean = 0.0;
        for (g, p) in g.iter_mut().zip(&p) {
            *g -= reference;
            mean += p * *g;
        }
        let log_slope = derivatives.sum_log_p[label];
        for (class, plane) in planes.iter_mut().enumerate() {
            let by_log = if class == label { miss } else { -p[class] };
            let gradient = p[class] * (g[class] - mean) + log_slope * by_log;
            plane[element] = F::from_f64(gradient);
        }
    }
}
