//! Edge: reads the files, folders and standard input that an audit is of.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Source;

/// Everything that was named, folders with all that is below them, in a fixed order; without names, standard input.
pub fn gather(named: &[PathBuf]) -> Vec<Source> {
    if named.is_empty() {
        return vec![standard_input()];
    }
    let mut sources = Vec::new();
    for path in named {
        match path.as_os_str() == "-" {
            true => sources.push(standard_input()),
            false if path.is_dir() => folder(path, &mut sources),
            false => sources.push(source(path, fs::read_to_string(path))),
        }
    }
    sources
}

fn folder(path: &Path, sources: &mut Vec<Source>) {
    let entries: io::Result<Vec<_>> = fs::read_dir(path).and_then(Iterator::collect);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(problem) => return sources.push(source(path, Err(problem))),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A linked folder could lead back here; a linked file is read.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_manifest = path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        match (is_folder, is_manifest) {
            (true, _) => folder(&path, sources),
            (false, true) => sources.push(source(&path, fs::read_to_string(&path))),
            (false, false) => {}
        }
    }
}

fn standard_input() -> Source {
    let mut text = String::new();
    let read = io::stdin().lock().read_to_string(&mut text);
    source(Path::new("-"), read.map(|_| text))
}

fn source(path: &Path, text: io::Result<String>) -> Source {
    Source { file: path.display().to_string(), text: text.map_err(|problem| format!("cannot be read: {problem}")) }
}
