//! Overlapping regions as sets of classes: whole tumour, tumour core, enhancing
//! core. A network has a sigmoid channel for each, and the labels are what the
//! regions leave of each other, as in the region-based training of nnU-Net
//! (Isensee et al., BrainLes 2020).

use crate::Layout;
use crate::maps::signed_distance;
use lacuna_volume::{LabelMap, UnknownClass, Volume, foreground_indices};
use rayon::prelude::*;

/// Why sets of classes are no regions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// A name that no class has, or that of the background.
    #[error("region {region}: {source}")]
    Class {
        /// Position of the region, from 1.
        region: usize,
        /// The name, and those that there are.
        source: UnknownClass,
    },
    /// The label of a voxel of the region that is in no later one is not known.
    #[error(
        "region {region} has {own} that no later region has; expected exactly one such class, \
         which a voxel of this region gets that is in no later one: put larger regions first, \
         and a region for each class"
    )]
    Own {
        /// Position of the region, from 1.
        region: usize,
        /// Their names, or "no class".
        own: String,
    },
    /// A class that no prediction could have.
    #[error("the class `{class}` is in no region; add it to those that it belongs to")]
    Unused {
        /// Its name.
        class: String,
    },
}

/// Overlapping regions, later ones within or beside earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    /// `[region][class]`
    members: Vec<Vec<bool>>,
    /// The class of a voxel whose last region is this.
    own: Vec<u8>,
}

impl Regions {
    /// From the names of all classes, background first, and of each region's.
    ///
    /// # Errors
    /// [`RegionError`]
    pub fn new(classes: &[String], regions: &[Vec<String>]) -> Result<Self, RegionError> {
        let mut members = Vec::new();
        for (region, names) in regions.iter().enumerate() {
            let mut of_region = vec![false; classes.len()];
            let found = foreground_indices(classes, names);
            for class in found.map_err(|source| RegionError::Class {
                region: region + 1,
                source,
            })? {
                of_region[class] = true;
            }
            members.push(of_region);
        }
        let is_in = |region: &Vec<bool>, class: usize| region[class];
        let mut own = Vec::new();
        for (region, of_region) in members.iter().enumerate() {
            let later = &members[region + 1..];
            let alone = (1..classes.len())
                .filter(|&c| of_region[c] && !later.iter().any(|other| is_in(other, c)));
            let alone: Vec<usize> = alone.collect();
            let [class] = alone[..] else {
                let names: Vec<&str> = alone.iter().map(|&c| classes[c].as_str()).collect();
                return Err(RegionError::Own {
                    region: region + 1,
                    own: match names.len() {
                        0 => "no class".to_owned(),
                        _ => format!("the classes {}", names.join(", ")),
                    },
                });
            };
            own.push(class as u8);
        }
        match (1..classes.len()).find(|&class| !members.iter().any(|r| is_in(r, class))) {
            None => Ok(Self { members, own }),
            Some(class) => Err(RegionError::Unused {
                class: classes[class].clone(),
            }),
        }
    }

    /// Channels of a network that predicts them.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Whether a region has a class.
    pub fn has(&self, region: usize, class: u8) -> bool {
        self.members[region][usize::from(class)]
    }

    /// The class of a voxel whose last region is this. Each foreground class is that of
    /// one region.
    pub fn own_class(&self, region: usize) -> u8 {
        self.own[region]
    }

    /// Labels `[B, N]` as shares of 0 and 1 `[B, regions, N]`. A label that names
    /// no class is in no region.
    pub fn shares(&self, layout: Layout, labels: &[u8]) -> Vec<f32> {
        let mut shares = vec![0.0; layout.batch * self.count() * layout.elements];
        let planes = shares.par_chunks_exact_mut(layout.elements.max(1));
        planes.enumerate().for_each(|(plane, shares)| {
            let members = &self.members[plane % self.count()];
            let labels = &labels[plane / self.count() * layout.elements..];
            for (share, label) in shares.iter_mut().zip(labels) {
                let inside = members.get(usize::from(*label)).copied().unwrap_or(false);
                *share = f32::from(u8::from(inside));
            }
        });
        shares
    }

    /// The class of a voxel with these probabilities: the own class of the last
    /// region that it is in with more than 1/2, else the background.
    pub fn class(&self, probability: impl Fn(usize) -> f32) -> u8 {
        let last = (0..self.count()).rfind(|&region| probability(region) > 0.5);
        last.map_or(0, |region| self.own[region])
    }

    /// [`signed_distance`] of each region of a label map.
    pub fn signed_distances(&self, labels: &LabelMap) -> Vec<Volume<f32>> {
        (0..self.count())
            .into_par_iter()
            .map(|region| signed_distance(&labels.map(|&label| self.has(region, label))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn brats(regions: &[&str]) -> Result<Regions, RegionError> {
        let regions: Vec<Vec<String>> = regions.iter().map(|r| names(r)).collect();
        Regions::new(&names("background oedema core enhancing"), &regions)
    }

    #[test]
    fn nested_regions_leave_a_class_to_each() {
        let regions = brats(&["oedema core enhancing", "core enhancing", "enhancing"]).unwrap();
        let class = |p: [f32; 3]| regions.class(|region| p[region]);
        assert_eq!(class([0.4, 0.5, 0.1]), 0);
        assert_eq!(class([0.9, 0.5, 0.1]), 1);
        assert_eq!(class([0.9, 0.6, 0.1]), 2);
        assert_eq!(class([0.2, 0.1, 0.7]), 3);
        let layout = Layout {
            batch: 1,
            classes: 3,
            elements: 5,
        };
        assert_eq!(
            regions.shares(layout, &[0, 1, 2, 3, 255]),
            [
                [0.0, 1.0, 1.0, 1.0, 0.0],
                [0.0, 0.0, 1.0, 1.0, 0.0],
                [0.0, 0.0, 0.0, 1.0, 0.0]
            ]
            .concat()
        );
    }

    #[test]
    fn sets_that_leave_a_class_open_are_refused() {
        let refused = |regions: &[&str]| brats(regions).unwrap_err();
        assert!(matches!(
            refused(&["oedema core enhancing", "enhancing"]),
            RegionError::Own { region: 1, .. }
        ));
        assert!(matches!(
            refused(&["enhancing", "oedema core enhancing"]),
            RegionError::Own { region: 1, .. }
        ));
        assert!(matches!(
            refused(&["oedema", "core"]),
            RegionError::Unused { .. }
        ));
        for class in ["necrosis", "background"] {
            assert!(matches!(
                refused(&[class]),
                RegionError::Class { region: 1, .. }
            ));
        }
    }
}
