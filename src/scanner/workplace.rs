//! Edge: the folders in which scans are made: nobody else's, and not left behind by a controller that was killed.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use tempfile::TempDir;

/// A folder of this process alone, in which each scan gets one. All goes when it is dropped.
#[derive(Debug)]
pub(super) struct Workplace {
    folder: TempDir,
    /// Held for as long as this process lives; by it others know that the folder is in use.
    _lock: File,
}

impl Workplace {
    /// Opens one below a folder, which is made where it is not there, and removes those of processes that have died.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        match DirBuilder::new().recursive(true).mode(0o700).create(root) {
            Err(problem) if problem.kind() != io::ErrorKind::AlreadyExists => return Err(problem),
            _ => {}
        }
        let found = fs::symlink_metadata(root)?;
        // Its parent may be everybody's: who made it could put a scan's files into our hands.
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(io::Error::other("it must be a folder that is this user's alone (mode 0700)"));
        }
        // Between making a folder and locking it nobody may look.
        let all = File::open(root)?;
        all.lock()?;
        for entry in fs::read_dir(root)? {
            sweep(&entry?.path())?;
        }
        let folder = tempfile::Builder::new().prefix("run.").tempdir_in(root)?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        Ok(Workplace { folder, _lock: lock })
    }

    /// A folder for one scan.
    pub(super) fn room(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix("scan.").tempdir_in(self.folder.path())
    }
}

fn sweep(folder: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(folder)?.is_dir() {
        return fs::remove_file(folder);
    }
    match File::open(folder)?.try_lock() {
        Ok(()) => fs::remove_dir_all(folder),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(problem)) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(root: &Path) -> usize {
        fs::read_dir(root).unwrap().count()
    }

    #[test]
    fn what_a_dead_process_left_behind_goes_and_what_another_uses_stays() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("scans");
        let first = Workplace::open(&root).unwrap();
        let room = first.room().unwrap();
        fs::write(room.path().join("layer"), "x").unwrap();
        fs::create_dir_all(root.join("run.dead/scan.1")).unwrap();
        fs::write(root.join("run.dead/scan.1/layer"), "x").unwrap();
        let kept = parent.path().join("kept");
        fs::create_dir(&kept).unwrap();
        symlink(&kept, root.join("run.link")).unwrap();
        let second = Workplace::open(&root).unwrap();
        assert_eq!((names(&root), room.path().join("layer").exists(), kept.exists()), (2, true, true));
        drop((room, first, second));
        assert_eq!(names(&root), 0);
    }

    #[test]
    fn a_folder_that_others_could_have_made_is_not_worked_in() {
        let parent = tempfile::tempdir().unwrap();
        let open =
            |name: &str| Workplace::open(&parent.path().join(name)).map(drop).map_err(|problem| problem.to_string());
        let alone = Err("it must be a folder that is this user's alone (mode 0700)".to_owned());
        let wide = parent.path().join("wide");
        fs::create_dir(&wide).unwrap();
        fs::set_permissions(&wide, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(open("wide"), alone);
        fs::set_permissions(&wide, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(open("wide"), Ok(()));
        symlink(&wide, parent.path().join("link")).unwrap();
        assert_eq!(open("link"), alone);
        fs::write(parent.path().join("file"), "").unwrap();
        assert_eq!(open("file"), alone);
    }
}
