//! What gives the values of one window, of which probabilities are made: the seam behind which a single
//! network, a mirrored one or the mean of several are alike.

use burn::tensor::TensorData;
use lacuna_data::sampler::Plane;
use lacuna_nets::{Architecture, Network};
use lacuna_volume::Zyx;

use crate::compute::Compute;
use crate::outputs::Outputs;

/// The input of one effective window: the window with its border.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Intensities `[modalities, z, y, x]` in the axes of the network, x fastest.
    pub values: Vec<f32>,
    /// Modalities.
    pub channels: usize,
    /// Voxels along the network's axes; one along z for 2-D networks.
    pub size: Zyx<usize>,
}

/// An output that is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the network's output is not finite")]
pub struct NotFinite;

/// Gives the values of windows. Windows, blending, masks and labels are laid
/// around it and know no more of it than this.
pub trait WindowModel {
    /// Sizes of windows, and axes.
    fn architecture(&self) -> Architecture;

    /// The plane of the slices of a 2-D model.
    fn plane(&self) -> Plane;

    /// What the channels of the probabilities are.
    fn outputs(&self) -> &Outputs;

    /// Probabilities, or what [`finish`](Self::finish) makes such, `[channels, z, y, x]` of
    /// the effective window of `window`, whose size is legal for the architecture.
    ///
    /// # Errors
    /// [`NotFinite`] when any output is NaN or infinite.
    fn values(&self, window: Window) -> Result<Vec<f32>, NotFinite>;

    /// Makes final probabilities of means of values, `[channels, elements]`, in place:
    /// tempers them where there is a temperature.
    fn finish(&self, means: &mut [f32]) {
        self.outputs().temper_means(means);
    }
}

/// One network in evaluation mode.
pub struct SingleNetwork {
    network: Network,
    compute: Compute,
    outputs: Outputs,
    plane: Plane,
}

impl SingleNetwork {
    /// `network` must be in evaluation mode, on the device of `compute`.
    pub fn new(network: Network, compute: Compute, outputs: Outputs, plane: Plane) -> Self {
        Self {
            network,
            compute,
            outputs,
            plane,
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// What the network says before [`Outputs::activate`] makes it probabilities: logits
    /// `[channels, z, y, x]` of the effective window of `window`.
    ///
    /// # Errors
    /// [`NotFinite`] when any is NaN or infinite.
    pub fn logits(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        let mut shape = vec![1, window.channels];
        let size = window.size.0;
        shape.extend(&size[3 - self.network.rank()..]);
        let images = TensorData::new(window.values, shape);
        let logits = self.compute.logits(&self.network, images).into_data();
        let values: Vec<f32> = logits.try_into_vec().expect("the device computes in f32");
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(NotFinite),
        }
    }
}

impl WindowModel for SingleNetwork {
    fn architecture(&self) -> Architecture {
        self.network.architecture()
    }

    fn plane(&self) -> Plane {
        self.plane
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn values(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        let mut values = self.logits(window)?;
        self.outputs.activate(&mut values);
        Ok(values)
    }
}
