//! Every scenario of the conformance suite, on this engine.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use limitr::Format;
use limitr_cli::scenario;

#[test]
fn every_scenario_passes() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases");
    let files = scenario::files(&suite).unwrap();
    assert!(!files.is_empty(), "no scenarios in {}", suite.display());
    let failures: Vec<String> = files.iter().filter_map(|file| failure(file)).collect();
    assert!(failures.is_empty(), "{} of {} scenarios fail\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn failure(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let came = match scenario::read(&text, Format::Yaml) {
        Ok(scenario) => scenario::run(&scenario).err().map(|failure| format!("{failure:?}")),
        Err(findings) => Some(format!("{findings:?}")),
    };
    came.map(|came| format!("{}: {came}", file.display()))
}
