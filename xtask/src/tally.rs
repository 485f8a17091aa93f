//! Counting checks, and reading the counts that test runners print.

use std::ops::AddAssign;

/// How many checks passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// One check that passed or failed.
    pub(crate) fn one(ok: bool) -> Self {
        Self { passed: usize::from(ok), failed: usize::from(!ok) }
    }

    /// The sum of the summary lines in a test runner's output. A run that failed without counting a failure
    /// (it did not compile, say) is one failure; one that succeeded without counting anything is one check.
    pub(crate) fn of_run(ok: bool, text: &str) -> Self {
        // nextest repeats what a failed test printed, the inner harness's own summary with it: the first kind
        // of summary that is there counts alone.
        let sum = |read: fn(&str) -> Option<&str>| {
            text.lines().filter_map(|line| read(line.trim())).map(counts).reduce(|mut sum, tally| {
                sum += tally;
                sum
            })
        };
        let mut tally = sum(nextest).or_else(|| sum(cargo_test)).or_else(|| sum(plain)).unwrap_or_default();
        for line in text.lines() {
            tally += node(line).unwrap_or_default();
        }
        if !ok && tally.failed == 0 {
            tally.failed = 1;
        }
        if tally == Self::default() { Self::one(ok) } else { tally }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// `Summary [ 0.1s] 3 tests run: 2 passed, 1 failed, 0 skipped`
fn nextest(line: &str) -> Option<&str> {
    line.strip_prefix("Summary [")?.split_once("run:").map(|(_, counts)| counts)
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored`
fn cargo_test(line: &str) -> Option<&str> {
    line.strip_prefix("test result:")
}

/// `3 passed, 0 failed`
fn plain(line: &str) -> Option<&str> {
    let starts_with_number = line.starts_with(|first: char| first.is_ascii_digit());
    (starts_with_number && line.contains(" passed, ")).then_some(line)
}

/// `# pass 12` and `# fail 1` of Node's test runner.
fn node(line: &str) -> Option<Tally> {
    let count = |what: &str| line.strip_prefix(what)?.trim().parse().ok();
    match (count("# pass "), count("# fail ")) {
        (Some(passed), _) => Some(Tally { passed, failed: 0 }),
        (_, Some(failed)) => Some(Tally { passed: 0, failed }),
        _ => None,
    }
}

/// Reads `2 passed, 1 failed` and the like.
fn counts(text: &str) -> Tally {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut tally = Tally::default();
    for pair in words.windows(2) {
        let [number, what] = pair else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        match what.trim_end_matches([',', ';']) {
            "passed" => tally.passed += number,
            // `1 timed out` and `1 exec failed` are nextest's other ways to fail.
            "failed" | "timed" | "exec" => tally.failed += number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_are_added_up() {
        for (text, passed, failed) in [
            ("     Summary [   0.005s] 3 tests run: 3 passed, 0 skipped", 3, 0),
            (
                "     Summary [   9.105s] 9 tests run: 5 passed (1 slow), 1 failed, 2 timed out, 1 exec failed, 4 skipped",
                5,
                4,
            ),
            ("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured\ntest result: ok. 2 passed; 0 failed;", 7, 0),
            ("142 passed, 0 failed", 142, 0),
            ("  test result: FAILED. 0 passed; 1 failed;\n Summary [ 1s] 2 tests run: 1 passed, 1 failed", 1, 1),
            ("# tests 13\n# pass 12\n# fail 1\n", 12, 1),
            ("nothing that counts\n", 1, 0),
        ] {
            assert_eq!(Tally::of_run(failed == 0, text), Tally { passed, failed }, "{text}");
        }
    }

    #[test]
    fn a_failed_run_always_counts_a_failure() {
        assert_eq!(Tally::of_run(false, "error: could not compile"), Tally { passed: 0, failed: 1 });
        assert_eq!(Tally::of_run(false, "7 passed, 0 failed"), Tally { passed: 7, failed: 1 });
    }
}
