//! "Did you mean": the known name nearest to an unknown one.

/// Names further apart than this have nothing to do with each other.
const LIKENESS: f64 = 0.8;

/// The one of `names` that `wanted` was probably meant to be.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name| strsim::jaro_winkler(wanted, name);
    names.into_iter().filter(|name| likeness(name) > LIKENESS).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// A hint for what serde says about unknown fields and variants, which lists every known one in backticks.
pub(crate) fn for_unknown(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let wanted = names.next()?;
    let known: Vec<&str> = names.collect();
    match nearest(wanted, known.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known are {}", listed(&known))),
    }
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_in_what_serde_says() {
        let message = "unknown field `emial`, expected one of `email`, `password`";
        assert_eq!(for_unknown(message).unwrap(), "did you mean `email`?");
        let message = "unknown field `zzz`, expected `email` or `password`";
        assert_eq!(for_unknown(message).unwrap(), "known are `email`, `password`");
        assert_eq!(for_unknown("invalid type: null, expected a string"), None);
        assert_eq!(for_unknown("unknown field `x`, there are no fields"), None);
    }
}
