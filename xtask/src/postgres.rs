//! A PostgreSQL for the tests: the one that is there, or one of their own, installed when it is missing.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    process::{Result, read, run},
    tools::install_debian,
};

/// Names the server that tests are to use.
pub(crate) const VARIABLE: &str = "LIMITR_TEST_POSTGRES";

const USUAL: &str = "postgres://root@127.0.0.1:5432";
const PROGRAMS: &str = "/usr/lib/postgresql";

/// A server on which databases can be made. One that was started here is stopped when this is dropped.
pub(crate) struct Postgres {
    pub(crate) url: String,
    own: Option<(PathBuf, PathBuf)>,
}

impl Postgres {
    /// The server that the environment names, or the usual one where it answers, or one started here.
    pub(crate) fn find() -> Result<Self> {
        if let Ok(url) = std::env::var(VARIABLE) {
            return Ok(Self { url, own: None });
        }
        if read(Command::new("psql").args([&format!("{USUAL}/postgres"), "-c", "CREATE TEMPORARY TABLE t (a int)"]))
            .is_ok()
        {
            return Ok(Self { url: USUAL.to_owned(), own: None });
        }
        Self::start()
    }

    fn start() -> Result<Self> {
        let programs = match programs() {
            Some(programs) => programs,
            None if install_debian(&["postgresql"])? => programs().ok_or("the package `postgresql` has no server")?,
            None => return Err(format!("no PostgreSQL: install it, or name one with {VARIABLE}=postgres://...")),
        };
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(|e| e.to_string())?.port();
        let folder = std::env::temp_dir().join(format!("limitr-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder))?;
        }
        let own =
            Self { url: format!("postgres://root@127.0.0.1:{port}"), own: Some((programs.clone(), folder.clone())) };
        let made =
            run(as_user(&programs.join("initdb")).args(["-U", "root", "--auth=trust", "-D"]).arg(folder.join("data")))?;
        let options = format!("-p {port} -k {} -c listen_addresses=127.0.0.1", folder.display());
        let mut start = as_user(&programs.join("pg_ctl"));
        start.args(["start", "-w", "-o", &options, "-l"]).arg(folder.join("log")).arg("-D").arg(folder.join("data"));
        if made && run(&mut start)? { Ok(own) } else { Err("no PostgreSQL can be started".to_owned()) }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some((programs, folder)) = &self.own else { return };
        // What stays behind is a folder of temporary files.
        let _ = run(as_user(&programs.join("pg_ctl")).args(["stop", "-m", "immediate", "-D"]).arg(folder.join("data")));
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The newest version's.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(PROGRAMS).ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|bin| bin.join("initdb").exists()).max_by_key(|bin| {
        let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    })
}

/// PostgreSQL does not run as root.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
