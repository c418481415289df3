//! Losses.

use lacuna_losses::{
    Activation, Evaluation, Input, Layout, Loss as _, LossConfig, NamedLoss, PatchGrid, Real,
    Reference, Volumes,
};
use lacuna_volume::Zyx;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::dlpack::{Array, Element};

/// A loss with its options.
#[pyclass(frozen, module = "lacuna._lacuna")]
pub struct Loss {
    config: LossConfig,
}

fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pymethods]
impl Loss {
    /// From the table of a run configuration, as JSON.
    #[new]
    fn new(table: &str) -> PyResult<Self> {
        let config: LossConfig = serde_json::from_str(table).map_err(refused)?;
        // The number of classes is not known yet: some number must do.
        if (1..=256).all(|classes| config.check(classes).is_err()) {
            config.check(2).map_err(refused)?;
        }
        Ok(Self { config })
    }

    /// The table, with every default.
    fn table(&self) -> PyResult<String> {
        serde_json::to_string(&self.config).map_err(refused)
    }

    /// Copies and pickles are made from the table.
    fn __getnewargs__(&self) -> PyResult<(String,)> {
        Ok((self.table()?,))
    }

    /// What a sum is made of, each with its factor; else the loss itself.
    fn terms(&self, iteration: u64) -> Vec<(f64, Self)> {
        let terms = self.config.terms(iteration).into_iter();
        terms.map(|(f, config)| (f, Self { config })).collect()
    }

    /// Whether it is a function of sums over the elements.
    fn is_of_sums(&self) -> bool {
        self.config.is_of_sums()
    }

    /// Whether its terms of sums read squared errors, and logarithms; None without such terms.
    fn needs(&self) -> Option<(bool, bool)> {
        let needs = self.config.needs()?;
        Some((needs.squared_error, needs.sum_log_p))
    }

    /// Whether soft labels, and voxel weights, may be other than 0 and 1.
    fn takes_fractions(&self) -> (bool, bool) {
        let honours = self.config.named.honours();
        (honours.soft_labels, honours.weights)
    }

    /// The terms of sums: a value, and its derivatives by the sums, for each row of sums. The
    /// order is that of `LossConfig::of_sums`.
    fn of_sums(
        &self,
        classes: usize,
        sums: Vec<Vec<f64>>,
        iteration: u64,
    ) -> PyResult<(Vec<f64>, Vec<Vec<f64>>)> {
        let one = |row: &Vec<f64>| self.config.of_sums(classes, row, iteration);
        let rows: Result<Vec<_>, _> = sums.iter().map(one).collect();
        Ok(rows.map_err(refused)?.into_iter().unzip())
    }

    /// The constants of its term that is a sum over the elements, for these volumes.
    fn element_factors(&self, elements: f64, volume: Vec<f64>) -> Option<Vec<f64>> {
        self.config.element_factors(&Volumes {
            elements,
            volume,
            overlapping: self.config.options.activation == Activation::Sigmoid,
        })
    }

    /// Values, and the gradient into `gradient`. `logits` and `gradient` are
    /// `[B, C, ...]` of one floating type, `target` is `[B, ...]` of uint8 or
    /// `[B, C, ...]` of the logits' type, `weights` `[B, ...]` of float32.
    #[pyo3(signature = (logits, target, gradient, weights, spacing, iteration))]
    #[allow(clippy::too_many_arguments, reason = "each is a different array")]
    fn value_and_gradient(
        &self,
        py: Python<'_>,
        logits: &Bound<'_, PyCapsule>,
        target: &Bound<'_, PyCapsule>,
        gradient: &Bound<'_, PyCapsule>,
        weights: Option<&Bound<'_, PyCapsule>>,
        spacing: Option<Vec<f64>>,
        iteration: u64,
    ) -> PyResult<(f64, Vec<f64>)> {
        let arrays = Arrays {
            logits: Array::take(logits)?,
            target: Array::take(target)?,
            gradient: Array::take(gradient)?,
            weights: weights.map(Array::take).transpose()?,
        };
        // Deleters want the interpreter: the arrays are dropped after the work.
        let (result, _arrays) = py.detach(|| {
            let mut arrays = arrays;
            let result = match arrays.logits.is::<f64>() {
                true => self.evaluate::<f64>(&mut arrays, spacing, iteration),
                false => self.evaluate::<f32>(&mut arrays, spacing, iteration),
            };
            (result, arrays)
        });
        let evaluation = result?;
        Ok((evaluation.value, evaluation.values))
    }
}

