//! The gradients of the operations on the processor.
//!
//! A backward step owns what it kept and the gradient it was handed, and drops
//! each as soon as it has been read.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, unary};
use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use lacuna_kernels::{self as kernels, NormalisationGradients, Rectifier, Source};

use crate::extension::{NormSettings, Settings};
use crate::flex::{geometry, into_values, mean_pool, normalisation, pool, shuffle, tensor, values};

#[derive(Debug)]
pub(super) struct ConvolveBackward;

/// What a convolution keeps.
#[derive(Clone, Debug)]
pub(super) struct Convolved {
    pub x: FlexTensor,
    pub weight: FlexTensor,
    /// Where the results were rectified.
    pub output: Option<FlexTensor>,
    pub settings: Settings,
}

impl Backward<Flex, 3> for ConvolveBackward {
    type State = Convolved;

    fn backward(
        self,
        ops: Ops<Convolved, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [by_x, by_weight, by_bias] = ops.parents;
        let kept = ops.state;
        let mut upper = into_values(grads.consume::<Flex>(&ops.node));
        if let Some(output) = &kept.output {
            kernels::mask_rectified(&mut upper, values(output));
        }
        let (x, weight) = (kept.x.to_contiguous(), kept.weight.to_contiguous());
        let convolution = geometry(&x, &weight, &kept.settings);
        let precision = kept.settings.precision;
        if let Some(node) = by_bias {
            let sums = kernels::column_sums(&upper, convolution.channels_out);
            grads.register::<Flex>(node.id, tensor(sums, [convolution.channels_out]));
        }
        if let Some(node) = by_weight {
            let gradient =
                convolution.weight_gradient(Source::plain(values(&x)), &upper, precision);
            grads.register::<Flex>(node.id, tensor(gradient, weight.shape()));
        }
        if let Some(node) = by_x {
            let gradient = convolution.data_gradient(&upper, values(&weight), precision);
            grads.register::<Flex>(node.id, tensor(gradient, x.shape()));
        }
    }
}

#[derive(Debug)]
pub(super) struct NormaliseRectifyBackward;

/// What a normalisation keeps.
#[derive(Clone, Debug)]
pub(super) struct Normalised {
    pub x: FlexTensor,
    pub gamma: FlexTensor,
    pub beta: FlexTensor,
    pub slope: FlexTensor,
    pub mean: FlexTensor,
    pub variance: FlexTensor,
    pub norm: NormSettings,
}

impl Normalised {
    fn by_kernel(&self) -> kernels::Normalisation<'_> {
        let tensors = [
            &self.gamma,
            &self.beta,
            &self.slope,
            &self.mean,
            &self.variance,
        ];
        normalisation(tensors, &self.norm)
    }
}

impl Backward<Flex, 4> for NormaliseRectifyBackward {
    type State = Normalised;

    fn backward(
        self,
        ops: Ops<Normalised, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [by_x, by_gamma, by_beta, by_slope] = ops.parents;
        let kept = ops.state;
        let x = kept.x.to_contiguous();
        let upper = into_values(grads.consume::<Flex>(&ops.node));
        let gradients = kept.by_kernel().backward(values(&x), upper, None);
        let shape = x.shape();
        if let Some(node) = by_x {
            grads.register::<Flex>(node.id, tensor(gradients.input, shape));
        }
        let channels = [kept.gamma.shape()[0]];
        let rows = [gradients.gamma, gradients.beta, gradients.slope];
        for (node, row) in [by_gamma, by_beta, by_slope].into_iter().zip(rows) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(row, channels));
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct NormaliseRectifyConvolveBackward;

/// What a convolution of normalised values keeps.
#[derive(Clone, Debug)]
pub(super) struct NormalisedConvolved {
    pub normalised: Normalised,
    pub weight: FlexTensor,
    pub settings: Settings,
}

impl Backward<Flex, 6> for NormaliseRectifyConvolveBackward {
    type State = NormalisedConvolved;

