//! The cells of a study by setting, loss and learning rate.

use super::Cell;

/// Training DSC from which a loss works.
const WORKS: f64 = 0.5;
/// Training DSC below which a loss fails to train.
const FAILS: f64 = 0.1;
/// Share of collapsed seeds from which a loss fails to train.
const COLLAPSES: f64 = 0.5;
/// Foreground share from which the imbalance is mild.
pub(super) const MILD: f64 = 0.2;
/// Foreground share up to which the imbalance is severe.
pub(super) const SEVERE: f64 = 0.02;
/// A clear difference in DSC.
pub(super) const CLEAR: f64 = 0.1;

/// What it means to work, for a rule.
pub(super) fn works() -> String {
    format!(
        "a cell works with a training DSC of {WORKS} or more and fewer than {COLLAPSES} of its \
         seeds collapsed"
    )
}

/// What it means to fail, for a rule.
pub(super) fn fails() -> String {
    format!(
        "a cell fails with a training DSC below {FAILS} or at least {COLLAPSES} of its seeds \
         collapsed, and trains otherwise"
    )
}

/// The losses of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Wce,
    Dl2,
    Ss,
    Gdl,
}

impl Loss {
    pub(super) const ALL: [Self; 4] = [Self::Wce, Self::Dl2, Self::Ss, Self::Gdl];

    /// Name in a configuration, and the option that is nearest the paper's numbers.
    /// Those of sensitivity-specificity were probably made with the symmetric form:
    /// the printed one collapses where the paper reports 0.74.
    fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::Wce => ("weighted-cross-entropy", ""),
            Self::Dl2 => ("dice", "factor-two"),
            Self::Ss => ("sensitivity-specificity", "symmetric"),
            Self::Gdl => ("generalised-dice", "square"),
        }
    }

    /// Abbreviation of the paper.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Wce => "WCE",
            Self::Dl2 => "DL2",
            Self::Ss => "SS",
            Self::Gdl => "GDL",
        }
    }

    /// Options of `label` when it names this loss.
    fn options(self, label: &str) -> Option<&str> {
        let options = label.strip_prefix(self.label().0)?;
        (options.is_empty() || options.starts_with(' ')).then(|| options.trim())
    }

    /// The label that stands for this loss when a study has several forms of it: the
    /// one nearest the paper, else one without options, else the first.
    fn chosen(self, cells: &[Cell]) -> Option<&str> {
        let of = |wanted: &dyn Fn(&str) -> bool| {
            let mut labels = cells.iter().map(|c| c.loss.as_str());
            labels.find(|label| self.options(label).is_some_and(wanted))
        };
        let nearest = self.label().1;
        of(&|o| o.split(' ').any(|word| !word.is_empty() && word == nearest))
            .or_else(|| of(&str::is_empty))
            .or_else(|| of(&|_| true))
    }
}

/// The cells of a study that the findings speak of.
pub(super) struct Grid<'a> {
    /// In the order of their first cells.
    pub(super) settings: Vec<Setting<'a>>,
    names: Vec<(Loss, String)>,
}

/// Cells alike in all but loss and learning rate.
pub(super) struct Setting<'a> {
    first: &'a Cell,
    cells: Vec<(Loss, &'a Cell)>,
}

impl<'a> Grid<'a> {
    /// Sorts the cells; of each loss one form.
    pub(super) fn of(cells: &'a [Cell]) -> Self {
        let mut settings: Vec<Setting> = Vec::new();
        let mut names = Vec::new();
        for loss in Loss::ALL {
            let Some(chosen) = loss.chosen(cells) else {
                continue;
            };
            let options = loss.options(chosen).unwrap_or_default();
            let name = format!("{} {options}", loss.text());
            names.push((loss, name.trim_end().to_owned()));
            for cell in cells.iter().filter(|c| c.loss == chosen) {
                match settings.iter_mut().find(|s| s.holds(cell)) {
                    Some(setting) => setting.cells.push((loss, cell)),
                    None => settings.push(Setting {
                        first: cell,
                        cells: vec![(loss, cell)],
                    }),
                }
            }
        }
        Self { settings, names }
    }

