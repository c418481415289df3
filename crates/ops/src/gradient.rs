//! The gradients of the operations on the processor.
//!
//! A backward step owns what it kept and the gradient it was handed, and drops
//! each as soon as it has been read.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use lacuna_kernels::{Rectifier, Source};

use crate::elementwise::{self, Planes};
use crate::extension::{NormSettings, Operations, Settings};
use crate::flex::{channels, geometry, largest, owned, planes, tensor, values};
use crate::pool::Pooling;
use crate::residual::channels_before;

#[derive(Debug)]
struct ConvolveBackward;

#[derive(Clone, Debug)]
struct Convolved {
    x: FlexTensor,
    weight: FlexTensor,
    /// Where the results were rectified.
    output: Option<FlexTensor>,
    settings: Settings,
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
        let mut upper = owned(grads.consume::<Flex>(&ops.node));
        if let Some(output) = &kept.output {
            elementwise::where_positive(values(output), upper.storage_mut());
        }
        let (x, weight) = (kept.x.to_contiguous(), kept.weight.to_contiguous());
        let convolution = geometry(&x, &weight, &kept.settings);
        let precision = kept.settings.precision;
        if let Some(node) = by_bias {
            let sums = elementwise::sums(values(&upper), convolution.channels_out);
            grads.register::<Flex>(node.id, tensor(sums, [convolution.channels_out]));
        }
        if let Some(node) = by_weight {
            let source = Source::plain(values(&x));
            let gradient = convolution.weight_gradient(source, values(&upper), precision);
            grads.register::<Flex>(node.id, tensor(gradient, weight.shape()));
        }
        if let Some(node) = by_x {
            let gradient = convolution.data_gradient(values(&upper), values(&weight), precision);
            grads.register::<Flex>(node.id, tensor(gradient, x.shape()));
        }
    }
}

#[derive(Debug)]
struct NormaliseRectifyBackward;

#[derive(Clone, Debug)]
struct Normalised {
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    slope: FlexTensor,
    mean: FlexTensor,
    variance: FlexTensor,
    norm: NormSettings,
}

impl Normalised {
    /// The gradient by x in place of that by the rectified values, and those by
    /// gamma, beta and slope.
    fn backward(&self, x: &FlexTensor, gradient: &mut [f32]) -> [FlexTensor; 3] {
        let count = self.gamma.shape()[0];
        self.channels()
            .backward(values(x), gradient)
            .map(|values| tensor(values, [count]))
    }

    fn channels(&self) -> elementwise::Channels<'_> {
        let tensors = [
            &self.gamma,
            &self.beta,
            &self.slope,
            &self.mean,
            &self.variance,
        ];
        channels(tensors, &self.norm)
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
        let [by_x, others @ ..] = ops.parents;
        let kept = ops.state;
        let x = kept.x.to_contiguous();
        let mut gradient = owned(grads.consume::<Flex>(&ops.node));
        let parameters = kept.backward(&x, gradient.storage_mut());
        for (node, gradient) in others.into_iter().zip(parameters) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
        if let Some(node) = by_x {
            grads.register::<Flex>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct NormaliseRectifyConvolveBackward;

#[derive(Clone, Debug)]
struct NormalisedConvolved {
    normalised: Normalised,
    weight: FlexTensor,
    settings: Settings,
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
        let normalised = kept.normalised;
        let upper = owned(grads.consume::<Flex>(&ops.node));
        let (x, weight) = (normalised.x.to_contiguous(), kept.weight.to_contiguous());
        let convolution = geometry(&x, &weight, &kept.settings);
        let precision = kept.settings.precision;
        if let Some(node) = by_bias {
            let sums = elementwise::sums(values(&upper), convolution.channels_out);
            grads.register::<Flex>(node.id, tensor(sums, [convolution.channels_out]));
        }
        if let Some(node) = by_weight {
            let channels = normalised.channels();
            let (scale, shift) = channels.scale_and_shift();
            let source = Source {
                values: values(&x),
                rectified: Some(Rectifier {
                    scale: &scale,
                    shift: &shift,
                    slope: channels.slope,
                }),
            };
            let gradient = convolution.weight_gradient(source, values(&upper), precision);
            grads.register::<Flex>(node.id, tensor(gradient, weight.shape()));
        }
        let before = [&by_x, &by_gamma, &by_beta, &by_slope];
        if before.iter().all(|node| node.is_none()) {
            return;
        }
        let mut gradient = convolution.data_gradient(values(&upper), values(&weight), precision);
        drop(upper);
        let parameters = normalised.backward(&x, &mut gradient);
        for (node, gradient) in [by_gamma, by_beta, by_slope].into_iter().zip(parameters) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
        if let Some(node) = by_x {
            grads.register::<Flex>(node.id, tensor(gradient, x.shape()));
        }
    }
}

#[derive(Debug)]
struct AddWidenedBackward;

impl Backward<Flex, 2> for AddWidenedBackward {
    /// Channels of the narrow side.
    type State = usize;

