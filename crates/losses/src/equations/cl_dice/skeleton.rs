//! The soft skeleton (Shit et al., CVPR 2021, algorithm 1) and its derivatives.
//!
//! With `E_k` the k-th erosion of the image and `O_k` the dilation of `E_{k+1}`,
//! the opening of `E_k`: `d_k = max(E_k - O_k, 0)` is what the opening loses, and
//! `S_0 = d_0`, `S_k = S_{k-1} + max(d_k (1 - S_{k-1}), 0)`. Erosion is the
//! minimum over the neighbours along each axis, dilation the maximum over the
//! whole 3 x 3 x 3 neighbourhood; neither looks past the border. Derivatives go
//! to the element that was the minimum or maximum.

use lacuna_volume::Zyx;

/// The skeleton of an image, with what the way back needs.
pub struct Skeleton {
    /// `S`, one value per element.
    pub values: Vec<f64>,
    /// `S_{k-1}` and `d_k` for k from 1 on.
    steps: Vec<[Vec<f64>; 2]>,
    /// Whether `d_0` is above 0.
    first: Vec<bool>,
    /// Where `E_k` took its values in `E_{k-1}`, for k from 1 on.
    eroded_from: Vec<Vec<u32>>,
    /// Where `O_k` took its values in `E_{k+1}`.
    dilated_from: Vec<Vec<u32>>,
}

impl Skeleton {
    /// Of an image `[z, y, x]`, x fastest, with values from 0 to 1.
    pub fn of(image: Vec<f64>, shape: Zyx<usize>, iterations: usize) -> Self {
        let mut skeleton = Self {
            values: Vec::new(),
            steps: Vec::new(),
            first: Vec::new(),
            eroded_from: Vec::new(),
            dilated_from: Vec::new(),
        };
        let mut here = image;
        for k in 0..=iterations {
            let (eroded, from) = erode(&here, shape);
            skeleton.eroded_from.push(from);
            let (opened, from) = dilate(&eroded, shape);
            skeleton.dilated_from.push(from);
            let lost: Vec<f64> = here
                .iter()
                .zip(&opened)
                .map(|(e, o)| (e - o).max(0.0))
                .collect();
            if k == 0 {
                skeleton.first = lost.iter().map(|d| *d > 0.0).collect();
                skeleton.values = lost;
            } else {
                let before = skeleton.values.clone();
                for (s, d) in skeleton.values.iter_mut().zip(&lost) {
                    *s += (d * (1.0 - *s)).max(0.0);
                }
                skeleton.steps.push([before, lost]);
            }
            here = eroded;
        }
        skeleton
    }

    /// Derivatives by the image from those by the skeleton.
    pub fn backward(&self, by_skeleton: Vec<f64>) -> Vec<f64> {
        let count = by_skeleton.len();
        let mut by_s = by_skeleton;
        // By E_0 to E_{iterations + 1}.
        let mut by_eroded = vec![vec![0.0; count]; self.eroded_from.len() + 1];
        for k in (0..self.dilated_from.len()).rev() {
            for i in 0..count {
                let by_lost = if k == 0 {
                    if self.first[i] { by_s[i] } else { 0.0 }
                } else {
                    let [before, lost] = &self.steps[k - 1];
                    let (before, lost) = (before[i], lost[i]);
                    if lost > 0.0 && before < 1.0 {
                        let by = by_s[i];
                        by_s[i] = by * (1.0 - lost);
                        by * (1.0 - before)
                    } else {
                        0.0
                    }
                };
                by_eroded[k][i] += by_lost;
                by_eroded[k + 1][self.dilated_from[k][i] as usize] -= by_lost;
            }
        }
        for k in (0..self.eroded_from.len()).rev() {
            let (lower, upper) = by_eroded.split_at_mut(k + 1);
            for (by, from) in upper[0].iter().zip(&self.eroded_from[k]) {
                lower[k][*from as usize] += by;
            }
        }
        by_eroded.swap_remove(0)
    }
}

/// Strides and lengths of the axes that have neighbours.
fn axes(Zyx([z, y, x]): Zyx<usize>) -> Vec<(usize, usize)> {
    let all = [(1, x), (x, y), (x * y, z)];
    all.into_iter().filter(|(_, length)| *length > 1).collect()
}

/// The least of each element and its neighbours along the axes, and where it is.
fn erode(image: &[f64], shape: Zyx<usize>) -> (Vec<f64>, Vec<u32>) {
    let mut least = image.to_vec();
    let mut from: Vec<u32> = (0..image.len() as u32).collect();
    for (stride, length) in axes(shape) {
        each_neighbour(image.len(), stride, length, |here, there| {
            if image[there] < least[here] {
                least[here] = image[there];
                from[here] = there as u32;
            }
        });
    }
    (least, from)
}

/// The greatest of the whole neighbourhood, axis by axis, and where it is.
fn dilate(image: &[f64], shape: Zyx<usize>) -> (Vec<f64>, Vec<u32>) {
    let mut greatest = image.to_vec();
    let mut from: Vec<u32> = (0..image.len() as u32).collect();
    for (stride, length) in axes(shape) {
        let (values, places) = (greatest.clone(), from.clone());
        each_neighbour(image.len(), stride, length, |here, there| {
            if values[there] > greatest[here] {
                greatest[here] = values[there];
                from[here] = places[there];
            }
        });
    }
    (greatest, from)
}

/// Calls with every element and each of its neighbours along an axis.
fn each_neighbour(count: usize, stride: usize, length: usize, mut call: impl FnMut(usize, usize)) {
    for start in (0..count).step_by(stride * length) {
        for step in 0..length - 1 {
            let row = start + step * stride;
            for here in row..row + stride {
                call(here, here + stride);
                call(here + stride, here);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar three high and seven long: its skeleton is part of the middle row.
    #[test]
    fn the_skeleton_of_a_bar_is_its_middle_row() {
        let shape = Zyx([1, 5, 9]);
        let mut image = vec![0.0; 45];
        for y in 1..4 {
            image[y * 9 + 1..y * 9 + 8].fill(1.0);
        }
        let skeleton = Skeleton::of(image, shape, 3).values;
        for (i, s) in skeleton.iter().enumerate() {
            let (y, x) = (i / 9, i % 9);
            let middle = y == 2 && (2..7).contains(&x);
            assert_eq!(*s, f64::from(u8::from(middle)), "{y} {x}");
        }
    }
}
