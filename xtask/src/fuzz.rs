//! `cargo xtask fuzz`: coverage-guided fuzzing with cargo-fuzz.

use std::{fs, path::Path};

use crate::{
    process::{Result, cargo, root, run},
    tools,
};

const FUZZ: &str = "crates/limitr/fuzz";
const CARGO_FUZZ: &str = "0.13.2";

/// Fuzzes one target, or all of them one after the other; `false` when one found a crash.
pub(crate) fn fuzz(args: &[String]) -> Result<bool> {
    let Request { target, seconds } = Request::parse(args)?;
    let known = targets(&root().join(FUZZ).join("fuzz_targets"))?;
    let chosen = match target {
        Some(target) if known.contains(&target) => vec![target],
        Some(target) => {
            return Err(format!("unknown fuzz target `{target}`, there are: {}", known.join(", ")));
        }
        None => known,
    };
    tools::ensure("fuzz", CARGO_FUZZ)?;
    let mut ok = true;
    for target in &chosen {
        ok &= fuzz_one(target, seconds)?;
    }
    Ok(ok)
}

fn fuzz_one(target: &str, seconds: u32) -> Result<bool> {
    // libFuzzer writes what it learns to the first directory; the others only seed it.
    let corpus = format!("{FUZZ}/corpus/{target}");
    let regressions = format!("{FUZZ}/regressions");
    for folder in [&corpus, &regressions] {
        fs::create_dir_all(root().join(folder)).map_err(|error| format!("cannot create `{folder}`: {error}"))?;
    }
    let time = format!("-max_total_time={seconds}");
    // No sanitizer: the engine forbids unsafe code, and without one the fuzzer tries far more inputs.
    let mut command = cargo(["fuzz", "run", "--fuzz-dir", FUZZ, "--sanitizer", "none", target]);
    let words = format!("-dict={FUZZ}/dictionary.txt");
    command.args([&corpus, &regressions]).args(["--", &time, &words, "-timeout=5", "-rss_limit_mb=2048"]);
    // The coverage flags are unstable; this lets the stable toolchain take them.
    command.env("RUSTC_BOOTSTRAP", "1");
    run(&mut command)
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    target: Option<String>,
    seconds: u32,
}

impl Request {
    fn parse(args: &[String]) -> Result<Self> {
        let mut request = Self { target: None, seconds: 60 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => {
                    let seconds = args.next().ok_or("`--seconds` needs a number")?;
                    request.seconds =
                        seconds.parse().map_err(|_| format!("`--seconds` needs a number, got `{seconds}`"))?;
                }
                target if request.target.is_none() && !target.starts_with('-') => {
                    request.target = Some(target.to_owned());
                }
                other => return Err(format!("unexpected argument `{other}`")),
            }
        }
        Ok(request)
    }
}

/// The names of the fuzz targets: one file each, by cargo-fuzz's convention.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let cannot_read = |error| format!("cannot read `{}`: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot_read)? {
        let path = entry.map_err(cannot_read)?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Request> {
        Request::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_in_any_order() {
        let request = Request { target: Some("policy".to_owned()), seconds: 5 };
        assert_eq!(parse(&["policy", "--seconds", "5"]), Ok(request));
        assert_eq!(parse(&[]), Ok(Request { target: None, seconds: 60 }));
        assert_eq!(parse(&["--seconds", "5"]).map(|request| request.seconds), Ok(5));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (args, message) in [
            (vec!["--seconds"], "`--seconds` needs a number"),
            (vec!["--seconds", "soon"], "`--seconds` needs a number, got `soon`"),
            (vec!["policy", "calls"], "unexpected argument `calls`"),
            (vec!["--fast"], "unexpected argument `--fast`"),
        ] {
            assert_eq!(parse(&args), Err(message.to_owned()));
        }
    }
}
