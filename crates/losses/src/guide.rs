//! What is said of each loss where a reader chooses one.

/// A loss for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Guide {
    /// Name in a run configuration.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The equation, for one class or element where the loss is a mean of such.
    pub equation: &'static str,
    /// Where it is from.
    pub source: &'static str,
    /// When to use it, and when not.
    pub when: &'static str,
}

/// The guide of a loss.
pub fn guide(name: &str) -> Option<&'static Guide> {
    GUIDES.iter().find(|guide| guide.name == name)
}

macro_rules! guides {
    ($($name:literal: $summary:literal, $equation:literal, $source:literal, $when:literal;)*) => {
        /// All losses, in the order of [`NamedLoss::all`](crate::NamedLoss::all).
        pub const GUIDES: &[Guide] = &[$(Guide {
            name: $name,
            summary: $summary,
            equation: $equation,
            source: $source,
            when: $when,
        },)*];
    };
}

guides! {
    "generalised-dice": "Dice over all classes, each weighted by 1/volume^2",
        "1 - 2 sum_l w_l sum r p / sum_l w_l sum (r + p), w_l = 1/V_l^2 over the largest weight",
        "Sudre et al., DLMIA 2017 (score: Crum et al., IEEE TMI 2006)",
        "The default for rare classes. Pool the batch, or draw patches with foreground; at high learning rates it can collapse to the background.";
    "dice": "Mean soft Dice score of the classes; also squared, as Jaccard, as the paper printed it",
        "1 - (2 sum r p + s) / (V + P + s)",
        "Milletari et al., 3DV 2016; Sudre et al. 2017, DL_2",
        "Mild to moderate imbalance, or beside cross-entropy in a sum.";
    "sensitivity-specificity": "Squared error inside the lesion and outside, each by its volume",
        "lambda sum r (r - p)^2 / V + (1 - lambda) sum (1 - r)(r - p)^2 / (N - V)",
        "Brosch et al., MICCAI 2015; Sudre et al. 2017, SS",
        "When false positives and negatives shall be traded by one number. With lambda = .05 predicting nothing costs .05 only: use form = \"symmetric\" or a larger lambda.";
    "weighted-cross-entropy": "Cross-entropy weighted by the predicted foreground, as the paper has it",
        "-(1/N) sum [w r log p + (1 - r) log(1 - p)], w = (N - P) / P",
        "Ronneberger et al., MICCAI 2015; Sudre et al. 2017, WCE",
        "To repeat the study. For fixed weights use cross-entropy with class_weight.";
    "cross-entropy": "Mean negative log-probability of the truth",
        "-sum_n w_n sum_c a_c r log p / sum_n w_n sum_c a_c r",
        "PyTorch's definition; label smoothing of Szegedy et al., CVPR 2016",
        "Stable at every rate, but a class of share 1/1,000 has 1/1,000 of the gradient. Beside an overlap loss, or with class_weight.";
    "focal": "Cross-entropy with easy elements turned down",
        "-(1/N) sum_n w_n (1 - p_l)^gamma log p_l",
        "Lin et al., ICCV 2017",
        "Many easy background elements. Start with gamma = 2, and alpha near 1 for a rare foreground.";
    "top-k-cross-entropy": "Cross-entropy of the hardest share of the elements",
        "mean of the share k largest of -log p_l",
        "Wu et al. 2016, arXiv 1605.06885; nnU-Net has k = .1",
        "Noise-free labels with hard, rare regions; with wrong labels it learns the errors.";
    "distance-cross-entropy": "Cross-entropy that weighs distance to the nearest boundary in mm",
        "(1 + f phi(d)) (-log p_l), phi = exp(-d/s) or min(d/s, 1)",
        "After Caliva et al., MIDL 2019",
        "Borders between touching structures (near), or stray false positives (far).";
    "tversky": "Dice with separate prices for false positives and negatives",
        "1 - (TP + s) / (TP + alpha FP + beta FN + s)",
        "Salehi et al., MLMI 2017",
        "When missing a lesion is worse than inventing one: beta > alpha.";
    "focal-tversky": "Tversky raised to a power",
        "(1 - T)^gamma",
        "Abraham and Khan, ISBI 2019",
        "Small lesions that a Tversky loss leaves half found: gamma < 1 keeps the slope up near the end.";
    "log-dice": "Logarithm of the soft Dice score",
        "(-ln D)^gamma",
        "Wong et al., MICCAI 2018, first term",
        "Classes so rare that their Dice slope vanishes while they are missed.";
    "exponential-logarithmic": "Log-Dice and weighted log-probabilities, both to a power",
        "f_D mean (-ln D)^gamma + f_E mean a_l (-ln p_l)^gamma",
        "Wong et al., MICCAI 2018",
        "Many classes of very unlike size.";
    "unified-focal": "Asymmetric focal and focal Tversky losses in one",
        "weight L_focal + (1 - weight) L_focal_Tversky",
        "Yeung et al., Computerized Medical Imaging and Graphics 2022",
        "One family with few numbers to tune when both overlap and probabilities matter.";
    "generalised-wasserstein-dice": "Dice with a distance between labels",
        "1 - 2 T / (2 T + sum w d), d = sum_c M[l, c] p_c",
        "Fidon et al., BrainLes 2017",
        "Several classes of which some are near each other, such as tumour parts.";
    "matthews": "Matthews correlation of soft counts",
        "1 - (TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))",
        "Abhishek and Hamarneh, ISBI 2021",
        "When true negatives shall count too.";
    "lovasz": "Convex extension of the Jaccard loss",
        "sum_k e_k (J_k - J_{k-1}), errors in descending order",
        "Berman et al., CVPR 2018",
        "Fine-tuning on IoU. Slower, since it sorts; start from another loss.";
    "boundary": "Probability weighted by signed distance to the reference's boundary",
        "(1/N) sum p phi",
        "Kervadec et al., MIDL 2019",
        "As a term of a sum whose factor grows, beside an overlap loss. Alone it prefers predicting nothing.";
    "hausdorff": "Squared error weighted by powers of the distance to the boundaries",
        "(p - r)^2 (d_r^alpha + d_p^alpha)",
        "Karimi and Salcudean, IEEE TMI 2020",
        "To shorten the worst distance, beside an overlap loss. Measures distances at every step.";
    "cl-dice": "Overlap of centrelines, for thin structures",
        "1 - 2 Tp Ts / (Tp + Ts) of soft skeletons",
        "Shit et al., CVPR 2021",
        "Vessels and other tubes that must not break, beside an overlap loss.";
    "size-reweighted": "Any loss with voxels weighted against the size of their lesion",
        "w_n = N / ((K + 1) |C(n)|)",
        "After Shirokikh et al., MICCAI 2020",
        "Lesions of very unlike size in one subject: each weighs the same.";
    "blob": "Any overlap loss, of everything and of each lesion alone",
        "a L + b (1/K) sum_k L_k",
        "Kofler et al., IPMI 2023",
        "Lesions that are missed because larger ones lie beside them; when lesions are counted.";
    "sum": "Weighted sum of losses, with factors that may change over a training",
        "sum_i f_i(t) L_i",
        "Taghanaki et al. 2019 and others",
        "Dice with cross-entropy is the field's most robust choice; boundary terms with a ramp.";
}

