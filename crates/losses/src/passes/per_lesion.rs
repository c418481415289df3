//! A loss of sums over all elements, and the mean of it over the lesions: each over
//! the elements of its sample but those of other lesions. The sums of such a
//! domain are those of the background plus those of one lesion, so all together
//! cost two passes. A sample without a lesion has one domain, all of it.

use super::chunk::Chunk;
use super::counts::Counts;
use super::outcome::Outcome;
use super::statistics::{self, StatisticsSum};
use crate::statistics::{Statistics, StatisticsGradient};
use crate::{Input, Options, Real};
use std::collections::BTreeMap;
use std::ops::Range;

/// `whole L + each mean_k L_k` of a loss of sums, on checked input with the
/// lesions.
pub(super) fn evaluate<F: Real>(
    sum: &StatisticsSum,
    factors: [f64; 2],
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    let batch = input.layout.batch;
    let domains = Domains::of(input);
    let mut chunks = Chunk::all(input.layout, gradient);
    let mut counts = Counts::default();
    let of = Some(&domains.of_element[..]);
    let sums = statistics::sums(options, input, of, domains.count(), &chunks, &mut counts);
    let mut derivatives = vec![StatisticsGradient::zeros(&sums[0]); sums.len()];
    let mut values = Vec::new();
    let share = options.share(batch);
    for samples in options.groups(batch) {
        let by_sums = &mut derivatives;
        values.push(one_group(
            sum, factors, options, &sums, samples, &domains, share, by_sums,
        ));
    }
    statistics::write_gradient(options, input, of, &derivatives, &mut chunks);
    Outcome { values, counts }
}

/// The loss of some samples; adds `share` times its derivatives by the sums of
/// each domain.
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
fn one_group(
    sum: &StatisticsSum,
    [whole, each]: [f64; 2],
    options: &Options,
    sums: &[Statistics],
    samples: Range<usize>,
    domains: &Domains,
    share: f64,
    derivatives: &mut [StatisticsGradient],
) -> f64 {
    let lesions = domains.lesions_of(samples.clone());
    let mut everything = sums[samples.start].clone();
    for part in samples.clone().skip(1).chain(lesions.clone()) {
        everything.add(&sums[part]);
    }
    let (global, by) = sum.evaluate(&everything, options.compatibility);
    for part in samples.clone().chain(lesions) {
        derivatives[part].add(&by, share * whole);
    }
    let mut value = whole * global;

    let of_lesions = |sample: usize| domains.lesions_of(sample..sample + 1);
    let count: usize = samples.clone().map(|s| of_lesions(s).len().max(1)).sum();
    let each = each / count as f64;
    for sample in samples {
        let lesions = of_lesions(sample);
        if lesions.is_empty() {
            let (own, by) = sum.evaluate(&sums[sample], options.compatibility);
            value += each * own;
            derivatives[sample].add(&by, share * each);
        }
        for lesion in lesions {
            let mut domain = sums[sample].clone();
            domain.add(&sums[lesion]);
            let (own, by) = sum.evaluate(&domain, options.compatibility);
            value += each * own;
            derivatives[sample].add(&by, share * each);
            derivatives[lesion].add(&by, share * each);
        }
    }
    value
}

/// Numbers of the backgrounds of the samples, then of their lesions.
struct Domains {
    /// `[batch, elements]`.
    of_element: Vec<u32>,
    /// The first lesion of each sample, and the end.
    first_lesion: Vec<usize>,
}

impl Domains {
    fn of<F: Real>(input: &Input<F>) -> Self {
        let lesion = input.maps.lesion.expect("made when it is not given");
        let mut next = input.layout.batch;
        let mut first_lesion = vec![next];
        let mut of_element = Vec::with_capacity(lesion.len());
        for (sample, lesion) in lesion.chunks_exact(input.layout.elements).enumerate() {
            // Numbers of a whole subject are sparse in a patch.
            let mut numbers = BTreeMap::from([(0, sample)]);
            for number in lesion {
                let domain = *numbers.entry(*number).or_insert_with(|| {
                    next += 1;
                    next - 1
                });
                of_element.push(domain as u32);
            }
            first_lesion.push(next);
        }
        Self {
            of_element,
            first_lesion,
        }
    }

    fn count(&self) -> usize {
        *self.first_lesion.last().expect("the end")
    }

    fn lesions_of(&self, samples: Range<usize>) -> Range<usize> {
        self.first_lesion[samples.start]..self.first_lesion[samples.end]
    }
}
