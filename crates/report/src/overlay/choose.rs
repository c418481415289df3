//! Which slices a reader should see.

use lacuna_volume::{Components, Connectivity, LabelMap, Volume, label_components};

/// A slice and where in it to look.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pick {
    pub z: usize,
    /// First and last voxel, along x and y, of what to look at.
    pub box_x: [usize; 2],
    pub box_y: [usize; 2],
    pub why: &'static str,
}

/// At most `most` different views; the middle one when there is no foreground.
pub(super) fn choose(
    image: &Volume<f32>,
    reference: Option<&LabelMap>,
    prediction: Option<&LabelMap>,
    most: usize,
) -> Vec<Pick> {
    let mut picks = Vec::new();
    let largest = |picks: &mut Vec<Pick>, mask: Volume<bool>, why| {
        let regions = Regions::of(&mask);
        if picks.len() < most {
            picks.extend(regions.largest_area(picks, why));
        }
        regions
    };
    match (reference, prediction) {
        (Some(reference), prediction) => {
            let why = "largest reference area";
            let lesions = largest(&mut picks, reference.map(|&l| l > 0), why);
            if let Some(prediction) = prediction {
                let errors = differences(reference, prediction);
                largest(&mut picks, errors, "largest error area");
            }
            if picks.len() < most {
                picks.extend(lesions.smallest(0, &picks, "smallest lesion"));
            }
        }
        (None, Some(prediction)) => {
            let why = "largest predicted area";
            largest(&mut picks, prediction.map(|&l| l > 0), why);
        }
        (None, None) => {}
    }
    if picks.is_empty() {
        picks.push(middle(image));
    }
    picks
}

/// The slice with the largest reference area, then the smallest lesions, at most
/// `most` views in all; the middle slice when the reference is empty. They depend
/// on the reference alone.
pub(super) fn choose_lesions(image: &Volume<f32>, reference: &LabelMap, most: usize) -> Vec<Pick> {
    let lesions = Regions::of(&reference.map(|&l| l > 0));
    let Some(largest) = lesions.largest_area(&[], "largest reference area") else {
        return vec![middle(image)];
    };
    let mut picks = vec![largest];
    for smaller in 0..most.saturating_sub(1) {
        picks.extend(lesions.smallest(smaller, &picks, "small lesion"));
    }
    picks
}

/// The slice with most of `seen`, and there its largest region; the middle slice when
/// there is none.
pub(super) fn largest_of(image: &Volume<f32>, seen: &Volume<bool>) -> Pick {
    (Regions::of(seen).largest_area(&[], "")).unwrap_or_else(|| middle(image))
}

/// Voxels where foreground and background are confused, or classes are.
fn differences(reference: &LabelMap, prediction: &LabelMap) -> Volume<bool> {
    let mut labels = prediction.data().iter();
    reference.map(|r| labels.next().is_some_and(|p| p != r))
}

fn middle(image: &Volume<f32>) -> Pick {
    let [nx, ny, nz] = image.shape();
    Pick {
        z: nz / 2,
        box_x: [nx / 2; 2],
        box_y: [ny / 2; 2],
        why: "middle slice",
    }
}

/// The connected regions of a mask.
struct Regions(Components);

impl Regions {
    fn of(mask: &Volume<bool>) -> Self {
        Self(label_components(mask, Connectivity::TwentySix))
    }

    /// The slice, not yet picked, with the most voxels; there, the region with
    /// the most of them.
    fn largest_area(&self, picks: &[Pick], why: &'static str) -> Option<Pick> {
        let z = self.fullest(|l| l > 0, |z| picks.iter().any(|p| p.z == z))?;
        let mut sizes = vec![0usize; self.0.count + 1];
        for &label in self.slice(z) {
            sizes[label as usize] += 1;
        }
        sizes[0] = 0;
        let (region, _) = sizes.iter().enumerate().max_by_key(|(_, size)| **size)?;
        self.pick(z, region as u32, why)
    }

    /// The region that `smaller` others are smaller than, in the slice that holds
    /// most of it, unless that is picked already.
    fn smallest(&self, smaller: usize, picks: &[Pick], why: &'static str) -> Option<Pick> {
        let mut by_size: Vec<usize> = (0..self.0.sizes.len()).collect();
        by_size.sort_by_key(|&region| self.0.sizes[region]);
        let region = *by_size.get(smaller)? as u32 + 1;
        let z = self.fullest(|l| l == region, |_| false)?;
        let pick = self.pick(z, region, why)?;
        let same = |p: &Pick| (p.z, p.box_x, p.box_y) == (pick.z, pick.box_x, pick.box_y);
        (!picks.iter().any(same)).then_some(pick)
    }

    /// The first of the slices with the most voxels that count, if any does.
    fn fullest(&self, counts: impl Fn(u32) -> bool, skip: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best = (0, None);
        for (z, slice) in self.slices().enumerate() {
            let area = slice.iter().filter(|&&l| counts(l)).count();
            if area > best.0 && !skip(z) {
                best = (area, Some(z));
            }
        }
        best.1
    }

    fn pick(&self, z: usize, region: u32, why: &'static str) -> Option<Pick> {
        let nx = self.0.labels.shape()[0];
        let here = |(i, &l): (usize, &u32)| (l == region).then_some([i % nx, i / nx]);
        let mut voxels = self.slice(z).iter().enumerate().filter_map(here);
        let [x, y] = voxels.next()?;
        let (mut box_x, mut box_y) = ([x, x], [y, y]);
        for [x, y] in voxels {
            box_x = [box_x[0].min(x), box_x[1].max(x)];
            box_y = [box_y[0].min(y), box_y[1].max(y)];
        }
        Some(Pick {
            z,
            box_x,
            box_y,
            why,
        })
    }

    fn slices(&self) -> std::slice::ChunksExact<'_, u32> {
        let [nx, ny, _] = self.0.labels.shape();
        self.0.labels.data().chunks_exact(nx * ny)
    }

    fn slice(&self, z: usize) -> &[u32] {
        let [nx, ny, _] = self.0.labels.shape();
        &self.0.labels.data()[z * nx * ny..][..nx * ny]
    }
}
