//! Losses of logits that lie elsewhere, such as on a GPU: another library makes the sums
//! over the elements there, and gets the value and the derivatives by the sums from here.
//! No equation of a loss of sums is written twice.

use crate::factor::Factor;
use crate::passes::StatisticsSum;
use crate::statistics::{ClassTable, Statistics, StatisticsGradient};
use crate::{Activation, Form, Loss, LossConfig, LossError, NamedLoss, Needs, Volumes};

/// Numbers before the sums over predictions: `N`, then `V` and `sum r^2` of each class.
fn first(classes: usize) -> usize {
    1 + 2 * classes
}

impl LossConfig {
    /// The loss as a sum of losses that are none, each with its factor at an iteration and
    /// with the options of all.
    pub fn terms(&self, iteration: u64) -> Vec<(f64, Self)> {
        let NamedLoss::Sum(sum) = &self.named else {
            return vec![(1.0, self.clone())];
        };
        let mut all = Vec::new();
        for term in &sum.terms {
            let inner = Self {
                options: self.options,
                named: term.loss.clone(),
            };
            let factor = term.factor.at(iteration);
            let of_inner = inner.terms(iteration).into_iter();
            all.extend(of_inner.map(|(own, loss)| (factor * own, loss)));
        }
        all
    }

    /// Whether it is a function of sums over the elements, or a sum of such.
    pub fn is_of_sums(&self) -> bool {
        self.named.form().is_of_sums()
    }

    /// What its terms of sums read beside probabilities; the other sums may be 0. `None` where
    /// it has no such term.
    pub fn needs(&self) -> Option<Needs> {
        let form = self.named.form();
        let terms = StatisticsSum::within(&form, 0);
        (!terms.is_empty()).then(|| terms.needs())
    }

    /// Its terms of sums at an iteration: their value, and its derivatives by the sums. Other
    /// terms are left out.
    ///
    /// `sums` are those of one sample or of a pooled batch ([`Statistics`]): `N`, then `V` and
    /// `sum r^2` of each of the C classes. Of exclusive classes there follow, by label and
    /// class, C x C `sum w r p` and C x C squared errors `sum w r (p - [class = label])^2`,
    /// then C `sum w r log p`; of overlapping regions, for each class, the seven numbers of
    /// [`ClassSums`](crate::ClassSums). The derivatives come in the same order. Those by `N`,
    /// `V`, `sum r^2` and misses are 0: a miss is taken as `V` less the hit.
    ///
    /// # Errors
    /// When an option does not suit the number of classes, or `sums` has another length.
    pub fn of_sums(
        &self,
        classes: usize,
        sums: &[f64],
        iteration: u64,
    ) -> Result<(f64, Vec<f64>), LossError> {
        self.check(classes)?;
        let mut statistics = match self.options.activation {
            Activation::Softmax => Statistics::exclusive(classes),
            Activation::Sigmoid => Statistics::overlapping(classes),
        };
        let places = statistics.all_mut();
        if places.len() != sums.len() {
            return Err(LossError::Length {
                array: "sums",
                found: sums.len(),
                expected: places.len(),
                batch: 1,
                classes,
                elements: 1,
            });
        }
        (places.into_iter().zip(sums)).for_each(|(place, sum)| *place = *sum);
        let form = self.named.form();
        let terms = StatisticsSum::within(&form, iteration);
        let (value, by_sums) = terms.evaluate(&statistics, self.options.compatibility);
        Ok((value, by_sums.in_order(classes)))
    }

    /// The constants of its one term that is a weighted sum over the elements
    /// ([`ElementLoss::factors`](crate::ElementLoss::factors)), times the factor of the term;
    /// `None` where it has no such term.
    pub fn element_factors(&self, volumes: &Volumes) -> Option<Vec<f64>> {
        let tool = self.options.compatibility;
        match self.named.form() {
            Form::Elements(loss) => Some(loss.factors(volumes, tool)),
            Form::Sum(terms) => terms
                .iter()
                .find_map(|(factor, term)| match (factor, term) {
                    (Factor::Constant(factor), Form::Elements(loss)) => {
                        let factors = loss.factors(volumes, tool).into_iter();
                        Some(factors.map(|own| factor * own).collect())
                    }
                    _ => None,
                }),
            _ => None,
        }
    }
}

impl Statistics {
    /// Every number, in the order of [`LossConfig::of_sums`].
    fn all_mut(&mut self) -> Vec<&mut f64> {
        let mut all = vec![&mut self.elements];
        all.extend(&mut self.volume);
        all.extend(&mut self.reference_square);
        all.extend(table_mut(&mut self.sums));
        all
    }
}

