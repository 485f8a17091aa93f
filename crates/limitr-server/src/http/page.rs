//! Long lists, page by page. A cursor says where the last page ended, so that pages stay right while records come.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

const DEFAULT: i64 = 50;
const MOST: i64 = 200;

/// The query of a list without filters. One with filters has these two fields beside its own.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items at most, 1 to 200. 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<i64>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The `cursor` of the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What a page covers: after the key `K` of the last record that was shown.
pub(crate) struct Window<K> {
    limit: i64,
    pub(crate) after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Window<K> {
    pub(crate) fn new(limit: Option<i64>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            let detail = format!("`limit` is between 1 and {MOST}");
            return Err(Problem::new(axum::http::StatusCode::BAD_REQUEST, "invalid_parameter", detail).at("limit"));
        }
        let after = cursor.map(|cursor| {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
                let detail = "the cursor is not one of this list";
                Problem::new(axum::http::StatusCode::BAD_REQUEST, "invalid_cursor", detail)
                    .at("cursor")
                    .hint("take it from `next` of the page before, or leave it out")
            })
        });
        Ok(Self { limit, after: after.transpose()? })
    }

    /// How many rows to ask the database for: one more than is shown tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// The page of these rows, the last of which says where the next one begins.
    pub(crate) fn page<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.and_then(|row| serde_json::to_vec(&key(row)).ok()).map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Page { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_until_the_last() {
        let all: Vec<i64> = (1..=5).collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let window = Window::<i64>::new(Some(2), cursor.as_deref()).unwrap();
            let after = window.after.unwrap_or(0);
            let rows = all.iter().copied().filter(|n| *n > after).take(window.rows().try_into().unwrap()).collect();
            let page = window.page(rows, |n| *n);
            assert!(page.items.len() <= 2);
            seen.extend(page.items);
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn what_cannot_be_a_page_is_refused() {
        let code = |limit, cursor| Window::<(i64, String)>::new(limit, cursor).err().map(|p| p.status().as_u16());
        assert_eq!(code(Some(0), None), Some(400));
        assert_eq!(code(Some(201), None), Some(400));
        assert_eq!(code(Some(200), None), None);
        assert_eq!(code(None, Some("%%%")), Some(400));
        // A cursor of another list.
        assert_eq!(code(None, Some(&URL_SAFE_NO_PAD.encode("7"))), Some(400));
    }
}
