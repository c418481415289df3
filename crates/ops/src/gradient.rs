//! The operations on the processor with autodiff: which tensors each keeps.

mod steps;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};

use crate::extension::{NormSettings, Operations, Settings};
use steps::{
    AddWidenedBackward, ConvolveBackward, Convolved, JoinChannelsBackward, MaxPoolBackward,
    MeanPoolBackward, NormaliseRectifyBackward, NormaliseRectifyConvolveBackward, Normalised,
    NormalisedConvolved, Pooled, ShuffleVoxelsBackward,
};

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

    fn moments(x: Tracked<C>, images: usize) -> (Tracked<C>, Tracked<C>) {
        let (mean, variance) = Flex::moments(x.into_primitive(), images);
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

    fn max_pool(x: Tracked<C>, window: [usize; 2], stride: [usize; 2]) -> Tracked<C> {
        let (x, by_x) = x.into_parts();
        let output = Flex::max_pool(x.clone(), window, stride);
        match MaxPoolBackward
            .prepare::<C>([by_x])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = Pooled {
                    x,
                    output: output.clone(),
                    window,
                    stride,
                };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn mean_pool(x: Tracked<C>, block: [usize; 3]) -> Tracked<C> {
        let (x, by_x) = x.into_parts();
        let shape = x.shape().dims();
        let output = Flex::mean_pool(x, block);
        match MeanPoolBackward
            .prepare::<C>([by_x])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((shape, block), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn join_channels(a: Tracked<C>, b: Tracked<C>) -> Tracked<C> {
        let ((a, by_a), (b, by_b)) = (a.into_parts(), b.into_parts());
        let ([.., from_a], [.., from_b]) = (a.shape().dims::<5>(), b.shape().dims::<5>());
        let output = Flex::join_channels(a, b);
        match JoinChannelsBackward
            .prepare::<C>([by_a, by_b])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish([from_a, from_b], output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn shuffle_voxels(x: Tracked<C>, factor: [usize; 3]) -> Tracked<C> {
        let (x, by_x) = x.into_parts();
        let shape = x.shape().dims();
        let output = Flex::shuffle_voxels(x, factor);
        match ShuffleVoxelsBackward
            .prepare::<C>([by_x])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((shape, factor), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
