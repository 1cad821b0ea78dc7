//! Edge: composition of the archive: where it is.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};

use crate::archive::Archive;

/// Where the archive is.
#[derive(Debug, Clone)]
pub enum ArchivePlace {
    /// There is none.
    Nowhere,
    /// `archive.db` in this folder, made where it is not there.
    Folder(PathBuf),
    /// Where the text of this file says: a URL, which may hold a password.
    UrlIn(PathBuf),
}

/// The archive, reachable or not: whoever needs it learns that, and nobody has to wait for it to start.
pub(super) fn archive(place: &ArchivePlace) -> anyhow::Result<Option<Arc<Archive>>> {
    let Some(url) = url(place)? else { return Ok(None) };
    let archive = Archive::at(&url).with_context(|| named(place))?;
    Ok(Some(Arc::new(archive)))
}

/// The archive as it is there, to be read.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn existing_archive(place: &ArchivePlace) -> anyhow::Result<Archive> {
    if let ArchivePlace::Folder(folder) = place {
        ensure!(folder.join("archive.db").is_file(), "{}: there is no archive.db in this folder", named(place));
    }
    let url = url(place)?.context("no archive is named")?;
    Archive::existing(&url).await.with_context(|| named(place))
}

fn url(place: &ArchivePlace) -> anyhow::Result<Option<String>> {
    Ok(match place {
        ArchivePlace::Nowhere => None,
        ArchivePlace::Folder(folder) => Some(format!("sqlite:{}", folder.join("archive.db").display())),
        ArchivePlace::UrlIn(file) => {
            let url = fs::read_to_string(file).with_context(|| named(place))?;
            Some(url.trim().to_owned())
        }
    })
}

/// As the arguments name it.
fn named(place: &ArchivePlace) -> String {
    match place {
        ArchivePlace::Nowhere => String::new(),
        ArchivePlace::Folder(folder) => format!("--archive {}", folder.display()),
        ArchivePlace::UrlIn(file) => format!("--archive-url-file {}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_used_is_told_with_what_to_do_and_without_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let told = || archive(&ArchivePlace::UrlIn(file.clone())).err().map(|problem| format!("{problem:#}"));
        let begins = format!("--archive-url-file {}: ", file.display());
        for (text, ends) in [
            (None, "No such file or directory (os error 2)"),
            (Some("mysql://flame:hush@db/x\n"), "; write sqlite:PATH or postgres://USER@HOST/DATABASE"),
            (Some("postgres://flame:hush@db:port/x"), "; write sqlite:PATH or postgres://USER@HOST/DATABASE"),
            (Some(""), "; write sqlite:PATH or postgres://USER@HOST/DATABASE"),
        ] {
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            let told = told().unwrap_or_default();
            assert!(told.starts_with(&begins) && told.ends_with(ends) && !told.contains("hush"), "{text:?}: {told}");
        }
        fs::write(&file, "postgres://flame:hush@127.0.0.1:1/x\n").unwrap();
        assert_eq!(told(), None, "whether somebody answers there is asked later");
    }

    #[test]
    fn without_a_place_there_is_no_archive() {
        assert!(archive(&ArchivePlace::Nowhere).unwrap().is_none());
        assert!(archive(&ArchivePlace::Folder(PathBuf::from("/nowhere"))).unwrap().is_some());
    }
}
