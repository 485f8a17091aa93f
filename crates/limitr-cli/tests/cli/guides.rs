//! The guides' commands print what stands below them.

use super::Folder;

const GUIDE: &str = include_str!("../../../../docs/guides/costs-alerts-and-tools.md");

/// What stands between lines of the text: fenced blocks of one language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```\n").next()).collect()
}

/// Words as a shell has them: by blanks, but for those in single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (quoted, part) in line.split('\'').enumerate().map(|(index, part)| (index % 2 == 1, part)) {
        let mut pieces = if quoted { vec![part] } else { part.split(' ').collect() }.into_iter();
        words.last_mut().unwrap().push_str(pieces.next().unwrap_or_default());
        words.extend(pieces.map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_print_what_stands_below_them() {
    let policy = blocks(GUIDE, "yaml")[0];
    let folder = Folder::new("guides").file("ai.yaml", policy);
    let told = blocks(GUIDE, "console");
    assert!(told.len() >= 2);
    for block in told {
        let (command, output) = block.strip_prefix("$ limitr ").unwrap().split_once('\n').unwrap();
        let command = words(command);
        let ran = folder.limitr(&command.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.out, output, "{command:?}\n{}", ran.err);
    }
}

#[test]
fn a_misspelt_table_is_found() {
    let policy = blocks(GUIDE, "yaml")[0].replacen("data.rates[", "data.rate[", 1);
    let folder = Folder::new("guides-misspelt").file("ai.yaml", policy);
    let ran = folder.limitr(&["validate", "ai.yaml"]);
    let told = blocks(GUIDE, "text")[0];
    assert_eq!(format!("{}{}", ran.out, ran.err), told);
}
