//! The parts of a batch that are worked on in parallel.

use crate::layout::CHUNK;
use crate::{Layout, Real};

/// A run of elements of one sample, with its part of the gradient.
pub(crate) struct Chunk<'a, F> {
    pub(crate) sample: usize,
    /// First element, within the sample.
    pub(crate) start: usize,
    len: usize,
    /// One slice per class.
    pub(crate) gradient: Vec<&'a mut [F]>,
}

impl<'a, F> Chunk<'a, F> {
    /// All chunks of a batch, in memory order.
    pub(crate) fn all(layout: Layout, gradient: &'a mut [F]) -> Vec<Self> {
        let mut chunks = Vec::new();
        let samples = gradient.chunks_exact_mut(layout.classes * layout.elements);
        for (sample, planes) in samples.enumerate() {
            let first = chunks.len();
            chunks.extend((0..layout.elements).step_by(CHUNK).map(|start| Self {
                sample,
                start,
                len: CHUNK.min(layout.elements - start),
                gradient: Vec::with_capacity(layout.classes),
            }));
            for plane in planes.chunks_exact_mut(layout.elements) {
                for (chunk, part) in chunks[first..].iter_mut().zip(plane.chunks_mut(CHUNK)) {
                    chunk.gradient.push(part);
                }
            }
        }
        chunks
    }

    /// Elements of it; each has one gradient per class.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the gradient of its element `i`, one value per class.
    #[inline]
    pub(crate) fn write(&mut self, i: usize, slopes: &[f64])
    where
        F: Real,
    {
        for (plane, slope) in self.gradient.iter_mut().zip(slopes) {
            plane[i] = F::from_f64(*slope);
        }
    }

    /// Writes the gradient 0 for its element `i`.
    #[inline]
    pub(crate) fn clear(&mut self, i: usize)
    where
        F: Real,
    {
        for plane in &mut self.gradient {
            plane[i] = F::from_f64(0.0);
        }
    }

    /// The chunk's part of a map of the batch, such as labels or weights.
    pub(crate) fn map<'l, L>(&self, layout: Layout, map: &'l [L]) -> &'l [L] {
        &map[self.sample * layout.elements + self.start..][..self.len]
    }

    /// The chunk's logits or soft labels, one slice per class.
    pub(crate) fn planes<'l, L>(&self, layout: Layout, logits: &'l [L]) -> Vec<&'l [L]> {
        let sample = self.sample * layout.classes;
        (sample..sample + layout.classes)
            .map(|plane| &logits[plane * layout.elements + self.start..][..self.len])
            .collect()
    }
}
