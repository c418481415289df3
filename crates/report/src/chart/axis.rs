//! Axes: from data to units of the picture, with ticks.

/// How an axis is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal factors; values that are not positive are not shown.
    Log(Decades),
}

/// How the powers of ten of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decades {
    /// `1e-3`.
    Power,
    /// `1/1,000`.
    Fraction,
}

impl Scale {
    /// The value along the axis; not finite where it has no place there.
    pub(super) fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log(_) if value > 0.0 => value.log10(),
            Self::Log(_) => f64::NAN,
        }
    }
}

/// An axis from data to units of the picture.
pub(super) struct Axis {
    scale: Scale,
    /// Ends, along the scale.
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis from `start` to `end` that holds all values, widened to ticks;
    /// or from one to the other of `fixed`. Values without a place on the
    /// scale are passed over.
    pub fn over(
        values: impl Iterator<Item = f64>,
        scale: Scale,
        fixed: Option<[f64; 2]>,
        start: f64,
        end: f64,
    ) -> Self {
        let fixed = fixed.map(|ends| ends.map(|v| scale.of(v)));
        let [low, high] = fixed.unwrap_or_else(|| extent(values.map(|v| scale.of(v)), scale));
        let step = match scale {
            Scale::Linear => tick_step((high - low) / 5.0),
            Scale::Log(_) => ((high - low) / 6.0).ceil().max(1.0),
        };
        let [low, high] =
            fixed.unwrap_or([(low / step).floor() * step, (high / step).ceil() * step]);
        let first = (low / step - 1e-6).ceil();
        let count = ((high / step + 1e-6).floor() - first).clamp(-1.0, 50.0);
        let places = (0..=count as i64).filter(|_| count >= 0.0);
        let ticks = places
            .map(|i| (first + i as f64) * step)
            .map(|place| match scale {
                Scale::Linear => (place, plain(place, step, low.abs().max(high.abs()))),
                Scale::Log(decades) => (10f64.powf(place), decade(place as i32, decades)),
            })
            .collect();
        Self {
            scale,
            low,
            high,
            start,
            end,
            ticks,
        }
    }

    /// Where a value lies, moved to the nearer end when it is off the axis;
    /// NaN for one that has no place on it.
    pub fn place(&self, value: f64) -> f64 {
        let share = (self.scale.of(value) - self.low) / (self.high - self.low);
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Values and texts of the ticks, ascending.
    pub fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// The axis with at most about `most` ticks, evenly taken.
    pub fn sparse(mut self, most: usize) -> Self {
        let every = self.ticks.len().div_ceil(most).max(1);
        self.ticks = self.ticks.into_iter().step_by(every).collect();
        self
    }

    #[cfg(test)]
    pub fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }
}

/// Lowest and highest of the values, apart.
fn extent(values: impl Iterator<Item = f64>, scale: Scale) -> [f64; 2] {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|v| v.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return [0.0, 1.0];
    }
    if low < high {
        return [low, high];
    }
    let margin = match scale {
        Scale::Linear if low != 0.0 => 0.5 * low.abs(),
        _ => 1.0,
    };
    [low - margin, high + margin]
}

/// 1, 2 or 5 times a power of ten, the smallest that is at least `least`.
fn tick_step(least: f64) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let multiple = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|m| m * power >= least * (1.0 - 1e-9))
        .unwrap_or(10.0);
    multiple * power
}

/// A tick of an axis with equal steps whose largest size is `size`.
fn plain(tick: f64, step: f64, size: f64) -> String {
    let decimals = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    match size {
        size if !(1e-4..1e6).contains(&size) => format!("{tick:.1e}"),
        _ => format!("{tick:.decimals$}"),
    }
}

/// Ten to the power of `exponent`.
fn decade(exponent: i32, decades: Decades) -> String {
    match (decades, exponent) {
        (_, 0) => "1".to_owned(),
        (Decades::Fraction, ..0) => format!("1/{}", grouped(exponent)),
        (_, -2..=2) => format!("{}", 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}

/// Ten to the power of the size of `exponent`, thousands apart.
fn grouped(exponent: i32) -> String {
    let mut text = "1".to_owned();
    for left in (0..exponent.abs()).rev() {
        text.push('0');
        if left % 3 == 0 && left > 0 {
            text.push(',');
        }
    }
    if exponent.abs() % 3 == 0 {
        text.insert(1, ',');
    }
    text
}

/// A measured value as a tick, to three significant digits where it is written
/// as `1e-4`, to five elsewhere.
pub(super) fn short(value: f64) -> String {
    let (digits, power) = match value.abs() {
        0.01..1e5 => (4, false),
        size => (2, size > 0.0),
    };
    let rounded: f64 = format!("{value:.digits$e}").parse().unwrap_or(value);
    match power {
        true => format!("{rounded:e}"),
        false => format!("{rounded}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks().iter().map(|(_, text)| &**text).collect()
    }

    #[test]
    fn axes_are_widened_to_ticks() {
        // 0.13 to 0.92: a fifth is 0.158, so ticks every 0.2 from 0 to 1.
        let axis = Axis::over([0.92, 0.13].into_iter(), Scale::Linear, None, 0.0, 100.0);
        assert_eq!(axis.ends(), [0.0, 1.0]);
        assert_eq!(axis.place(0.5), 50.0);
        assert_eq!(texts(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn a_log_axis_has_ticks_at_decades() {
        // 3e-5 to 2e-3 lies between 1e-5 and 1e-2, three decades: 1e-4 is a
        // third of the way, sqrt(10) * 1e-5 a sixth.
        let log = Scale::Log(Decades::Power);
        let axis = Axis::over([3e-5, 2e-3, -1.0, 0.0].into_iter(), log, None, 0.0, 300.0);
        assert_eq!(texts(&axis), ["1e-5", "1e-4", "1e-3", "0.01"]);
        assert!((axis.place(1e-4) - 100.0).abs() < 1e-9);
        assert!((axis.place(1e-5 * 10f64.sqrt()) - 50.0).abs() < 1e-9);
        assert!(axis.place(0.0).is_nan());
    }

    #[test]
    fn fractions_are_written_out() {
        let log = Scale::Log(Decades::Fraction);
        let axis = Axis::over([1e-5, 1.0].into_iter(), log, None, 0.0, 1.0);
        let expected = ["1/100,000", "1/10,000", "1/1,000", "1/100", "1/10", "1"];
        assert_eq!(texts(&axis), expected);
    }

    #[test]
    fn many_decades_have_fewer_ticks() {
        // Ten decades over six: every second.
        let log = Scale::Log(Decades::Power);
        let axis = Axis::over([1.0, 1e10].into_iter(), log, None, 0.0, 1.0);
        assert_eq!(texts(&axis), ["1", "100", "1e4", "1e6", "1e8", "1e10"]);
    }

    #[test]
    fn an_axis_of_nothing_or_of_one_value_has_ends() {
        let none = Axis::over([f64::NAN].into_iter(), Scale::Linear, None, 0.0, 1.0);
        assert_eq!(none.ends(), [0.0, 1.0]);
        let log = Scale::Log(Decades::Power);
        let one = Axis::over([1e-3].into_iter(), log, None, 0.0, 1.0);
        assert_eq!(one.ends(), [-4.0, -2.0]);
    }

    #[test]
    fn measured_values_are_short() {
        for (value, text) in [(1e-4, "1e-4"), (3e-3, "3e-3"), (16.0, "16"), (0.05, "0.05")] {
            assert_eq!(short(value), text);
        }
    }
}
