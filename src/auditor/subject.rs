//! What is audited: the objects of files, each as JSON text, so that the judge sees what an API server would be sent.

use serde::Serialize;
use serde_json::Value;

use crate::model::{Json, parse, yaml_documents, yaml_problem};

/// A file's name and text, or why it could not be read.
#[derive(Debug)]
pub struct Source {
    /// As the user named it; `-` for standard input.
    pub file: String,
    /// Its text.
    pub text: Result<String, String>,
}

/// One object of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// The file.
    pub file: String,
    /// The place of its document in the file, from 1.
    pub document: usize,
    /// The line where that document begins.
    pub line: u64,
    /// The object as JSON.
    pub json: String,
}

/// What could not be read or judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The document, where the file could be cut into some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line in the file, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
}

/// The objects of a source. What is broken is a problem and leaves the others readable.
pub fn subjects(source: &Source) -> Vec<Result<Subject, Problem>> {
    let text = match &source.text {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(reason) => {
            let message = reason.clone();
            return vec![Err(Problem { file: source.file.clone(), document: None, line: None, message })];
        }
    };
    if source.file.ends_with(".json") {
        return objects(Document { file: &source.file, number: 1, line: 1, is_json: true }, text.to_owned());
    }
    let documents = yaml_documents(text).into_iter().zip(1..);
    let read = documents.flat_map(|(document, number)| match serde_saphyr::from_str::<Value>(&document) {
        // An empty document, as templates leave them behind.
        Ok(Value::Null) => Vec::new(),
        Ok(value) => {
            let line = document.lines().zip(1..).find(|(line, _)| !line.trim().is_empty()).map_or(1, |(_, line)| line);
            objects(Document { file: &source.file, number, line, is_json: false }, value.to_string())
        }
        Err(problem) => {
            let line = problem.location().map(|place| place.line());
            vec![Err(Problem {
                file: source.file.clone(),
                document: Some(number),
                line,
                message: yaml_problem(&problem),
            })]
        }
    });
    read.collect()
}

/// Where an object comes from.
#[derive(Clone, Copy)]
struct Document<'a> {
    file: &'a str,
    number: usize,
    line: u64,
    /// Whether the object's text is the file's own, so that lines in it are lines of the file.
    is_json: bool,
}

/// The object of a document, or the items of a list.
fn objects(document: Document<'_>, json: String) -> Vec<Result<Subject, Problem>> {
    let Document { file, number, line, is_json } = document;
    let broken = |line: u64, message: String| {
        vec![Err(Problem { file: file.to_owned(), document: Some(number), line: Some(line), message })]
    };
    let items = match parse(json.as_bytes()) {
        Ok(object) if object.text_at(&["kind"]).is_none() => {
            return broken(line, "no Kubernetes object: it has no `kind`".to_owned());
        }
        Ok(object) => items(&object),
        Err(problem) => {
            let message = problem.to_string();
            return broken(line_of(&message).filter(|_| is_json).unwrap_or(line), message);
        }
    };
    match items {
        // What is made of an item has lines of its own.
        Some(items) => {
            items.into_iter().flat_map(|item| objects(Document { is_json: false, ..document }, item)).collect()
        }
        None => vec![Ok(Subject { file: file.to_owned(), document: number, line, json })],
    }
}

/// The items of a `List` or of a typed list such as `PodList`; none of an object that is no list.
fn items(object: &Json<'_>) -> Option<Vec<String>> {
    let kind = object.text_at(&["kind"])?;
    let element = kind.strip_suffix("List")?;
    let Some(Json::Array(items)) = object.get("items") else { return None };
    let typed = |item: &Json<'_>| {
        let mut value = item.to_value();
        // The items of a typed list bear neither kind nor version of their own.
        if let (Value::Object(members), false) = (&mut value, element.is_empty()) {
            members.entry("kind").or_insert_with(|| element.into());
            members.entry("apiVersion").or_insert_with(|| object.text_at(&["apiVersion"]).unwrap_or_default().into());
        }
        value.to_string()
    };
    Some(items.iter().map(typed).collect())
}

/// serde_json says the line only in its message.
fn line_of(message: &str) -> Option<u64> {
    let (_, rest) = message.rsplit_once(" at line ")?;
    rest.split_once(' ')?.0.parse().ok()
}
