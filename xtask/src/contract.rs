//! The REST API against its own document, with requests made up by schemathesis: no failure of the server, and no answer
//! that the document does not know.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{
    process::{Result, run, target, tee},
    tally::Tally,
    tools::install_debian,
};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Checks that say something about the server, not about what it accepts.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance";

/// Starts the server that the tests have built, and lets schemathesis at it.
pub(crate) fn contract() -> Result<Tally> {
    let tool = tool()?;
    let folder = target().join("contract");
    // Another run's database.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut served = Command::new(target().join("debug/limitr"))
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--log-level", "error", "--data-dir"])
        .arg(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the server does not start: {error}"))?;
    let said = told(&mut served);
    let tested = said.and_then(|(address, token)| {
        let mut command = Command::new(&tool);
        command.current_dir(&folder).args(["run", &format!("{address}/api/v1/openapi.json")]);
        command.args(["-H", &format!("Authorization: Bearer {token}"), "--checks", CHECKS]);
        command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--no-color"]);
        Ok(Tally::one(tee(&mut command)?.ok))
    });
    let _ = served.kill();
    let _ = served.wait();
    tested
}

/// Where the server is, and the token for everything: it says so when it starts.
fn told(served: &mut Child) -> Result<(String, String)> {
    let (mut address, mut token) = (None, None);
    let lines = BufReader::new(served.stdout.take().ok_or("no output")?).lines();
    for line in lines.map_while(std::result::Result::ok) {
        let word = |at: usize| line.split_whitespace().nth(at).map(str::to_owned);
        if line.starts_with("Limitr serves") {
            address = word(2);
        } else if line.trim_start().starts_with("admin token") {
            token = word(2);
        }
        if let (Some(address), Some(token)) = (&address, &token) {
            return Ok((address.clone(), token.clone()));
        }
    }
    Err("the server does not say where it is".to_owned())
}

/// The tool, in an environment of its own.
fn tool() -> Result<std::path::PathBuf> {
    let environment = target().join("python");
    let tool = environment.join("bin/schemathesis");
    if tool.exists() {
        return Ok(tool);
    }
    let make = || run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    if !(make()? || install_debian(&["python3-venv"])? && make()?) {
        return Err("python3 cannot make an environment for schemathesis".to_owned());
    }
    let installed = run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]))?;
    if installed { Ok(tool) } else { Err(format!("cannot install {SCHEMATHESIS}")) }
}
