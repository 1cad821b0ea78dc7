//! Edge: reads the files, folders and standard input that an audit is of, one at a time.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Source;

/// A file that is to be read, or a folder that could not be.
enum Named {
    StandardInput,
    File(PathBuf),
    Unreadable(PathBuf, io::Error),
}

/// Everything that was named, folders with all manifests (`*.yaml`, `*.yml`, `*.json`) below them, in a fixed order; without names, standard input.
/// What is larger than [`LARGEST`] is named and not read.
pub fn gather(named: &[PathBuf]) -> impl Iterator<Item = Source> + use<> {
    let mut files = Vec::new();
    if named.is_empty() {
        files.push(Named::StandardInput);
    }
    for path in named {
        match path.as_os_str() == "-" {
            true => files.push(Named::StandardInput),
            false if path.is_dir() => folder(path, &mut files),
            false => files.push(Named::File(path.clone())),
        }
    }
    files.into_iter().map(|named| match named {
        Named::StandardInput => source(Path::new("-"), text(io::stdin().lock(), 0)),
        Named::File(path) => source(&path, file(&path)),
        Named::Unreadable(path, problem) => source(&path, Err(unreadable(&problem))),
    })
}

fn folder(path: &Path, files: &mut Vec<Named>) {
    let entries: io::Result<Vec<_>> = fs::read_dir(path).and_then(Iterator::collect);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(problem) => return files.push(Named::Unreadable(path.to_owned(), problem)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A linked folder could lead back here; a linked file is read.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_manifest = path
            .extension()
            .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end.eq_ignore_ascii_case(known)));
        match (is_folder, is_manifest) {
            (true, _) => folder(&path, files),
            (false, true) => files.push(Named::File(path)),
            (false, false) if path.is_dir() => files.push(Named::Unreadable(path, io::Error::other(LINKED))),
            (false, false) => {}
        }
    }
}

fn file(path: &Path) -> Result<String, String> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = opened.map_err(|problem| unreadable(&problem))?;
    if length > LARGEST {
        return Err(too_large());
    }
    text(file, length)
}

/// All that a reader has, as far as it is text and not too much; `length` is how much is expected.
fn text(reader: impl Read, length: u64) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    reader.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|problem| unreadable(&problem))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|problem| {
        let good = problem.utf8_error().valid_up_to();
        let line = problem.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        format!("is no text: line {line} has bytes that are not UTF-8")
    })
}

fn unreadable(problem: &io::Error) -> String {
    format!("cannot be read: {problem}")
}

fn too_large() -> String {
    format!("is larger than {} MiB and was not read; cut it into several files", LARGEST >> 20)
}

fn source(path: &Path, text: Result<String, String>) -> Source {
    Source { file: path.display().to_string(), text }
}

/// Why a folder is left out.
const LINKED: &str = "it is a link to a folder, which are not followed; name the folder itself";
/// Of one file, in bytes.
const LARGEST: u64 = 64 << 20;
