//! The command line as clap knows it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use limitr_cli::session::parse_time;

#[cfg(feature = "cloud")]
use crate::commands::cloud::Cloud;
#[cfg(feature = "server")]
use crate::commands::{backup::Backup, serve::Serve};

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked, and the answer is yes (valid, passed, equal)
  1  it worked, and the answer is no (not valid, failed, different)
  2  it did not work: wrong usage, or a file that cannot be used

`explain` and `exec` exit with 0 also where the engine denies a call.";

/// Usage limits, metering and pricing decided from one policy document.
#[derive(Debug, Parser)]
#[command(name = "limitr", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a policy and show everything that is wrong with it
    #[command(after_help = "\
Examples:
  limitr validate policy.yaml
  generate-policy | limitr validate - --format json

Exits with 1 when the policy is not valid.")]
    Validate(Validate),

    /// Run scenarios: policies with calls and what must come out
    ///
    /// Runs every *.yaml, *.yml and *.json file at or below each PATH. A failing scenario prints the step, what was
    /// expected, what came, and how the engine decided. The last line is `N passed, M failed`.
    #[command(after_help = "\
Examples:
  limitr test pricing-tests
  limitr test conformance --filter governor
  limitr test conformance --json | jq 'select(.passed == false)'
  limitr test conformance --trace trace.jsonl

Exits with 1 when a scenario fails, with 2 when there is none.")]
    Test(Test),

    /// Run calls given as JSON lines on standard input
    ///
    /// Reads one operation per line and writes one line for each, at once:
    /// {"result": ..., "events": [{"name": ..., "value": ...}], "error": null}.
    /// A line that cannot be run is answered with an error (and a stable `code`), and the next one is read. Empty lines
    /// are skipped, and no line may be longer than 1 MiB.
    ///
    /// The operations are the verbs of scenarios, and `advance` and `now`, after the first of which time is simulated.
    /// `save` keeps a result, which `$name` in the arguments of later lines stands for. Keys that `limitr test` checks
    /// (expect, events, ...) are accepted and not looked at.
    #[command(after_help = "\
