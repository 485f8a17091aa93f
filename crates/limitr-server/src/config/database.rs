//! Which database, without its password showing.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};

/// Which database: a SQLite file or the address of a PostgreSQL. Shown and debugged without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Database(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Sqlite(PathBuf),
    Postgres(Postgres),
}

/// The address of a PostgreSQL, password and all.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Postgres(String);

impl Database {
    /// Reads `sqlite:<file>` or `postgres://...`.
    ///
    /// # Errors
    ///
    /// With a text for people when it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            return match file {
                "" => Err("`sqlite:` needs a file behind it".to_owned()),
                ":memory:" => Err("a database in memory would be lost at the end: name a file".to_owned()),
                file if file.contains('?') => Err("a file of SQLite takes no parameters".to_owned()),
                file => Ok(Self(Kind::Sqlite(PathBuf::from(file)))),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self(Kind::Postgres(Postgres(text.to_owned()))));
        }
        Err("a database is `sqlite:<file>` or `postgres://...`".to_owned())
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self, data_dir: &Path) -> Option<PathBuf> {
        match &self.0 {
            Kind::Sqlite(file) => Some(data_dir.join(file)),
            Kind::Postgres(_) => None,
        }
    }

    pub(crate) fn postgres(&self) -> Option<&Postgres> {
        match &self.0 {
            Kind::Sqlite(_) => None,
            Kind::Postgres(address) => Some(address),
        }
    }
}

impl Postgres {
    /// With the password: for the driver alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is safe to show: no user, no password, and no parameters, for a password can be one of them.
    fn shown(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // The last `@`: a password may hold one that nobody has escaped.
        rest.rsplit_once('@').map_or(rest, |(_, host)| host)
    }
}

impl Default for Database {
    fn default() -> Self {
        Self(Kind::Sqlite(PathBuf::from("limitr.db")))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Kind::Postgres(address) => write!(f, "postgres://{}", address.shown()),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Database {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_shows() {
        for url in [
            "postgres://ann:s3cret@db.example:5432/limitr",
            "postgres://db.example:5432/limitr?user=ann&password=s3cret",
            "postgresql://ann:s3cret@x@db.example:5432/limitr#s3cret",
        ] {
            let database = Database::parse(url).unwrap();
            assert_eq!(database.to_string(), "postgres://db.example:5432/limitr");
            assert_eq!(format!("{database:?}"), database.to_string());
        }
        // Nothing of what cannot be read is repeated.
        assert!(!Database::parse("mysql://ann:s3cret@db").unwrap_err().contains("s3cret"));
    }

    #[test]
    fn files_are_relative_to_the_data_directory() {
        let data = Path::new("/data");
        assert_eq!(Database::default().file(data), Some(PathBuf::from("/data/limitr.db")));
        assert_eq!(Database::parse("sqlite:a/b.db").unwrap().file(data), Some(PathBuf::from("/data/a/b.db")));
        assert_eq!(Database::parse("sqlite:///srv/b.db").unwrap().file(data), Some(PathBuf::from("/srv/b.db")));
        assert!(Database::parse("sqlite::memory:").is_err());
        assert!(Database::parse("sqlite:").is_err());
    }
}
