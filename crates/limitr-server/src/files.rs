//! Files that nobody but their owner may read.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a file, or takes one that another node has made meanwhile.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    private().create(true).open(path)
}

/// Makes a file that is not there yet.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    private().create_new(true).open(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
