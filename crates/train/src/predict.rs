//! Whole-volume prediction by overlapping windows.
//!
//! A [`WindowModel`] gives the values of one window; here windows are laid
//! over a subject, blended and made a label map. Memory holds one row of windows
//! along the slab axis, never a probability volume, unless the caller keeps them.

mod averaged;
mod blend;
mod mirrored;
mod model;
mod windows;

use std::sync::atomic::{AtomicBool, Ordering};

use lacuna_data::subject::Case;
use lacuna_data::transform::AnatomicalAxis;
use lacuna_volume::{LabelMap, Volume};

use crate::run::RunError;
pub use averaged::{Average, Averaged};
use blend::{Plane, Slab};
pub use mirrored::Mirrored;
pub use model::{NotFinite, SingleNetwork, Window, WindowModel};
use windows::Layout;
pub(crate) use windows::longest_output;
pub use windows::{Blend, WindowOptions};

/// How subjects are predicted, and until when.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// How windows are laid.
    pub windows: WindowOptions,
    /// Axes along which a [`Predictor`](crate::predictor::Predictor)'s windows are mirrored
    /// too, in every combination, and the mean is taken.
    pub mirror: &'a [AnatomicalAxis],
    /// Keep the probabilities.
    pub probabilities: bool,
    /// Keep the probability of the class of each voxel.
    pub painted: bool,
    /// Find how far the networks of a [`Predictor`](crate::predictor::Predictor) are apart:
    /// each is asked once more.
    pub spread: bool,
    /// Ends the prediction where it is set.
    pub stop: &'a AtomicBool,
    /// Hears what the user should know of the result.
    pub warn: &'a dyn Fn(&str),
}

impl<'a> Session<'a> {
    /// Default windows, labels only, warnings unheard.
    pub fn new(stop: &'a AtomicBool) -> Self {
        Self {
            windows: WindowOptions::default(),
            mirror: &[],
            probabilities: false,
            painted: false,
            spread: false,
            stop,
            warn: &|_| {},
        }
    }
}

/// The prediction of a subject on its canonical grid.
pub struct Prediction {
    /// Class index per voxel, background where the images show nothing.
    pub labels: LabelMap,
    /// Probability of each class or region, when asked for.
    pub probabilities: Option<Vec<Volume<f32>>>,
    /// Probability of the class of each voxel, or of the region that gave it; 0 where it is
    /// background. When asked for.
    pub painted: Option<Volume<f32>>,
}

/// Predicts `case` where its images show something ([`Case::inside`]). `on_window` hears
/// (windows done, windows in all).
///
/// # Errors
/// [`RunError::Window`] for an illegal window, [`RunError::NotFiniteOutput`] for an
/// output that is no number, [`RunError::Stopped`] when the session's `stop` is set.
pub fn predict_case(
    model: &dyn WindowModel,
    case: &Case,
    session: Session,
    on_window: &mut dyn FnMut(usize, usize),
) -> Result<Prediction, RunError> {
    let architecture = model.architecture();
    let inside = case.inside();
    let inside = inside.as_deref();
    let shape = case.channels[0].shape();
    let layout = Layout::new(&architecture, model.plane(), shape, inside, session.windows)?;
    let grid = &case.channels[0];
    let outside = model.outputs().outside();
    let volumes = || outside.iter().map(|p| grid.map(|_| *p)).collect();
    let mut prediction = Prediction {
        labels: grid.map(|_| 0u8),
        probabilities: session.probabilities.then(volumes),
        painted: session.painted.then(|| grid.map(|_| 0.0)),
    };

    let starts: [Vec<isize>; 3] = layout.starts();
    let total = starts.iter().map(Vec::len).product();
    let mut done = 0;
    let mut slab = Slab::new(&layout, outside.clone());
    for (row, &s) in starts[2].iter().enumerate() {
        for &v in &starts[1] {
            for &u in &starts[0] {
                if session.stop.load(Ordering::Relaxed) {
                    return Err(RunError::Stopped);
                }
                let origin = layout.to_xyz([u, v, s]);
                if inside.is_none_or(|inside| layout.touches(inside, origin)) {
                    let values = model
                        .values(layout.input(case, origin))
                        .map_err(|NotFinite| not_finite(case))?;
                    slab.add(&layout, &values, [u, v]);
                }
                done += 1;
                on_window(done, total);
            }
        }
        let next = starts[2].get(row + 1).copied();
        let end = next.unwrap_or(layout.high[2] as isize);
        for mut plane in slab.take((end - s) as usize) {
            if !layout.inside(2, s).contains(&plane.offset) {
                continue;
            }
            model.finish(&mut plane.values);
            let at = (s + plane.offset as isize) as usize;
            prediction.place(&layout, &plane, at, inside, model);
        }
    }
    Ok(prediction)
}

impl Prediction {
    /// Writes one finished plane, at `s`.
    fn place(
        &mut self,
        layout: &Layout,
        plane: &Plane,
        s: usize,
        inside: Option<&Volume<bool>>,
        model: &dyn WindowModel,
    ) {
        let outputs = model.outputs();
        let width = layout.high[0] - layout.low[0];
        let elements = plane.values.len() / outputs.count();
        let values: Vec<&[f32]> = plane.values.chunks_exact(elements.max(1)).collect();
        for (i, v) in (layout.low[1]..layout.high[1]).enumerate() {
            for (j, u) in (layout.low[0]..layout.high[0]).enumerate() {
                let index = (self.labels).index(layout.to_xyz([u, v, s]));
                if inside.is_some_and(|inside| !inside.data()[index]) {
                    continue;
                }
                let at = i * width + j;
                let class = outputs.class(|channel| values[channel][at]);
                self.labels.data_mut()[index] = class;
                if let Some(painted) = &mut self.painted {
                    let probability = outputs.painted(class, |channel| values[channel][at]);
                    painted.data_mut()[index] = probability;
                }
                for (volume, values) in self.probabilities.iter_mut().flatten().zip(&values) {
                    volume.data_mut()[index] = values[at];
                }
            }
        }
    }
}

/// What can be said of the cause: the largest intensity, and where it is.
fn not_finite(case: &Case) -> RunError {
    let (mut channel, mut at) = (0, 0);
    for (c, volume) in case.channels.iter().enumerate() {
        for (i, v) in volume.data().iter().enumerate() {
            if v.abs() > case.channels[channel].data()[at].abs() {
                (channel, at) = (c, i);
            }
        }
    }
    let volume = &case.channels[channel];
    let [nx, ny, _] = volume.shape();
    let voxel = [at % nx, at / nx % ny, at / nx / ny];
    RunError::NotFiniteOutput {
        subject: case.id.clone(),
        channel,
        image: format!("image {}", channel + 1),
        intensity: volume.data()[at],
        place_mm: volume.affine().apply(voxel.map(|v| v as f64)),
        weights: "the network".to_owned(),
    }
}
