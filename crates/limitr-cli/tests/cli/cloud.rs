//! `limitr cloud` against a server.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::server::World;

const POLICY: &str = "\
policy:
  credits:
    token: {price: {amount: 0.002}, overhead_cost: 0.0005}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 100, mode: soft}}
    pro:
      entitlements:
        chat: {limit: {credit: token, value: 500000, mode: soft}}
";

fn with_policy(name: &str) -> World {
    let world = World::new(name);
    world.file("policy.yaml", POLICY);
    assert_eq!(world.admin(&["cloud", "publish", "policy.yaml"]).code, 0);
    world
}

#[test]
fn logging_in_is_kept_until_logging_out() {
    let world = World::new("cloud-login");
    let nobody = world.limitr(&["cloud", "status"], "");
    assert_snapshot!(world.stable(&nobody), @"");
    let email = world.email.as_str();
    let wrong = world.limitr(&["cloud", "login", "--email", email, "--password-stdin"], "not this one\n");
    assert_snapshot!(world.stable(&wrong), @"");
    let asked = world.limitr(&["cloud", "login", "--email", email], "");
    assert_snapshot!(world.stable(&asked), @"");
    let password = format!("{}\n", world.password);
    let right = world.limitr(&["cloud", "login", "--email", email, "--password-stdin"], &password);
    assert_snapshot!(world.stable(&right), @"");
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "status"], "")), @"");

    // A change needs more than the cookie.
    let made = world.limitr(&["cloud", "tokens", "create", "ci", "--scope", "read"], "");
    assert_eq!(made.code, 0, "{}", made.err);
    let json: Value = serde_json::from_str(&world.limitr(&["cloud", "status", "--json"], "").out).unwrap();
    assert_eq!((&json["me"]["email"], &json["me"]["csrf"]), (&json!(email), &Value::Null));

    let file = world.folder.0.join("config/limitr/logins.json");
    assert!(!world.folder.read("config/limitr/logins.json").contains(&world.password));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Of one server nothing is known at another.
    let other = world.folder.limitr_in(&[], &["cloud", "status", "--server", "http://localhost:1"], "");
    assert_eq!(other.code, 2);
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "logout"], "")), @"");
    assert!(!file.exists());
    assert_eq!(world.limitr(&["cloud", "status"], "").code, 2);
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "logout"], "")), @"");
}

#[test]
fn a_session_that_has_ended_is_told() {
    let world = World::new("cloud-ended");
    let password = format!("{}\n", world.password);
    assert_eq!(world.limitr(&["cloud", "login", "--email", &world.email, "--password-stdin"], &password).code, 0);
    let logins = world.folder.read("config/limitr/logins.json");
    assert_eq!(world.limitr(&["cloud", "logout"], "").code, 0);
    std::fs::write(world.folder.0.join("config/limitr/logins.json"), logins).unwrap();
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "tokens"], "")), @"");
    // And there is nothing to end any more.
    assert_eq!(world.limitr(&["cloud", "logout"], "").code, 0);
    std::fs::write(world.folder.0.join("config/limitr/logins.json"), "[]").unwrap();
    let broken = world.limitr(&["cloud", "tokens"], "");
    assert!(broken.code == 2 && broken.err.contains("is not what `limitr cloud login` writes"), "{}", broken.err);
}

#[test]
fn who_cannot_be_reached_is_named() {
    let folder = super::Folder::new("cloud-unreachable");
    let ran = |arguments: &[&str]| folder.limitr_in(&[("LIMITR_TOKEN", "limitr_secret")], arguments, "").all();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    assert_snapshot!(ran(&["cloud", "status", "--server", &url]).replace(&url, "<url>"), @"");
    assert_snapshot!(ran(&["cloud", "status", "--server", "limits.example.com"]), @"");
}

#[test]
fn a_policy_that_is_not_valid_is_shown_as_validate_shows_it() {
    let world = World::new("cloud-invalid");
    world.file("policy.yaml", POLICY.replace("value: 500000", "valeu: 500000"));
    let refused = world.admin(&["cloud", "publish", "policy.yaml"]);
    assert_snapshot!(world.stable(&refused), @"");
    assert_eq!(refused.all(), world.admin(&["validate", "policy.yaml"]).all());
    let json = world.admin(&["cloud", "publish", "policy.yaml", "--json"]);
    assert_eq!(json.all(), world.admin(&["validate", "policy.yaml", "--json"]).all());
    // What is no mistake of the document is told in a line.
    world.file("people.yaml", format!("{POLICY}  customers: {{ann: {{id: ann, plan: free}}}}\n"));
    assert_snapshot!(world.stable(&world.admin(&["cloud", "publish", "people.yaml"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "publish", "missing.yaml"])), @"");
}

