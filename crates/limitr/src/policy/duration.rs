//! Durations inside JSON arguments: a number of ms, or text such as `"1day"`.

use serde::{Deserialize, Deserializer};

use super::parse_duration;

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number of ms, or text such as \"1day\"")]
enum Raw {
    Ms(i64),
    Text(String),
}

/// An optional duration in ms.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Option::<Raw>::deserialize(deserializer)? {
        Some(Raw::Ms(ms)) => Some(ms),
        Some(Raw::Text(text)) => Some(parse_duration(&text).map_err(serde::de::Error::custom)?),
        None => None,
    })
}