Examples:
  echo '{\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}' | limitr exec --policy policy.yaml
  limitr exec --policy policy.yaml --now 2026-01-15T00:00:00Z <<'END'
  {\"create_customer\": {\"id\": \"c1\", \"plan\": \"pro\"}}
  {\"reserve\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 10}, \"save\": \"hold\"}
  {\"advance\": \"1min\"}
  {\"settle\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"hold\": \"$hold\", \"value\": 8}}
  END")]
    Exec(Exec),

    /// Show how a call is decided, step by step, changing nothing
    ///
    /// The customer comes from the policy document, from a snapshot (--state), or is made on the spot (--plan).
    #[command(after_help = "\
Examples:
  limitr explain --policy policy.yaml --plan pro c1 chat 500
  limitr explain --policy policy.yaml --state customers.json c1 storage 2GB --json
  limitr explain --policy policy.yaml --plan pro c1 chat 500 --event '{\"model\": \"small\"}'

Exits with 0 whether the call is allowed or denied.")]
    Explain(Explain),

    /// Show what differs between two policies in meaning
    ///
    /// Order, notation, units and defaults written out make no difference.
    #[command(after_help = "\
Example:
  limitr diff policy.yaml policy-next.json

Exits with 1 when the policies differ.")]
    Diff(Diff),

    /// Write a policy in another format
    ///
    /// What the document says is kept word for word, but for comments and the digits' notation. It must be valid.
    #[command(after_help = "\
Examples:
  limitr convert policy.json --to yaml
  limitr convert policy.yaml --to toml --out policy.toml")]
    Convert(Convert),

    /// Run the server: policies, customers and usage for many engines
    #[cfg(feature = "server")]
    #[command(after_help = crate::commands::serve::EXAMPLES)]
    Serve(Box<Serve>),

    /// Write everything that a server keeps into a new file; it may run meanwhile
    #[cfg(feature = "server")]
    #[command(after_help = "\
Example:
  limitr backup limitr-2026-01-15.backup --database sqlite:limitr.db")]
    Backup(Backup),

    /// Put a backup into an empty database, whichever kind it was taken from
    #[cfg(feature = "server")]
    #[command(after_help = "\
Example:
  LIMITR_DATABASE=postgres://... limitr restore limitr-2026-01-15.backup")]
    Restore(Backup),

    /// Work with a server: publish policies, look at customers, usage and margin
    #[cfg(feature = "cloud")]
    #[command(after_help = crate::commands::cloud::EXAMPLES)]
    Cloud(Box<Cloud>),

    /// Run the quick start: a policy, requests until a limit is hit, an event, a credit grant
    Demo(Demo),

    /// Print the completions of a shell
    #[command(after_help = "\
Examples:
  limitr completions bash > ~/.local/share/bash-completion/completions/limitr
  limitr completions zsh > ~/.zfunc/_limitr
  limitr completions fish > ~/.config/fish/completions/limitr.fish")]
    Completions(Completions),
}

/// A text format.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    #[value(alias = "yml")]
    Yaml,
    Json,
    Toml,
    Stof,
}

impl From<Format> for limitr::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Yaml => Self::Yaml,
            Format::Json => Self::Json,
            Format::Toml => Self::Toml,
            Format::Stof => Self::Stof,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The policy; `-` reads standard input and needs --format
    pub(crate) file: PathBuf,
    /// The file's format, instead of its extension's
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Print {"valid", "problems"} as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Scenario files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only scenarios whose path, name or tags hold this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Print one JSON object per scenario, then {"passed", "failed"}
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a line for scenarios that pass, too
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Write all that each scenario comes to: for other implementations to compare themselves with
    ///
    /// One JSON object per line, for every scenario that can be read, also beyond a step that fails: {"file", "name",
    /// "now", "policy", "validate", "valid", "refused", "steps": [{"verb", "args", "now", "result", "error", "events":
    /// [{"name", "value"}]}], "customers"}. `policy`, `args`, `result`, `value` and `customers` are JSON text, byte for
    /// byte what the engine takes and gives. Ids are id1, id2, ...
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

/// A policy with the customers on it.
#[derive(Debug, Args)]
pub(crate) struct World {
    /// The policy
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// The policy's format, instead of its extension's
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Customer records to start with: JSON, as `{"customers": {}}` answers them
    #[arg(long, value_name = "SNAPSHOT")]
    pub(crate) state: Option<PathBuf>,
    /// Simulate time from here: ms since 1970, or text such as 2026-01-15T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time, allow_negative_numbers = true)]
    pub(crate) now: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) world: World,
    /// Give ids id1, id2, ... instead of random ones, so that the same lines give the same answers
    #[arg(long)]
    pub(crate) sequential_ids: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) world: World,
    /// Make the customer, fresh and on this plan
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// Id of the customer
    pub(crate) customer: String,
    /// Name of the entitlement
    pub(crate) entitlement: String,
    /// How much, such as 5 or 500MB; without it, an access check
    #[arg(allow_hyphen_values = true, default_value = "0")]
    pub(crate) value: String,
    /// The call's event data, from which the policy may compute its cost: JSON, such as '{"model": "small"}'
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) event: Option<serde_json::Value>,
    /// Take it as usage that already happened
    #[arg(long)]
    pub(crate) force: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The policy before
    pub(crate) a: PathBuf,
    /// The policy after
    pub(crate) b: PathBuf,
    /// The format of both, instead of their extensions'
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Print a JSON list of {"path", "before", "after"}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The policy; `-` reads standard input and needs --format
    pub(crate) file: PathBuf,
    /// The format to write
    #[arg(long)]
    pub(crate) to: Format,
    /// The file to write, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The file's format, instead of its extension's
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Leave out the functions of a Stof document
    #[arg(long)]
    pub(crate) data_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print one JSON object per decision
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

pub(crate) fn time(text: &str) -> Result<i64, String> {
    let value = text.parse::<i64>().map_or_else(|_| text.into(), serde_json::Value::from);
    parse_time(&value).map_err(|error| match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_holds_together() {
        super::Cli::command().debug_assert();
    }
}
