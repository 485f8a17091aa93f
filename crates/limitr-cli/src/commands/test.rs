//! `limitr test`: runs scenarios.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use limitr::Format;
use limitr_cli::Finding;
use limitr_cli::scenario::{self, Failure, Scenario};
use serde::Serialize;
use serde_json::{Value, json};

use super::explain;
use crate::cli::Test;
use crate::input::{self, Source};
use crate::outcome::{Exit, Outcome, Trouble};
use crate::report::{self, Style};

const FILES: &str = "scenarios are *.yaml, *.yml and *.json files";

pub(super) fn run(arguments: &Test, out: &mut dyn Write) -> Outcome {
    let mut files = Vec::new();
    for path in &arguments.paths {
        given(path)?;
        let found = scenario::files(path);
        files.extend(found.map_err(|error| Trouble::new(format!("cannot read `{}`: {error}", path.display())))?);
    }
    let create = |path: &Path| File::create(path).map(BufWriter::new).map_err(|error| unwritable(path, &error));
    let trace = arguments.trace.as_deref().map(create).transpose()?;
    let mut report = Report { arguments, out, trace, passed: 0, failed: 0 };
    for file in &files {
        report.file(file)?;
    }
    report.summary()
}

/// Whether a path can be asked for: it is there, and if it is a file, its format is known.
fn given(path: &Path) -> Outcome<()> {
    let cannot = |error| Trouble::new(format!("cannot read `{}`: {error}", path.display()));
    let folder = path.metadata().map_err(cannot)?.is_dir();
    let known = path.extension().and_then(|extension| extension.to_str()).and_then(Format::from_extension);
    if folder || known.is_some() {
        return Ok(());
    }
    Err(Trouble::new(format!("`{}` is no scenario", path.display())).hint(FILES))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::new(format!("cannot write `{}`: {error}", path.display()))
}

struct Report<'a> {
    arguments: &'a Test,
    out: &'a mut dyn Write,
    trace: Option<BufWriter<File>>,
    passed: usize,
    failed: usize,
}

