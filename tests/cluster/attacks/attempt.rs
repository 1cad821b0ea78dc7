//! One request as an attack or as a good one: what is said, and what becomes of the objects around it.

use serde_json::Value;

use super::catalogue::{Expect, Request, Trial};
use super::field::{Field, Scene};
use crate::caller::{Outcome, Refusal};

/// Prepares the field, asks, and looks at the answer and at what is stored then.
pub(super) async fn attempt_request(scene: Scene<'_>, trial: &Trial, request: &Request) -> Result<(), String> {
    let field = Field::prepare(scene, trial, &trial.id).await?;
    let before = field.stored(request).await;
    let answer = field.ask(request, scene.editor).await;
    told(&trial.expect, &answer)?;
    match (&trial.expect, &answer) {
        (Expect::Allowed(_), Ok(answer)) => field.is_done(request, answer).await,
        (Expect::Stored { at, has }, _) => field.has(at.as_deref().unwrap_or("pods/{victim}"), has).await,
        (Expect::Gone { at }, _) => field.is_gone(at).await,
        _ => {
            let after = field.stored(request).await;
            let changed = before.iter().find(|(path, object)| after.get(*path) != Some(*object));
            changed.map_or(Ok(()), |(path, object)| {
                let now = after.get(path).unwrap_or(&Value::Null);
                Err(format!("{path} changed from {object} to {now}"))
            })
        }
    }
}

/// Compares an answer with what is expected of it.
pub(super) fn told(expect: &Expect, answer: &Outcome) -> Result<(), String> {
    let fits = match (expect, answer) {
        (Expect::Refused(rule), Err(refusal)) => is_refused_by(refusal, rule),
        (Expect::Stopped { code, says, .. }, Err(refusal)) => refusal.code == *code && refusal.message.contains(says),
        (Expect::Allowed(_) | Expect::Stored { .. } | Expect::Gone { .. }, Ok(_)) => true,
        _ => false,
    };
    let shown = || match answer {
        Ok(stored) => format!("got {}", stored.to_string().chars().take(400).collect::<String>()),
        Err(refusal) => format!("got {} {}", refusal.code, refusal.message),
    };
    if fits { Ok(()) } else { Err(format!("wanted {expect:?}, {}", shown())) }
}

/// Whether a refusal is this rule's: it names it at the beginning of a line.
fn is_refused_by(refusal: &Refusal, rule: &str) -> bool {
    refusal.code == 403 && refusal.message.lines().any(|line| line.starts_with(&format!("{rule}:")))
}
