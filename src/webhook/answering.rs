//! Edge: one review from bytes to answer: what it names is read, the judge and the users' rules are asked.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::time::Instant;

use super::service::{composed, unparsed, unreadable};
use super::targets::look_up;
use super::{InForce, Judge, Looked, Reply, Review, Side, Targets};
use crate::facts::ScanMemory;
use crate::model::{Json, Request, parse};
use crate::policy::PolicySet;
use crate::rules::{Case, Judgement, ScanKnowledge, Target, Workers, take_users_findings, target_of, users_rules_for};

/// What the webhook needs to answer.
pub struct Webhook {
    /// Replaced as a whole when policies change; a review is answered by one version of them.
    pub in_force: Arc<ArcSwap<InForce>>,
    /// Decides; [`crate::rules::judge`] outside tests.
    pub judge: Judge,
    /// Where named objects are read; without a cluster, nobody knows them.
    pub targets: Option<Box<dyn Targets>>,
    /// What is known of the scans of images.
    pub scans: Arc<ScanMemory>,
    /// Who evaluates users' rules.
    pub workers: Workers,
}

impl Webhook {
    /// Answers one review; the caller gives up at the deadline.
    pub async fn answer(&self, side: Side, text: &[u8], deadline: Instant) -> Reply {
        let review = match Review::parse(text) {
            Ok(review) => review,
            Err(problem) => return unparsed(text, &problem),
        };
        match review.request() {
            Ok(request) => self.reply(side, &request, deadline).await,
            Err(problem) => unreadable(review.uid().unwrap_or_default(), &problem),
        }
    }

    async fn reply(&self, side: Side, request: &Request<'_>, deadline: Instant) -> Reply {
        let in_force = self.in_force.load_full();
        let now = Timestamp::now();
        let policies = in_force.policies.as_ref();
        // What users' rules say, and whom an answer concerns, has nothing to do with scans.
        let case = |target| Case { policies, target, scans: ScanKnowledge::OutOfReach, now };
        if side == Side::Mutate {
            // What a named object or a user's rule makes a refusal has no remedy.
            let judgement = self.judged(request, policies, Target::Unneeded, now);
            return composed(side, request, &judgement, &case(Target::Unneeded));
        }
        let looked = match target_of(request, policies) {
            // A part of the time is left for the judgement, so that it says what could not be read.
            Some(target) => {
                let time = deadline.saturating_duration_since(Instant::now()) * 3 / 4;
                Some(look_up(self.targets.as_deref(), target, time).await)
            }
            None => None,
        };
        let object = match &looked {
            Some(Looked::Found(text)) => parse(text.as_bytes()).ok(),
            _ => None,
        };
        let target = known(looked.as_ref(), object.as_ref());
        let mut judgement = self.judged(request, policies, target, now);
        let rules = users_rules_for(request, &in_force.rules, policies);
        if !rules.is_empty() {
            let findings = self.workers.evaluate(rules, request).await;
            take_users_findings(&mut judgement, findings, request, &case(target));
        }
        composed(side, request, &judgement, &case(target))
    }

    fn judged(&self, request: &Request<'_>, policies: &PolicySet, target: Target<'_>, now: Timestamp) -> Judgement {
        let scans = self.scans.read();
        (self.judge)(request, &Case { policies, target, scans: ScanKnowledge::Known(&scans), now })
    }
}

