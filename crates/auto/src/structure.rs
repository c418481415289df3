//! What is known of common rare structures before a dataset is looked at.
//!
//! Sizes and inputs are those of the sources collected for each structure: STRIVE for
//! lacunes and perivascular spaces, VALDO 2021 for microbleeds, the WMH challenge 2017,
//! MSSEG-2 and MSLesSeg for MS, BraTS-METS 2023 for metastases, ISLES 2022 for infarcts.
//! They are where a plan starts: thresholds and least volumes are never taken from here,
//! but tuned on the user's own folds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A structure with a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Cavities of 3 to 15 mm.
    Lacune,
    /// 2 to 10 mm.
    Microbleed,
    /// A median of about 100 mm³.
    MsLesion,
    /// Punctate to confluent.
    Wmh,
    /// 2 mm to centimetres.
    Metastasis,
    /// Emboli to territories.
    Infarct,
    /// Tubes less than 3 mm wide.
    PerivascularSpace,
}

/// Where a plan starts for a structure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// Edge of a patch in mm, at least and at most.
    pub patch_mm: [f64; 2],
    /// Keep each subject's own grid, whatever the others'.
    pub native_grid: bool,
    /// Paste lesions to other places.
    pub paste: bool,
    /// What a user should know.
    pub advice: &'static str,
}

impl Structure {
    /// All, as they are listed.
    pub const ALL: [Self; 7] = [
        Self::Lacune,
        Self::Microbleed,
        Self::MsLesion,
        Self::Wmh,
        Self::Metastasis,
        Self::Infarct,
        Self::PerivascularSpace,
    ];

    /// Where a plan starts.
    pub fn preset(self) -> Preset {
        let preset = |patch_mm, native_grid, paste, advice| Preset {
            patch_mm,
            native_grid,
            paste,
            advice,
        };
        match self {
            Self::Lacune => preset(
                [48.0, 64.0],
                true,
                true,
                "T1 and FLAIR; most scans have none, so keep lesion-free ones; F1 above .5 is rare",
            ),
            Self::Microbleed => preset(
                [32.0, 64.0],
                true,
                true,
                "SWI or T2*; vessels and sulci are the usual false positives",
            ),
            Self::MsLesion => preset([64.0, 96.0], false, true, "FLAIR, better with T1"),
            Self::Wmh => preset(
                [96.0, 192.0],
                true,
                false,
                "FLAIR, better with T1; leave other pathology out of the labels",
            ),
            Self::Metastasis => preset(
                [64.0, 128.0],
                false,
                true,
                "contrast-enhanced T1, better with T1; vessels are the usual false positives",
            ),
            Self::Infarct => preset(
                [96.0, 128.0],
                true,
                false,
                "DWI and ADC; keep negative scans",
            ),
            Self::PerivascularSpace => preset(
                [48.0, 96.0],
                true,
                false,
                "T1 or T2 as acquired; label densely, or mask what is unlabelled",
            ),
        }
    }

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lacune => "lacune",
            Self::Microbleed => "microbleed",
            Self::MsLesion => "ms-lesion",
            Self::Wmh => "wmh",
            Self::Metastasis => "metastasis",
            Self::Infarct => "infarct",
            Self::PerivascularSpace => "perivascular-space",
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Structure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|s| s.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no structure is called {text:?}; choose one of {names}, or leave it out")
        })
    }
}
