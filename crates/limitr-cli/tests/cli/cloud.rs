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
    assert_snapshot!(world.stable(&nobody), @"
    limitr: this needs a session or a token
      help: log in with `limitr cloud login`, or give a token in LIMITR_TOKEN
    exit 2
    ");
    let email = world.email.as_str();
    let wrong = world.limitr(&["cloud", "login", "--email", email, "--password-stdin"], "not this one\n");
    assert_snapshot!(world.stable(&wrong), @"
    limitr: there is no account with this email and password
    exit 2
    ");
    let asked = world.limitr(&["cloud", "login", "--email", email], "");
    assert_snapshot!(world.stable(&asked), @"
    limitr: there is nobody to ask for the password
      help: send it with `--password-stdin`
    exit 2
    ");
    let password = format!("{}\n", world.password);
    let right = world.limitr(&["cloud", "login", "--email", email, "--password-stdin"], &password);
    assert_snapshot!(world.stable(&right), @"
    logged in to <url> as dev@localhost (owner)
    exit 0
    ");
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "status"], "")), @"
    server     <url>
    workspace  dev (ws_xxx)
    you        dev@localhost (owner)
    policy     version 1 (pol_xxxxxxxxxxxxxxxxx), YYYY-MM-DD hh:mm:ss by limitr: the policy of the quick start
    exit 0
    ");

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
    // The login, whoever else one could be.
    assert_eq!(world.admin(&["cloud", "logout"]).code, 0);
    assert_eq!(world.limitr(&["cloud", "login", "--email", email, "--password-stdin"], &password).code, 0);
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "logout"], "")), @"
    logged out of <url>
    exit 0
    ");
    assert!(!file.exists());
    assert_eq!(world.limitr(&["cloud", "status"], "").code, 2);
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "logout"], "")), @"
    limitr: nobody is logged in to <url>
      help: a token is revoked with `limitr cloud tokens revoke`
    exit 2
    ");
}

