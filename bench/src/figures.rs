//! What was measured, how it is judged, and how it is reported: a table for people, JSON for programs.

use std::path::Path;

use serde_json::json;

/// What a figure must keep to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn words(self) -> (&'static str, f64) {
        match self {
            Self::AtMost(bound) => ("at most", bound),
            Self::AtLeast(bound) => ("at least", bound),
        }
    }
}

/// One figure; only those with a bound are judged.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) bound: Option<Bound>,
}

impl Figure {
    /// A figure that is told and not judged.
    pub(crate) fn told(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, bound: None }
    }

    /// A ratio with a bound.
    pub(crate) fn ratio(name: impl Into<String>, value: f64, bound: Option<Bound>) -> Self {
        Self { name: name.into(), value, unit: "×", bound }
    }

    pub(crate) fn holds(&self) -> bool {
        self.bound.is_none_or(|bound| bound.holds(self.value))
    }
}

/// The figures that are judged, in lines.
pub(crate) fn show(figures: &[Figure]) {
    println!();
    for figure in figures {
        let Some(bound) = figure.bound else { continue };
        let (verdict, (word, bound)) = (if figure.holds() { "pass" } else { "FAIL" }, bound.words());
        let Figure { name, value, unit, .. } = figure;
        println!("{verdict}  {name:<58} {value:.2} {unit} ({word} {bound} {unit})");
    }
}

/// All figures, as JSON in a file.
pub(crate) fn write(figures: &[Figure], path: &Path) -> Result<(), String> {
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            let (at_most, at_least) = match figure.bound {
                Some(Bound::AtMost(bound)) => (Some(bound), None),
                Some(Bound::AtLeast(bound)) => (None, Some(bound)),
                None => (None, None),
            };
            json!({
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "at_most": at_most,
                "at_least": at_least,
                "pass": figure.holds(),
            })
        })
        .collect();
    let text = format!("{:#}\n", json!({ "figures": rows }));
    std::fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