impl Report<'_> {
    fn file(&mut self, file: &Path) -> Outcome<()> {
        let source = match input::read(file, None) {
            Ok(source) => source,
            // Among many files one that cannot be read is one failure; the others still count.
            Err(trouble) => {
                let source = Source { name: file.display().to_string(), text: String::new(), format: Format::Yaml };
                let Trouble::Unusable { message, hint } = trouble else { return Err(trouble) };
                let finding = Finding { code: "unreadable".into(), path: String::new(), message, hint, at: None };
                return if self.wanted(&source.name, None) { self.unreadable(&source, &[finding]) } else { Ok(()) };
            }
        };
        match scenario::read(&source.text, source.format) {
            Ok(scenario) => {
                if self.wanted(&source.name, Some(&scenario)) {
                    self.trace(&source, &scenario)?;
                    let result = scenario::run(&scenario);
                    self.result(&source, &scenario, result)?;
                }
            }
            Err(findings) => {
                if self.wanted(&source.name, None) {
                    self.unreadable(&source, &findings)?;
                }
            }
        }
        Ok(())
    }

    fn trace(&mut self, source: &Source, scenario: &Scenario) -> Outcome<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            file: &'a str,
            #[serde(flatten)]
            trace: scenario::Trace,
        }
        let (Some(file), Some(path)) = (&mut self.trace, &self.arguments.trace) else { return Ok(()) };
        let line = Line { file: &source.name, trace: scenario::trace(scenario) };
        let written = serde_json::to_writer(&mut *file, &line).map_err(Into::into).and_then(|()| writeln!(file));
        written.map_err(|error| unwritable(path, &error))
    }

    fn wanted(&self, file: &str, scenario: Option<&Scenario>) -> bool {
        let Some(text) = &self.arguments.filter else { return true };
        let tags = scenario.map(|scenario| scenario.covers.as_slice()).unwrap_or_default();
        let mut places = tags.iter().chain(scenario.map(|scenario| &scenario.name));
        file.contains(text.as_str()) || places.any(|place| place.contains(text.as_str()))
    }

    fn result(&mut self, source: &Source, scenario: &Scenario, result: Result<(), Failure>) -> Outcome<()> {
        let (file, name) = (&source.name, &scenario.name);
        let Err(failure) = result else {
            self.passed += 1;
            if self.arguments.json {
                writeln!(self.out, "{}", json!({"file": file, "name": name, "passed": true}))?;
            } else if self.arguments.verbose {
                writeln!(self.out, "ok   {file}: {name}")?;
            }
            return Ok(());
        };
        self.failed += 1;
        if self.arguments.json {
            let failure = failure_as_json(&failure);
            writeln!(self.out, "{}", json!({"file": file, "name": name, "passed": false, "failure": failure}))?;
            return Ok(());
        }
        writeln!(self.out, "FAIL {file}: {name}")?;
        write_failure(source, &failure, self.out)?;
        writeln!(self.out)?;
        Ok(())
    }

    fn unreadable(&mut self, source: &Source, findings: &[Finding]) -> Outcome<()> {
        self.failed += 1;
        if self.arguments.json {
            let failure = json!({"problems": findings});
            writeln!(self.out, "{}", json!({"file": source.name, "passed": false, "failure": failure}))?;
        } else {
            writeln!(self.out, "FAIL {}: this is no scenario", source.name)?;
            writeln!(self.out, "{}", report::findings(source, findings, Style::stdout()))?;
        }
        Ok(())
    }

    fn summary(self) -> Outcome {
        let Self { arguments, out, trace, passed, failed } = self;
        if let (Some(mut file), Some(path)) = (trace, &arguments.trace) {
            file.flush().map_err(|error| unwritable(path, &error))?;
        }
        if arguments.json {
            writeln!(out, "{}", json!({"passed": passed, "failed": failed}))?;
        } else {
            writeln!(out, "{passed} passed, {failed} failed")?;
        }
        // A build that tests nothing because of a misspelt path should not be green.
        if passed + failed == 0 {
            return Err(match &arguments.filter {
                Some(text) => Trouble::new(format!("no scenario holds `{text}` in its path, name or tags")),
                None => Trouble::new("there is no scenario in what was given").hint(FILES),
            });
        }
        Ok(Exit::yes(failed == 0))
    }
}

fn write_failure(source: &Source, failure: &Failure, out: &mut dyn Write) -> Outcome<()> {
    match failure {
        Failure::Refused(findings) => {
            writeln!(out, "  expected the policy to load, but it is refused")?;
            write!(out, "{}", report::findings(source, findings, Style::stdout()))?;
        }
        Failure::Loaded => writeln!(out, "  expected the policy to be refused, but it loads")?,
        Failure::RefusedOtherwise { expected, came } => {
            writeln!(out, "  expected the policy to be refused with an error holding `{expected}`, came")?;
            writeln!(out, "  {came}")?;
        }
        Failure::Step(step) => {
            let line = step.line.map(|line| format!(" on line {line}")).unwrap_or_default();
            writeln!(out, "  step {}{line}: {}", step.number, step.content)?;
            for difference in &step.differences {
                writeln!(out, "    {difference}")?;
            }
            if let Some(explanation) = &step.explanation {
                for line in explain::text(explanation).lines() {
                    writeln!(out, "    {line}")?;
                }
            }
        }
    }
    Ok(())
}

fn failure_as_json(failure: &Failure) -> Value {
    match failure {
        Failure::Refused(findings) => json!({"expected": "a policy that loads", "problems": findings}),
        Failure::Loaded => json!({"expected": "a policy that is refused"}),
        Failure::RefusedOtherwise { expected, came } => {
            json!({"expected": format!("an error holding `{expected}`"), "came": came})
        }
        Failure::Step(step) => json!({
            "step": step.number,
            "line": step.line,
            "content": step.content,
            "differences": step.differences,
            "explanation": step.explanation,
        }),
    }
}
