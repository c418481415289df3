//! Names of BIDS files, `sub-p01_ses-01_acq-ax_FLAIR.nii.gz`, and how the user tells some of
//! them: `acq-ax_FLAIR`, or `manual/label-lesion_mask` for those of one pipeline.

/// Endings of images.
const ENDINGS: [&str; 2] = [".nii.gz", ".nii"];
/// Entities whose values are numbers, with or without leading zeros.
const NUMBERS: [&str; 5] = ["run", "echo", "flip", "inv", "split"];

/// Entities in their order, and the suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub entities: Vec<(String, String)>,
    pub suffix: String,
}

impl Name {
    /// That of an image file; `None` where BIDS has no such name.
    pub(super) fn of_image(file: &str) -> Option<Self> {
        let stem = ENDINGS.iter().find_map(|end| file.strip_suffix(end))?;
        Self::of_stem(stem).filter(|name| name.entity("sub").is_some())
    }

    /// Entities and a suffix, joined by `_`.
    pub(super) fn of_stem(stem: &str) -> Option<Self> {
        let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let (entities, suffix) = stem.rsplit_once('_').unwrap_or(("", stem));
        let entities = entities.split('_').filter(|part| !part.is_empty());
        let entities = entities.map(|part| {
            let (key, value) = part.split_once('-')?;
            // Values such as `desc-T1+lesion` are not of BIDS, and still tell files apart.
            let told = word(key) && !value.is_empty() && !value.contains('-');
            told.then(|| (key.to_owned(), value.to_owned()))
        });
        let entities = entities.collect::<Option<Vec<_>>>()?;
        word(suffix).then(|| Self {
            entities,
            suffix: suffix.to_owned(),
        })
    }

    pub(super) fn entity(&self, key: &str) -> Option<&str> {
        let mut entities = self.entities.iter();
        let found = entities.find(|(k, _)| k == key)?;
        Some(&found.1)
    }

    /// Whether it has that entity, of that value.
    pub(super) fn has(&self, (key, value): &(String, String)) -> bool {
        let Some(own) = self.entity(key) else {
            return false;
        };
        let numbers = || Some(own.parse::<u32>().ok()? == value.parse::<u32>().ok()?);
        own == value || NUMBERS.contains(&key.as_str()) && numbers() == Some(true)
    }

    /// All but the participant and the session.
    pub(super) fn kind(&self) -> String {
        let told = |(key, _): &&(String, String)| !["sub", "ses"].contains(&key.as_str());
        let entities = self.entities.iter().filter(told);
        let parts = entities.map(|(key, value)| format!("{key}-{value}"));
        let parts: Vec<String> = parts.chain([self.suffix.clone()]).collect();
        parts.join("_")
    }
}

/// Which files are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Folder below `derivatives`, `.` for the dataset itself; any where it is not told.
    pub pipeline: Option<String>,
    pub name: Name,
}

impl Wanted {
    /// `[pipeline/]entities_suffix`
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (pipeline, stem) = match text.rsplit_once('/') {
            Some((pipeline, stem)) => (Some(pipeline.to_owned()), stem),
            None => (None, text),
        };
        let name = Name::of_stem(stem)?;
        let sole = ["sub", "ses"].iter().any(|key| name.entity(key).is_some());
        (!sole && pipeline.as_deref() != Some("")).then_some(Self { pipeline, name })
    }

    /// Whether a file of a name and pipeline is one.
    pub(super) fn is(&self, name: &Name, pipeline: Option<&str>) -> bool {
        self.name.suffix == name.suffix
            && self.name.entities.iter().all(|entity| name.has(entity))
            && (self.pipeline.as_deref()).is_none_or(|asked| asked == pipeline.unwrap_or("."))
    }

    /// The same without the number of the run, where it has one: of a session with one run
    /// the names have none.
    pub(super) fn of_one_run(&self) -> Option<Self> {
        self.name.entity("run")?;
        let mut alone = self.clone();
        alone.name.entities.retain(|(key, _)| key != "run");
        Some(alone)
    }

    /// Entities of a name that are not asked for.
    pub(super) fn beyond(&self, name: &Name) -> usize {
        let asked = |key: &str| key == "sub" || key == "ses" || self.name.entity(key).is_some();
        name.entities.iter().filter(|(key, _)| !asked(key)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_entities_and_a_suffix() {
        let name = Name::of_image("sub-p01_ses-01_acq-ax_run-02_FLAIR.nii.gz").unwrap();
        assert_eq!(name.kind(), "acq-ax_run-02_FLAIR");
        assert_eq!(
            (name.entity("ses"), name.suffix.as_str()),
            (Some("01"), "FLAIR")
        );
        let wanted = |text: &str| Wanted::parse(text).unwrap();
        assert!(wanted("run-2_FLAIR").is(&name, None));
        assert!(wanted("FLAIR").is(&name, Some("manual")));
        assert!(!wanted("manual/FLAIR").is(&name, None) && wanted("./FLAIR").is(&name, None));
        assert!(!wanted("acq-AX_FLAIR").is(&name, None));
        assert_eq!(wanted("run-2_FLAIR").beyond(&name), 1);
        assert_eq!(wanted("run-2_FLAIR").of_one_run(), Some(wanted("FLAIR")));
        for none in [
            "FLAIR.nii.gz",
            "sub-p01_FLAIR.mha",
            "sub-p01.nii",
            "sub-p01_a-b.nii",
            ".nii",
        ] {
            assert_eq!(Name::of_image(none), None, "{none}");
        }
        for none in [
            "",
            "sub-01_FLAIR",
            "/FLAIR",
            "run-1",
            "*_FLAIR",
            "FLAIR_run-1",
        ] {
            assert_eq!(Wanted::parse(none), None, "{none}");
        }
    }
}
