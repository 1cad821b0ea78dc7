//! Edge: one decision told to whoever looks at the object that it is about.

use std::time::Duration;

use tracing::{debug, warn};

use crate::cluster::{Asker, Cluster, ClusterProblem, Event, Kind, Leadership, Often, Recorder};
use crate::facts::Place;
use crate::model::{Decision, Outcome, Reference, parse};

/// What tells needs.
pub(super) struct Teller<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) leadership: &'a Leadership,
    pub(super) recorder: &'a Recorder,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// An Event with this reason.
    Stored(&'static str),
    /// An Event of this kind was written a moment ago.
    Suppressed,
    /// There is nobody to be told.
    Nothing,
    /// The API server did not take it.
    Failed,
    /// It is another's to tell now.
    NotLeading,
}

impl Teller<'_> {
    pub(super) async fn tell(&self, decision: &Decision, run: &str) -> Written {
        let Some((event, often)) = event(decision, run) else { return Written::Nothing };
        // What a refused object names may be invented; looking for it must not use up what others are told.
        let refused = decision.outcome == Outcome::Refused;
        if refused && !self.recorder.looks_up_for(&asker(decision)) {
            return Written::Suppressed;
        }
        let mut admitted = false;
        for _ in 0..ATTEMPTS {
            if !self.leadership.holds() {
                return Written::NotLeading;
            }
            match self.attempt(decision, &event, often, &mut admitted).await {
                Ok(written) => return written,
                Err(problem) if problem.may_pass() => {
                    debug!(%problem, "event not written; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(problem) => {
                    warn!(%problem, namespace = event.namespace, "event not written");
                    return Written::Failed;
                }
            }
        }
        Written::Failed
    }

    async fn attempt(
        &self,
        decision: &Decision,
        event: &Event,
        often: Often<'_>,
        admitted: &mut bool,
    ) -> Result<Written, ClusterProblem> {
        let mut event = event.clone();
        if decision.outcome == Outcome::Refused && !self.is_there(&event).await? {
            return Ok(Written::Nothing);
        }
        *admitted = *admitted || self.recorder.admits(&event, often);
        if !*admitted {
            return Ok(Written::Suppressed);
        }
        if event.about.uid.is_empty() && event.about.kind == "Pod" {
            // The request named the pod only; whether or not it is still there, the use is told.
            event.about.uid = self.uid(Kind::Pod, &event).await?.unwrap_or_default();
        }
        if !self.leadership.holds() {
            return Ok(Written::NotLeading);
        }
        self.recorder.write(&event).await?;
        Ok(Written::Stored(event.reason))
    }

    /// Whether the owner that a refused object named is one: anybody can write any name there.
    async fn is_there(&self, event: &Event) -> Result<bool, ClusterProblem> {
        let Some(kind) = owner_kind(&event.about) else { return Ok(false) };
        Ok(self.uid(kind, event).await?.is_some_and(|uid| uid == event.about.uid))
    }

    async fn uid(&self, kind: Kind, event: &Event) -> Result<Option<String>, ClusterProblem> {
        let place = Place { namespace: event.namespace.clone(), name: event.about.name.clone() };
        let Some(text) = self.cluster.read(kind, &place).await? else { return Ok(None) };
        let object = parse(text.as_bytes()).ok();
        Ok(object.and_then(|object| object.text_at(&["metadata", "uid"]).map(str::to_owned)))
    }
}

/// On whose account an object is looked up.
fn asker(decision: &Decision) -> Asker<'_> {
    Asker {
        namespace: &decision.namespace,
        user: &decision.user,
        unchecked: (!decision.checked).then_some(decision.from.as_str()),
    }
}

/// The Event that a decision asks for, and how often such a one is told.
fn event<'a>(decision: &'a Decision, run: &str) -> Option<(Event, Often<'a>)> {
    let about = decision.about.clone().filter(|about| is_name(&about.name) && is_name(&decision.namespace))?;
    let rules = decision.rules.join(", ");
    let (reason, often, note) = match decision.outcome {
        Outcome::Refused => {
            let what = &decision.resource;
            let note = format!(
                "Flamewarden refuses its {what} by: {rules}. The refusal itself says which fields and what to do \
                 about each; a dry run of the same object on the server shows it again."
            );
            ("Refused", Often::Seldom, note)
        }
        Outcome::BreakGlass => {
            let Decision { operation, resource, user, from, .. } = decision;
            let note = format!("{user} broke the glass: {operation} {resource}, refused to others by: {rules}.");
            match decision.checked {
                true => ("BreakGlass", Often::Each, note),
                false => ("BreakGlass", Often::Few(from), format!("{note}{UNCHECKED}")),
            }
        }
        Outcome::Allowed | Outcome::Patched | Outcome::Warned => return None,
    };
    let namespace = decision.namespace.clone();
    let key = format!("{run}/{}", decision.number);
    Some((Event { namespace, about, reason, action: "Admission", note, key }, often))
}