struct Arrays {
    logits: Array,
    target: Array,
    gradient: Array,
    weights: Option<Array>,
}

impl Loss {
    fn evaluate<F: Real + Element>(
        &self,
        arrays: &mut Arrays,
        spacing: Option<Vec<f64>>,
        iteration: u64,
    ) -> PyResult<Evaluation> {
        let shape = arrays.logits.shape();
        if !(3..=5).contains(&shape.len()) {
            return Err(PyValueError::new_err(format!(
                "logits: found the shape {shape:?}, expected [batch, classes] and one to three axes"
            )));
        }
        let layout = Layout {
            batch: shape[0],
            classes: shape[1],
            elements: shape[2..].iter().product(),
        };
        let reference = match arrays.target.is::<u8>() {
            true => Reference::Labels(arrays.target.read("target")?),
            false => Reference::Soft(arrays.target.read::<F>("target")?),
        };
        let weights = match &arrays.weights {
            Some(weights) => Some(weights.read::<f32>("weights")?),
            None => None,
        };
        let input = Input {
            reference,
            weights,
            grid: Some(patch_grid(&shape[2..], spacing)?),
            iteration,
            ..Input::new(layout, arrays.logits.read::<F>("logits")?, &[])
        };
        // SAFETY: the caller of the package made this array for this call.
        let gradient = unsafe { arrays.gradient.write::<F>("gradient")? };
        self.config
            .value_and_gradient(&input, gradient)
            .map_err(refused)
    }
}

/// Axes of a patch, slowest first; spacing is 1 mm unless it is given.
fn patch_grid(axes: &[usize], spacing: Option<Vec<f64>>) -> PyResult<PatchGrid> {
    let spacing = spacing.unwrap_or_else(|| vec![1.0; axes.len()]);
    if spacing.len() != axes.len() {
        return Err(PyValueError::new_err(format!(
            "spacing: found {} numbers, expected {}, one per axis of the patch, in mm",
            spacing.len(),
            axes.len()
        )));
    }
    let mut grid = PatchGrid {
        shape: Zyx([1; 3]),
        spacing: Zyx([1.0; 3]),
    };
    let first = 3 - axes.len();
    grid.shape.0[first..].copy_from_slice(axes);
    grid.spacing.0[first..].copy_from_slice(&spacing);
    Ok(grid)
}

/// Every loss with its defaults, as JSON tables.
#[pyfunction]
pub fn default_losses() -> PyResult<Vec<String>> {
    let table = |named: NamedLoss| {
        debug_assert!(!named.name().is_empty());
        serde_json::to_string(&LossConfig {
            named,
            ..LossConfig::default()
        })
        .map_err(refused)
    };
    NamedLoss::all().into_iter().map(table).collect()
}

/// Labels `[B, ...]` on a grid whose axes are divided by `factors`.
#[pyfunction]
pub fn coarser_labels(
    py: Python<'_>,
    labels: &Bound<'_, PyCapsule>,
    factors: Vec<usize>,
) -> PyResult<Vec<u8>> {
    let labels = Array::take(labels)?;
    let shape = labels.shape();
    if shape.len() < 2
        || shape.len() > 4
        || factors.len() + 1 != shape.len()
        || factors.contains(&0)
    {
        return Err(PyValueError::new_err(format!(
            "factors {factors:?} of labels {shape:?}: expected [batch] and one to three axes, and \
             a factor of at least 1 for each axis"
        )));
    }
    let first = 4 - shape.len();
    let (mut axes, mut by) = ([1; 3], [1; 3]);
    axes[first..].copy_from_slice(&shape[1..]);
    by[first..].copy_from_slice(&factors);
    let values = labels.read::<u8>("labels")?;
    let elements: usize = axes.iter().product();
    Ok(py.detach(|| {
        values
            .chunks_exact(elements.max(1))
            .flat_map(|sample| lacuna_losses::wrappers::coarser_labels(sample, Zyx(axes), Zyx(by)))
            .collect()
    }))
}
