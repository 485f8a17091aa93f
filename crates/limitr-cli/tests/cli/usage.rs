//! Arguments, exit codes, completions, pipes.

use std::process::{Command, Stdio};

use insta::assert_snapshot;

use super::Folder;

#[test]
fn exit_codes() {
    let folder = Folder::new("exit-codes")
        .policy()
        .file("bad.yaml", "policy: {plan: {}}")
        .file("empty.yaml", "")
        .file("latin.yaml", b"policy: {x-name: gr\xf6\xdfe}");
    for (code, arguments) in [
        (0, "--help"),
        (0, "help explain"),
        (0, "--version"),
        (0, "validate policy.json"),
        (0, "diff policy.json policy.json"),
        (0, "explain --policy policy.json --plan starter c1 ai-chat-input 1e6"),
        (0, "completions zsh"),
        (1, "validate bad.yaml"),
        (1, "validate empty.yaml"),
        (1, "test bad.yaml"),
        (2, ""),
        (2, "dance"),
        (2, "validate"),
        (2, "validate policy.json --colour"),
        (2, "validate policy.json --format xml"),
        (2, "validate missing.yaml"),
        (2, "validate missing"),
        (2, "validate ."),
        (2, "validate -"),
        (2, "validate latin.yaml"),
        (2, "test"),
        (2, "diff policy.json"),
        (2, "diff policy.json bad.yaml"),
        (2, "diff - -"),
        (2, "convert bad.yaml --to json"),
        (2, "convert policy.json"),
        (2, "convert policy.json --to json --out missing/x.json"),
        (2, "explain --policy bad.yaml --plan starter c1 chat"),
        (2, "explain --policy policy.json --plan gold c1 chat"),
        (2, "explain --policy policy.json --now soon c1 chat"),
        (2, "explain --policy policy.json --state missing.json c1 chat"),
        (2, "exec"),
        (2, "exec --policy bad.yaml"),
        (2, "completions tcsh"),
    ] {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let ran = folder.limitr(&arguments);
        assert_eq!(ran.code, code, "limitr {}\n{}{}", arguments.join(" "), ran.out, ran.err);
        // Trouble is for standard error, so that a program reading the output does not take it for an answer.
        assert!(code != 2 || ran.out.is_empty(), "limitr {}\n{}", arguments.join(" "), ran.out);
    }
}

#[test]
fn trouble_is_told_with_what_to_do() {
    let folder = Folder::new("trouble").policy();
    let told = |arguments: &[&str]| folder.limitr(arguments).all();
    assert_snapshot!(told(&["validate", "missing.yaml"]), @"
    limitr: cannot read `missing.yaml`: No such file or directory (os error 2)
    exit 2
    ");
    assert_snapshot!(told(&["validate", "-"]), @"
    limitr: cannot tell the format of `standard input`
      help: give it with `--format`: yaml, json, toml or stof
    exit 2
    ");
    assert_snapshot!(told(&["explain", "--policy", "policy.json", "--plan", "gold", "c1", "chat"]), @"
    limitr: unknown plan `gold`
      help: known plans are starter, growth
    exit 2
    ");
    assert_snapshot!(told(&["explain", "--policy", "policy.json", "--now", "soon", "c1", "chat"]), @r#"
    error: invalid value 'soon' for '--now <TIME>': `soon` is no time; a time is text such as "2026-01-15T00:00:00Z", or ms since 1970

    For more information, try '--help'.
    exit 2
    "#);
}

#[test]
fn every_shell_gets_completions() {
    let folder = Folder::new("completions");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = folder.limitr(&["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("validate"), "{shell}");
    }
}

/// `limitr demo | head -1`.
#[test]
fn a_closed_pipe_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_limitr"));
    let output = command.args(["demo", "--json"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
