//! Names and numbers as the tables print them.

/// A network as the literature writes it; other names as they are.
pub(crate) fn network(name: &str) -> String {
    let known = match name {
        "unet" => "UNet",
        "padded-unet" => "padded UNet",
        "two-path-cnn" => "TwoPathCNN",
        "deep-medic" => "DeepMedic",
        "high-res-3d-net" => "HighRes3DNet",
        other => other,
    };
    known.to_owned()
}

/// The abbreviation of a loss with its options after it; other names as they are.
pub fn loss(name: &str) -> String {
    let (first, options) = name.split_once(' ').unwrap_or((name, ""));
    let known = match first {
        "generalised-dice" => "GDL",
        "dice" => "DL2",
        "sensitivity-specificity" => "SS",
        "weighted-cross-entropy" => "WCE",
        other => other,
    };
    format!("{known} {options}").trim_end().to_owned()
}

/// What the abbreviations stand for.
pub(crate) const ABBREVIATIONS: &str = "GDL: generalised Dice. DL2: two-class Dice. SS: \
    sensitivity-specificity. WCE: weighted cross-entropy. DSC: Dice similarity coefficient. \
    IQR: interquartile range.";

/// The iterations at the end of a training that are summarised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    /// Heading of a column, as `last 200`.
    pub column: String,
    /// In a sentence, as `the last 200 iterations`.
    pub text: String,
}

impl Last {
    /// Those of runs of so many iterations.
    pub fn of(iterations: impl Iterator<Item = u64> + Clone) -> Self {
        const MOST: u64 = 200;
        let (least, most) = (iterations.clone().min(), iterations.max());
        let [column, text] = match (least.unwrap_or(MOST), most.unwrap_or(MOST)) {
            (MOST.., _) => ["last 200".to_owned(), "the last 200 iterations".to_owned()],
            (least, most) if least == most => {
                [format!("all {least}"), format!("all {least} iterations")]
            }
            _ => [
                "last 200 or all".to_owned(),
                "the last 200 iterations, or all where there are fewer".to_owned(),
            ],
        };
        Self { column, text }
    }

    /// As it begins a sentence.
    pub fn heading(&self) -> String {
        let (first, rest) = self.column.split_at(1);
        first.to_uppercase() + rest
    }

    /// A text with these for `{last}`, and the heading for `{Last}`.
    pub fn told(&self, text: &str) -> String {
        text.replace("{last}", &self.text)
            .replace("{Last}", &self.heading())
    }
}

/// A score between 0 and 1, to three decimals.
pub(crate) fn score(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:.3}"),
        false => "n/a".to_owned(),
    }
}

/// A share as `1/10,000` where it is one part of a whole number, else as
/// [`power`].
pub(crate) fn share(value: f64) -> String {
    let parts = (1.0 / value).round();
    if !(1.0..1e12).contains(&parts) || (parts * value - 1.0).abs() > 1e-9 {
        return power(value);
    }
    let digits = parts.to_string();
    let mut text = "1/".to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A learning rate, as short as it can be: 1e-4 below 0.1.
pub(crate) fn power(value: f64) -> String {
    match value.abs() < 0.1 {
        true => format!("{value:e}"),
        false => value.to_string(),
    }
}

/// A duration: seconds below two minutes, minutes below two hours, else hours.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_keep_the_options_that_set_them_apart() {
        assert_eq!(loss("sensitivity-specificity symmetric"), "SS symmetric");
        assert_eq!(loss("generalised-dice"), "GDL");
        assert_eq!(loss("my loss"), "my loss");
    }

    #[test]
    fn short_runs_are_not_said_to_have_200_iterations() {
        let of = |iterations: &[u64]| Last::of(iterations.iter().copied());
        assert_eq!(of(&[200, 1000]).column, "last 200");
        assert_eq!(of(&[150, 150]).heading(), "All 150");
        assert_eq!(
            of(&[150]).told("DSC of {last}."),
            "DSC of all 150 iterations."
        );
        assert_eq!(of(&[150, 300]).column, "last 200 or all");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [1e-3, 1e-5, 3e-4, 0.1, 0.5].map(power),
            ["1e-3", "1e-5", "3e-4", "0.1", "0.5"]
        );
        assert_eq!(
            [12.0, 600.0, 9000.0].map(duration),
            ["12.0 s", "10.0 min", "2.5 h"]
        );
        let shares = [0.1, 1e-3, 1e-5, 1.0, 0.3, 3e-4].map(share);
        assert_eq!(
            shares,
            ["1/10", "1/1,000", "1/100,000", "1/1", "0.3", "3e-4"]
        );
        assert_eq!([0.8864, f64::NAN].map(score), ["0.886", "n/a"]);
    }
}