    fn backward(
        self,
        ops: Ops<NormalisedConvolved, 6>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [by_x, by_gamma, by_beta, by_slope, by_weight, by_bias] = ops.parents;
        let kept = ops.state;
        let norm = kept.normalised.by_kernel();
        let upper = into_values(grads.consume::<Flex>(&ops.node));
        let (x, weight) = (
            kept.normalised.x.to_contiguous(),
            kept.weight.to_contiguous(),
        );
        let convolution = geometry(&x, &weight, &kept.settings);
        let precision = kept.settings.precision;
        if let Some(node) = by_bias {
            let sums = kernels::column_sums(&upper, convolution.channels_out);
            grads.register::<Flex>(node.id, tensor(sums, [convolution.channels_out]));
        }
        if let Some(node) = by_weight {
            let (scale, shift) = norm.scale_and_shift();
            let source = Source {
                values: values(&x),
                rectified: Some(Rectifier {
                    scale: &scale,
                    shift: &shift,
                    slope: norm.slope,
                }),
            };
            let gradient = convolution.weight_gradient(source, &upper, precision);
            grads.register::<Flex>(node.id, tensor(gradient, weight.shape()));
        }
        let before = [&by_x, &by_gamma, &by_beta, &by_slope];
        if before.iter().all(|node| node.is_none()) {
            return;
        }
        let read = convolution.data_gradient(&upper, values(&weight), precision);
        drop(upper);
        // A leaf keeps its gradient, so what is taken from it would count twice.
        let joined = (by_x.as_ref())
            .filter(|node| kept.settings.joins && node.order > 0)
            .map(|node| grads.consume::<Flex>(node).to_contiguous());
        let NormalisationGradients {
            input,
            gamma,
            beta,
            slope,
        } = norm.backward(values(&x), read, joined.as_ref().map(values));
        if let Some(node) = by_x {
            grads.register::<Flex>(node.id, tensor(input, x.shape()));
        }
        let channels = [norm.gamma.len()];
        let rows = [(by_gamma, gamma), (by_beta, beta), (by_slope, slope)];
        for (node, row) in rows {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(row, channels));
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct AddWidenedBackward;

impl Backward<Flex, 2> for AddWidenedBackward {
    /// Channels of the narrow side.
    type State = usize;

    fn backward(self, ops: Ops<usize, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [by_x, by_change] = ops.parents;
        let narrow = ops.state;
        let upper = grads.consume::<Flex>(&ops.node).to_contiguous();
        if let Some(node) = by_x {
            let [n, z, y, x, wide] = upper.shape().dims();
            let gradient = match narrow == wide {
                true => upper.clone(),
                false => {
                    let middle = kernels::widened_gradient(values(&upper), wide, narrow);
                    tensor(middle, [n, z, y, x, narrow])
                }
            };
            grads.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = by_change {
            grads.register::<Flex>(node.id, upper);
        }
    }
}

#[derive(Debug)]
pub(super) struct MaxPoolBackward;

/// What a max pooling keeps; a convolution behind it keeps the output anyway.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    pub x: FlexTensor,
    pub output: FlexTensor,
    pub window: [usize; 2],
    pub stride: [usize; 2],
}

impl Backward<Flex, 1> for MaxPoolBackward {
    type State = Pooled;

    fn backward(
        self,
        ops: Ops<Pooled, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let kept = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, grads, |upper| {
            let (x, upper) = (kept.x.to_contiguous(), upper.to_contiguous());
            let pool = pool(&x, kept.window, kept.stride);
            let gradient = pool.backward(values(&x), values(&kept.output), values(&upper));
            tensor(gradient, x.shape())
        });
    }
}

#[derive(Debug)]
pub(super) struct MeanPoolBackward;

impl Backward<Flex, 1> for MeanPoolBackward {
    /// Shape of what was pooled, and the block.
    type State = ([usize; 5], [usize; 3]);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (shape, block) = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, grads, |upper| {
            let upper = upper.to_contiguous();
            tensor(mean_pool(shape, block).backward(values(&upper)), shape)
        });
    }
}

#[derive(Debug)]
pub(super) struct JoinChannelsBackward;

impl Backward<Flex, 2> for JoinChannelsBackward {
    /// Channels of the two sides.
    type State = [usize; 2];

    fn backward(
        self,
        ops: Ops<[usize; 2], 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let upper = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [n, z, y, x, _] = upper.shape().dims();
        let parts = kernels::split_channels(values(&upper), ops.state);
        for ((node, part), channels) in ops.parents.into_iter().zip(parts).zip(ops.state) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(part, [n, z, y, x, channels]));
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct ShuffleVoxelsBackward;

impl Backward<Flex, 1> for ShuffleVoxelsBackward {
    /// Shape of what was shuffled, and the factor.
    type State = ([usize; 5], [usize; 3]);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (shape, factor) = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, grads, |upper| {
            let upper = upper.to_contiguous();
            tensor(shuffle(shape, factor).inverse(values(&upper)), shape)
        });
    }
}
