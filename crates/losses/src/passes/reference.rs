//! The reference and the weight of each element, whatever form they are given in.

use crate::layout::CHUNK;
use crate::loss::Volumes;
use crate::{Activation, Input, Options, Real, Reference};
use rayon::prelude::*;

/// Reads reference and weights of an input.
#[derive(Clone, Copy)]
pub(crate) struct Truth<'a, F> {
    reference: Reference<'a, F>,
    weights: Option<&'a [f32]>,
    ignore_label: Option<u8>,
    activation: Activation,
    classes: usize,
    elements: usize,
}

impl<'a, F: Real> Truth<'a, F> {
    pub(crate) fn new(input: &Input<'a, F>, options: &Options) -> Self {
        Self {
            reference: input.reference,
            weights: input.weights,
            ignore_label: options.ignore_label,
            activation: options.activation,
            classes: input.layout.classes,
            elements: input.layout.elements,
        }
    }

    /// Weight of an element, 0 where it is ignored.
    #[inline]
    pub(crate) fn weight(&self, sample: usize, element: usize) -> f64 {
        let at = sample * self.elements + element;
        if let (Reference::Labels(labels), Some(ignored)) = (self.reference, self.ignore_label)
            && labels[at] == ignored
        {
            return 0.0;
        }
        self.weights.map_or(1.0, |weights| f64::from(weights[at]))
    }

    /// The class of an element of exclusive classes with hard labels, in bounds
    /// for elements with a weight.
    #[inline]
    pub(crate) fn label(&self, sample: usize, element: usize) -> Option<usize> {
        match self.reference {
            Reference::Labels(labels) => {
                Some(usize::from(labels[sample * self.elements + element]))
            }
            Reference::Soft(_) => None,
        }
    }

    /// Writes the reference of every class. For elements with a weight only.
    #[inline]
    pub(crate) fn read(&self, sample: usize, element: usize, into: &mut [f64]) {
        match self.reference {
            Reference::Labels(labels) => {
                let label = usize::from(labels[sample * self.elements + element]);
                if self.classes == 1 {
                    into[0] = f64::from(u8::from(label == 1));
                    return;
                }
                into.fill(0.0);
                if let Some(own) = into.get_mut(label) {
                    *own = 1.0;
                }
            }
            Reference::Soft(shares) => {
                for (class, into) in into.iter_mut().enumerate() {
                    let plane = sample * self.classes + class;
                    *into = shares[plane * self.elements + element].to_f64();
                }
            }
        }
    }

    /// Whether the element is foreground, in the reference and by the logits.
    #[inline]
    pub(crate) fn foreground(&self, reference: &[f64], logits: &[f64]) -> [bool; 2] {
        let regions = self.activation == Activation::Sigmoid
            && (self.classes == 1 || matches!(self.reference, Reference::Soft(_)));
        if regions {
            return [
                reference.iter().any(|&r| r >= 0.5),
                logits.iter().any(|&z| z > 0.0),
            ];
        }
        let background = reference[0];
        [
            reference[1..].iter().any(|&r| r > background),
            logits[1..].iter().any(|&z| z > logits[0]),
        ]
    }

    /// Volumes of the given samples, pooled. Parts are added in order.
    pub(crate) fn volumes(&self, samples: std::ops::Range<usize>) -> Volumes {
        let runs: Vec<(usize, usize)> = samples
            .flat_map(|sample| {
                (0..self.elements)
                    .step_by(CHUNK)
                    .map(move |at| (sample, at))
            })
            .collect();
        let parts: Vec<(f64, Vec<f64>)> = runs
            .into_par_iter()
            .map(|(sample, at)| self.run_volumes(sample, at..self.elements.min(at + CHUNK)))
            .collect();
        let mut volumes = Volumes {
            elements: 0.0,
            volume: vec![0.0; self.classes],
            overlapping: self.activation == Activation::Sigmoid,
        };
        for (elements, volume) in parts {
            volumes.elements += elements;
            for (total, part) in volumes.volume.iter_mut().zip(volume) {
                *total += part;
            }
        }
        volumes
    }

    /// Elements and volumes of a run of elements.
    fn run_volumes(&self, sample: usize, run: std::ops::Range<usize>) -> (f64, Vec<f64>) {
        if let (Reference::Labels(labels), None, None) =
            (self.reference, self.weights, self.ignore_label)
            && self.classes > 1
        {
            let labels = &labels[sample * self.elements..][run.clone()];
            let count = |class| labels.iter().filter(|l| usize::from(**l) == class).count() as f64;
            return (run.len() as f64, (0..self.classes).map(count).collect());
        }
        let mut elements = 0.0;
        let mut volume = vec![0.0; self.classes.max(256)];
        let mut reference = vec![0.0; self.classes];
        for element in run {
            let weight = self.weight(sample, element);
            if weight == 0.0 {
                continue;
            }
            elements += weight;
            match self.label(sample, element) {
                Some(label) if self.classes > 1 => volume[label] += weight,
                _ => {
                    self.read(sample, element, &mut reference);
                    for (volume, r) in volume.iter_mut().zip(&reference) {
                        *volume += weight * r;
                    }
                }
            }
        }
        volume.truncate(self.classes);
        (elements, volume)
    }

    /// Which elements of a sample have a weight and a reference that is so.
    pub(crate) fn mask(&self, sample: usize, is: impl Fn(&[f64]) -> bool) -> Vec<bool> {
        let mut reference = vec![0.0; self.classes];
        (0..self.elements)
            .map(|element| {
                self.read(sample, element, &mut reference);
                self.weight(sample, element) > 0.0 && is(&reference)
            })
            .collect()
    }

    /// Whether a reference is of something else than background.
    pub(crate) fn is_lesion(&self, reference: &[f64]) -> bool {
        self.foreground(reference, &[0.0; 256][..self.classes])[0]
    }
}
