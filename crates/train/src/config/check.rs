//! Values out of range, and values that contradict each other.

use lacuna_data::normalise::NormaliseConfig;
use lacuna_data::sampler::Plane;
use lacuna_losses::{Activation, Loss, Reduction};
use lacuna_nets::Architecture;

use super::train::MEASURED;
use super::{
    ConfigError, GeometryConfig, MOST_ACCUMULATED, OptimiserName, RunConfig, VoxelWeights,
};

impl RunConfig {
    /// Refuses values out of range and those that contradict each other; `origin`
    /// is named in errors.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let invalid = |message: String| ConfigError::Invalid {
            origin: origin.to_owned(),
            message,
        };
        self.check_ranges(origin)?;
        if self.loss.options.reduction == Reduction::None {
            let message = "`loss.reduction` is \"none\", expected \"batch\" or \"sample\": \
                           a training needs one value to lower";
            return Err(invalid(message.to_owned()));
        }
        self.check_regions().map_err(invalid)?;
        self.check_nnunet().map_err(invalid)?;
        self.check_optimiser().map_err(invalid)?;
        self.check_supervision().map_err(invalid)?;
        self.check_budget().map_err(invalid)?;
        self.check_restarts().map_err(invalid)?;
        // The number of classes is the dataset's: here, some number must do.
        if (1..=256).all(|classes| self.loss.check(classes).is_err()) {
            let refused = self.loss.check(2).expect_err("all are");
            return Err(invalid(refused.to_string()));
        }
        Ok(())
    }

    /// Regions are sigmoid channels, and their reference has no ignored label.
    fn check_regions(&self) -> Result<(), String> {
        if self.regions.is_empty() {
            return Ok(());
        }
        let options = &self.loss.options;
        if options.activation != Activation::Sigmoid {
            return Err(
                "`regions` overlap, and `loss.activation` is \"softmax\"; set it to \
                        \"sigmoid\", or leave `regions` out"
                    .to_owned(),
            );
        }
        match options.ignore_label {
            None => Ok(()),
            Some(label) => Err(format!(
                "`loss.ignore_label` is {label}, which `regions` cannot have; leave it out and \
                 give those voxels the weight 0 (train.voxel_weights)"
            )),
        }
    }

    /// What `nnunet` says is said nowhere else, and can be done.
    fn check_nnunet(&self) -> Result<(), String> {
        let Some(nnunet) = &self.nnunet else {
            return Ok(());
        };
        let geometry = self.geometry != GeometryConfig::default();
        if geometry || self.normalise != NormaliseConfig::default() {
            return Err(
                "`nnunet` prepares images in place of `geometry` and `normalise`; leave \
                        these out"
                    .to_owned(),
            );
        }
        let mut axes = nnunet.axes;
        axes.sort_unstable();
        if axes != [0, 1, 2] {
            return Err(format!(
                "`nnunet.axes` is {:?}, expected 0, 1 and 2 in some order",
                nnunet.axes
            ));
        }
        let spacing = &nnunet.spacing;
        let positive = spacing.iter().all(|edge| edge.is_finite() && *edge > 0.0);
        let rank = Architecture::of(&self.model).map_or(3, |architecture| architecture.rank());
        if spacing.len() != rank || !positive {
            return Err(format!(
                "`nnunet.spacing` is {spacing:?}, expected {rank} positive numbers in mm"
            ));
        }
        match self.patch.plane {
            Plane::Axial => Ok(()),
            _ => Err("`nnunet` has its slices along z; set patch.plane = \"axial\"".to_owned()),
        }
    }

    /// Each optimiser knows its own keys.
    fn check_optimiser(&self) -> Result<(), String> {
        let t = &self.train;
        let sgd = t.optimiser == OptimiserName::Sgd;
        if !sgd && (t.momentum.is_some() || t.nesterov) {
            return Err(
                "`train.momentum` and `train.nesterov` are of the optimiser \"sgd\"; leave them \
                 out, or set train.optimiser = \"sgd\""
                    .to_owned(),
            );
        }
        if t.nesterov && t.momentum == Some(0.0) {
            return Err("`train.nesterov` needs a `train.momentum` above 0".to_owned());
        }
        if t.optimiser == OptimiserName::Adam && t.weight_decay > 0.0 {
            return Err(
                "`train.weight_decay` does nothing for the optimiser \"adam\"; set \
                 train.optimiser = \"adamw\", or leave it out"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What begins again has other random weights, which a start from a run has none of.
    fn check_restarts(&self) -> Result<(), String> {
        match self.train.from.is_some() && self.train.restarts > 0 {
            true => Err(
                "`train.restarts` begins again with other random weights, and `train.from` \
                         begins with those of a run; set train.restarts = 0"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    /// A rate that falls to the end needs the end when it begins to fall.
    fn check_budget(&self) -> Result<(), String> {
        let t = &self.train;
        let falls = !t.schedule().forgives_another_length();
        if t.budget.is_some() && falls && t.warm_up < MEASURED {
            return Err(format!(
                "`train.budget` with a rate that falls to its end measures its speed while the \
                 rate rises, and `train.warm_up` is {}; set it to {MEASURED} or more",
                t.warm_up
            ));
        }
        Ok(())
    }

    /// Coarser outputs are there, and have what the loss reads.
    fn check_supervision(&self) -> Result<(), String> {
        let asked = self.train.deep_supervision;
        if asked == 0 {
            return Ok(());
        }
        // Channels and classes change no output; what else is wrong is told elsewhere.
        let outputs = self
            .model
            .plan(1, 1)
            .map_or(usize::MAX, |plan| plan.outputs());
        if asked >= outputs {
            return Err(format!(
                "`train.deep_supervision` is {asked}, and {} has {} output(s) below the finest; \
                 choose at most that many",
                self.model.name,
                outputs - 1
            ));
        }
        let reads = self.loss.named.reads();
        if reads.distance || reads.lesion || self.train.voxel_weights != VoxelWeights::None {
            return Err(format!(
                "`train.deep_supervision` has no coarser distances, lesions or voxel weights, \
                 which the loss {} with train.voxel_weights = {:?} reads; set it to 0",
                self.loss.named.name(),
                self.train.voxel_weights
            ));
        }
        Ok(())
    }

    fn check_ranges(&self, origin: &str) -> Result<(), ConfigError> {
        let require = |ok: bool, key: &'static str, found: String, expected: &'static str| {
            if ok {
                return Ok(());
            }
            Err(ConfigError::Range {
                origin: origin.to_owned(),
                key,
                found,
                expected,
            })
        };
        let t = &self.train;
        let count = "an integer of 1 or more";
        require(
            t.iterations > 0,
            "train.iterations",
            t.iterations.to_string(),
            count,
        )?;
        require(
            (1..=4096).contains(&t.batch),
            "train.batch",
            t.batch.to_string(),
            "an integer from 1 to 4096",
        )?;
        require(
            (1..=MOST_ACCUMULATED).contains(&t.accumulate),
            "train.accumulate",
            t.accumulate.to_string(),
            "an integer from 1 to 4096",
        )?;
        require(
            (0.0..1.0).contains(&t.ema),
            "train.ema",
            t.ema.to_string(),
            "a number from 0 to below 1",
        )?;
        require(
            (0.0..1.0).contains(&t.prior),
            "train.prior",
            t.prior.to_string(),
            "a number from 0 to below 1",
        )?;
        require(
            t.checkpoint_every > 0,
            "train.checkpoint_every",
            t.checkpoint_every.to_string(),
            count,
        )?;
        require(
            (1..=256).contains(&t.loader_threads),
            "train.loader_threads",
            t.loader_threads.to_string(),
            "an integer from 1 to 256",
        )?;
        require(
            t.learning_rate.is_finite() && t.learning_rate > 0.0,
            "train.learning_rate",
            t.learning_rate.to_string(),
            "a positive number",
        )?;
        require(
            t.momentum
                .is_none_or(|momentum| (0.0..1.0).contains(&momentum)),
            "train.momentum",
            t.momentum.unwrap_or_default().to_string(),
            "a number from 0 to below 1",
        )?;
        for (key, found) in [
            ("train.weight_decay", t.weight_decay),
            ("train.clip_norm", t.clip_norm),
        ] {
            require(
                found.is_finite() && found >= 0.0,
                key,
                found.to_string(),
                "0 or a positive number",
            )?;
        }
        let overlap = self.predict.overlap;
        require(
            (0.0..=0.9).contains(&overlap),
            "predict.overlap",
            overlap.to_string(),
            "a number from 0 to 0.9",
        )?;
        let spacing = &self.geometry.spacing;
        require(
            spacing.is_empty()
                || spacing.len() == 3 && spacing.iter().all(|s| s.is_finite() && *s > 0.0),
            "geometry.spacing",
            format!("{spacing:?}"),
            "[] or three positive numbers in mm",
        )
    }
}
