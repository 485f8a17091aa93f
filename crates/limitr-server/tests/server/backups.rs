//! Backup and restore, also from one database into the other.

use std::fs;

use limitr_server::{Server, backup, restore};
use serde_json::json;

use crate::client::{Client, EMAIL, Node, PASSWORD, config};
use crate::database::{BOTH, Database, Kind};

/// Without the first line, which has the time in it.
fn rows(file: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    // The databases give rows in an order of their own.
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_comes_back_on_either_database() {
    for from in BOTH {
        let (node, owner) = Node::ready(from).await;
        let made =
            owner.post("/api/v1/tokens", &json!({"name": "\u{1F600} \"ü\"", "scope": "admin"})).await.expect(201);
        let gone = owner.post("/api/v1/tokens", &json!({"name": "gone", "scope": "read"})).await.expect(201);
        owner.delete(&format!("/api/v1/tokens/{}", gone.id())).await.expect(204);
        let token = made.body["token"].as_str().unwrap();
        // The server runs all the while.
        let file = node.database.directory().join("backup.jsonl");
        let written = backup(&node.config, &file).await.unwrap();
        assert!(written >= 8, "{written}");
        let error = backup(&node.config, &file).await.unwrap_err();
        assert_eq!(error.code(), "file_exists");

        for to in BOTH {
            let database = Database::new(to).await;
            let config = config(&database);
            assert_eq!(restore(&config, &file).await.unwrap(), written, "{from:?} to {to:?}");
            let again = database.directory().join("again.jsonl");
            backup(&config, &again).await.unwrap();
            assert_eq!(rows(&again), rows(&file), "{from:?} to {to:?}");

            let running = Server::start(config.clone()).await.unwrap();
            assert_eq!(running.setup_link(), None);
            let mut client = Client::to(&format!("http://{}", running.addr()));
            client.token = Some(token.to_owned());
            assert_eq!(client.get("/api/v1/me").await.expect(200).body["name"], "\u{1F600} \"ü\"");
            // Numbers go on behind the largest one.
            client.patch("/api/v1/workspace", &json!({"name": "Restored"})).await.expect(200);
            let login = json!({"email": EMAIL, "password": PASSWORD});
            Client::to(&client.base).post("/api/v1/login", &login).await.expect(200);
            client.token = Some(gone.body["token"].as_str().unwrap().to_owned());
            client.get("/api/v1/me").await.problem(401, "invalid_token");
            running.stop().await;
            let error = restore(&config, &file).await.unwrap_err();
            assert_eq!(error.code(), "database_not_empty");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_changes_nothing() {
    let (node, _owner) = Node::ready(Kind::Sqlite).await;
    let file = node.database.directory().join("backup.jsonl");
    backup(&node.config, &file).await.unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let end = lines.len() - 1;
    let without = |gone: usize| {
        let left: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| *line).collect();
        left.join("\n")
    };
    let damaged = [
        String::new(),
        "nonsense".to_owned(),
        whole[..whole.len() / 2].to_owned(),
        without(0),
        without(2),
        without(end),
        format!("{whole}{}", lines[end]),
        whole.replace("limitr backup 1", "limitr backup 9"),
        whole.replace("\"table\":\"users\"", "\"table\":\"sqlite_master\""),
        whole.replace("\"email\"", "\"email\\\") --\""),
        whole.replace("[\"usr_", "[1, \"usr_"),
    ];
    for kind in BOTH {
        let database = Database::new(kind).await;
        let config = config(&database);
        for text in &damaged {
            fs::write(&file, text).unwrap();
            let error = restore(&config, &file).await.unwrap_err();
            assert_eq!(error.code(), "damaged_backup", "{error}: {text}");
        }
        fs::write(&file, whole.replacen("\"version\":", "\"version\":999", 1)).unwrap();
        assert_eq!(restore(&config, &file).await.unwrap_err().code(), "backup_newer");
        // Nothing has been left behind: the whole one goes in.
        fs::write(&file, &whole).unwrap();
        restore(&config, &file).await.unwrap();
    }
    let error = restore(&node.config, std::path::Path::new("nowhere")).await.unwrap_err();
    assert_eq!(error.code(), "unreadable_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_to_back_up_where_no_server_was() {
    for kind in BOTH {
        let database = Database::new(kind).await;
        let file = database.directory().join("backup.jsonl");
        let error = backup(&config(&database), &file).await.unwrap_err();
        assert!(["database_empty", "database_unavailable"].contains(&error.code()), "{error}");
        assert_eq!(fs::read_dir(database.directory()).unwrap().count(), 0);
    }
}
