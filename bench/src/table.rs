//! The rows and how they are printed.

use std::{fmt::Display, fs, process::Command, thread};

use serde_json::{Value, json};

use crate::measure::Spread;

/// What was measured, in the order in which it was.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    group: String,
    reference: Option<f64>,
}

struct Row {
    group: String,
    name: String,
    result: Result,
}

enum Result {
    /// Nanoseconds per call, and how many times the reference's that is.
    Time(Spread, Option<f64>),
    /// Any other number, with its unit.
    Figure(f64, &'static str),
    /// Why it was not measured.
    Skipped(String),
}

impl Table {
    /// Begins a group; the ratios of its rows are to its reference, once that is measured.
    pub(crate) fn group(&mut self, name: impl Into<String>) {
        self.group = name.into();
        self.reference = None;
    }

    /// The row that the others of the group are compared with.
    pub(crate) fn reference(&mut self, name: &str, spread: Spread) {
        self.reference = Some(spread.median);
        self.time(name, spread);
    }

    pub(crate) fn reference_median(&self) -> Option<f64> {
        self.reference
    }

    pub(crate) fn time(&mut self, name: &str, spread: Spread) {
        let ratio = self.reference.map(|reference| spread.median / reference);
        self.push(name, Result::Time(spread, ratio));
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &'static str) {
        self.push(name, Result::Figure(value, unit));
    }

    pub(crate) fn skipped(&mut self, name: &str, why: impl Display) {
        self.push(name, Result::Skipped(why.to_string()));
    }

    /// A row that may not be measurable here.
    pub(crate) fn time_or_why(&mut self, name: &str, spread: std::result::Result<Spread, impl Display>) {
        match spread {
            Ok(spread) => self.time(name, spread),
            Err(why) => self.skipped(name, why),
        }
    }

    fn push(&mut self, name: &str, result: Result) {
        // Measuring takes minutes: say where it is.
        eprintln!("{}: {name}", self.group);
        self.rows.push(Row { group: self.group.clone(), name: name.to_owned(), result });
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!(
            "{}\n\n{:<44} {:>10} {:>10} {:>10} {:>12} {:>8}\n",
            machine().iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", "),
            "ns per call",
            "p10",
            "median",
            "p90",
            "calls/s",
            "ratio"
        );
        let mut group = "";
        for row in &self.rows {
            if row.group != group {
                group = &row.group;
                text += &format!("\n{group}\n");
            }
            text += &match &row.result {
                Result::Time(Spread { p10, median, p90 }, ratio) => {
                    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
                    let rate = 1e9 / median;
                    format!("  {:<42} {p10:>10.1} {median:>10.1} {p90:>10.1} {rate:>12.0} {ratio:>8}\n", row.name)
                }
                Result::Figure(value, unit) => {
                    let digits = if value.abs() < 100.0 { 3 } else { 0 };
                    format!("  {:<42} {:>10} {value:>10.digits$} {unit}\n", row.name, "")
                }
                Result::Skipped(why) => format!("  {:<42} not measured: {why}\n", row.name),
            };
        }
        text
    }

    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut value = match &row.result {
                Result::Time(Spread { p10, median, p90 }, ratio) => {
                    json!({"unit": "ns/call", "p10": p10, "median": median, "p90": p90, "ratio": ratio})
                }
                Result::Figure(value, unit) => json!({"unit": unit, "value": value}),
                Result::Skipped(why) => json!({"skipped": why}),
            };
            value["group"] = json!(row.group);
            value["name"] = json!(row.name);
            value
        });
        let machine: serde_json::Map<_, _> =
            machine().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        json!({"machine": machine, "rows": rows.collect::<Vec<_>>()})
    }
}

/// What the numbers were measured on.
fn machine() -> [(&'static str, String); 3] {
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
        let model = info.lines().find(|line| line.starts_with("model name"))?;
        Some(model.split_once(':')?.1.trim().to_owned())
    });
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    [
        ("cpu", cpu.unwrap_or_else(|| "unknown cpu".to_owned())),
        ("cores", format!("{cores} cores")),
        ("rustc", rustc.unwrap_or_else(|| "unknown rustc".to_owned())),
    ]
}