/// The owners of pods and of pods' owners.
fn owner_kind(about: &Reference) -> Option<Kind> {
    OWNERS.into_iter().find(|kind| {
        let (api_version, name) = kind.type_names();
        about.api_version == api_version && about.kind == name
    })
}

/// Whether a text can be the name of an object; what cannot must not come into a path.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (1..=253).contains(&text.len()) && text.bytes().all(fits) && !matches!(text, "." | "..")
}

/// What is said where no certificate tells whether the API server asked the webhook.
const UNCHECKED: &str = " Who asked the webhook was not checked (no --client-ca): only if the API server's audit log \
    says the same did it happen.";
const OWNERS: [Kind; 7] = [
    Kind::ReplicaSet,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::ReplicationController,
];
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn decision(outcome: Outcome, name: &str) -> Decision {
        let text = str::to_owned;
        let about =
            Reference { api_version: text("apps/v1"), kind: text("ReplicaSet"), name: text(name), uid: text("u") };
        Decision {
            number: 7,
            time: Timestamp::UNIX_EPOCH,
            outcome,
            operation: text("CREATE"),
            resource: text("pods"),
            namespace: text("flame"),
            name: text("p"),
            user: text("jane"),
            analysis: String::new(),
            rules: vec![text("labels"), text("volumes")],
            from: text("10.0.0.1"),
            checked: true,
            about: Some(about),
        }
    }

    #[test]
    fn refusals_are_told_seldom_break_glass_each_time_and_the_rest_not_at_all() {
        let told = |outcome, name, checked| {
            let decision = Decision { checked, ..decision(outcome, name) };
            let (event, often) = event(&decision, "run")?;
            Some((event.reason, format!("{often:?}"), event.note, event.key))
        };
        let refused = "Flamewarden refuses its pods by: labels, volumes. The refusal itself says which fields and what \
            to do about each; a dry run of the same object on the server shows it again.";
        let broken = "jane broke the glass: CREATE pods, refused to others by: labels, volumes.";
        let unchecked = format!(
            "{broken} Who asked the webhook was not checked (no --client-ca): only if the API server's audit log says \
             the same did it happen."
        );
        for (outcome, name, checked, want) in [
            (Outcome::Refused, "r", true, Some(("Refused", "Seldom", refused))),
            (Outcome::BreakGlass, "r", true, Some(("BreakGlass", "Each", broken))),
            (Outcome::BreakGlass, "r", false, Some(("BreakGlass", "Few(\"10.0.0.1\")", unchecked.as_str()))),
            (Outcome::Warned, "r", true, None),
            (Outcome::Allowed, "r", true, None),
            (Outcome::Patched, "r", true, None),
            (Outcome::Refused, "../secrets/x", true, None),
            (Outcome::Refused, "", true, None),
        ] {
            let want =
                want.map(|(reason, often, note)| (reason, often.to_owned(), note.to_owned(), "run/7".to_owned()));
            assert_eq!(told(outcome, name, checked), want, "{outcome:?} {name}");
        }
    }

    #[test]
    fn whoever_was_not_checked_is_known_by_his_address() {
        for (checked, unchecked) in [(true, None), (false, Some("10.0.0.1"))] {
            let decision = Decision { checked, ..decision(Outcome::Refused, "r") };
            assert_eq!(asker(&decision), Asker { namespace: "flame", user: "jane", unchecked });
        }
    }

    #[test]
    fn only_controllers_of_kubernetes_own_are_looked_up() {
        for (api_version, kind, want) in [
            ("apps/v1", "ReplicaSet", Some(Kind::ReplicaSet)),
            ("v1", "ReplicationController", Some(Kind::ReplicationController)),
            ("batch/v1", "ReplicaSet", None),
            ("v1", "Secret", None),
        ] {
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            let about = Reference { api_version, kind, ..Reference::default() };
            assert_eq!(owner_kind(&about), want, "{about:?}");
        }
    }
}
