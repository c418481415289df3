//! What the subjects of a fingerprint are together.

use std::collections::BTreeMap;

use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::{
    AxisRange, ClassFingerprint, ClassSpread, Component, Extents, ModalityIntensities, Quantiles,
    SmallerShare, SubjectFault, SubjectFingerprint,
};

use super::intensity::{Sketch, contrast};
use super::subject::Measured;
use crate::manifest::Manifest;

/// Relative difference from the median beyond which a spacing is another.
const OFF_SPACING: f64 = 0.2;
/// Volumes in mm³ that components are counted below.
const SMALLER_THAN: [f64; 4] = [5.0, 15.0, 50.0, 150.0];

/// The fingerprint of at least one subject.
pub(super) fn summarise(
    manifest: &Manifest,
    measured: Vec<Measured>,
    faults: Vec<SubjectFault>,
) -> Fingerprint {
    let intensities = intensities(&manifest.modalities, &measured);
    let subjects: Vec<SubjectFingerprint> = measured.into_iter().map(|m| m.fingerprint).collect();
    let spacing_mm = over(&subjects, |s| s.spacing_mm);
    let off = |s: &&SubjectFingerprint| {
        let axes = s.spacing_mm.iter().zip(spacing_mm.median);
        axes.into_iter()
            .any(|(edge, median)| (edge / median - 1.0).abs() > OFF_SPACING)
    };
    let [least, most] = [f64::min, f64::max].map(|of| {
        let edges = spacing_mm.median.into_iter();
        edges.reduce(of).unwrap_or(f64::NAN)
    });
    let foreground = manifest.classes.iter().enumerate().skip(1);
    let empty = subjects.iter().filter(|s| s.is_empty());
    Fingerprint {
        name: manifest.name.clone(),
        modalities: manifest.modalities.clone(),
        classes: manifest.classes.clone(),
        spacing_mm,
        shape: over(&subjects, |s| s.shape.map(|n| n as f64)),
        crop_shape: over(&subjects, |s| s.crop_shape.map(|n| n as f64)),
        off_median_spacing: subjects.iter().filter(off).count() as f64 / subjects.len() as f64,
        anisotropy: most / least,
        intensities,
        foreground: foreground
            .filter_map(|(class, name)| spread(name, class - 1, &subjects))
            .collect(),
        empty_subjects: empty.map(|s| s.id.clone()).collect(),
        groups: counted(subjects.iter().filter_map(|s| s.group.as_ref())),
        scanners: counted(subjects.iter().filter_map(|s| s.scanner.as_ref())),
        faults,
        subjects,
    }
}

fn counted<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.clone()).or_default() += 1;
    }
    counts
}

fn over(
    subjects: &[SubjectFingerprint],
    of: impl Fn(&SubjectFingerprint) -> [f64; 3],
) -> AxisRange {
    let axis = |axis: usize| Quantiles::of(subjects.iter().map(|s| of(s)[axis]));
    let axes: [Option<Quantiles>; 3] = std::array::from_fn(axis);
    let each = |of: fn(Quantiles) -> f64| axes.map(|q| q.map_or(f64::NAN, of));
    AxisRange {
        median: each(|q| q.p50),
        min: each(|q| q.min),
        max: each(|q| q.max),
    }
}

fn intensities(modalities: &[String], measured: &[Measured]) -> Vec<ModalityIntensities> {
    let together = |channel: usize, of: fn(&Measured) -> &Vec<Sketch>| {
        let sketches: Vec<&Sketch> = measured.iter().map(|m| &of(m)[channel]).collect();
        Sketch::together(&sketches)
    };
    let of = |(channel, modality): (usize, &String)| ModalityIntensities {
        modality: modality.clone(),
        foreground: together(channel, |m| &m.foreground),
        inside: together(channel, |m| &m.inside),
        contrast: contrast((measured.iter()).map(|m| (&m.foreground[channel], &m.inside[channel]))),
    };
    modalities.iter().enumerate().map(of).collect()
}

/// Class `place` of the subjects' foreground classes; `None` without subjects.
fn spread(name: &str, place: usize, subjects: &[SubjectFingerprint]) -> Option<ClassSpread> {
    let classes: Vec<&ClassFingerprint> = subjects.iter().map(|s| &s.foreground[place]).collect();
    let over = |of: &dyn Fn(&ClassFingerprint) -> f64| {
        Quantiles::of(classes.iter().map(|class| of(class)))
    };
    let components: Vec<&Component> = classes.iter().flat_map(|c| &c.components).collect();
    let smaller = |mm3: f64| {
        let smaller = components.iter().filter(|c| c.mm3 < mm3).count();
        SmallerShare {
            mm3,
            share: smaller as f64 / components.len() as f64,
        }
    };
    Some(ClassSpread {
        class: name.to_owned(),
        empty: classes.iter().filter(|class| class.voxels == 0).count(),
        share_of_grid: over(&|class| class.share_of_grid)?,
        share_inside: over(&|class| class.share_inside)?,
        components_per_subject: over(&|class| class.components.len() as f64)?,
        components: components.len(),
        component_mm3: Quantiles::of(components.iter().map(|c| c.mm3)),
        smaller: match components.is_empty() {
            true => Vec::new(),
            false => SMALLER_THAN.map(smaller).to_vec(),
        },
        extents: extents(&components),
    })
}

fn extents(components: &[&Component]) -> Option<Extents> {
    let axis = |axis: usize| {
        let mm = Quantiles::of(components.iter().map(|c| c.extent_mm[axis]))?;
        let voxels = Quantiles::of(components.iter().map(|c| c.extent_voxels[axis] as f64))?;
        Some([mm, voxels])
    };
    let axes = [axis(0)?, axis(1)?, axis(2)?];
    Some(Extents {
        p50_mm: axes.map(|[mm, _]| mm.p50),
        p95_mm: axes.map(|[mm, _]| mm.p95),
        p50_voxels: axes.map(|[_, voxels]| voxels.p50),
        p95_voxels: axes.map(|[_, voxels]| voxels.p95),
    })
}