    /// Abbreviation of a loss with the options of the form that stands for it.
    pub(super) fn name(&self, loss: Loss) -> &str {
        let found = self.names.iter().find(|(l, _)| *l == loss);
        found.map_or(loss.text(), |(_, name)| name)
    }

    /// The settings with mild imbalance.
    pub(super) fn mild(&self) -> impl Iterator<Item = &Setting<'a>> {
        self.settings.iter().filter(|s| s.share() >= MILD)
    }

    /// The settings with severe imbalance.
    pub(super) fn severe(&self) -> impl Iterator<Item = &Setting<'a>> {
        self.settings.iter().filter(|s| s.share() <= SEVERE)
    }
}

impl<'a> Setting<'a> {
    fn holds(&self, cell: &Cell) -> bool {
        let key = |c: &Cell| (c.effective_patch, c.batch, c.phantom_share);
        self.first.network == cell.network
            && key(self.first) == key(cell)
            && self.first.further == cell.further
    }

    /// What its cells agree in: network, patch, batch, dataset.
    pub(super) fn common(&self) -> &'a Cell {
        self.first
    }

    /// Mean foreground share over its cells.
    pub(super) fn share(&self) -> f64 {
        mean(self.cells.iter().map(|(_, c)| c.foreground_share))
    }

    /// The cells of a loss.
    pub(super) fn of(&self, loss: Loss) -> impl Iterator<Item = &'a Cell> {
        let cells = self.cells.iter().filter(move |(l, _)| *l == loss);
        cells.map(|(_, cell)| *cell)
    }

    /// The cell of a loss and learning rate.
    pub(super) fn at(&self, loss: Loss, rate: f64) -> Option<&'a Cell> {
        self.of(loss).find(|c| same_rate(c.learning_rate, rate))
    }

    /// Training DSC of a loss at its best learning rate.
    pub(super) fn best(&self, loss: Loss) -> Option<f64> {
        self.of(loss).map(|c| c.last_dsc_median).reduce(f64::max)
    }

    /// The same over learning rates below `rate`.
    pub(super) fn best_below(&self, loss: Loss, rate: f64) -> Option<f64> {
        let slower = self.of(loss).filter(|c| below(c.learning_rate, rate));
        slower.map(|c| c.last_dsc_median).reduce(f64::max)
    }

    /// True when a loss works at some learning rate.
    pub(super) fn works(&self, loss: Loss) -> bool {
        self.of(loss).any(Cell::works)
    }

    /// True when a loss trains, well or badly, at some learning rate.
    pub(super) fn trains(&self, loss: Loss) -> bool {
        self.of(loss).any(|c| !c.fails())
    }

    /// The learning rates of its cells, ascending.
    pub(super) fn rates(&self) -> Vec<f64> {
        let mut rates: Vec<f64> = self.cells.iter().map(|(_, c)| c.learning_rate).collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup_by(|a, b| same_rate(*a, *b));
        rates
    }
}

impl Cell {
    /// True when training came to nothing.
    pub(super) fn fails(&self) -> bool {
        self.last_dsc_median < FAILS || self.collapsed_share >= COLLAPSES
    }

    pub(super) fn works(&self) -> bool {
        self.last_dsc_median >= WORKS && !self.fails()
    }
}

fn same_rate(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-6
}

/// True when rate `a` is below rate `b`.
pub(super) fn below(a: f64, b: f64) -> bool {
    a < b && !same_rate(a, b)
}

/// Arithmetic mean; not a number when there are no values.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0, 0.0), |(n, sum), value| (n + 1, sum + value));
    sum / f64::from(count)
}

/// True for more than half.
pub(super) fn most(part: usize, all: usize) -> bool {
    2 * part > all
}
