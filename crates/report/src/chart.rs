//! Charts as SVG.
//!
//! Every chart is plain data with `drawing()`, a picture to be laid out with
//! others, and `svg()`, the picture on its own. Axes and text take the colour
//! of the text around the picture (`currentColor`), so that a chart inside a
//! page follows its light or dark theme, and a chart on its own is black.
//! Series differ by colour and by dashes, marker or place: see [`Look`].
//!
//! Coordinates are in units of the view box, which scales with its container.
//! Charts are laid out for text of up to [`TEXT`] units: a page may enlarge
//! the 12 units of a drawing to that on a narrow screen.

mod axis;
mod bars;
mod boxes;
mod contour;
mod dots;
mod drawing;
mod heat;
mod histogram;
mod isolines;
mod line;
mod look;
mod panels;
mod reliability;
mod sheet;

#[cfg(test)]
mod checks;

pub use axis::{Decades, Scale};
pub use bars::{Bar, BarChart};
pub use boxes::{BoxPlot, BoxSeries, BoxStats};
pub use dots::DotRows;
pub use drawing::Drawing;
pub use heat::HeatMap;
pub use histogram::LogHistogram;
pub use isolines::{IsolinePanel, IsolineRow, Isolines, Measured};
pub use line::{LineChart, Series, Stroke};
pub use look::{Look, Marker, key};
pub use panels::{PanelRow, Panels};
pub use reliability::{Reliability, ReliabilitySeries};
pub use sheet::Sheet;

/// Units across a chart that stands alone.
pub const WIDTH: f64 = 480.0;
/// The largest text, in units, for which charts are laid out.
pub const TEXT: f64 = 17.0;
