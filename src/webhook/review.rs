//! Reads an AdmissionReview: exactly admission.k8s.io/v1, exactly once each key, exactly that case.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::model::{Json, Operation, ParseProblem, Request, Resource, User, parse};

/// A review's text, checked and held as a tree; [`Review::request`] gives the request in it.
#[derive(Debug)]
pub struct Review<'a> {
    json: Json<'a>,
}

/// Why a text is no AdmissionReview that can be answered with yes or no.
#[derive(Debug, thiserror::Error)]
pub enum ReviewProblem {
    /// Not JSON, or JSON that two readers could read differently.
    #[error("{0}")]
    Json(#[from] ParseProblem),
    /// Another kind or version.
    #[error("expected kind AdmissionReview of admission.k8s.io/v1, got {kind} of {version}")]
    Foreign {
        /// The kind that stands there.
        kind: String,
        /// The apiVersion that stands there.
        version: String,
    },
    /// A field is missing, of the wrong type or written in another case.
    #[error("{0}")]
    Field(String),
}

impl<'a> Review<'a> {
    /// Reads a review.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReviewProblem> {
        let json = parse(text)?;
        exact_case(&json, &["apiVersion", "kind", "request", "response"], "")?;
        let (kind, version) = (json.text_at(&["kind"]), json.text_at(&["apiVersion"]));
        if (kind, version) != (Some(KIND), Some(VERSION)) {
            let shown = |text: Option<&str>| text.unwrap_or("nothing").chars().take(80).collect();
            return Err(ReviewProblem::Foreign { kind: shown(kind), version: shown(version) });
        }
        Ok(Review { json })
    }

    /// The id to answer with, if it can be told.
    pub fn uid(&self) -> Option<&str> {
        self.json.text_at(&["request", "uid"])
    }

    /// The request in the review.
    ///
    /// # Errors
    /// The first field that is missing, of the wrong type or written in another case.
    pub fn request(&self) -> Result<Request<'_>, ReviewProblem> {
        let request = self.json.get("request").ok_or_else(|| ReviewProblem::Field("request is missing".to_owned()))?;
        exact_case(request, REQUEST_KEYS, "request.")?;
        let resource =
            request.get("resource").ok_or_else(|| ReviewProblem::Field("request.resource is missing".to_owned()))?;
        exact_case(resource, &["group", "version", "resource"], "request.resource.")?;
        let word = required(request, "operation", "request.")?;
        let operation = Operation::parse(word)
            .ok_or_else(|| ReviewProblem::Field(format!("request.operation {word:?} is unknown")))?;
        Ok(Request {
            uid: required(request, "uid", "request.")?,
            operation,
            resource: Resource {
                group: optional(resource, "group", "request.resource.")?,
                name: required(resource, "resource", "request.resource.")?,
                sub: optional(request, "subResource", "request.")?,
            },
            name: optional(request, "name", "request.")?,
            namespace: optional(request, "namespace", "request.")?,
            user: user(request)?,
            object: object(request, "object")?,
            old: object(request, "oldObject")?,
            options: object(request, "options")?,
            dry_run: request.get("dryRun").and_then(Json::boolean).unwrap_or(false),
        })
    }
}

/// The id to answer with, from a text that may be no review at all.
///
/// An answer that bears the request's own uid is a refusal whatever the failure policy; without it
/// the API server takes the answer for a malfunction. The API server writes the uid first, so little is read.
pub fn early_uid(text: &[u8]) -> Option<String> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(text);
    // Only what was found counts: reading stops there, which the reader takes for an error.
    let _ = Search { keys: &["request", "uid"], found: &mut found }.deserialize(&mut reader);
    found.filter(|uid| !uid.is_empty() && uid.len() <= LONGEST_UID)
}

