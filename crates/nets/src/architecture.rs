//! The spatial arithmetic of a network.
//!
//! Walking a length through a network's [`Plan`] gives the output length, or the
//! layer that cannot take it; the border (input minus output) and the legal input
//! lengths follow from such walks and are nowhere written down as numbers.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use lacuna_volume::{PatchSize, Zyx};

use crate::config::{ModelConfig, ModelName};
use crate::error::NetError;
use crate::extent::{Extent, Walk, along};
use crate::plan::Plan;

/// What a network does to the length of one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    network: ModelName,
    layers: Vec<Extent>,
}

impl Axis {
    /// Voxels lost, both ends together: input minus output. It is even, and the
    /// same for every legal input.
    pub fn border(&self) -> usize {
        let size = self.smallest_legal();
        self.walk(size).map_or(0, |end| size - end.length)
    }

    /// Length of the output for an input of `size` voxels.
    ///
    /// # Errors
    /// [`NetError::IllegalSize`], with the nearest legal lengths.
    pub fn effective_size(&self, size: usize) -> Result<usize, NetError> {
        self.effective_along(None, size)
    }

    fn effective_along(&self, axis: Option<char>, size: usize) -> Result<usize, NetError> {
        self.walk(size).map(|end| end.length).map_err(|reason| {
            let smallest = self.smallest_legal();
            let step = self.alignment();
            let below = size
                .checked_sub(smallest)
                .map(|over| smallest + over / step * step);
            NetError::IllegalSize {
                network: self.network,
                axis,
                size,
                reason,
                rule: format!("{smallest} + k * {step} voxels, k = 0, 1, 2, ..."),
                below,
                above: below.map_or(smallest, |below| below.saturating_add(step)),
            }
        })
    }

    /// Whether an input may have `size` voxels.
    pub fn is_legal(&self, size: usize) -> bool {
        self.walk(size).is_ok()
    }

    /// The legal input lengths within `range`, ascending.
    pub fn legal_sizes(&self, range: RangeInclusive<usize>) -> Vec<usize> {
        range.filter(|size| self.is_legal(*size)).collect()
    }

    /// The smallest legal input length.
    pub fn smallest_legal(&self) -> usize {
        self.next_legal(1)
    }

    /// The distance of two neighbouring legal input lengths.
    pub fn alignment(&self) -> usize {
        let smallest = self.smallest_legal();
        self.next_legal(smallest + 1) - smallest
    }

    /// How many output voxels, counted from a face, depend on zeros padded
    /// around the input: 0 for networks of unpadded convolutions, whose output
    /// depends on real input alone and whose patches tile without seams.
    pub fn padding_reach(&self) -> usize {
        self.walk(self.smallest_legal()).map_or(0, |end| end.padded)
    }

    /// The smallest legal input length of at least `size`. Every declared network
    /// has legal lengths without end, so this returns.
    pub fn next_legal(&self, size: usize) -> usize {
        let mut size = size;
        while !self.is_legal(size) {
            size += 1;
        }
        size
    }

    /// What `self` and `other` take alike; see [`Architecture::beside`].
    fn beside(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(self.clone());
        }
        let branches = vec![self.layers.clone(), other.layers.clone()];
        let both = Self {
            network: self.network,
            layers: vec![Extent::Join(branches)],
        };
        // Legal lengths are evenly spaced, so a common one is found within one round.
        let first = self.smallest_legal().max(other.smallest_legal());
        let round = self.alignment() * other.alignment();
        let common = (first..first + round).any(|size| both.is_legal(size));
        common.then_some(both)
    }

    fn walk(&self, size: usize) -> Result<Walk, String> {
        if size == 0 {
            return Err("no voxels".to_owned());
        }
        let start = Walk {
            length: size,
            padded: 0,
        };
        start.through(&self.layers)
    }
}

/// The spatial arithmetic of a network, known without its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    name: ModelName,
    rank: usize,
    axes: Zyx<Axis>,
}

