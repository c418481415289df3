//! What a loss of own probabilities makes of the volumes of a group.

use crate::Compatibility;
use crate::loss::Volumes;

/// Where no element counts, a factor is beyond f32.
pub(super) const LARGEST_FACTOR: f64 = 1e30;

/// Constants of a loss for the volumes of a group.
pub(in crate::passes) type Factors<'a> = dyn Fn(&Volumes, Option<Compatibility>) -> Vec<f64> + 'a;

/// The constants within f32; 0 where no element counts.
pub(super) fn of_volumes(
    factors: &Factors,
    volumes: &Volumes,
    compatibility: Option<Compatibility>,
) -> Vec<f64> {
    let most = match volumes.elements > 0.0 {
        true => LARGEST_FACTOR,
        false => 0.0,
    };
    let factors = factors(volumes, compatibility).into_iter();
    factors.map(|factor| factor.min(most)).collect()
}
