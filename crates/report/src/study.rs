//! The report of a study: its tables and figures, as one page, Markdown, LaTeX
//! and CSV.
//!
//! [`StudyResults`] is what the study left on disk, [`Cells`] sorts its runs by
//! setting and loss, [`StudyReport`] tabulates and draws, and [`write()`] writes
//! it. Every table is one [`StudyTable`], so that the formats cannot differ.

pub mod findings;

mod cells;
mod error;
mod figures;
mod html;
mod latex;
mod markdown;
mod names;
mod report;
mod table;
mod tables;
mod write;

pub use cells::{Cells, Family, Site};
pub use error::StudyError;
pub use figures::{Example, ExampleError, ExampleReader};
pub use html::html;
pub use lacuna_record::{Ending, RunResult, StudyResults, Training};
pub use latex::latex;
pub use markdown::markdown;
pub(crate) use names::duration;
pub use names::loss as loss_name;
pub use report::{Chart, Gallery, Item, Section, StudyReport};
pub use table::{Cell, Column, StudyTable};
pub use tables::finding_cells;
pub use write::write;
