//! One subject of a fingerprint.

use lacuna_record::fingerprint::{
    ClassFingerprint, Component, EdgeDistance, Quantiles, SubjectFingerprint,
};
use lacuna_volume::{
    Connectivity, IGNORED, LabelMap, Volume, VolumeError, euclidean_distance_mm, is_foreground,
    label_components,
};

use super::bounds::{Bounds, each_voxel};
use super::intensity::Sketch;
use crate::manifest::{Manifest, Subject};
use crate::normalise::{NormaliseConfig, NormaliseMethod};
use crate::subject::{Case, CaseError, Preprocess, load_case};

/// A subject's measures, and what the intensities of all are made from.
pub(super) struct Measured {
    pub fingerprint: SubjectFingerprint,
    /// Of each modality's foreground voxels.
    pub foreground: Vec<Sketch>,
    /// Of each modality's voxels inside.
    pub inside: Vec<Sketch>,
}

/// Reads and measures a labelled subject.
pub(super) fn measure(manifest: &Manifest, subject: &Subject) -> Result<Measured, CaseError> {
    let as_they_are = NormaliseConfig {
        method: NormaliseMethod::None,
        ..NormaliseConfig::default()
    };
    let preprocess = Preprocess {
        normalise: as_they_are,
        ..Preprocess::default()
    };
    let case = load_case(manifest, subject, &preprocess)?;
    measured(manifest, subject, &case).map_err(|source| CaseError::Volume {
        subject: subject.id.clone(),
        file: "its label".to_owned(),
        source: Box::new(source),
    })
}

fn measured(manifest: &Manifest, subject: &Subject, case: &Case) -> Result<Measured, VolumeError> {
    let grid = case.source.grid;
    let voxels: usize = grid.shape.iter().product();
    let not_zero = |index: usize| case.channels.iter().any(|c| c.data()[index] != 0.0);
    let inside: Vec<bool> = match &case.mask {
        Some(mask) => mask.data().to_vec(),
        None => (0..voxels).map(not_zero).collect(),
    };
    let inside_voxels = inside.iter().filter(|&&i| i).count();
    let nonzero_box = Bounds::around(grid.shape, not_zero);
    let crop = Bounds::around(grid.shape, |index| inside[index]);
    let crop_shape = crop.map_or([0; 3], |c| c.shape());
    let label = case.label.as_ref();
    let class_at = |index: usize| label.map_or(0, |label| label.data()[index]);
    let values = |keep: &dyn Fn(usize) -> bool| -> Vec<Sketch> {
        let of = |channel: &Volume<f32>| {
            let kept = channel.data().iter().enumerate().filter(|(i, _)| keep(*i));
            Sketch::of(kept.map(|(_, value)| *value).collect())
        };
        case.channels.iter().map(of).collect()
    };
    Ok(Measured {
        foreground: values(&|index| is_foreground(class_at(index))),
        inside: values(&|index| inside[index]),
        fingerprint: SubjectFingerprint {
            id: subject.id.clone(),
            group: subject.group.clone(),
            scanner: subject.scanner.clone(),
            shape: grid.shape,
            spacing_mm: grid.spacing().0,
            voxel_mm3: grid.affine.voxel_mm3(),
            orientation: case.source.orientation.codes(),
            mask_voxels: case.mask.as_ref().map(|_| inside_voxels),
            inside_voxels,
            nonzero_box_share: share(nonzero_box.map_or(0, |b| b.voxels()), voxels),
            crop_shape,
            crop_voxels: crop_shape.iter().product(),
            bytes: 4 * voxels as u64 * case.channels.len() as u64,
            foreground: match label {
                Some(label) => classes(&manifest.classes, label, &inside, case.mask.as_ref())?,
                None => Vec::new(),
            },
        },
    })
}

