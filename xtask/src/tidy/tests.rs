//! Every check can fail, at the right line, and passes on what it allows.

use super::{CHECKS, File, Finding, Tree, code::product_code, links::dead_links, rules::*};

fn tree(files: &[(&str, &str)]) -> Tree {
    let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
    Tree { files: files.iter().map(file).collect(), engine_dependencies: Vec::new() }
}

/// Where `check` finds something in one file, as line numbers.
fn lines(check: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
    check(&tree(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
}

#[test]
fn an_empty_tree_is_tidy() {
    for check in &CHECKS {
        assert_eq!((check.run)(&tree(&[])), [], "{}", check.name);
    }
}

#[test]
fn findings_point_at_file_and_line() {
    let found = unfinished(&tree(&[("crates/a.rs", "fn a() {}\n// TODO: more\n")]));
    assert_eq!(found.first().map(ToString::to_string).unwrap(), "crates/a.rs:2: `TODO`: finish it, or file an issue");
}

#[test]
fn the_engine_is_pure() {
    let at = |path: &str, text: &str| lines(engine_purity, path, text);
    for impure in [
        "let now = std::time::SystemTime::now();",
        "let now = Instant::now();",
        "use std::fs;",
        "use std::{fs, io};",
        "std::net::TcpStream::connect(address)",
        "std::thread::spawn(work);",
        "println!(\"{x}\");",
        "eprintln!(\"{x}\");",
    ] {
        assert_eq!(at("crates/limitr/src/engine.rs", &format!("//! Doc.\n{impure}\n")), [2], "{impure}");
        assert_eq!(at("crates/limitr-cli/src/main.rs", impure), [], "{impure}");
    }
    for pure in [
        "/// Unlike `std::fs`, it reads nothing.",
        "let text = \"println!\";",
        "#[cfg(test)]\nmod tests {\n    fn f() { println!(); }\n}",
        "use std::{fmt, sync::Arc};",
    ] {
        assert_eq!(at("crates/limitr/src/engine.rs", pure), [], "{pure}");
    }
    let system = "crates/limitr/src/system.rs";
    assert_eq!(at(system, "SystemTime::now()"), []);
    assert_eq!(at(system, "std::fs::read(path)"), [1]);
}

#[test]
fn the_engine_has_no_worldly_dependency() {
    let mut tree = tree(&[("crates/limitr/Cargo.toml", "[package]\n\n[dependencies]\nserde = \"1\"\n")]);
    tree.engine_dependencies = ["limitr", "serde", "tokio-like"].map(str::to_owned).to_vec();
    assert_eq!(engine_dependencies(&tree), []);
    tree.engine_dependencies.push("mio".to_owned());
    let lines: Vec<_> = engine_dependencies(&tree).iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [3]);
}

#[test]
fn money_has_no_floats() {
    let at = |path: &str, text: &str| lines(money_floats, path, text);
    for path in ["pricing/curve.rs", "decide/mod.rs", "state/meter.rs"] {
        let path = format!("crates/limitr/src/{path}");
        assert_eq!(at(&path, "\nfn price() -> f64 {}"), [2]);
        assert_eq!(at(&path, "amount.to_f32()"), [1]);
        assert_eq!(at(&path, "// no f64 here\n"), []);
        assert_eq!(at(&path, "pub ewma_rate: f64,"), []);
    }
    for path in ["state/rate.rs", "state/estimate/learn.rs", "pricing/amount.rs", "engine.rs"] {
        assert_eq!(at(&format!("crates/limitr/src/{path}"), "fn rate() -> f64 {}"), []);
    }
}

#[test]
fn files_stay_short_and_the_ratchet_only_tightens() {
    let with = |lines: usize, path: &str, ratchet: &[(&str, usize)]| {
        let found = file_length_with(&tree(&[(path, &"\n".repeat(lines))]), ratchet);
        found.into_iter().map(|finding| finding.line).collect::<Vec<_>>()
    };
    assert_eq!(with(600, "crates/a/src/a.rs", &[]), []);
    assert_eq!(with(601, "crates/a/src/a.rs", &[]), [601]);
    assert_eq!(with(900, "crates/a/tests/a.rs", &[]), []);
    assert_eq!(with(700, "a.rs", &[("a.rs", 700)]), []);
    assert_eq!(with(701, "a.rs", &[("a.rs", 700)]), [701]);
    assert_eq!(with(600, "a.rs", &[("a.rs", 700)]), [1]);
    assert_eq!(lines(file_length, "a.rs", &"\n".repeat(601)), [601]);
}

#[test]
fn nothing_is_unfinished() {
    for text in ["// TODO", "# FIXME: later", "unimplemented!()", "{ todo!(\"x\") }"] {
        assert_eq!(lines(unfinished, "crates/a/src/a.rs", text), [1], "{text}");
        assert_eq!(lines(unfinished, "docs/a.md", text), [], "{text}");
    }
    assert_eq!(lines(unfinished, "crates/a/src/a.rs", "const MASTODON: &str = \"TODOS\";"), []);
}

#[test]
fn no_path_of_one_machine() {
    for text in ["cd /work/main", "\"/root/x\"", "log=/tmp/log", "(/work/a)"] {
        assert_eq!(lines(machine_paths, "docs/a.md", text), [1], "{text}");
        assert_eq!(lines(machine_paths, "crates/a/tests/a.rs", text), [], "{text}");
    }
    for text in ["docs/work/a.md", "https://example.com/root/x", "at work/life", "~/tmp/x"] {
        assert_eq!(lines(machine_paths, "docs/a.md", text), [], "{text}");
    }
}

#[test]
fn no_registry_host() {
    let host = ["crates", "io"].join(".");
    assert_eq!(lines(registry_hosts, "README.md", &format!("\nsee https://{host}/limitr")), [2]);
    assert_eq!(lines(registry_hosts, "Cargo.lock", &host), []);
    assert_eq!(lines(registry_hosts, "README.md", "crates, io and other things"), []);
}

#[test]
fn links_lead_somewhere() {
    let dead = |text: &str| {
        let found = dead_links(&tree(&[("docs/guides/a.md", text), ("docs/b.md", ""), ("README.md", "")]));
        found.into_iter().map(|finding| finding.line).collect::<Vec<_>>()
    };
    for text in
        ["[b](c.md)", "see [b](../c.md#part) and [b](../b.md)", "[b]: ../c.md", "![p](p.png)", "[out](../../../b.md)"]
    {
        assert_eq!(dead(&format!("# Title\n\n{text}\n")), [3], "{text}");
    }
    for text in [
        "[b](../b.md)",
        "[b](../b.md#part \"title\")",
        "[root](/README.md), [folder](..), [here](#part), [site](https://example.com/c.md)",
        "`[b](c.md)`",
        "```\n[b](c.md)\n```",
        "[b]: ../b.md",
    ] {
        assert_eq!(dead(text), [], "{text}");
    }
}

#[test]
fn product_code_is_what_compiles_into_the_product() {
    for (source, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("x\"y", 'z', '\'', 'a)"#, r"f(      ,    ,     , 'a)"),
        (r##"f(r#"x"y"#, for_r"a")"##, r##"f(        , for_r   )"##),
        ("#[cfg(test)]\nmod tests;\nb", "            \n          \nb"),
        ("a\n#[cfg(test)]\nfn t() { {} }\nb", "a\n            \n             \nb"),
    ] {
        let found = product_code(source);
        assert_eq!(found, code, "{source}");
        assert_eq!(found.chars().count(), source.chars().count(), "{source}");
    }
}
