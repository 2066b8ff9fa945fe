//! The file of an SQLite database: whether its path still leads to the one that was opened.
//!
//! SQLite looks at names only when it opens. Where a file is removed or replaced it goes on with
//! the one that has no name any more, and what it commits there is gone with the process. A file that
//! took its place is not served by this process: the log beside it (`-wal`) may be that of the file
//! before, and SQLite would write it over what the other holds.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::store::fault::{Fault, FaultClass};

/// Where the file is, and which one it was when it was first opened.
#[derive(Debug)]
pub(in crate::store) struct DatabaseFile {
    path: PathBuf,
    opened: OnceLock<FileId>,
}

/// Which file it is, whatever its name. An inode's number is given to another file once it is free;
/// the time of birth, where the file system knows it, tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    created: Option<SystemTime>,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        let created = metadata.created().ok();
        Self { device: metadata.dev(), inode: metadata.ino(), created }
    }

    /// Of the file that a path leads to, through symbolic links.
    fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

impl DatabaseFile {
    /// The file that `target` names; `None` for a database in memory, and for a URI, which may name
    /// one.
    pub fn of(target: &str) -> Option<Self> {
        let is_path = !target.is_empty() && target != ":memory:" && !target.starts_with("file:");
        is_path.then(|| Self { path: target.into(), opened: OnceLock::new() })
    }

    /// A connection has it open: which file it is is known from the first one on.
    pub fn note(&self) {
        if self.opened.get().is_none()
            && let Some(id) = FileId::at(&self.path)
        {
            let _ = self.opened.set(id);
        }
    }

    /// Whether the path leads to the file that was opened, if one was.
    ///
    /// # Errors
    /// It leads to another, or to none; what to do about it.
    pub fn check(&self) -> Result<(), Fault> {
        if self.opened.get().is_none_or(|id| FileId::at(&self.path) == Some(*id)) {
            return Ok(());
        }
        let path = self.path.display();
        Err(Fault::new(
            FaultClass::Lost,
            format!(
                "the database file `{path}` was removed or replaced; put it back, or end all that \
                 use it, remove `{path}-wal` and `{path}-shm`, and start again with the file that \
                 is to be used"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_itself_and_not_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link, away] = ["r.db", "link", "away"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = DatabaseFile::of(link.to_str().unwrap()).unwrap();
        file.note();
        assert!(file.check().is_ok(), "none was opened yet");
        std::fs::write(&path, "1").unwrap();
        file.note();
        std::fs::write(&path, "22").unwrap();
        assert!(file.check().is_ok(), "it was written to");
        std::fs::rename(&path, &away).unwrap();
        assert!(file.check().is_err(), "it is gone");
        std::fs::write(&path, "22").unwrap();
        file.note();
        assert!(file.check().is_err(), "it is another");
        std::fs::rename(&away, &path).unwrap();
        assert!(file.check().is_ok(), "it is back");
        for unwatched in ["", ":memory:", "file:r.db?mode=memory"] {
            assert!(DatabaseFile::of(unwatched).is_none());
        }
    }
}
