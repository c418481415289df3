//! Blob loss (Kofler et al., *blob loss: instance imbalance aware loss functions
//! for semantic segmentation*, IPMI 2023):
//!
//! `L = a L_global + b (1/K) sum_k L_k`
//!
//! where `L_k` is the inner loss over the elements of the lesion's sample but
//! those of its other lesions, so a small lesion has a loss of its own beside
//! large ones. The domains overlap: what is falsely predicted in the background
//! counts in each. `L_global` is pooled as the reduction says, and the mean runs
//! over the lesions of all samples that are pooled.
//!
//! The inner loss is one of sums over the elements. The sums of a domain are
//! those of the background plus those of one lesion, so all K losses together
//! cost two passes. A sample without a lesion has one domain, all of it: false
//! positives cost there as much as elsewhere.

use crate::chunk::Chunk;
use crate::counts::Counts;
use crate::evaluate::Outcome;
use crate::loss::{Form, Honours, Loss, Reads};
use crate::options::check_number;
use crate::statistics::{Statistics, StatisticsGradient};
use crate::statistics_pass::StatisticsSum;
use crate::{Input, LossError, NamedLoss, Options, Real, wide};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The blob loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blob {
    /// The inner loss; one that is a function of sums, or a sum of such.
    pub loss: Box<NamedLoss>,
    /// `a`, at least 0.
    pub global_factor: f64,
    /// `b`, at least 0.
    pub lesion_factor: f64,
}

impl Blob {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "blob";
}

impl Default for Blob {
    /// Of the Dice loss, with the paper's factors 2 and 1.
    fn default() -> Self {
        Self {
            loss: Box::new(NamedLoss::Dice(Default::default())),
            global_factor: 2.0,
            lesion_factor: 1.0,
        }
    }
}

impl Loss for Blob {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        for (option, factor) in [
            ("global_factor", self.global_factor),
            ("lesion_factor", self.lesion_factor),
        ] {
            check_number(Self::NAME, option, factor, [0.0, f64::INFINITY])?;
        }
        // Before its form is asked for: a ramp that ends before it begins has no value.
        self.loss.check(classes)?;
        if StatisticsSum::of(&self.loss.form(), 0).is_none() {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "loss",
                found: self.loss.name().into(),
                expected: "a loss of sums over the elements, such as dice, tversky, \
                           generalised-dice or cross-entropy without label smoothing, or a sum \
                           of such"
                    .into(),
            });
        }
        Ok(())
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: false,
            niftynet: false,
            ..self.loss.honours()
        }
    }

    fn reads(&self) -> Reads {
        Reads {
            lesion: true,
            ..Reads::default()
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Blob(self)
    }
}

/// Value and gradient, on checked input.
pub(crate) fn blob_statistics<F: Real>(
    blob: &Blob,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Result<Outcome, LossError> {
    let batch = input.layout.batch;
    let sum = StatisticsSum::of(&blob.loss.form(), input.iteration).expect("checked");
    let domains = Domains::of(input);
    let mut chunks = Chunk::all(input.layout, gradient);
    let mut counts = Counts::default();
    let of = Some(&domains.of_element[..]);
    let sums = wide::sums(options, input, of, domains.count(), &chunks, &mut counts);
    let mut derivatives = vec![StatisticsGradient::zeros(&sums[0]); sums.len()];
    let mut values = Vec::new();
    let share = options.share(batch);
    for samples in options.groups(batch) {
        let by_sums = &mut derivatives;
        values.push(one_group(
            blob, &sum, options, &sums, samples, &domains, share, by_sums,
        ));
    }
    wide::write_gradient(options, input, of, &derivatives, &mut chunks);
    Ok(Outcome { values, counts })
}

/// The loss of some samples; adds `share` times its derivatives by the sums of
/// each domain.
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
fn one_group(
    blob: &Blob,
    sum: &StatisticsSum,
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
        derivatives[part].add(&by, share * blob.global_factor);
    }
    let mut value = blob.global_factor * global;

    let of_lesions = |sample: usize| domains.lesions_of(sample..sample + 1);
    let count: usize = samples.clone().map(|s| of_lesions(s).len().max(1)).sum();
    let each = blob.lesion_factor / count as f64;
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
