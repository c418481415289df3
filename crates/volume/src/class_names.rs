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
