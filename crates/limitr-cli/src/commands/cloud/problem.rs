//! What went wrong at the server, or on the way there.

use limitr::Position;
use limitr_cli::Finding;
use serde_json::Value;

use crate::outcome::Trouble;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server says why.
    Problem(Box<Problem>),
    /// There was no answer, or none of a server of this kind.
    Unreachable(String),
}

/// What the server says.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: String,
    detail: String,
    path: Option<String>,
    hint: Option<String>,
    /// What is wrong with a policy.
    findings: Vec<Finding>,
}

impl Problem {
    /// Reads `application/problem+json`.
    pub(super) fn read(status: u16, body: &Value) -> Option<Self> {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_u64)?.try_into().ok();
        let finding = |problem: &Value| {
            let position = |line, column| Position { line, column };
            Some(Finding {
                code: text(problem, "code")?.into(),
                path: text(problem, "path").unwrap_or_default(),
                message: text(problem, "message")?,
                hint: text(problem, "hint"),
                at: number(problem, "line").zip(number(problem, "column")).map(|(line, column)| position(line, column)),
            })
        };
        let problems = body.get("problems").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            status,
            code: text(body, "code")?,
            detail: text(body, "detail")?,
            path: text(body, "path"),
            hint: text(body, "hint"),
            findings: problems.filter_map(finding).collect(),
        })
    }

    /// What is wrong with the document that was sent; none where it is something else.
    pub(super) fn findings(&self) -> Option<&[Finding]> {
        Some(self.findings.as_slice()).filter(|findings| !findings.is_empty())
    }
}

impl Failure {
    /// With a parameter of the API called what the command calls it.
    pub(super) fn of_flags(mut self, renamed: &[(&str, &str)]) -> Self {
        if let Self::Problem(problem) = &mut self
            && let Some(path) = &mut problem.path
        {
            let flag = renamed.iter().find(|(name, _)| name == path).map_or(path.as_str(), |(_, flag)| flag);
            *path = format!("--{flag}");
        }
        self
    }

    /// Whether it is this, of the server's problems.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Problem(problem) if problem.code == code)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(message) if message.contains("certificate") => {
                Self::new(message).hint("SSL_CERT_FILE names a file of certificates to trust instead of the system's")
            }
            Failure::Unreachable(message) => {
                Self::new(message).hint("does it run there? `--server` says which server is meant, or LIMITR_SERVER")
            }
            Failure::Problem(problem) => {
                let Problem { status, code, detail, path, hint, .. } = *problem;
                let own = match (status, code.as_str()) {
                    // The password was wrong just now.
                    (_, "wrong_password") => None,
                    (_, "unchanged") => Some("publish it with `--force` to make a version of it all the same"),
                    (401, _) => Some("log in with `limitr cloud login`, or give a token in LIMITR_TOKEN"),
                    _ => None,
                };
                // Headers are this program's business.
                let path = path.filter(|path| !matches!(path.as_str(), "Authorization" | "X-CSRF-Token"));
                Self::told(detail, path.as_deref(), own.or(hint.as_deref()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_are_told_as_the_command_tells_its_own() {
        let body = json!({
            "code": "invalid_value", "title": "Unprocessable", "status": 422, "detail": "this time has passed",
            "path": "expires_at", "hint": "it is in ms since 1970",
        });
        let problem = Problem::read(422, &body).unwrap();
        assert!(problem.findings().is_none());
        let Trouble::Unusable { message, hint } = Failure::Problem(Box::new(problem)).into() else {
            panic!("not usable")
        };
        assert_eq!(message, "expires_at: this time has passed");
        assert_eq!(hint.as_deref(), Some("it is in ms since 1970"));
        assert!(Problem::read(502, &Value::Null).is_none());
    }

    #[test]
    fn findings_have_their_place() {
        let body = json!({"code": "unknown_field", "detail": "...", "problems": [
            {"code": "unknown_field", "path": "policy.plan", "message": "unknown field `plan`", "line": 3, "column": 5},
        ]});
        let problem = Problem::read(422, &body).unwrap();
        let findings = problem.findings().unwrap();
        assert_eq!(findings[0].at, Some(Position { line: 3, column: 5 }));
        assert_eq!(findings[0].code, "unknown_field");
    }
}
