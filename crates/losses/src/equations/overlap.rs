//! What the overlap losses have in common: a cost per class, and the mean of it
//! over a subset of the classes.

use crate::options::{AbsentClass, ClassSubset};
use crate::{ClassSums, Statistics, StatisticsGradient};

/// What a class costs, and the derivatives by its sums.
pub(crate) struct Cost {
    pub(crate) value: f64,
    pub(crate) slopes: ClassSums,
}

impl Cost {
    /// What [`AbsentClass::Share`] takes for the class: the share of the elements
    /// that it is predicted in.
    pub(crate) fn claimed(statistics: &Statistics, c: usize) -> Self {
        let slope = 1.0 / statistics.elements().max(f64::MIN_POSITIVE);
        Self {
            value: slope * statistics.predicted(c),
            slopes: ClassSums::of_predicted(slope),
        }
    }

    /// A function of the cost, of which `value` and `slope` are given.
    pub(crate) fn through(&self, (value, slope): (f64, f64)) -> Self {
        Self {
            value,
            slopes: self.slopes.scaled(slope),
        }
    }
}

/// The classes that are averaged: those of the subset, and with
/// [`AbsentClass::Skip`] only if the reference has them.
pub(crate) fn counted(
    statistics: &Statistics,
    subset: &ClassSubset,
    policy: AbsentClass,
) -> Vec<usize> {
    let mut classes = subset.members(statistics.classes(), statistics.is_overlapping());
    classes.retain(|&c| policy != AbsentClass::Skip || statistics.volume(c) > 0.0);
    classes
}

/// Mean of the costs of the classes. A class that the reference does not have
/// costs [`Cost::claimed`] with [`AbsentClass::Share`].
pub(crate) fn mean(
    statistics: &Statistics,
    subset: &ClassSubset,
    policy: AbsentClass,
    cost: impl Fn(usize) -> Cost,
) -> (f64, StatisticsGradient) {
    let classes = counted(statistics, subset, policy);
    let share = 1.0 / classes.len().max(1) as f64;
    let mut value = 0.0;
    let mut gradient = StatisticsGradient::zeros(statistics);
    for c in classes {
        let absent = statistics.volume(c) == 0.0 && policy == AbsentClass::Share;
        let cost = match absent {
            true => Cost::claimed(statistics, c),
            false => cost(c),
        };
        value += share * cost.value;
        gradient.add_class(c, &cost.slopes.scaled(share));
    }
    (value, gradient)
}
