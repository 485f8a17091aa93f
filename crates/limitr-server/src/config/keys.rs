//! Settings as texts: environment variables and flags.

use toml::Value;

use crate::error::Error;
use crate::suggest;

const PREFIX: &str = "LIMITR_";

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Switch,
    List,
}

/// Every setting. A test compares them with the fields of `Config`.
const KEYS: [(&str, Kind); 19] = [
    ("listen", Kind::Text),
    ("database", Kind::Text),
    ("data_dir", Kind::Text),
    ("tls_cert", Kind::Text),
    ("tls_key", Kind::Text),
    ("public_url", Kind::Text),
    ("trusted_proxies", Kind::List),
    ("dev", Kind::Switch),
    ("log_format", Kind::Text),
    ("log_level", Kind::Text),
    ("otlp_endpoint", Kind::Text),
    ("ledger_retention_days", Kind::Number),
    ("body_bytes", Kind::Number),
    ("connections", Kind::Number),
    ("header_seconds", Kind::Number),
    ("request_seconds", Kind::Number),
    ("login_attempts", Kind::Number),
    ("ticket_attempts", Kind::Number),
    ("drain_seconds", Kind::Number),
];

/// The setting that an environment variable is for. One that is nearly a setting is a mistake; others are not ours, for
/// example those a cluster sets for a service of the name `limitr`.
pub(super) fn of_variable(variable: &str) -> Result<Option<&'static str>, Error> {
    let Some(name) = variable.strip_prefix(PREFIX) else { return Ok(None) };
    let name = name.to_lowercase();
    if let Some((key, _)) = KEYS.iter().find(|(key, _)| *key == name) {
        return Ok(Some(key));
    }
    // Nearer than a hint needs to be: here it is the difference between an error and none.
    match KEYS.iter().find(|(key, _)| strsim::damerau_levenshtein(key, &name) <= 2 && key.len() > 4) {
        None => Ok(None),
        Some((key, _)) => Err(Error::new("invalid_config", format!("there is no setting `{variable}`"))
            .at(variable)
            .hint_at(format!("did you mean `{PREFIX}{}`?", key.to_uppercase()))),
    }
}

/// The value of a setting, from its text. `told` is what the person wrote it as.
pub(super) fn value(key: &str, text: &str, told: &str) -> Result<Value, Error> {
    let invalid = |what: &str| Error::new("invalid_config", format!("{told} takes {what}, not `{text}`")).at(key);
    let Some((_, kind)) = KEYS.iter().find(|(known, _)| *known == key) else {
        let error = Error::new("invalid_config", format!("there is no setting `{key}`")).at(key);
        return Err(match suggest::nearest(key, KEYS.iter().map(|(key, _)| *key)) {
            Some(name) => error.hint_at(format!("did you mean `{name}`?")),
            None => error,
        });
    };
    Ok(match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(text.parse().map_err(|_| invalid("a whole number"))?),
        Kind::Switch => Value::Boolean(match text {
            "true" | "1" => true,
            "false" | "0" | "" => false,
            _ => return Err(invalid("true or false")),
        }),
        Kind::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
    })
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}
