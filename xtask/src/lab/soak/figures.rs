//! Many measurements of one thing, and what is told of them.

/// Measurements.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread(Vec<f64>);

impl Spread {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The smallest that so many in a hundred do not exceed; not a number if there are none.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    /// With this many digits behind the point.
    pub(super) fn shown(&self, digits: usize, unit: &str) -> String {
        let [median, p99, max] = [50, 99, 100].map(|percent| self.percentile(percent));
        format!(
            "median {median:.digits$} {unit}, p99 {p99:.digits$}, max {max:.digits$} (of {})",
            self.0.len()
        )
    }
}

/// A figure as it comes.
pub(super) fn say(name: &str, value: impl std::fmt::Display) {
    println!("  {name:<36} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_told() {
        let spread = Spread::of((1..=200).rev().map(f64::from));
        assert_eq!(spread.shown(0, "s"), "median 100 s, p99 198, max 200 (of 200)");
        assert!(Spread::default().percentile(50).is_nan());
        assert!((Spread::of([3.0]).percentile(50) - 3.0).abs() < 1e-9);
    }
}