/// What an option means, whichever loss has it.
pub fn option_meaning(loss: &str, option: &str) -> Option<&'static str> {
    Some(match (loss, option) {
        ("generalised-dice", "empty_class") => {
            "weight of an absent class: \"max\", \"zero\" or \"one-voxel\""
        }
        ("matthews" | "lovasz", "empty_class") => {
            "an absent class: \"share\" (costs the share it claims) or \"skip\""
        }
        (_, "empty_class") => {
            "an absent class: \"share\" (costs the share it claims), \"skip\" or \"smooth\""
        }
        ("dice", "form") => "\"plain\", \"squared\", \"jaccard\" or \"as-printed\"",
        (_, "form") => "\"as-printed\" (foreground) or \"symmetric\" (all classes)",
        ("generalised-dice", "weight") => {
            "\"square\" (1/V^2), \"simple\" (1/V), \"uniform\" or \"volume-sum\""
        }
        (_, "weight") => "share of the focal term",
        ("focal", "alpha") => "share of the foreground",
        ("hausdorff", "alpha") => "power of the distances",
        (_, "alpha") => "factor of false positives",
        (_, "beta") => "factor of false negatives",
        (_, "gamma") => "exponent",
        (_, "delta") => "weight of the foreground and of missed elements",
        (_, "classes") => "\"all\", \"foreground\" or a list such as [1, 3]",
        ("matthews", "smoothing") => "smoothing, a share of the spread of the reference",
        (_, "smoothing") => "smoothing, a share of the elements",
        (_, "class_weight") => "one weight per class",
        (_, "label_smoothing") => "share of the label that is spread over all classes",
        (_, "differentiate_weight") => "whether the gradient includes the weights' own change",
        (_, "lambda") => "share of the sensitivity term",
        (_, "share") => "share of the elements that counts",
        (_, "factor") => "how much distance adds",
        (_, "scale_mm") => "length over which it does, in mm",
        (_, "emphasis") => "\"near\" or \"far\"",
        ("hausdorff", "distance") => "boundaries of \"both\" or of the \"reference\"",
        (_, "distance") => "matrix of distances between the labels",
        (_, "weighting") => "\"default\" or \"generalised-dice\"",
        (_, "log") => "ln(1 + L)",
        (_, "iterations") => "erosions; at least the radius of the structures in voxels",
        (_, "dice_factor") => "factor of the log-Dice term",
        (_, "entropy_factor") => "factor of the log-probability term",
        (_, "loss") => "the loss inside, a table like this one",
        (_, "global_factor") => "factor of the loss of everything",
        (_, "lesion_factor") => "factor of the mean over the lesions",
        (_, "terms") => "{ factor, loss }; a factor is a number or { from, to, start, end }",
        _ => return None,
    })
}

/// Options that have no value unless they are given, by loss.
pub fn optional(loss: &str) -> &'static [&'static str] {
    match loss {
        "dice" | "cross-entropy" | "exponential-logarithmic" => &["class_weight"],
        "focal" => &["alpha", "class_weight"],
        "generalised-wasserstein-dice" => &["distance"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Loss, LossConfig, NamedLoss};

    #[test]
    fn every_loss_and_every_option_is_explained() {
        let names: Vec<&str> = NamedLoss::all().iter().map(Loss::name).collect();
        let guided: Vec<&str> = GUIDES.iter().map(|guide| guide.name).collect();
        assert_eq!(names, guided);
        for named in NamedLoss::all() {
            let loss = named.name();
            let table = serde_json::to_value(&named).unwrap();
            let given = table.as_object().unwrap().keys().map(String::as_str);
            let all = given
                .filter(|key| *key != "name")
                .chain(optional(loss).iter().copied());
            for option in all {
                assert!(option_meaning(loss, option).is_some(), "{loss} {option}");
            }
            for option in optional(loss) {
                let text = format!("name = '{loss}'\n{option} = 'x'");
                let error = toml::from_str::<LossConfig>(&text).unwrap_err();
                assert!(
                    !error.to_string().contains("unknown field"),
                    "{loss} {option}"
                );
            }
        }
    }
}
