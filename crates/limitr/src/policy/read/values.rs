//! Reading single values: text, numbers, measures, durations, enums, schedules, names.

use super::{Fields, MAX_NAME, Reader, nearest, quoted};
use crate::Amount;
use crate::policy::model::{
    GrantStrategy, Map, Mode, Once, ParameterType, PlanPeriod, PricingModel, ResetMode, Severity,
};
use crate::policy::node::{Key, Kind, Node};
use crate::policy::schedule::{self, Schedule};
use crate::policy::units::{Measure, MeasureError, Unit, parse_duration, parse_number};

/// A value that is one of a few words.
pub(crate) trait Choice: Copy + 'static {
    /// What it is called in messages.
    const WHAT: &'static str;
    /// The words.
    const ALL: &'static [(&'static str, Self)];
}

impl Choice for PricingModel {
    const WHAT: &'static str = "pricing model";
    const ALL: &'static [(&'static str, Self)] =
        &[("flat", Self::Flat), ("tiered", Self::Tiered), ("volume", Self::Volume), ("stairstep", Self::Stairstep)];
}

impl Choice for GrantStrategy {
    const WHAT: &'static str = "grant strategy";
    const ALL: &'static [(&'static str, Self)] = &[
        ("expires_first", Self::ExpiresFirst),
        ("cheapest_first", Self::CheapestFirst),
        ("valuable_first", Self::ValuableFirst),
    ];
}

impl Choice for PlanPeriod {
    const WHAT: &'static str = "period";
    const ALL: &'static [(&'static str, Self)] =
        &[("yearly", Self::Yearly), ("monthly", Self::Monthly), ("weekly", Self::Weekly), ("daily", Self::Daily)];
}

impl Choice for Mode {
    const WHAT: &'static str = "mode";
    const ALL: &'static [(&'static str, Self)] =
        &[("hard", Self::Hard), ("soft", Self::Soft), ("observe", Self::Observe)];
}

impl Choice for ResetMode {
    const WHAT: &'static str = "reset mode";
    const ALL: &'static [(&'static str, Self)] =
        &[("hard", Self::Hard), ("add", Self::Add), ("rollover", Self::Rollover)];
}

impl Choice for Once {
    const WHAT: &'static str = "frequency";
    const ALL: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("period", Self::Period), ("ever", Self::Ever)];
}

impl Choice for Severity {
    const WHAT: &'static str = "severity";
    const ALL: &'static [(&'static str, Self)] =
        &[("info", Self::Info), ("warning", Self::Warning), ("critical", Self::Critical)];
}

impl Choice for ParameterType {
    const WHAT: &'static str = "parameter type";
    const ALL: &'static [(&'static str, Self)] = &[
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];
}