#[test]
fn versions_come_and_go_back() {
    let world = with_policy("cloud-versions");
    world.file("next.yaml", POLICY.replace("value: 500000", "value: 700000"));
    assert_snapshot!(world.stable(&world.admin(&["cloud", "diff", "next.yaml"])), @"");
    let published = world.admin(&["cloud", "publish", "next.yaml", "--note", "more chat for pro"]);
    assert_snapshot!(world.stable(&published), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "publish", "next.yaml"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "versions"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "versions", "--limit", "1"])), @"");

    // The same as of files; without a name, what came last.
    let files = world.admin(&["diff", "policy.yaml", "next.yaml"]).all();
    assert!(files.contains("500000 -> 700000"), "{files}");
    for names in [vec![], vec!["2", "3"], vec!["policy.yaml", "next.yaml"], vec!["2", "next.yaml"], vec!["2", "active"]]
    {
        let ran = world.admin(&[vec!["cloud", "diff"], names.clone()].concat());
        assert_eq!(ran.all(), files, "{names:?}");
    }
    let json = world.admin(&["cloud", "diff", "2", "3", "--json"]);
    assert_eq!(json.all(), world.admin(&["diff", "policy.yaml", "next.yaml", "--json"]).all());
    assert_eq!(world.admin(&["cloud", "diff", "next.yaml"]).all(), "exit 0");

    assert_eq!(world.admin(&["cloud", "show"]).out, POLICY.replace("value: 500000", "value: 700000"));
    assert_eq!(world.admin(&["cloud", "show", "2"]).out, POLICY);
    let shown = world.json(&["cloud", "show", "2"]);
    assert_eq!((&shown["number"], &shown["document"]), (&json!(2), &json!(POLICY)));
    let id = shown["id"].as_str().unwrap();
    assert_eq!(world.admin(&["cloud", "show", id]).out, POLICY);

    assert_snapshot!(world.stable(&world.admin(&["cloud", "rollback", "2"])), @"");
    assert_eq!(world.json(&["cloud", "versions"])[0]["rollback_of"], json!(id));
    assert_eq!(world.admin(&["cloud", "show"]).out, POLICY);
    assert_snapshot!(world.stable(&world.admin(&["cloud", "rollback", "9"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "show", "pol_none"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "status"])), @"");
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let world = World::new("cloud-tokens");
    let made =
        world.admin(&["cloud", "tokens", "create", "ci", "--scope", "read", "--expires", "2100-01-01T00:00:00Z"]);
    assert_snapshot!(world.stable(&made), @"");
    let made = world.json(&["cloud", "tokens", "create", "program", "--scope", "engine"]);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let with = |arguments: &[&str]| {
        world.folder.limitr_in(&[("LIMITR_SERVER", &world.url)], &[arguments, &["--token", token]].concat(), "")
    };
    assert_snapshot!(world.stable(&with(&["cloud", "status"])), @"");
    assert_snapshot!(world.stable(&with(&["cloud", "tokens"])), @"");
    assert_eq!(world.admin(&["cloud", "tokens", "revoke", id]).out, format!("{id} is revoked\n"));
    assert_snapshot!(world.stable(&with(&["cloud", "status"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "tokens"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "tokens", "revoke", "tok_none"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "tokens", "create", "old", "--scope", "read", "--expires", "5"])), @"");
}

#[test]
fn customers_and_what_they_used() {
    let world = with_policy("cloud-customers");
    for customer in [
        json!({"id": "acme", "plan": "pro", "type": "org", "label": "Acme", "alt_ids": ["cus_9"]}),
        json!({"id": "ann", "refs": ["acme"], "metadata": {"team": "red"}}),
        json!({"id": "bob"}),
    ] {
        world.post("customers", &customer);
    }
    for (customer, value) in [("bob", 150), ("ann", 40), ("acme", 60), ("bob", 50)] {
        let decision = world.post("allow", &json!({"customer": customer, "entitlement": "chat", "value": value}));
        assert_eq!(decision["allowed"], true, "{decision}");
    }
    world.post("customers/acme/caps", &json!({"id": "monthly", "value": 50, "credit": "rune"}));

    assert_snapshot!(world.stable(&world.admin(&["cloud", "customers"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customers", "cus"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customers", "nobody"])), @"");
    assert_eq!(world.json(&["cloud", "customers", "a"]).as_array().unwrap().len(), 2);
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customer", "cus_9"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customer", "ann"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customer", "nobody"])), @"");
    let bob = world.json(&["cloud", "customer", "bob"]);
    assert_eq!(
        (&bob["customer"]["id"], &bob["standing"]["entitlements"]["chat"]["used"]),
        (&json!("bob"), &json!(200))
    );

    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "customer,entitlement"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "customer", "--sort=-units", "--limit", "1"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "day", "--to", "2026-01-01"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "custmer"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--from", "yesterday"])), @"");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "margin", "--by", "customer"])), @"");
    let margin = world.json(&["cloud", "margin", "--by", "plan,credit", "--customer", "bob"]);
    assert_snapshot!(margin, @"");
}

#[test]
fn the_audit_says_who_did_what() {
    let world = with_policy("cloud-audit");
    world.post("customers", &json!({"id": "ann"}));
    assert_snapshot!(world.stable(&world.admin(&["cloud", "audit", "--actor", "dev admin"])), @"");
    let entries = world.json(&["cloud", "audit", "--action", "policy"]);
    assert_eq!(entries[0]["after"]["number"], 2);
}

#[test]
fn no_secret_is_shown_that_was_not_asked_for() {
    let world = World::new("cloud-secrets");
    for arguments in [&["cloud", "status"][..], &["cloud", "tokens"], &["cloud", "audit"], &["cloud", "customer", "x"]]
    {
        let ran = world.admin(arguments);
        for secret in [&world.admin, &world.engine, &world.password] {
            assert!(!ran.all().contains(secret.as_str()), "{arguments:?}");
        }
    }
}