/// Each foreground class. `inside` is the mask where there is one.
fn classes(
    names: &[String],
    label: &LabelMap,
    inside: &[bool],
    mask: Option<&Volume<bool>>,
) -> Result<Vec<ClassFingerprint>, VolumeError> {
    // Whose class nobody knows is no part of the whole that a class has a share of.
    let known = |index: &usize| label.data()[*index] != IGNORED;
    let inside_voxels = (0..label.len()).filter(|i| inside[*i] && known(i)).count();
    let edges = edge_distances(names.len(), label, mask)?;
    let named = names.iter().enumerate().skip(1).zip(edges);
    named
        .map(|((class, name), edge)| {
            let of_class = |index: usize| usize::from(label.data()[index]) == class;
            let voxels = (0..label.len()).filter(|&i| of_class(i)).count();
            let in_inside = (0..label.len())
                .filter(|&i| of_class(i) && inside[i])
                .count();
            let components = match Bounds::around(label.shape(), of_class) {
                Some(bounds) => components(&bounds.cut(label, |&c| usize::from(c) == class)?),
                None => Vec::new(),
            };
            Ok(ClassFingerprint {
                class: name.clone(),
                voxels,
                share_of_grid: share(voxels, (0..label.len()).filter(known).count()),
                share_inside: share(in_inside, inside_voxels),
                edge,
                components,
            })
        })
        .collect()
}

/// The components of a mask.
fn components(mask: &Volume<bool>) -> Vec<Component> {
    let found = label_components(mask, Connectivity::TwentySix);
    let spacing = mask.spacing().0;
    let voxel_mm3 = mask.affine().voxel_mm3();
    let mut bounds: Vec<Option<Bounds>> = vec![None; found.count];
    each_voxel(mask.shape(), |index, voxel| {
        // Components are numbered from 1; 0 is none.
        let number = found.labels.data()[index] as usize;
        if let Some(bounds) = number.checked_sub(1).map(|n| &mut bounds[n]) {
            let empty = Bounds {
                low: voxel,
                end: voxel,
            };
            bounds.get_or_insert(empty).hold(voxel);
        }
    });
    let sized = found.sizes.iter().zip(bounds);
    sized
        .map(|(&voxels, bounds)| {
            let extent_voxels = bounds.map_or([0; 3], |b| b.shape());
            Component {
                voxels,
                mm3: voxels as f64 * voxel_mm3,
                extent_voxels,
                extent_mm: std::array::from_fn(|a| extent_voxels[a] as f64 * spacing[a]),
            }
        })
        .collect()
}

/// How far the voxels of each foreground class are from the mask's edge.
fn edge_distances(
    classes: usize,
    label: &LabelMap,
    mask: Option<&Volume<bool>>,
) -> Result<Vec<Option<EdgeDistance>>, VolumeError> {
    let none = vec![None; classes.saturating_sub(1)];
    let (Some(mask), true) = (mask, label.data().iter().any(|&c| is_foreground(c))) else {
        return Ok(none);
    };
    let Some(bounds) = Bounds::around(mask.shape(), |index| mask.data()[index]) else {
        return Ok(none);
    };
    // Beside the mask's box lies what is outside and nearest, unless axes are oblique to
    // one another.
    let bounds = match mask.affine().is_sheared() {
        false => bounds.widened(mask.shape()),
        true => Bounds {
            low: [0; 3],
            end: mask.shape(),
        },
    };
    let distance = euclidean_distance_mm(&bounds.cut(mask, |inside| !inside)?);
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); none.len()];
    each_voxel(label.shape(), |index, voxel| {
        let class = usize::from(label.data()[index]);
        if let Some(found) = class.checked_sub(1).and_then(|c| found.get_mut(c)) {
            // Beyond the box nothing is inside.
            let place = bounds
                .place(voxel)
                .map(|v| distance.data()[distance.index(v)]);
            found.push(place.unwrap_or(0.0));
        }
    });
    let summary = |mm: Vec<f64>| {
        let quantiles = Quantiles::of(mm).filter(|q| q.max.is_finite())?;
        Some(EdgeDistance {
            min_mm: quantiles.min,
            median_mm: quantiles.p50,
        })
    };
    Ok(found.into_iter().map(summary).collect())
}

fn share(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}
