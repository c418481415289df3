//! Losses that are weighted sums over single elements.

use super::OwnLoss;
use crate::Compatibility;

/// One element, as an [`ElementLoss`] sees it. All slices have one value per class.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Probabilities.
    pub p: &'a [f64],
    /// `1 - p`, with its own relative precision.
    pub rest: &'a [f64],
    /// `log p`, finite.
    pub log_p: &'a [f64],
    /// `log (1 - p)`, finite; overlapping regions only, empty for exclusive classes.
    pub log_rest: &'a [f64],
    /// The reference: one-hot, or shares.
    pub reference: &'a [f64],
    /// Signed distances in mm; empty unless the loss reads them.
    pub distance: &'a [f32],
}

/// Derivatives of an element's loss, one value per class, 0 at first.
#[derive(Debug)]
pub struct ElementSlopes<'a> {
    /// By `p`.
    pub p: &'a mut [f64],
    /// By `log p`.
    pub log_p: &'a mut [f64],
    /// By `log (1 - p)`; overlapping regions only.
    pub log_rest: &'a mut [f64],
}

/// Volumes of the reference: what an [`ElementLoss`] may divide by.
#[derive(Clone, Debug, PartialEq)]
pub struct Volumes {
    /// Sum of the weights of all elements, `N`.
    pub elements: f64,
    /// `V_c` per class.
    pub volume: Vec<f64>,
    /// Whether the classes are overlapping regions.
    pub overlapping: bool,
}

/// A loss that is a weighted sum over the elements.
pub trait ElementLoss: Send + Sync {
    /// Constants that [`ElementLoss::element`] is given, such as class weights
    /// over the number of elements.
    fn factors(&self, volumes: &Volumes, compatibility: Option<Compatibility>) -> Vec<f64>;

    /// The same loss for the vector kernels, if it is one of own probabilities.
    fn own(&self) -> Option<&dyn OwnLoss> {
        None
    }

    /// The element's loss, and its derivatives added to `slopes`, before its
    /// voxel weight. `factors` are what [`ElementLoss::factors`] gave.
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64;
}