impl Reader {
    /// Reads the field when it is given; none also when it could not be read, which has then been reported.
    pub(super) fn field<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        let node = fields.get(name)?;
        self.inside(name, |reader| read(reader, node))
    }

    /// Reads the field, reporting that it is missing.
    pub(super) fn required<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        if fields.get(name).is_none() && fields.readable && self.strict {
            let (at, message) = (fields.at, format!("the field `{name}` is missing"));
            self.inside(name, |reader| {
                if !reader.was_blamed(&reader.path) {
                    reader.report("missing_field", at, message, None);
                }
            });
        }
        self.field(fields, name, read)
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Number(_) | Kind::Bool(_) => {
                let message = format!("expected text, found {}", node.shown());
                self.report("wrong_type", node.at, message, Some("put it in quotes".to_owned()));
                None
            }
            _ => {
                self.wrong_type("text", node);
                None
            }
        }
    }

    pub(super) fn bool(&mut self, node: &Node) -> Option<bool> {
        if let Kind::Bool(value) = &node.kind {
            return Some(*value);
        }
        let hint = match &node.kind {
            Kind::Text(text) if ["yes", "y", "on", "true"].iter().any(|word| text.eq_ignore_ascii_case(word)) => {
                Some("write `true`".to_owned())
            }
            Kind::Text(text) if ["no", "n", "off", "false"].iter().any(|word| text.eq_ignore_ascii_case(word)) => {
                Some("write `false`".to_owned())
            }
            _ => None,
        };
        let message = format!("expected `true` or `false`, found {}", node.shown());
        self.report("wrong_type", node.at, message, hint);
        None
    }

    /// A number without a unit. Digits a double would lose may stand in text.
    pub(super) fn amount(&mut self, node: &Node) -> Option<Amount> {
        let text = match &node.kind {
            Kind::Number(text) => text,
            Kind::Text(text) if matches!(text.parse(), Ok(Measure { unit: None, .. })) => text,
            _ => {
                self.wrong_type("a number", node);
                return None;
            }
        };
        let amount = parse_number(text.trim());
        if amount.is_none() {
            self.out_of_range(node);
        }
        amount
    }

    fn out_of_range(&mut self, node: &Node) {
        let digits = matches!(&node.kind, Kind::Number(text) if text.contains(|char: char| char.is_ascii_digit()));
        let message = if digits {
            format!("{} is out of range", node.shown())
        } else {
            format!("{} is not a finite number", node.shown())
        };
        self.report("number_out_of_range", node.at, message, None);
    }

    /// A number, or text of a number with a unit.
    pub(super) fn measure(&mut self, node: &Node) -> Option<Measure> {
        match &node.kind {
            Kind::Number(_) => self.amount(node).map(Measure::from),
            Kind::Text(text) => match text.parse() {
                Ok(measure) => Some(measure),
                Err(error) => {
                    self.bad_measure("a number, or a number with a unit such as `1GB`", node, &error);
                    None
                }
            },
            _ => {
                self.wrong_type("a number, or a number with a unit such as `1GB`", node);
                None
            }
        }
    }

    fn bad_measure(&mut self, expected: &str, node: &Node, error: &MeasureError) {
        let MeasureError::Unit { unit, .. } = error else { return self.wrong_type(expected, node) };
        let hint = unit_hint(unit);
        self.report("bad_unit", node.at, format!("unknown unit {} in {}", quoted(unit), node.shown()), hint);
    }

    /// A duration in ms: a number of them, or text of a number with a unit of time.
    pub(super) fn duration(&mut self, node: &Node) -> Option<i64> {
        const EXPECTED: &str = "a duration such as `10min` or a number of milliseconds";
        let (Kind::Number(text) | Kind::Text(text)) = &node.kind else {
            self.wrong_type(EXPECTED, node);
            return None;
        };
        match parse_duration(text) {
            Ok(ms) => return Some(ms),
            Err(MeasureError::NotTime(_)) => {
                let message = format!("expected {EXPECTED}, found {}", node.shown());
                self.report("bad_unit", node.at, message, None);
            }
            Err(_) if matches!(node.kind, Kind::Number(_)) || text.parse::<Measure>().is_ok() => {
                self.out_of_range(node);
            }
            Err(error) => self.bad_measure(EXPECTED, node, &error),
        }
        None
    }

    /// A statistic, kept as a double.
    pub(super) fn double(&mut self, node: &Node) -> Option<f64> {
        let (Kind::Number(text) | Kind::Text(text)) = &node.kind else {
            self.wrong_type("a number", node);
            return None;
        };
        match text.parse() {
            Ok(double) if f64::is_finite(double) => return Some(double),
            _ if matches!(node.kind, Kind::Number(_)) => self.out_of_range(node),
            _ => self.wrong_type("a number", node),
        }
        None
    }

    /// A whole number in the range of `T`.
    pub(super) fn whole<T: TryFrom<i128>>(&mut self, node: &Node) -> Option<T> {
        let amount = self.amount(node)?;
        if amount.truncated() != amount {
            self.wrong_type("a whole number", node);
            return None;
        }
        let whole = amount.decimal().normalize();
        let fits = Some(whole.mantissa()).filter(|_| whole.scale() == 0).and_then(|whole| T::try_from(whole).ok());
        if fits.is_none() {
            self.out_of_range(node);
        }
        fits
    }

    /// One of the words of `T`.
    pub(super) fn choice<T: Choice>(&mut self, node: &Node) -> Option<T> {
        let Kind::Text(text) = &node.kind else {
            self.wrong_type("text", node);
            return None;
        };
        let found = T::ALL.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<String> = T::ALL.iter().map(|(word, _)| format!("`{word}`")).collect();
            let one_of = format!("it is one of {}", words.join(", "));
            let hint = match nearest(text, T::ALL.iter().map(|(word, _)| *word)) {
                Some(meant) => format!("did you mean `{meant}`? {one_of}"),
                None => one_of,
            };
            self.report("unknown_value", node.at, format!("unknown {} {}", T::WHAT, quoted(text)), Some(hint));
        }
        found
    }

    pub(super) fn schedule(&mut self, node: &Node) -> Option<Schedule> {
        let text = self.text(node)?;
        let schedule = text.parse().ok();
        if schedule.is_none() {
            let message = format!("{} is not a schedule", quoted(&text));
            self.report("bad_schedule", node.at, message, Some(format!("a schedule is {}", schedule::FORMS)));
        }
        schedule
    }

    /// The unit that a credit's meters keep.
    pub(super) fn unit(&mut self, node: &Node) -> Option<Unit> {
        let text = self.text(node)?;
        let unit = Unit::parse(&text);
        if unit.is_none() {
            let hint = unit_hint(&text).or_else(|| Some("leave it out, or write for example `int` or `MB`".to_owned()));
            self.report("bad_unit", node.at, format!("unknown unit {}", quoted(&text)), hint);
        }
        unit
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        if let Kind::List(items) = &node.kind {
            return Some(items);
        }
        self.wrong_type("a list", node);
        None
    }

    pub(super) fn texts(&mut self, node: &Node) -> Option<Vec<String>> {
        let items = self.list(node)?;
        Some(items.iter().enumerate().filter_map(|(index, item)| self.item(index, |r| r.text(item))).collect())
    }

    /// A map of names, each value read by `read`. Entries that cannot be read stay out of it.
    pub(super) fn map<T>(
        &mut self,
        node: &Node,
        mut read: impl FnMut(&mut Self, &str, &Node) -> Option<T>,
    ) -> Option<Map<T>> {
        let entries = self.entries(node)?;
        let mut map = Map::default();
        for (key, value) in entries {
            if !self.name(key) {
                continue;
            }
            if let Some(value) = self.inside(&key.text, |reader| read(reader, &key.text, value)) {
                map.insert(key.text.clone(), value);
            }
        }
        Some(map)
    }

    /// Whether the key can be a name. Longer ones are refused even where mistakes are tolerated: every path repeats them.
    pub(super) fn name(&mut self, key: &Key) -> bool {
        if key.text.len() > MAX_NAME {
            let message = format!("the name {} has more than {MAX_NAME} bytes", quoted(&key.text));
            self.inside(&key.text, |reader| reader.report("bad_name", key.at, message, None));
            return false;
        }
        if key.text.trim().is_empty() && self.strict {
            self.inside(&key.text, |reader| reader.report("bad_name", key.at, "a name is empty".to_owned(), None));
        }
        true
    }
}

fn unit_hint(unit: &str) -> Option<String> {
    // Case is the usual slip, and `nearest` does not tell `mb` from `Mt`.
    let by_case = || Unit::all().find(|known| known.name().eq_ignore_ascii_case(unit));
    let found = by_case().map(Unit::name).or_else(|| nearest(unit, Unit::all().map(Unit::name)));
    found.map(|meant| format!("did you mean `{meant}`?"))
}