impl Architecture {
    /// The architecture of a configured network.
    ///
    /// # Errors
    /// Those of [`ModelConfig::validate`].
    pub fn of(config: &ModelConfig) -> Result<Self, NetError> {
        // Channels and classes change no length.
        Ok(Self::of_plan(&config.plan(1, 1)?))
    }

    /// The architecture of a plan.
    pub fn of_plan(plan: &Plan) -> Self {
        let through = |axis| Axis {
            network: plan.network,
            layers: match (plan.rank, axis) {
                (2, 0) => Vec::new(),
                _ => along(&plan.layers, axis),
            },
        };
        Self {
            name: plan.network,
            rank: plan.rank,
            axes: Zyx([0, 1, 2].map(through)),
        }
    }

    /// That of two networks side by side, which read the same input and give outputs of
    /// the same lengths: legal is what both take. `None` where nothing is, as where their
    /// ranks or borders differ. It has the name of `self`.
    pub fn beside(&self, other: &Self) -> Option<Self> {
        if self.rank != other.rank {
            return None;
        }
        let [z, y, x] = [0, 1, 2].map(|axis| self.axes.0[axis].beside(&other.axes.0[axis]));
        Some(Self {
            name: self.name,
            rank: self.rank,
            axes: Zyx([z?, y?, x?]),
        })
    }

    /// Which network this is.
    pub fn name(&self) -> ModelName {
        self.name
    }

    /// Number of spatial axes: 2 or 3.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What happens along each axis. A 2-D network does nothing along z, where its
    /// inputs have one voxel.
    pub fn axes(&self) -> &Zyx<Axis> {
        &self.axes
    }

    /// Voxels lost along each axis, both ends together.
    pub fn border(&self) -> Zyx<usize> {
        self.of_axes(Axis::border)
    }

    /// The smallest legal input.
    pub fn smallest_legal(&self) -> Zyx<usize> {
        self.of_axes(Axis::smallest_legal)
    }

    /// The distance of neighbouring legal lengths along each axis.
    pub fn alignment(&self) -> Zyx<usize> {
        self.of_axes(Axis::alignment)
    }

    fn of_axes(&self, what: impl Fn(&Axis) -> usize) -> Zyx<usize> {
        Zyx(self.axes.0.each_ref().map(what))
    }

    /// Lengths of the output for an input of `size` voxels; the z of a 2-D input
    /// is one voxel.
    ///
    /// # Errors
    /// [`NetError::IllegalSize`], with the nearest legal lengths of the first axis
    /// whose length is not legal.
    pub fn effective_size(&self, size: Zyx<usize>) -> Result<Zyx<usize>, NetError> {
        let Zyx(lengths) = size;
        let of_rank = &lengths[3 - self.rank..];
        let alike = of_rank.iter().all(|length| *length == lengths[2]);
        let mut effective = lengths;
        for (i, name) in ['z', 'y', 'x'].into_iter().enumerate().skip(3 - self.rank) {
            let name = (!alike).then_some(name);
            effective[i] = self.axes.0[i].effective_along(name, lengths[i])?;
        }
        if self.rank == 2 && lengths[0] != 1 {
            return Err(NetError::NotAPlane {
                network: self.name,
                found: lengths[0],
            });
        }
        Ok(Zyx(effective))
    }

    /// Lengths of the input and of the output for a patch as it is written.
    ///
    /// # Errors
    /// [`NetError::PatchAxes`] where it has numbers for another number of axes;
    /// those of [`effective_size`](Self::effective_size).
    pub fn patch(&self, size: PatchSize) -> Result<[Zyx<usize>; 2], NetError> {
        let input = size.along(self.rank).ok_or(NetError::PatchAxes {
            network: self.name,
            size,
            rank: self.rank,
        })?;
        Ok([input, self.effective_size(input)?])
    }
}
