//! The guide to costs, alerts and tools: its program runs, and its calls answer what stands there.

use limitr::{Call, Limitr, NewCustomer};
use serde_json::{Value, json};

use crate::pages::Page;
use crate::session::{Session, differences};

const PAGE: &str = "docs/guides/costs-alerts-and-tools.md";

/// The guide's program, as it stands there.
#[allow(clippy::print_stdout, clippy::print_stderr)]
fn run(policy: &str) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let limitr = Limitr::from_yaml(policy)?;
    limitr.on(|event| match event.name() {
        "eighty_percent" => println!("{}", event.to_json()["notification"]["message"]),
        "logic-error" => eprintln!("{}", event.to_json()["message"]),
        _ => {}
    });
    limitr.create_customer(NewCustomer::new("ann").label("Ann"))?;

    // 1. The cost follows from what the call says.
    let used = json!({"model": "large", "input": 14000, "output": 2000});
    assert!(limitr.allow_with(Call::new("ann", "chat").value(16_000).event(used))?.allowed);

    // 2. The listener has printed "Ann used 80% of chat, 4000 tokens are left".

    // 3. Give `tools` to the model with the messages, and answer what it calls.
    let tools = limitr.claude_tools(Some("ann"))?;
    let block = json!({"type": "tool_use", "id": "toolu_01", "name": "token_budget", "input": {"tokens": 6000}});
    let answer = limitr.claude_tool_use(&block, Some("ann"))?;
    assert_eq!(answer["content"], r#"{"fits":false,"left":4000,"plan":"free"}"#);
    Ok(tools)
}

#[test]
fn the_guides_program_is_this_one_and_runs() {
    let page = Page::read(PAGE);
    let here = include_str!("guide.rs");
    for line in page.blocks("rust")[0].text.lines().filter(|line| !line.is_empty()) {
        assert!(here.lines().any(|known| known.trim_start() == line.trim_start()), "{PAGE}: `{line}` is not run");
    }
    assert_eq!(run(&page.policy()).unwrap().len(), 1);
}

/// Operations in the text are run in order; a block of JSON after one is what it answers.
#[test]
fn the_guides_calls_answer_as_told() {
    let page = Page::read(PAGE);
    let session = Session::new(&page.policy());
    let (mut answer, mut told, mut block) = (Value::Null, 0, None::<String>);
    for line in page.text.lines() {
        match (&mut block, line) {
            (None, _) if line.starts_with("```") => block = Some(String::new()),
            (None, _) => {
                for code in line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("{\"")) {
                    let operation = serde_json::from_str(code).unwrap_or_else(|error| panic!("{code}: {error}"));
                    answer = session.run(&operation).unwrap();
                }
            }
            (Some(text), "```") => {
                if let Ok(expected) = serde_json::from_str::<Value>(text) {
                    assert_eq!(differences(&expected, &answer), Vec::<String>::new(), "{PAGE}\n{answer}");
                    told += 1;
                }
                block = None;
            }
            (Some(text), _) => text.extend([line, "\n"]),
        }
    }
    assert_eq!(told, 2);
}
