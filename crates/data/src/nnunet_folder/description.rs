//! The `dataset.json` of a folder of nnU-Net.

use std::collections::BTreeMap;

use lacuna_volume::foreground_indices;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::manifest::Manifest;

/// As it is written.
#[derive(Serialize)]
pub(super) struct Description<'a> {
    name: &'a str,
    channel_names: BTreeMap<String, &'a String>,
    labels: Ordered<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regions_class_order: Option<Vec<usize>>,
    #[serde(rename = "numTraining")]
    training: usize,
    file_ending: &'static str,
}

/// Entries in this order: nnU-Net takes the channels of regions from it.
struct Ordered<'a>(Vec<(&'a str, Value)>);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'a> Description<'a> {
    /// That of a dataset with so many labelled subjects, and what of its classes and regions
    /// is lost.
    pub(super) fn of(manifest: &'a Manifest, training: usize) -> (Self, Option<String>) {
        let regions = regions(manifest);
        let mut labels = vec![("background", json!(0))];
        let classes = manifest.classes.iter().enumerate().skip(1);
        let lost = match &regions {
            Ok(Some(regions)) => {
                labels.extend(regions.iter().map(|region| match region.classes[..] {
                    [class] => (region.name, json!(class)),
                    _ => (region.name, json!(region.classes)),
                }));
                let named = |class: &str| regions.iter().any(|region| region.name == class);
                let nameless = classes.filter(|(_, class)| !named(class));
                let nameless: Vec<String> = (nameless.filter(|(n, c)| **c != format!("label-{n}")))
                    .map(|(n, class)| format!("{class} ({n})"))
                    .collect();
                (!nameless.is_empty()).then(|| {
                    format!(
                        "nnU-Net names regions only; without a name are the classes {}",
                        nameless.join(", ")
                    )
                })
            }
            Ok(None) | Err(_) => {
                labels.extend(classes.map(|(n, class)| (class.as_str(), json!(n))));
                regions.as_ref().err().cloned()
            }
        };
        if manifest.ignore.is_some() {
            labels.push(("ignore", json!(manifest.classes.len())));
        }
        let regions = regions.ok().flatten();
        let order = regions.map(|regions| regions.iter().map(|region| region.own).collect());
        let channels = manifest.modalities.iter().enumerate();
        let description = Self {
            name: &manifest.name,
            channel_names: channels.map(|(n, m)| (n.to_string(), m)).collect(),
            labels: Ordered(labels),
            regions_class_order: order,
            training,
            file_ending: super::ENDING,
        };
        (description, lost)
    }
}

/// A region by the indices of its classes.
struct OfIndices<'a> {
    name: &'a str,
    classes: Vec<usize>,
    /// The class of a voxel whose last region it is.
    own: usize,
}

/// The regions as nnU-Net can be trained on; `None` without any, and else why it cannot.
fn regions(manifest: &Manifest) -> Result<Option<Vec<OfIndices<'_>>>, String> {
    if manifest.regions.is_empty() {
        return Ok(None);
    }
    let indices: Vec<(&str, Vec<usize>)> = (manifest.regions.iter())
        .filter_map(|region| {
            let classes = foreground_indices(&manifest.classes, &region.classes).ok()?;
            Some((region.name.as_deref()?, classes))
        })
        .collect();
    let left_out = |why: String| Err(format!("the regions are left out, and {why}"));
    let mut found = Vec::with_capacity(indices.len());
    for (number, (name, classes)) in indices.iter().enumerate() {
        let later = &indices[number + 1..];
        let own: Vec<usize> = (classes.iter().copied())
            .filter(|class| !later.iter().any(|(_, of)| of.contains(class)))
            .collect();
        let [own] = own[..] else {
            let count = own.len();
            return left_out(format!(
                "nnU-Net learns the classes: `{name}` has {count} classes that no later region \
                 has, and nnU-Net needs one"
            ));
        };
        found.push(OfIndices {
            name,
            classes: classes.clone(),
            own,
        });
    }
    let all = 1..manifest.classes.len();
    let lacking = all
        .clone()
        .find(|class| !found.iter().any(|r| r.classes.contains(class)));
    match lacking {
        None => Ok(Some(found)),
        Some(class) => left_out(format!(
            "nnU-Net learns the classes: `{}` is in no region",
            manifest.classes[class]
        )),
    }
}
