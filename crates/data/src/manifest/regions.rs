//! Regions, which are scored beside the classes, and the label value that is left out.

use lacuna_volume::{Region, foreground_indices};

use super::{MAX_LABEL_VALUE, Manifest, ManifestError};

/// Names that rows of scores have already.
const TAKEN: [&str; 3] = ["background", "foreground", "ignore"];

impl Manifest {
    /// The same, with these unions of classes scored as rows of their own. Their order is that of
    /// nnU-Net's `labels`: a voxel's last region tells its class.
    ///
    /// # Errors
    /// A region without a name or without a class, of a class that there is not, named as
    /// another one or as a class that it is not alone of.
    pub fn with_regions(self, regions: Vec<Region>) -> Result<Self, ManifestError> {
        let wrong = |region: &Region, found: String, expected: &str| {
            let name = region.name.clone().unwrap_or_default();
            Err(ManifestError::Region {
                path: self.path.clone(),
                name,
                found,
                expected: expected.to_owned(),
            })
        };
        for (number, region) in regions.iter().enumerate() {
            let name = region.name.as_deref().unwrap_or_default();
            if name.trim() != name || name.is_empty() {
                return wrong(
                    region,
                    format!("the name {name:?}"),
                    "a name without spaces around",
                );
            }
            if TAKEN.contains(&name) || name == self.classes[0] {
                return wrong(region, "that name".to_owned(), "one that nothing else has");
            }
            if regions[..number].iter().any(|r| r.name == region.name) {
                return wrong(region, "that name twice".to_owned(), "each name once");
            }
            if region.classes.is_empty() {
                return wrong(region, "no class".to_owned(), "at least one");
            }
            if let Err(unknown) = foreground_indices(&self.classes, &region.classes) {
                let found = format!("the class `{}`", unknown.class);
                return wrong(region, found, &format!("some of {}", unknown.expected));
            }
            if self.classes.iter().any(|c| c == name) && region.classes != [name] {
                let expected = "a name that no class has, unless the region is that class alone";
                return wrong(region, "the name of a class".to_owned(), expected);
            }
        }
        Ok(Self { regions, ..self })
    }

    /// The same, with voxels of this label value left out: they are neither trained on nor
    /// scored.
    ///
    /// # Errors
    /// A value outside `0..=65535`, or one of `label_values`.
    pub fn with_ignore(self, value: i32) -> Result<Self, ManifestError> {
        let class = self.label_values.get(&value).cloned();
        if class.is_some() || !(0..=MAX_LABEL_VALUE).contains(&value) {
            return Err(ManifestError::Ignore {
                path: self.path,
                value,
                class,
            });
        }
        Ok(Self {
            ignore: Some(value),
            ..self
        })
    }

    /// The region of a name, or of class names joined by `+`, whether or not there are such
    /// classes.
    pub fn region(&self, name: &str) -> Region {
        let mut named = self.regions.iter();
        match named.find(|region| region.name.as_deref() == Some(name)) {
            Some(region) => region.clone(),
            None => {
                let classes = name.split('+').map(str::to_owned);
                classes.collect::<Vec<_>>().into()
            }
        }
    }

    /// The label values that may stand in a label file.
    pub(crate) fn known_values(&self) -> Vec<i32> {
        let mut known: Vec<i32> = self.label_values.keys().copied().collect();
        known.extend(self.ignore);
        known.sort_unstable();
        known
    }
}