#[test]
fn a_session_that_has_ended_is_told() {
    let world = World::new("cloud-ended");
    let password = format!("{}\n", world.password);
    assert_eq!(world.limitr(&["cloud", "login", "--email", &world.email, "--password-stdin"], &password).code, 0);
    let logins = world.folder.read("config/limitr/logins.json");
    assert_eq!(world.limitr(&["cloud", "logout"], "").code, 0);
    std::fs::write(world.folder.0.join("config/limitr/logins.json"), logins).unwrap();
    assert_snapshot!(world.stable(&world.limitr(&["cloud", "tokens"], "")), @"
    limitr: the session has ended: log in
      help: log in with `limitr cloud login`, or give a token in LIMITR_TOKEN
    exit 2
    ");
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
    assert_snapshot!(ran(&["cloud", "status", "--server", &url]).replace(&url, "<url>"), @"
    limitr: cannot reach <url>: Connection refused (os error 111)
      help: does it run there? `--server` says which server is meant, or LIMITR_SERVER
    exit 2
    ");
    assert_snapshot!(ran(&["cloud", "status", "--server", "limits.example.com"]), @"
    limitr: the server's address does not begin with `https://` or `http://`, or cannot be read
      help: write it as `https://limits.example.com`, or `http://127.0.0.1:7070`
    exit 2
    ");
}

#[test]
fn a_policy_that_is_not_valid_is_shown_as_validate_shows_it() {
    let world = World::new("cloud-invalid");
    world.file("policy.yaml", POLICY.replace("value: 500000", "valeu: 500000"));
    let refused = world.admin(&["cloud", "publish", "policy.yaml"]);
    assert_snapshot!(world.stable(&refused), @"
    unknown_field

      x unknown field `valeu`
        ,-[policy.yaml:11:39]
     10 |       entitlements:
     11 |         chat: {limit: {credit: token, valeu: 500000, mode: soft}}
        :                                       ^^|^^
        :                                         `-- policy.plans.pro.entitlements.chat.limit.valeu
        `----
      help: did you mean `value`?

    1 problem in policy.yaml
    exit 1
    ");
    assert_eq!(refused.all(), world.admin(&["validate", "policy.yaml"]).all());
    let json = world.admin(&["cloud", "publish", "policy.yaml", "--json"]);
    assert_eq!(json.all(), world.admin(&["validate", "policy.yaml", "--json"]).all());
    // What is no mistake of the document is told in a line.
    world.file("people.yaml", format!("{POLICY}  customers: {{ann: {{id: ann, plan: free}}}}\n"));
    assert_snapshot!(world.stable(&world.admin(&["cloud", "publish", "people.yaml"])), @"
    limitr: policy.customers: the document has customers in it, which are no part of a policy here
      help: take them out, and create them with `POST /api/v1/customers`
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "publish", "missing.yaml"])), @"
    limitr: cannot read `missing.yaml`: No such file or directory (os error 2)
    exit 2
    ");
}

#[test]
fn versions_come_and_go_back() {
    let world = with_policy("cloud-versions");
    world.file("next.yaml", POLICY.replace("value: 500000", "value: 700000"));
    assert_snapshot!(world.stable(&world.admin(&["cloud", "diff", "next.yaml"])), @"
    plans.pro.entitlements.chat.limit.value: 500000 -> 700000
    exit 1
    ");
    let published = world.admin(&["cloud", "publish", "next.yaml", "--note", "more chat for pro"]);
    assert_snapshot!(world.stable(&published), @"
    published next.yaml as version 3 (pol_xxxxxxxxxxxxxxxxx)
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "publish", "next.yaml"])), @"
    limitr: version 3 has this very document, and is in force
      help: publish it with `--force` to make a version of it all the same
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "versions"])), @"
       VERSION  ID                     PUBLISHED            BY         NOTE
    *        3  pol_xxxxxxxxxxxxxxxxx  YYYY-MM-DD hh:mm:ss  dev admin  more chat for pro
             2  pol_xxxxxxxxxxxxxxxxx  YYYY-MM-DD hh:mm:ss  dev admin
             1  pol_xxxxxxxxxxxxxxxxx  YYYY-MM-DD hh:mm:ss  limitr     the policy of the quick start
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "versions", "--limit", "1"])), @"
       VERSION  ID                     PUBLISHED            BY         NOTE
    *        3  pol_xxxxxxxxxxxxxxxxx  YYYY-MM-DD hh:mm:ss  dev admin  more chat for pro
    There are more: --limit says how many are shown.
    exit 0
    ");

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

    assert_snapshot!(world.stable(&world.admin(&["cloud", "rollback", "2"])), @"
    version 2 is in force again, as version 4 (pol_xxxxxxxxxxxxxxxxx)
    exit 0
    ");
    assert_eq!(world.json(&["cloud", "versions"])[0]["rollback_of"], json!(id));
    assert_eq!(world.admin(&["cloud", "show"]).out, POLICY);
    assert_snapshot!(world.stable(&world.admin(&["cloud", "rollback", "9"])), @"
    limitr: there is no version 9 of the policy
      help: the latest is 4; `limitr cloud versions` lists them
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "show", "pol_none"])), @"
    limitr: there is no published version `pol_xxxx`
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "status"])), @"
    server     <url>
    workspace  dev (ws_xxx)
    you        token `dev admin` (scope admin)
    policy     version 4 (pol_xxxxxxxxxxxxxxxxx), YYYY-MM-DD hh:mm:ss by dev admin: back to version 2
    exit 0
    ");
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let world = World::new("cloud-tokens");
    let made =
        world.admin(&["cloud", "tokens", "create", "ci", "--scope", "read", "--expires", "2100-01-01T00:00:00Z"]);
    assert_snapshot!(world.stable(&made), @"
    token    limitr_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    id       tok_xxxxxxxxxxxxxxxxx
    scope    read
    expires  YYYY-MM-DD hh:mm:ss

    Keep it now: it is not shown again.
    exit 0
    ");
    let made = world.json(&["cloud", "tokens", "create", "program", "--scope", "engine"]);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let with = |arguments: &[&str]| {
        world.folder.limitr_in(&[("LIMITR_SERVER", &world.url)], &[arguments, &["--token", token]].concat(), "")
    };
    assert_snapshot!(world.stable(&with(&["cloud", "status"])), @"
    server     <url>
    workspace  ws_xxx
    you        token `program` (scope engine)
    exit 0
    ");
    assert_snapshot!(world.stable(&with(&["cloud", "tokens"])), @"
    limitr: a token of scope `engine` may not do this
    exit 2
    ");
    assert_eq!(world.admin(&["cloud", "tokens", "revoke", id]).out, format!("{id} is revoked\n"));
    assert_snapshot!(world.stable(&with(&["cloud", "status"])), @"
    limitr: the token is unknown, revoked or expired
      help: log in with `limitr cloud login`, or give a token in LIMITR_TOKEN
    exit 2
    ");
    // Two were made in the same moment: which of them comes first is not said.
    let listed = world.stable(&world.admin(&["cloud", "tokens"]));
    let listed: Vec<&str> = listed.lines().filter(|line| !line.contains("dev engine")).collect();
    assert_snapshot!(listed.join("\n"), @"
    ID                     NAME        SCOPE   TOKEN             MADE                 LAST USED            EXPIRES              REVOKED
    tok_xxxxxxxxxxxxxxxxx  dev admin   admin   limitr_xxxxxx...  YYYY-MM-DD hh:mm:ss  YYYY-MM-DD hh:mm:ss
    tok_xxxxxxxxxxxxxxxxx  ci          read    limitr_xxxxxx...  YYYY-MM-DD hh:mm:ss                       YYYY-MM-DD hh:mm:ss
    tok_xxxxxxxxxxxxxxxxx  program     engine  limitr_xxxxxx...  YYYY-MM-DD hh:mm:ss  YYYY-MM-DD hh:mm:ss                       YYYY-MM-DD hh:mm:ss
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "tokens", "revoke", "tok_none"])), @"
    limitr: there is no token `tok_xxxx`
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "tokens", "create", "old", "--scope", "read", "--expires", "5"])), @"
    limitr: expires_at: this time has passed
      help: it is in ms since 1970
    exit 2
    ");
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
        assert_eq!(decision["result"]["allowed"], true, "{decision}");
    }
    world.post("customers/acme/caps", &json!({"id": "monthly", "value": 50, "credit": "rune"}));

    assert_snapshot!(world.stable(&world.admin(&["cloud", "customers"])), @"
    ID    PLAN  TYPE  LABEL  ALSO   REFERS TO  CHANGED
    acme  pro   org   Acme   cus_9             YYYY-MM-DD hh:mm:ss
    ann         user  User          acme       YYYY-MM-DD hh:mm:ss
    bob   free  user  User                     YYYY-MM-DD hh:mm:ss
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customers", "cus"])), @"
    ID    PLAN  TYPE  LABEL  ALSO   CHANGED
    acme  pro   org   Acme   cus_9  YYYY-MM-DD hh:mm:ss
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customers", "nobody"])), @"
    no customers
    exit 0
    ");
    assert_eq!(world.json(&["cloud", "customers", "a"]).as_array().unwrap().len(), 2);
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customer", "cus_9"])), @"
    customer   acme
    label      Acme
    type       org
    plan       pro
    also       cus_9
    created    YYYY-MM-DD hh:mm:ss
    changed    YYYY-MM-DD hh:mm:ss

    What it may use:
    ENTITLEMENT  USED   LIMIT    LEFT
    chat           60  500000  499940

    What it may spend:
    CAP      CREDIT  SPENT  OF
    monthly  rune        0  50
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customer", "ann"])), @r#"
    customer   ann
    label      User
    type       user
    plan       pro (of a customer it refers to)
    refers to  acme
    metadata   {"team":"red"}
    created    YYYY-MM-DD hh:mm:ss
    changed    YYYY-MM-DD hh:mm:ss

    What it may use:
    ENTITLEMENT  USED   LIMIT    LEFT
    chat           40  500000  499960
    exit 0
    "#);
    assert_snapshot!(world.stable(&world.admin(&["cloud", "customer", "nobody"])), @"
    limitr: there is no customer `nobody`
    exit 2
    ");
    let bob = world.json(&["cloud", "customer", "bob"]);
    assert_eq!(
        (&bob["customer"]["id"], &bob["standing"]["entitlements"]["chat"]["used"]),
        (&json!("bob"), &json!(200))
    );

    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage"])), @"
    CREDIT  CALLS  UNITS  COVERED  OVERAGE  PRICE  CHARGE  OVERHEAD
    token       4    300        0      100    0.2     0.2      0.15
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "customer,entitlement"])), @"
    CUSTOMER  ENTITLEMENT  CREDIT  CALLS  UNITS  COVERED  OVERAGE  PRICE  CHARGE  OVERHEAD
    acme      chat         token       1     60        0        0      0       0      0.03
    ann       chat         token       1     40        0        0      0       0      0.02
    bob       chat         token       2    200        0      100    0.2     0.2       0.1
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "customer", "--sort=-units", "--limit", "1"])), @"
    CUSTOMER  CREDIT  CALLS  UNITS  COVERED  OVERAGE  PRICE  CHARGE  OVERHEAD
    bob       token       2    200        0      100    0.2     0.2       0.1
    There are more: --limit says how many are shown.
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "day", "--to", "2026-01-01"])), @"
    nothing was used
    exit 0
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--by", "custmer"])), @"
    limitr: --by: nothing goes by the name `custmer` here
      help: did you mean `customer`?
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "usage", "--from", "yesterday"])), @"
    limitr: --from: `yesterday` is no day
      help: write it as `2026-01-31`
    exit 2
    ");
    assert_snapshot!(world.stable(&world.admin(&["cloud", "margin", "--by", "customer"])), @"
    CUSTOMER  CREDIT  CALLS  REVENUE  CHARGED  OVERHEAD  MARGIN  MARGIN %
    acme      token       1        0        0      0.03   -0.03
    ann       token       1        0        0      0.02   -0.02
    bob       token       2      0.2      0.2       0.1     0.1     50.00
    exit 0
    ");
    let margin = world.json(&["cloud", "margin", "--by", "plan,credit", "--customer", "bob"]);
    assert_snapshot!(margin, @r#"
    [{"plan":"free","credit":"token","calls":2,"revenue":0.2,"charged":0.2,"overhead":0.1,"margin":0.1,"margin_pct":50}]
    "#);
}

#[test]
fn the_audit_says_who_did_what() {
    let world = with_policy("cloud-audit");
    world.post("customers", &json!({"id": "ann"}));
    assert_snapshot!(world.stable(&world.admin(&["cloud", "audit", "--actor", "dev admin"])), @"
    WHEN                 WHO        WHAT             TO
    YYYY-MM-DD hh:mm:ss  dev admin  customer.create  ann
    YYYY-MM-DD hh:mm:ss  dev admin  policy.publish   pol_xxxxxxxxxxxxxxxxx
    exit 0
    ");
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