    fn backward(self, ops: Ops<usize, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [by_x, by_change] = ops.parents;
        let narrow = ops.state;
        let upper = owned(grads.consume::<Flex>(&ops.node));
        if let Some(node) = by_x {
            let [n, z, y, x, wide] = upper.shape().dims();
            let gradient = match narrow == wide {
                true => upper.clone(),
                false => {
                    let before = channels_before(narrow, wide);
                    let some = elementwise::some_channels(values(&upper), wide, narrow, before);
                    tensor(some, [n, z, y, x, narrow])
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
struct MaxPoolBackward;

#[derive(Clone, Debug)]
struct Pooled {
    planes: Planes,
    places: Vec<u8>,
    shape: Shape,
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
            let upper = owned(upper);
            let gradient = kept.planes.backward(values(&upper), &kept.places);
            tensor(gradient, kept.shape)
        });
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

impl<C: CheckpointStrategy> Operations for Autodiff<Flex, C> {
    fn convolve(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        settings: Settings,
    ) -> Tracked<C> {
        let ((x, by_x), (weight, by_weight), (bias, by_bias)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let output = Flex::convolve(x.clone(), weight.clone(), bias, settings);
        match ConvolveBackward
            .prepare::<C>([by_x, by_weight, by_bias])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = Convolved {
                    x,
                    weight,
                    output: settings.rectify.then(|| output.clone()),
                    settings,
                };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn moments(x: Tracked<C>) -> (Tracked<C>, Tracked<C>) {
        let (mean, variance) = Flex::moments(x.into_primitive());
        (Tracked::<C>::new(mean), Tracked::<C>::new(variance))
    }

    fn normalise_rectify(
        x: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        slope: Tracked<C>,
        mean: Tracked<C>,
        variance: Tracked<C>,
        norm: NormSettings,
    ) -> Tracked<C> {
        let ((x, by_x), (gamma, by_gamma), (beta, by_beta), (slope, by_slope)) = (
            x.into_parts(),
            gamma.into_parts(),
            beta.into_parts(),
            slope.into_parts(),
        );
        let kept = Normalised {
            x,
            gamma,
            beta,
            slope,
            mean: mean.into_primitive(),
            variance: variance.into_primitive(),
            norm,
        };
        let k = kept.clone();
        let output =
            Flex::normalise_rectify(k.x, k.gamma, k.beta, k.slope, k.mean, k.variance, norm);
        match NormaliseRectifyBackward
            .prepare::<C>([by_x, by_gamma, by_beta, by_slope])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(kept, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn normalise_rectify_convolve(
        x: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        slope: Tracked<C>,
        mean: Tracked<C>,
        variance: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        norm: NormSettings,
        settings: Settings,
    ) -> Tracked<C> {
        let ((x, by_x), (gamma, by_gamma), (beta, by_beta), (slope, by_slope)) = (
            x.into_parts(),
            gamma.into_parts(),
            beta.into_parts(),
            slope.into_parts(),
        );
        let ((weight, by_weight), (bias, by_bias)) = (weight.into_parts(), bias.into_parts());
        let normalised = Normalised {
            x,
            gamma,
            beta,
            slope,
            mean: mean.into_primitive(),
            variance: variance.into_primitive(),
            norm,
        };
        let k = normalised.clone();
        let output = Flex::normalise_rectify_convolve(
            k.x,
            k.gamma,
            k.beta,
            k.slope,
            k.mean,
            k.variance,
            weight.clone(),
            bias,
            norm,
            settings,
        );
        match NormaliseRectifyConvolveBackward
            .prepare::<C>([by_x, by_gamma, by_beta, by_slope, by_weight, by_bias])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = NormalisedConvolved {
                    normalised,
                    weight,
                    settings,
                };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn add_widened(x: Tracked<C>, change: Tracked<C>) -> Tracked<C> {
        let ((x, by_x), (change, by_change)) = (x.into_parts(), change.into_parts());
        let [.., narrow] = x.shape().dims::<5>();
        let output = Flex::add_widened(x, change);
        match AddWidenedBackward
            .prepare::<C>([by_x, by_change])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(narrow, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn max_pool(x: Tracked<C>, pooling: Pooling) -> Tracked<C> {
        let (x, by_x) = x.into_parts();
        let x = x.to_contiguous();
        let (output, places) = largest(&x, pooling);
        match MaxPoolBackward
            .prepare::<C>([by_x])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = Pooled {
                    planes: planes(&x, pooling),
                    places,
                    shape: x.shape(),
                };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