impl StatisticsGradient {
    fn in_order(mut self, classes: usize) -> Vec<f64> {
        let mut all = vec![0.0; first(classes)];
        all.extend(table_mut(&mut self.sums).into_iter().map(|slope| *slope));
        all
    }
}

fn table_mut(table: &mut ClassTable) -> Vec<&mut f64> {
    match table {
        ClassTable::Exclusive(matrices) => matrices.all_mut().collect(),
        ClassTable::Overlapping(sums) => sums.iter_mut().flat_map(|s| s.all_mut()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LossConfig {
        toml::from_str(text).unwrap()
    }

    /// Ten elements, two of them of class 1: half a hit and a false alarm of one. Dice of
    /// class 1: 2 * .5 / (2 + 1.5).
    #[test]
    fn hand_value_and_derivatives() {
        let dice = read("name = 'dice'\nclasses = 'foreground'\nsmoothing = 1e-30");
        let sums = [
            10.0, 8.0, 2.0, 8.0, 2.0, 7.0, 1.0, 1.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ];
        let (value, by) = dice.of_sums(2, &sums, 0).unwrap();
        assert!((value - (1.0 - 1.0 / 3.5)).abs() < 1e-12);
        // By the hit, -2 / 3.5 + 1 / 3.5^2; by the false alarm 1 / 3.5^2.
        let (hit, false_alarm) = (by[8], by[6]);
        assert!((hit - (1.0 / 3.5 - 2.0) / 3.5).abs() < 1e-12, "{hit}");
        assert!((false_alarm - 1.0 / 3.5 / 3.5).abs() < 1e-12);
        assert_eq!(by.iter().filter(|slope| **slope != 0.0).count(), 2);

        let of_regions = read("name = 'dice'\nactivation = 'sigmoid'\nsmoothing = 1e-30");
        let sums = [10.0, 2.0, 2.0, 0.5, 1.5, 1.0, 0.0, 0.0, 0.0, 0.0];
        let (same, by) = of_regions.of_sums(1, &sums, 0).unwrap();
        assert!((same - value).abs() < 1e-12);
        assert!((by[3] - hit).abs() < 1e-12 && by[4] == 0.0 && (by[5] - false_alarm).abs() < 1e-12);

        let error = dice.of_sums(2, &sums, 0).unwrap_err().to_string();
        assert!(error.contains("10 value(s), expected 15"), "{error}");
        assert!(dice.of_sums(1, &sums, 0).is_err());
    }

    #[test]
    fn a_sum_is_taken_apart() {
        let sum = read(
            "name = 'sum'\nreduction = 'sample'\nterms = [{ factor = 0.5, loss = { name = 'sum', \
             terms = [{ loss = { name = 'dice' } }, { factor = { from = 0, to = 1, start = 0, \
             end = 4 }, loss = { name = 'focal' } }] } }, { loss = { name = 'dice' } }]",
        );
        let terms = sum.terms(2);
        let names: Vec<_> = terms.iter().map(|(f, l)| (*f, l.named.name())).collect();
        assert_eq!(names, [(0.5, "dice"), (0.25, "focal"), (1.0, "dice")]);
        assert!(terms.iter().all(|(_, l)| l.options == sum.options));
        // Dice of both terms, the focal loss left out.
        let sums = [
            10.0, 8.0, 2.0, 8.0, 2.0, 7.0, 1.0, 1.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ];
        let of = |text| read(text).of_sums(2, &sums, 0).unwrap().0;
        let whole = sum.of_sums(2, &sums, 2).unwrap().0;
        assert!((whole - 1.5 * of("name = 'dice'")).abs() < 1e-12);
        assert!(!sum.is_of_sums() && terms[0].1.is_of_sums());
        assert_eq!(sum.needs(), Some(Needs::PROBABILITIES));
        assert_eq!(terms[1].1.needs(), None);
    }

    #[test]
    fn factors_of_elements_have_that_of_their_term() {
        let volumes = Volumes {
            elements: 10.0,
            volume: vec![8.0, 2.0],
            overlapping: false,
        };
        let of = |text| read(text).element_factors(&volumes);
        assert_eq!(of("name = 'focal'").unwrap(), [0.1, 0.1, 0.1, 0.1]);
        let found = of("name = 'exponential-logarithmic'\nentropy_factor = 0.5").unwrap();
        assert!((found[1] - 0.5 * 5.0_f64.sqrt() / 10.0).abs() < 1e-12);
        assert_eq!(of("name = 'dice'"), None);
    }
}
