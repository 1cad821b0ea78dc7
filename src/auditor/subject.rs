//! What is audited: the objects of files, each as JSON text, so that the judge sees what an API server would be sent.

use std::sync::Arc;

use serde_json::Value;

use crate::model::{Json, cut_yaml, is_read_in_two_ways, parse, yaml_problem_in};
use crate::report::{Place, Problem};

/// A file's name and text, or why it could not be read.
#[derive(Debug)]
pub struct Source {
    /// As the user named it; `-` for standard input.
    pub file: String,
    /// Its text.
    pub text: Result<String, String>,
}

/// One object.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// Where it stands; none of an object of a cluster.
    pub place: Option<Place>,
    /// The object as JSON.
    pub json: String,
}

/// Where an object comes from.
#[derive(Clone)]
struct Document {
    place: Place,
    /// Whether the object's text is the file's own, so that lines in it are lines of the file.
    is_json: bool,
    /// How many lists it stands in.
    depth: u8,
}

/// One item of a list, as JSON.
enum Item {
    /// It is an object that is no list.
    Read(String),
    /// It may be anything.
    Unread(String),
}

/// What takes what a source has, object by object.
type Take<'t> = &'t mut dyn FnMut(Result<Subject, Problem>);

/// Calls `take` with every object of a source. What is broken is a problem and leaves the others readable.
pub fn each_subject(source: &Source, take: Take<'_>) {
    let file: Arc<str> = source.file.as_str().into();
    let text = match &source.text {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(reason) => {
            let (file, message) = (source.file.clone(), reason.clone());
            return take(Err(Problem { file, document: None, line: None, message }));
        }
    };
    let place = |number, line| Place { file: Arc::clone(&file), document: number, line };
    if source.file.ends_with(".json") {
        return objects(&Document { place: place(1, 1), is_json: true, depth: 0 }, text.to_owned(), take);
    }
    for (document, number) in cut_yaml(text).zip(1..) {
        if is_read_in_two_ways(&document) {
            let line = Some(document.lines_before.saturating_add(1));
            let message = TWO_WAYS.to_owned();
            take(Err(Problem { file: source.file.clone(), document: Some(number), line, message }));
            continue;
        }
        match serde_saphyr::from_str::<Value>(&document.text) {
            // An empty document, as templates leave them behind.
            Ok(Value::Null) => {}
            Ok(value) => {
                let blank = document.text.lines().take_while(|line| line.trim().is_empty()).count() as u64;
                let place = place(number, document.lines_before.saturating_add(blank).saturating_add(1));
                objects(&Document { place, is_json: false, depth: 0 }, value.to_string(), take);
            }
            Err(problem) => {
                let line = problem.location().map(|place| place.line().saturating_add(document.lines_before));
                let message = yaml_problem_in(&document, &problem);
                take(Err(Problem { file: source.file.clone(), document: Some(number), line, message }));
            }
        }
    }
}

/// The object of a document, or the items of a list.
fn objects(document: &Document, json: String, take: Take<'_>) {
    let broken = |line: u64, message: String| {
        let Place { file, document, .. } = &document.place;
        Err(Problem { file: file.to_string(), document: Some(*document), line: Some(line), message })
    };
    let line = document.place.line;
    match parse(json.as_bytes()) {
        Ok(object) if said(&object, "kind").is_none() => {
            return take(broken(line, "no Kubernetes object: it has no `kind`".to_owned()));
        }
        Ok(object) => {
            if let Some(items) = items(&object) {
                if document.depth >= DEEPEST {
                    return take(broken(line, format!("lists stand in each other more than {DEEPEST} deep")));
                }
                // What is made of an item has lines of its own.
                let document = Document { is_json: false, depth: document.depth + 1, ..document.clone() };
                return items.for_each(|item| match item {
                    Item::Read(json) => take(Ok(Subject { place: Some(document.place.clone()), json })),
                    Item::Unread(json) => objects(&document, json, take),
                });
            }
        }
        Err(problem) => {
            let message = problem.to_string();
            let line = line_of(&message).filter(|_| document.is_json).unwrap_or(line);
            return take(broken(line, message));
        }
    }
    take(Ok(Subject { place: Some(document.place.clone()), json }));
}

/// The items of a `List`, of a typed list such as `PodList`, or of whatever else has some: kubectl takes each of these for
/// a list. None of an object that is no list.
fn items<'o>(object: &'o Json<'_>) -> Option<impl Iterator<Item = Item> + 'o> {
    let element = said(object, "kind")?.strip_suffix("List").unwrap_or_default();
    let Some(Json::Array(items)) = object.get("items") else { return None };
    let typed = move |item: &Json<'_>| {
        // Most are an object each, whose text is as good as the list's.
        if said(item, "kind").is_some()
            && said(item, "apiVersion").is_some()
            && item.get("items").is_none()
            && let Ok(json) = serde_json::to_string(item)
        {
            return Item::Read(json);
        }
        let mut value = item.to_value();
        // The items of a typed list bear neither kind nor version of their own.
        if let (Value::Object(members), false) = (&mut value, element.is_empty()) {
            for (key, inherited) in [("kind", element), ("apiVersion", said(object, "apiVersion").unwrap_or_default())]
            {
                if said(item, key).is_none() {
                    members.insert(key.to_owned(), inherited.into());
                }
            }
        }
        Item::Unread(value.to_string())
    };
    Some(items.iter().map(typed))
}

/// A member that says something; an empty one is as none.
fn said<'o>(object: &'o Json<'_>, key: &str) -> Option<&'o str> {
    object.text_at(&[key]).filter(|text| !text.is_empty())
}

/// Why a document is not read.
const TWO_WAYS: &str = "has a carriage return alone, U+0085, U+2028 or U+2029, which some readers of YAML take for the end \
    of a line and others do not; write it as an escape between double quotes, or leave it out";
/// How many lists an object may stand in: nobody writes two.
const DEEPEST: u8 = 3;

/// serde_json says the line only in its message.
fn line_of(message: &str) -> Option<u64> {
    let (_, rest) = message.rsplit_once(" at line ")?;
    rest.split_once(' ')?.0.parse().ok()
}
