//! `limitr exec`: the engine for other programs, one JSON line in, one out.

use std::io::{self, BufRead, Write, stdin};

use limitr::{RandomIds, SequentialIds};
use limitr_cli::session::{Happened, Operation, Reply, Session, StepError, check_name};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::Exec;
use crate::input;
use crate::outcome::{Exit, Outcome, Trouble};

/// Longest line, in bytes.
const LONGEST: usize = 1024 * 1024;

/// The answer to one line.
#[derive(Serialize)]
struct Answer {
    result: Value,
    events: Vec<Happened>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

pub(super) fn run(arguments: &Exec, out: &mut dyn Write) -> Outcome {
    let world = &arguments.world;
    if input::is_stdin(&world.policy) || world.state.as_deref().is_some_and(input::is_stdin) {
        return Err(Trouble::new("standard input is for the lines").hint("give the policy and the state as files"));
    }
    let mut session = if arguments.sequential_ids {
        super::session(world, SequentialIds::default())?
    } else {
        super::session(world, RandomIds)?
    };
    let mut lines = stdin().lock();
    let mut line = Vec::new();
    loop {
        let read = read_line(&mut lines, &mut line);
        match read.map_err(|error| Trouble::new(format!("cannot read standard input: {error}")))? {
            Line::End => return Ok(Exit::Fine),
            Line::Whole if line.trim_ascii().is_empty() => continue,
            Line::Whole => answer(&mut session, &line).write(out)?,
            Line::TooLong => {
                let message = format!("the line is longer than the {LONGEST} bytes it may have");
                Answer::error(StepError { code: "line_too_long", message, hint: None }, Vec::new()).write(out)?;
            }
        }
    }
}

fn answer(session: &mut Session, line: &[u8]) -> Answer {
    match step(line) {
        Ok((operation, save)) => {
            let Reply { result, events } = session.run(&operation);
            match result {
                Ok(result) => match save.map_or(Ok(()), |name| session.save(&name, result.clone())) {
                    Ok(()) => Answer { result, events, error: None, code: None, hint: None },
                    Err(error) => Answer::error(error, events),
                },
                Err(error) => Answer::error(error, events),
            }
        }
        Err(error) => Answer::error(error, Vec::new()),
    }
}

/// The operation of a line, and the name to keep its result under.
fn step(line: &[u8]) -> Result<(Operation, Option<String>), StepError> {
    let keys: Map<String, Value> = serde_json::from_slice(line).map_err(|error| {
        let not_json = error.is_syntax() || error.is_eof();
        let message = format!("the line is not {}: {error}", if not_json { "JSON" } else { "a step" });
        let hint =
            "a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}";
        StepError { code: if not_json { "not_json" } else { "bad_step" }, message, hint: Some(hint.to_owned()) }
    })?;
    let save = match keys.get("save") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => {
            // Before the call, so that a step that fails has done nothing.
            check_name(name)?;
            Some(name.clone())
        }
        Some(_) => {
            return Err(StepError { code: "bad_step", message: "`save` takes a name".to_owned(), hint: None });
        }
    };
    Ok((Operation::among(&keys)?, save))
}

impl Answer {
    fn error(error: StepError, events: Vec<Happened>) -> Self {
        Self { result: Value::Null, events, error: Some(error.message), code: Some(error.code), hint: error.hint }
    }

    /// Writes the line and flushes it: a program may wait for it before it sends the next.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = serde_json::to_string(self)?;
        writeln!(out, "{line}")?;
        out.flush()
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads the next line without its line break, holding no more of it than a line may have.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let (mut any, mut too_long) = (false, false);
    loop {
        let available = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        too_long |= line.len() + part.len() > LONGEST;
        if !too_long {
            line.extend_from_slice(part);
        }
        any |= !available.is_empty();
        let done = end.is_some() || available.is_empty();
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if done {
            return Ok(match (any, too_long) {
                (false, _) => Line::End,
                (true, true) => Line::TooLong,
                (true, false) => Line::Whole,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let long = "x".repeat(LONGEST + 1);
        let fits = "y".repeat(LONGEST);
        let text = format!("a\n\n{long}\n{fits}\nb");
        // A small buffer: lines come in parts.
        let mut reader = io::BufReader::with_capacity(1000, text.as_bytes());
        let mut line = Vec::new();
        let mut read = Vec::new();
        loop {
            match read_line(&mut reader, &mut line).unwrap() {
                Line::End => break,
                Line::TooLong => read.push("too long".to_owned()),
                Line::Whole => read.push(format!("{}: {}", line.len(), line.first().map_or(' ', |byte| *byte as char))),
            }
        }
        assert_eq!(read, ["1: a", "0:  ", "too long", "1048576: y", "1: b"]);
    }
}
