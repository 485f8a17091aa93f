//! "Did you mean ...?"

/// The known name that `name` is probably a misspelling of.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Comparing takes time by the product of the lengths; nothing that is known is this long.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let allowed = (name.chars().count() / 3).max(1);
    let distance = |known: &'k str| (strsim::osa_distance(name, known), known);
    let near = known.into_iter().map(distance).filter(|(distance, _)| *distance <= allowed);
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised() {
        let known = ["expect", "events", "expect_event", "save"];
        assert_eq!(nearest("expcet", known), Some("expect"));
        assert_eq!(nearest("expect_events", known), Some("expect_event"));
        assert_eq!(nearest("allow", known), None);
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }
}