/// Follows keys to a text and stops at it.
struct Search<'s> {
    keys: &'static [&'static str],
    found: &'s mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.keys.is_empty() {
            *self.found = Some(String::deserialize(reader)?);
            return Err(D::Error::custom("found"));
        }
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(key) = access.next_key::<String>()? {
            match self.keys.split_first() {
                Some((wanted, rest)) if key == *wanted => {
                    access.next_value_seed(Search { keys: rest, found: self.found })?;
                }
                _ => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

const KIND: &str = "AdmissionReview";
const VERSION: &str = "admission.k8s.io/v1";
const LONGEST_UID: usize = 128;
const REQUEST_KEYS: &[&str] = &[
    "uid",
    "kind",
    "resource",
    "subResource",
    "requestKind",
    "requestResource",
    "requestSubResource",
    "name",
    "namespace",
    "operation",
    "userInfo",
    "object",
    "oldObject",
    "dryRun",
    "options",
];

fn user<'a>(request: &'a Json<'a>) -> Result<User<'a>, ReviewProblem> {
    let info = request.get("userInfo").ok_or_else(|| ReviewProblem::Field("request.userInfo is missing".to_owned()))?;
    exact_case(info, &["username", "uid", "groups", "extra"], "request.userInfo.")?;
    let groups = info.get("groups").map_or(&[][..], |groups| groups.items());
    let groups = groups.iter().map(|group| {
        group.text().ok_or_else(|| ReviewProblem::Field("request.userInfo.groups holds no text".to_owned()))
    });
    Ok(User { name: optional(info, "username", "request.userInfo.")?, groups: groups.collect::<Result<_, _>>()? })
}

/// An object member, whose own members that every rule relies on are written exactly.
fn object<'a>(request: &'a Json<'a>, key: &str) -> Result<Option<&'a Json<'a>>, ReviewProblem> {
    let Some(object) = request.get(key) else { return Ok(None) };
    if !matches!(object, Json::Object(_)) {
        return Err(ReviewProblem::Field(format!("request.{key} is no object")));
    }
    exact_case(object, &["apiVersion", "kind", "metadata", "spec", "status"], &format!("request.{key}."))?;
    if let Some(metadata) = object.get("metadata") {
        exact_case(
            metadata,
            &["name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"],
            &format!("request.{key}.metadata."),
        )?;
    }
    Ok(Some(object))
}

/// Refuses a key that differs from a known one in case only: Go's decoder would take it for the known one.
fn exact_case(json: &Json<'_>, known: &[&str], at: &str) -> Result<(), ReviewProblem> {
    let wrong = json.entries().iter().find_map(|(key, _)| {
        let meant = known.iter().find(|name| name.eq_ignore_ascii_case(key))?;
        (meant != key).then_some((key, meant))
    });
    match wrong {
        Some((key, meant)) => Err(ReviewProblem::Field(format!("{at}{key} must be written {meant}"))),
        None => Ok(()),
    }
}

fn required<'a>(json: &'a Json<'a>, key: &str, at: &str) -> Result<&'a str, ReviewProblem> {
    match optional(json, key, at)? {
        "" => Err(ReviewProblem::Field(format!("{at}{key} is missing"))),
        text => Ok(text),
    }
}

fn optional<'a>(json: &'a Json<'a>, key: &str, at: &str) -> Result<&'a str, ReviewProblem> {
    match json.get(key) {
        None => Ok(""),
        Some(value) => value.text().ok_or_else(|| ReviewProblem::Field(format!("{at}{key} is no text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_found_in_what_is_otherwise_unreadable() {
        let deep = format!("{{\"request\":{{\"uid\":\"u\",\"object\":{}", "[".repeat(500));
        for (text, uid) in [
            (r#"{"kind":"AdmissionReview","request":{"uid":"u","object":{"a":1,"a":2}}}"#, Some("u")),
            (r#"{"request":{"kind":{"kind":"Pod"},"uid":"u"}}"#, Some("u")),
            (deep.as_str(), Some("u")),
            (r#"{"request":{"uid":7}}"#, None),
            (r#"{"request":{"uid":""}}"#, None),
            (r#"{"request":[]}"#, None),
            (r#"[{"request":{"uid":"u"}}]"#, None),
            ("", None),
        ] {
            assert_eq!(early_uid(text.as_bytes()).as_deref(), uid, "{text}");
        }
    }
}
