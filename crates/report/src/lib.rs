//! Reports that a reader opens without network: one HTML file with training
//! curves, metric tables and overlay pictures.
//!
//! [`overlay`] draws a subject's slices with reference and prediction,
//! [`chart`] draws charts as SVG; [`study`] has what every page is made of, reads the folder
//! of a study and writes reports; [`RunPage`] is the page of a run, [`scores`] has the
//! tables of an evaluation and [`curves`] its curves; [`fingerprint_page`] draws what a dataset
//! looks like. Nothing here knows of tensors.
//!
//! Colours are those of Okabe and Ito (2008), which readers with any common
//! form of colour blindness tell apart; see [`colour`].

pub mod chart;
pub mod colour;
pub mod curves;
pub mod scores;
pub mod study;

mod document;
mod error;
mod fingerprint;
mod markup;
mod overlay;
mod run;

pub use document::{Fact, Picture};
pub use error::ReportError;
pub use fingerprint::{FINGERPRINT_PAGE, fingerprint_page, write_fingerprint_page};
pub use overlay::{
    Overlay, OverlayOptions, PatchPair, PatchView, overlay, overlay_column, overlay_row,
    patch_sheet,
};
pub use run::RunPage;
