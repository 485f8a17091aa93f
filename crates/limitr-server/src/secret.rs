//! Secrets: making them, hashing them for the database, comparing them.
//!
//! What the server hands out has 256 random bits, so a plain SHA-256 of it can be stored and looked up. Passwords are
//! chosen by people and get argon2id.

use std::sync::OnceLock;

use argon2::password_hash::PasswordVerifier as _;
use argon2::{Argon2, PasswordHash, PasswordHasher as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::Error;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Each hash takes 19 MiB and a core for some ten milliseconds; more at once would only starve the rest.
static HASHING: Semaphore = Semaphore::const_new(2);

/// A secret in clear. It has no `Debug` that shows it and is not serialised by itself.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// 32 random bytes in base62 behind a prefix that says what it is.
    pub(crate) fn random(prefix: &str) -> Result<Self, Error> {
        Ok(Self(format!("{prefix}{}", base62(&random::<32>()?))))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A name for a new record: not secret, not guessable, not reused.
pub(crate) fn id(prefix: &str) -> Result<String, Error> {
    Ok(format!("{prefix}{}", base62(&random::<12>()?)))
}

/// What is stored of a secret with many random bits.
pub(crate) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// A value that follows from a secret but does not give it away, for one purpose.
pub(crate) fn derive(purpose: &str, secret: &str) -> String {
    base62(&Sha256::new().chain_update(purpose).chain_update([0]).chain_update(secret).finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

/// Equal, in a time that does not tell how much of it is.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The form in which a password is stored.
pub(crate) async fn hash_password(password: String) -> Result<String, Error> {
    in_background(move || {
        let hashed = Argon2::default().hash_password(password.as_bytes());
        hashed.map(|hash| hash.to_string()).map_err(|error| failed(&error))
    })
    .await
}

/// Is it the password of this hash? Without a hash it takes as long, so that nobody learns who has an account.
pub(crate) async fn verify_password(password: String, stored: Option<String>) -> Result<bool, Error> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    in_background(move || {
        let known = stored.is_some();
        let stored = match stored {
            Some(stored) => stored,
            None => match NOBODY.get() {
                Some(hash) => hash.clone(),
                None => {
                    let hashed = Argon2::default().hash_password(b"nobody").map_err(|error| failed(&error))?;
                    NOBODY.get_or_init(|| hashed.to_string()).clone()
                }
            },
        };
        let parsed = PasswordHash::new(&stored).map_err(|error| failed(&error))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
    })
    .await
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let permit = HASHING.acquire().await.map_err(|error| failed(&error))?;
    let done = spawn_blocking(move || {
        // Held by the work, not by whoever waits for it: a request that is given up still takes its core.
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| failed(&error))?
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new("internal", format!("the password could not be hashed: {error}"))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let filled = getrandom::getrandom(&mut bytes);
    filled.map_err(|error| Error::new("internal", format!("the system has no random numbers: {error}")))?;
    Ok(bytes)
}

/// The bytes as one number in base 62, as long as the largest one.
fn base62(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    // A byte is 1.3436 digits.
    let length = (bytes.len() * 13_436).div_ceil(10_000);
    let mut digits: Vec<char> = (0..length).map(|_| next_digit(&mut number)).collect();
    digits.reverse();
    digits.into_iter().collect()
}

/// Divides the number by 62 and takes what is left.
fn next_digit(number: &mut [u8]) -> char {
    let mut rest = 0_u32;
    for byte in number {
        let value = rest * 256 + u32::from(*byte);
        *byte = u8::try_from(value / 62).unwrap_or_default();
        rest = value % 62;
    }
    usize::try_from(rest).ok().and_then(|digit| ALPHABET.get(digit)).copied().map_or('0', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_writes_numbers_at_one_length() {
        assert_eq!(base62(&[0; 32]), "0".repeat(43));
        assert_eq!(base62(&[0, 61]), "00z");
        assert_eq!(base62(&[0, 62]), "010");
        assert_eq!(base62(&[255, 255]), "H31");
        assert_eq!(base62(&[255; 32]).trim_start_matches('0').len(), 43);
    }

    #[test]
    fn secrets_differ_and_do_not_show() {
        let (a, b) = (Secret::random("limitr_").unwrap(), Secret::random("limitr_").unwrap());
        assert_ne!(a.reveal(), b.reveal());
        assert!(a.reveal().starts_with("limitr_"));
        assert_eq!(format!("{a:?}"), "Secret(..)");
        assert_eq!(a.hash().len(), 64);
        assert_ne!(derive("csrf", a.reveal()), derive("other", a.reveal()));
    }

    #[test]
    fn same_is_equality() {
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abd"));
        assert!(!same("abc", "abcd"));
        assert!(same("", ""));
    }

    #[tokio::test]
    async fn passwords_are_verified_against_their_hash_alone() {
        let stored = hash_password("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify_password("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!verify_password("correct house".into(), Some(stored)).await.unwrap());
        assert!(!verify_password("nobody".into(), None).await.unwrap());
    }
}
