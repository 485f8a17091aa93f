//! The places of a policy where functions are called, and what with.

/// Where a function stands that the engine calls by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// `overhead(units, context)` of a credit.
    Overhead(&'a str),
    /// `matches(type, event)` of a notification.
    Matches(&'a str),
    /// `fire(type, event)` of a notification.
    Fire(&'a str),
    /// `run(input, customer)` of a capability.
    Run(&'a str),
    /// `get_pair(currency)` of the exchange.
    GetPair,
}

impl<'a> Place<'a> {
    /// The place of a function called `name` in the map at `path`; none where the engine calls none of that name.
    #[cfg_attr(not(feature = "stof"), allow(dead_code))]
    pub(crate) fn of(path: &[&'a str], name: &str) -> Option<Self> {
        Some(match (path, name) {
            (["policy", "credits", credit], "overhead") => Self::Overhead(credit),
            (["policy", "notifications", notification], "matches") => Self::Matches(notification),
            (["policy", "notifications", notification], "fire") => Self::Fire(notification),
            (["policy", "capabilities", capability], "run") => Self::Run(capability),
            (["policy", "exchange"], "get_pair") => Self::GetPair,
            _ => return None,
        })
    }

    /// What it is called with.
    #[cfg_attr(not(feature = "stof"), allow(dead_code))]
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Overhead(_) => &["units", "context"],
            Self::Matches(_) | Self::Fire(_) => &["type", "event"],
            Self::Run(_) => &["input", "customer"],
            Self::GetPair => &["currency"],
        }
    }
}
