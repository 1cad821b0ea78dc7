//! Edge: what an analysis's token Secret holds, and texts without it.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::archive::{clean_line, clean_log};
use crate::bundle::token_secret_name;
use crate::cluster::{Cluster, Kind};
use crate::facts::Place;
use crate::model::AnalysisId;
use crate::telemetry::whole;

/// What must stand in no log; its container has it in its environment.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of an analysis.
    ///
    /// # Errors
    /// They are not known, perhaps only in this moment.
    pub(super) async fn read(cluster: &Cluster, namespace: &str, analysis: AnalysisId) -> Result<Self, String> {
        let place = Place { namespace: namespace.to_owned(), name: token_secret_name(analysis) };
        let secret = cluster.read(Kind::Secret, &place).await.map_err(|problem| whole(&problem))?;
        Secrets::of(secret.as_deref()).map_err(|problem| format!("Secret {} {problem}", place.name))
    }

    /// All that a Secret holds.
    pub(super) fn of(secret: Option<&str>) -> Result<Self, &'static str> {
        let mut values = values(secret)?;
        // One may begin with another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Ok(Secrets(values))
    }

    /// A text without them.
    pub(super) fn hidden(&self, text: &str) -> String {
        // What is short is a word like others.
        let secrets = self.0.iter().map(|one| one.trim()).filter(|one| one.len() >= SHORTEST && *one != NONE);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[secret left out]"))
    }

    /// A log as it is shown.
    pub(super) fn clean_log(&self, text: &str) -> String {
        // Before, since of a token that stands in a secret nothing is to stay; behind, for one that was written in parts.
        self.hidden(&clean_log(&self.hidden(text)))
    }

    /// A streamed line as it is kept and passed on.
    pub(super) fn clean_line(&self, text: &str) -> String {
        self.hidden(&clean_line(&self.hidden(text)))
    }
}

fn values(secret: Option<&str>) -> Result<Vec<String>, &'static str> {
    let secret: Value = serde_json::from_str(secret.ok_or("is not there")?).map_err(|_| "cannot be read")?;
    let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
    let decoded = data.map(|(_, value)| String::from_utf8(STANDARD.decode(value.as_str()?).ok()?).ok());
    decoded.map(|value| value.ok_or("holds what is no text")).collect()
}

const SHORTEST: usize = 8;
/// What FLAME writes where a project has no data source.
const NONE: &str = "none_needed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_values_of_its_secret_nothing_is_kept() {
        for (secret, want) in [
            (None, Err("is not there")),
            (Some("no json"), Err("cannot be read")),
            (Some(r#"{"data": {"a": 1}}"#), Err("holds what is no text")),
            (Some(r#"{"data": {"a": "%%"}}"#), Err("holds what is no text")),
            (Some(r#"{"data": {"a": "/w=="}}"#), Err("holds what is no text")),
            (Some(r#"{"data": {"a": "c2VjcmV0"}}"#), Ok(vec!["secret".to_owned()])),
            (Some(r#"{}"#), Ok(vec![])),
        ] {
            assert_eq!(values(secret), want, "{secret:?}");
        }
    }

    #[test]
    fn what_the_secret_holds_is_left_out_wherever_it_stands() {
        let data = ["key-of-kong\n", "none_needed", "short", "", "token.of.keycloak", "key-of-kong-and-more"];
        let data = data.iter().enumerate().map(|(number, value)| (number.to_string(), STANDARD.encode(value).into()));
        let secret = serde_json::json!({"data": data.collect::<serde_json::Map<_, _>>()}).to_string();
        let secrets = Secrets::of(Some(&secret)).unwrap();
        for (text, want) in [
            ("", ""),
            ("KEY=key-of-kong TOKEN=token.of.keycloak", "KEY=[secret left out] TOKEN=[secret left out]"),
            ("xkey-of-kongkey-of-kong\n", "x[secret left out][secret left out]\n"),
            ("key-of-kong-and-more", "[secret left out]"),
            ("none_needed short", "none_needed short"),
        ] {
            assert_eq!(secrets.hidden(text), want, "{text}");
            assert_eq!([secrets.clean_log(text), secrets.clean_line(text)], [want, want], "{text}");
        }
        let apart = "INFO: key-of\0-kong eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.\n";
        let clean = "INFO: [secret left out] [token left out]\n";
        assert_eq!([secrets.clean_log(apart), secrets.clean_line(apart)], ["", clean]);
    }
}