/// What the judge is told of a reading; an object that is no JSON to us is as good as unread.
fn known<'a>(looked: Option<&Looked>, object: Option<&'a Json<'a>>) -> Target<'a> {
    match (looked, object) {
        (None, _) => Target::Unneeded,
        (Some(Looked::Found(_)), Some(object)) => Target::Found(object),
        (Some(Looked::Missing), _) => Target::Missing,
        (Some(Looked::Found(_) | Looked::Unread), _) => Target::Unread,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::BoxFuture;
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::PolicySet;
    use crate::rules::{Limits, TargetRef, judge};

    /// Answers every reading alike; with nothing to say, never.
    struct Fixed(Option<Looked>);

    impl Targets for Fixed {
        fn read<'a>(&'a self, target: TargetRef<'a>) -> BoxFuture<'a, Looked> {
            assert_eq!((target.resource, target.namespace, target.name), ("pods", "flame", "p"));
            let looked = self.0.clone();
            Box::pin(async move {
                match looked {
                    Some(looked) => looked,
                    None => std::future::pending().await,
                }
            })
        }
    }

    fn webhook(more: &str, targets: Option<Fixed>) -> Webhook {
        let files = [
            ("a.yaml", include_str!("../../policies/flame-analysis.yaml")),
            ("g.yaml", include_str!("../../policies/flame-gateway.yaml")),
            ("i.yaml", include_str!("../../tests/fixtures/installation.yaml")),
            ("more.yaml", more),
        ];
        let policies = Arc::new(PolicySet::parse(files).unwrap());
        Webhook {
            in_force: Arc::new(ArcSwap::from_pointee(InForce::new(policies).unwrap())),
            judge,
            targets: targets.map(|targets| Box::new(targets) as Box<dyn Targets>),
            scans: Arc::default(),
            workers: Workers::start(Limits::default()),
        }
    }

    fn review(resource: (&str, &str), operation: &str, object: &Value) -> String {
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
            "uid": "u", "resource": {"group": "", "version": "v1", "resource": resource.0}, "subResource": resource.1,
            "name": "p", "namespace": "flame", "operation": operation, "userInfo": {"username": "jane"},
            "object": object,
        }})
        .to_string()
    }

    /// Whether the answer is yes, and the rules of the notice.
    fn told(reply: &Reply) -> (bool, Vec<&str>) {
        let rules = reply.record.notice.iter().flat_map(|notice| &notice.rules).map(String::as_str);
        (reply.answer.is_allowed(), rules.collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_judged_by_the_pod_that_is_stored_and_refused_where_nobody_knows_it() {
        let exec = review(("pods", "exec"), "CONNECT", &json!({"kind": "PodExecOptions", "apiVersion": "v1"}));
        let pod = |labels: Value| Some(Looked::Found(json!({"metadata": {"labels": labels}}).to_string()));
        let analysis = json!({"component": "flame-analysis", "app": "analysis-a"});
        for (what, looked, want) in [
            ("an analysis", pod(analysis), (false, vec!["connection"])),
            ("another part", pod(json!({"component": "hub-adapter"})), (true, vec![])),
            ("gone", Some(Looked::Missing), (false, vec!["target-known"])),
            ("unread", Some(Looked::Unread), (false, vec!["target-known"])),
            ("no JSON", Some(Looked::Found("{".to_owned())), (false, vec!["target-known"])),
            ("never answered", None, (false, vec!["target-known"])),
        ] {
            let deadline = Instant::now() + Duration::from_secs(4);
            let webhook = webhook("", Some(Fixed(looked)));
            let reply = webhook.answer(Side::Validate, exec.as_bytes(), deadline).await;
            assert_eq!(told(&reply), want, "{what}");
            assert!(Instant::now() < deadline, "{what}");
        }
        let reply = webhook("", None).answer(Side::Validate, exec.as_bytes(), Instant::now()).await;
        assert_eq!(told(&reply), (false, vec!["target-known"]), "there is no cluster");
    }

    #[tokio::test]
    async fn users_rules_refuse_on_the_validating_side_only() {
        let rule = "apiVersion: flamewarden.dev/v1alpha1\nkind: Rule\nmetadata: {name: no-latest}\nspec:\n  \
            matchConstraints: {resourceRules: [{apiGroups: [''], resources: [configmaps], operations: [CREATE]}]}\n  \
            validations: [{expression: 'object.data.size() == 0', message: no data}]\n";
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "p"}, "data": {"a": "b"}});
        let text = review(("configmaps", ""), "CREATE", &object);
        for (side, more, want) in [
            (Side::Validate, rule, (false, vec!["no-latest"])),
            (Side::Validate, "", (true, vec![])),
            (Side::Mutate, rule, (true, vec![])),
        ] {
            let deadline = Instant::now() + Duration::from_secs(60);
            let webhook = webhook(more, None);
            let reply = webhook.answer(side, text.as_bytes(), deadline).await;
            assert_eq!(told(&reply), want, "{side:?}");
        }
    }
}
