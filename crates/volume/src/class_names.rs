//! Classes by their names; class 0 is the background.

/// A name that no foreground class has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{class}` is no foreground class; expected some of {expected}")]
pub struct UnknownClass {
    /// The name.
    pub class: String,
    /// Names of the foreground classes.
    pub expected: String,
}

/// In a label map, a voxel whose class nobody knows: it is neither trained on nor scored.
/// A manifest has at most 255 classes, so that no class has this index.
pub const IGNORED: u8 = u8::MAX;

/// Whether a label is a class other than the background.
pub fn is_foreground(label: u8) -> bool {
    label != 0 && label != IGNORED
}

/// Classes that are taken as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What it is called; without a name it is called by its classes.
    pub name: Option<String>,
    /// Its classes, by name.
    pub classes: Vec<String>,
}

impl From<Vec<String>> for Region {
    fn from(classes: Vec<String>) -> Self {
        Self {
            name: None,
            classes,
        }
    }
}

/// Indices of the foreground classes of these names among all `classes`.
///
/// # Errors
/// The first name that no class has, or the background.
pub fn foreground_indices(
    classes: &[String],
    names: &[String],
) -> Result<Vec<usize>, UnknownClass> {
    let foreground = classes.get(1..).unwrap_or_default();
    let index = |name: &String| match foreground.iter().position(|class| class == name) {
        Some(position) => Ok(position + 1),
        None => Err(UnknownClass {
            class: name.clone(),
            expected: foreground.join(", "),
        }),
    };
    names.iter().map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_but_for_the_background() {
        let names = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let classes = names("background rim core");
        let found = |text: &str| foreground_indices(&classes, &names(text));
        assert_eq!(found("core rim").unwrap(), [2, 1]);
        for wrong in ["background", "edge"] {
            let error = found(&format!("rim {wrong}")).unwrap_err();
            let told = format!("`{wrong}` is no foreground class; expected some of rim, core");
            assert_eq!(error.to_string(), told);
        }
    }
}
