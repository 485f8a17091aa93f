use super::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn load(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Config, Error> {
    Config::load(pairs(flags), pairs(environment), None)
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "listen = \"a:1\"\nconnections = 5\nbody_bytes = 6\ndev = true\n").unwrap();
    let config = Config::load(
        pairs(&[("listen", "c:3")]),
        pairs(&[("LIMITR_LISTEN", "b:2"), ("LIMITR_CONNECTIONS", "7"), ("HOME", "x"), ("LIMITR_TOKEN", "x")]),
        Some(file.path()),
    )
    .unwrap();
    assert_eq!((config.listen.as_str(), config.connections, config.body_bytes, config.dev), ("c:3", 7, 6, true));
    assert_eq!(config.drain_seconds, Config::default().drain_seconds);
}

#[test]
fn every_setting_can_be_a_flag_and_a_variable() {
    // Serde lists every field in what it says about one it does not know.
    let message = toml::from_str::<Config>("nonsense = 1").unwrap_err().message().to_owned();
    let mut fields: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let mut keys: Vec<&str> = keys::names().collect();
    fields.sort_unstable();
    keys.sort_unstable();
    assert_eq!(fields, keys);
}

#[test]
fn mistakes_name_the_setting_and_the_way_out() {
    let error = load(&[], &[("LIMITR_LISTN", "x")]).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `LIMITR_LISTEN`?"));
    let error = load(&[("conections", "1")], &[]).unwrap_err();
    assert_eq!((error.path(), error.hint()), (Some("conections"), Some("did you mean `connections`?")));
    let error = load(&[("connections", "many")], &[]).unwrap_err();
    assert_eq!((error.code(), error.path()), ("invalid_config", Some("connections")));
    assert_eq!(error.to_string(), "--connections takes a whole number, not `many`");
    let error = load(&[("log_level", "inof")], &[]).unwrap_err();
    assert_eq!((error.path(), error.hint()), (Some("log_level"), Some("did you mean `info`?")));
    let error = load(&[("database", "mysql://x:s3cret@y")], &[]).unwrap_err();
    assert_eq!(error.path(), Some("database"));
    assert!(!error.to_string().contains("s3cret"));
    for (key, value) in [
        ("tls_cert", "a.pem"),
        ("tls_key", "a.pem"),
        ("public_url", "example.com"),
        ("connections", "0"),
        ("ledger_retention_days", "0"),
        ("trusted_proxies", "10.0.0.0/33"),
        ("trusted_proxies", "here"),
        ("dev", "yes please"),
    ] {
        assert_eq!(load(&[(key, value)], &[]).unwrap_err().code(), "invalid_config", "{key}={value}");
    }
}

#[test]
fn a_file_is_told_by_name_and_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = file.path().display().to_string();
    std::fs::write(file.path(), "dev = true\nlisten = [").unwrap();
    let error = Config::load([], [], Some(file.path())).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{name}:2: ")), "{error}");
    std::fs::write(file.path(), "databse = \"sqlite:x\"").unwrap();
    let error = Config::load([], [], Some(file.path())).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `database`?"));
    let error = Config::load([], [], Some(Path::new("nowhere.toml"))).unwrap_err();
    assert_eq!(error.code(), "unreadable_config");
}

#[test]
fn networks_are_read() {
    let config = load(&[("trusted_proxies", "10.0.0.0/8, ::1")], &[]).unwrap();
    let read: Vec<(IpAddr, u32)> = vec![("10.0.0.0".parse().unwrap(), 8), ("::1".parse().unwrap(), 128)];
    assert_eq!(config.networks().unwrap(), read);
}
