//! What is known of the analyses and of what belongs to them, by the watches.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::holding::{held, is_compared};
use crate::bundle::{Services, default_deny_name};
use crate::cluster::{Change, Kind};
use crate::facts::Place;
use crate::model::{AnalysisId, AnalysisObject, Phase, Run, labels};

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Where analyses are made.
    namespace: String,
    /// The node's services, by namespace and name.
    upstreams: BTreeSet<(String, String)>,
    analyses: BTreeMap<AnalysisId, AnalysisObject>,
    /// By the analysis that their label names.
    objects: BTreeMap<AnalysisId, Objects>,
    /// What belongs to the namespace.
    common: Objects,
    /// To whom each object of `objects` belongs.
    owners: BTreeMap<(Kind, String), AnalysisId>,
    /// What the watches have lost since an analysis's write began.
    lost: BTreeMap<AnalysisId, BTreeSet<(Kind, String)>>,
    services: Services,
    /// What a list that is under way has shown so far.
    listed: BTreeMap<(Kind, String), BTreeSet<Place>>,
    /// The lists that were seen whole once.
    whole: BTreeSet<(Kind, String)>,
}

/// The objects of one analysis by kind and name.
pub(super) type Objects = BTreeMap<(Kind, String), Value>;

/// Whom a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concerns {
    /// Nobody.
    Nobody,
    /// One analysis.
    One(AnalysisId),
    /// All, since the node's own services changed, or a list was seen whole.
    All,
}

impl Known {
    /// Nothing yet of the analyses of that namespace, whose gateways lead to these Services.
    pub(super) fn new(namespace: &str, upstreams: BTreeSet<(String, String)>) -> Self {
        Known { namespace: namespace.to_owned(), upstreams, ..Known::default() }
    }

    /// Takes a change in.
    pub(super) fn observe(&mut self, kind: Kind, namespace: &str, change: Change) -> Concerns {
        let list = (kind, namespace.to_owned());
        match change {
            Change::Listing => {
                self.listed.insert(list, BTreeSet::new());
                Concerns::Nobody
            }
            Change::Seen(place, object) => {
                if let Some(listed) = self.listed.get_mut(&list) {
                    listed.insert(place.clone());
                }
                self.take(kind, place, object)
            }
            Change::Gone(place) => self.lose(kind, &place),
            Change::Listed => {
                let seen = self.listed.remove(&list).unwrap_or_default();
                for place in self.places(kind, namespace).into_iter().filter(|place| !seen.contains(place)) {
                    self.lose(kind, &place);
                }
                self.whole.insert(list);
                Concerns::All
            }
        }
    }

    /// A write for this analysis begins.
    pub(super) fn writing(&mut self, id: AnalysisId) {
        self.lost.insert(id, BTreeSet::new());
    }

    /// A write for this analysis has ended, and has stored this or nothing that is known. It is taken in unless the
    /// watches have told of something later already, since that would never be told again: another version, or that the
    /// object is gone.
    pub(super) fn written(&mut self, id: AnalysisId, stored: Option<(Kind, Place, Value)>) {
        let lost = self.lost.remove(&id).unwrap_or_default();
        let Some((kind, place, object)) = stored else { return };
        let key = (kind, place.name.clone());
        let known = match kind {
            Kind::Analysis => self.analyses.get(&id).map(|analysis| analysis.resource_version.as_str()),
            _ => {
                let own = self.owners.get(&key).and_then(|owner| self.objects.get(owner));
                own.unwrap_or(&self.common).get(&key).and_then(version)
            }
        };
        let number = |version: &str| version.parse::<u64>().ok();
        let later = match (known.and_then(number), version(&object).and_then(number)) {
            (Some(known), Some(stored)) => known > stored,
            _ => false,
        };
        if !later && !lost.contains(&key) {
            self.take(kind, place, object);
        }
    }

    fn take(&mut self, kind: Kind, place: Place, object: Value) -> Concerns {
        match kind {
            Kind::Service => {
                let news = self.leads_to(&place) && self.services.learn(&object);
                let own = self.take_object(kind, &place, object);
                match (own, news) {
                    (Concerns::Nobody, true) => Concerns::All,
                    (own, _) => own,
                }
            }
            Kind::Analysis => match AnalysisObject::read(&object) {
                Ok(analysis) => {
                    let id = analysis.id;
                    self.analyses.insert(id, analysis);
                    Concerns::One(id)
                }
                // The schema lets no such object in; one from before it belongs to nobody.
                Err(_) => Concerns::Nobody,
            },
            _ => self.take_object(kind, &place, object),
        }
    }

    /// Whether gateways lead to that Service: one of the node's, or of a run.
    fn leads_to(&self, place: &Place) -> bool {
        let analysis = id_in(&place.name).and_then(|id| self.analyses.get(&id));
        let is_own = analysis.is_some_and(|analysis| is_compared(&place.name, analysis));
        is_own && place.namespace == self.namespace
            || self.upstreams.contains(&(place.namespace.clone(), place.name.clone()))
    }

    fn take_object(&mut self, kind: Kind, place: &Place, object: Value) -> Concerns {
        // The node's own services elsewhere belong to no analysis, whatever they are labelled.
        if place.namespace != self.namespace {
            return Concerns::Nobody;
        }
        // A label that changed has taken the object away from whom it belonged to.
        let before = self.forget(kind, &place.name);
        let id = match belongs(kind, &place.name, &object) {
            Belongs::To(id) => id,
            Belongs::ToTheNamespace => {
                self.common.insert((kind, place.name.clone()), object);
                let now = concerned_by(kind, &place.name);
                return if now == Concerns::Nobody { before } else { now };
            }
            Belongs::ToOthers => return before,
        };
        let key = (kind, place.name.clone());
        self.owners.insert(key.clone(), id);
        let object = held(&place.name, object, self.analyses.get(&id));
        self.objects.entry(id).or_default().insert(key, object);
        Concerns::One(id)
    }

    /// An object is gone.
    fn lose(&mut self, kind: Kind, place: &Place) -> Concerns {
        if place.namespace == self.namespace {
            let key = (kind, place.name.clone());
            for lost in self.lost.values_mut() {
                lost.insert(key.clone());
            }
        }
        if kind == Kind::Analysis {
            let Some(id) = place.name.parse().ok() else { return Concerns::Nobody };
            self.analyses.remove(&id);
            return Concerns::One(id);
        }
        let here = place.namespace == self.namespace;
        let own = if here { self.forget(kind, &place.name) } else { Concerns::Nobody };
        if kind == Kind::Service && self.services.forget(&place.namespace, &place.name) && own == Concerns::Nobody {
            return Concerns::All;
        }
        own
    }

    fn forget(&mut self, kind: Kind, name: &str) -> Concerns {
        let key = (kind, name.to_owned());
        if self.common.remove(&key).is_some() {
            return concerned_by(kind, name);
        }
        let Some(id) = self.owners.remove(&key) else { return Concerns::Nobody };
        if let Some(objects) = self.objects.get_mut(&id) {
            objects.remove(&key);
            if objects.is_empty() {
                self.objects.remove(&id);
            }
        }
        Concerns::One(id)
    }

    fn places(&self, kind: Kind, namespace: &str) -> Vec<Place> {
        let place = |name: String| Place { namespace: namespace.to_owned(), name };
        match kind {
            Kind::Analysis => self.analyses.keys().map(|id| place(id.to_string())).collect(),
            _ => {
                let services = self.services.names_in(namespace).filter(|_| kind == Kind::Service).map(str::to_owned);
                let keys = self.owners.keys().chain(self.common.keys()).filter(|(of, _)| *of == kind);
                keys.map(|(_, name)| name.clone()).chain(services).map(place).collect()
            }
        }
    }

    /// Whether all these lists were seen whole once: before, what is not known may be there.
    pub(super) fn has_seen<'l>(&self, lists: impl IntoIterator<Item = &'l (Kind, String)>) -> bool {
        lists.into_iter().all(|list| self.whole.contains(list))
    }

    /// The analyses that there are.
    pub(super) fn ids(&self) -> impl Iterator<Item = AnalysisId> {
        self.analyses.keys().copied()
    }

    /// One analysis, and what belongs to it.
    pub(super) fn of(&self, id: AnalysisId) -> Option<(&AnalysisObject, &Objects)> {
        Some((self.analyses.get(&id)?, self.objects.get(&id).unwrap_or(&EMPTY)))
    }

    /// How many analyses there are in each phase.
    pub(super) fn phases(&self) -> BTreeMap<Option<Phase>, i64> {
        let mut phases = BTreeMap::new();
        for analysis in self.analyses.values() {
            let number: &mut i64 = phases.entry(analysis.status.phase).or_default();
            *number = number.saturating_add(1);
        }
        phases
    }

    /// What belongs to the namespace.
    pub(super) fn common(&self) -> &Objects {
        &self.common
    }

    /// Every Service that is known.
    pub(super) fn services(&self) -> &Services {
        &self.services
    }
}

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belongs {
    /// This analysis's.
    To(AnalysisId),
    /// The namespace's.
    ToTheNamespace,
    /// Somebody else's, who put an analysis's label on it: it neither goes with the analysis nor holds it up.
    ToOthers,
}

/// Whom an object of the namespace concerns that is another or gone: of policies that is the default-deny, which everybody
/// keeps as it is to be. Services are looked at for themselves.
fn concerned_by(kind: Kind, name: &str) -> Concerns {
    if kind == Kind::NetworkPolicy && name == default_deny_name() { Concerns::All } else { Concerns::Nobody }
}

/// Every object of an analysis bears its id as a label and in its name. Of one that is too long to be held whole the name
/// alone is known, and that it may be the analysis's is enough.
fn belongs(kind: Kind, name: &str, object: &Value) -> Belongs {
    let named = id_in(name);
    // Nobody else gives a policy such a name.
    let is_common = kind == Kind::NetworkPolicy && name.starts_with(labels::POLICY_PREFIX);
    let others = if is_common { Belongs::ToTheNamespace } else { Belongs::ToOthers };
    let Some(given) = object.pointer("/metadata/labels").and_then(Value::as_object) else {
        return named.map_or(others, Belongs::To);
    };
    let text = |key: &str| given.get(key).and_then(Value::as_str);
    let Some(label) = text(labels::ANALYSIS) else { return others };
    let app = text(labels::APP).unwrap_or_default();
    let run = Run::of_app(app.strip_prefix(labels::GATEWAY_PREFIX).unwrap_or(app));
    match named.filter(|id| id.to_string() == label) {
        // Anybody may call a pod what he likes; whoever bears such an `app` has met the webhook.
        Some(id) if kind != Kind::Pod || run.is_some_and(|run| run.analysis == id) => Belongs::To(id),
        _ => Belongs::ToOthers,
    }
}

/// The id that stands in a name.
fn id_in(name: &str) -> Option<AnalysisId> {
    let starts = 0..=name.len().checked_sub(ID)?;
    let mut found = starts.filter_map(|start| name.get(start..start + ID)).filter_map(|part| {
        let id: AnalysisId = part.parse().ok()?;
        (id.to_string() == part).then_some(id)
    });
    found.next()
}

/// The length of an id.
const ID: usize = 36;

fn version(object: &Value) -> Option<&str> {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str)
}

static EMPTY: Objects = Objects::new();

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
    const NAME: &str = "analysis-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f-1";

    fn place(name: &str) -> Place {
        Place { namespace: "flame".to_owned(), name: name.to_owned() }
    }

    fn deployment(version: &str) -> Value {
        let labels = json!({"flamewarden.dev/analysis": OWNER});
        json!({"metadata": {"name": NAME, "namespace": "flame", "resourceVersion": version, "labels": labels}})
    }

    fn known() -> Known {
        Known::new("flame", BTreeSet::from([("node".to_owned(), "kong".to_owned())]))
    }

    fn known_version(known: &Known) -> Option<&str> {
        let objects = known.objects.get(&OWNER.parse().unwrap())?;
        objects.get(&(Kind::Deployment, NAME.to_owned())).and_then(version)
    }

    #[test]
    fn an_object_is_its_analysis_s_by_label_and_name_and_a_pod_by_its_app_too() {
        let owner = Belongs::To(OWNER.parse().unwrap());
        let pod = format!("{NAME}-7d4b9-x");
        let other = OWNER.replace('0', "1");
        let labelled = |app: &str| json!({"metadata": {"labels": {"flamewarden.dev/analysis": OWNER, "app": app}}});
        for (kind, name, object, want) in [
            (Kind::Deployment, NAME, labelled(NAME), owner),
            (Kind::Deployment, &format!("nginx-{NAME}"), labelled("x"), owner),
            (
                Kind::Secret,
                &format!("flame-harbor-{OWNER}"),
                json!({"metadata": {"labels": {"flamewarden.dev/analysis": OWNER}}}),
                owner,
            ),
            (Kind::Pod, &pod, labelled(NAME), owner),
            (Kind::Pod, &format!("nginx-{pod}"), labelled(&format!("nginx-{NAME}")), owner),
            // What is cut off for its length.
            (Kind::Pod, &pod, json!({"metadata": {"name": pod}}), owner),
            (Kind::Deployment, NAME, json!({"metadata": {"name": NAME}}), owner),
            // Anybody's.
            (Kind::Pod, "x", labelled(NAME), Belongs::ToOthers),
            (Kind::Pod, &pod, labelled("x"), Belongs::ToOthers),
            (Kind::Pod, &pod, labelled(&format!("analysis-{other}-1")), Belongs::ToOthers),
            (Kind::Deployment, "x", labelled(NAME), Belongs::ToOthers),
            (Kind::Deployment, &format!("analysis-{other}-1"), labelled(NAME), Belongs::ToOthers),
            // The namespace's.
            (
                Kind::NetworkPolicy,
                &format!("flamewarden-{NAME}"),
                json!({"metadata": {"labels": {"app": "x"}}}),
                Belongs::ToTheNamespace,
            ),
            (Kind::NetworkPolicy, "flamewarden-default-deny", json!({}), Belongs::ToTheNamespace),
            (Kind::NetworkPolicy, "x", json!({}), Belongs::ToOthers),
            (Kind::Service, "kong", json!({"metadata": {"name": "kong"}}), Belongs::ToOthers),
        ] {
            assert_eq!(belongs(kind, name, &object), want, "{kind:?} {name} {object}");
        }
    }

    #[test]
    fn whoever_has_lost_an_object_by_its_label_is_concerned() {
        let mut known = known();
        let owner = Concerns::One(OWNER.parse().unwrap());
        for (version, labels, want) in [
            ("1", json!({"flamewarden.dev/analysis": OWNER}), owner),
            ("2", json!({}), owner),
            ("3", json!({}), Concerns::Nobody),
        ] {
            let mut object = deployment(version);
            object["metadata"]["labels"] = labels;
            let told = known.observe(Kind::Deployment, "flame", Change::Seen(place(NAME), object));
            assert_eq!(told, want, "version {version}");
        }
        assert!(known.objects.is_empty() && known.owners.is_empty());
    }

    #[test]
    fn what_a_write_stored_does_not_undo_what_the_watch_has_told_since() {
        let mut known = known();
        for (stored, told, want) in
            [(Some("5"), None, "5"), (None, Some("7"), "7"), (Some("6"), None, "7"), (Some("10"), None, "10")]
        {
            if let Some(version) = stored {
                known.writing(OWNER.parse().unwrap());
                known.written(OWNER.parse().unwrap(), Some((Kind::Deployment, place(NAME), deployment(version))));
            }
            if let Some(version) = told {
                let change = Change::Seen(place(NAME), deployment(version));
                known.observe(Kind::Deployment, "flame", change);
            }
            assert_eq!(known_version(&known), Some(want), "{stored:?} {told:?}");
        }
    }

    #[test]
    fn what_a_write_stored_and_the_watch_has_lost_since_is_gone() {
        let id = OWNER.parse().unwrap();
        let mut known = known();
        let seen = |known: &mut Known, version| {
            known.observe(Kind::Deployment, "flame", Change::Seen(place(NAME), deployment(version)))
        };
        known.writing(id);
        seen(&mut known, "5");
        known.observe(Kind::Deployment, "flame", Change::Gone(place(NAME)));
        known.written(id, Some((Kind::Deployment, place(NAME), deployment("5"))));
        assert_eq!(known_version(&known), None, "lost while it was written");
        known.writing(id);
        known.observe(Kind::Deployment, "flame", Change::Gone(place("another")));
        known.written(id, Some((Kind::Deployment, place(NAME), deployment("6"))));
        assert_eq!(known_version(&known), Some("6"), "another was lost");
        known.observe(Kind::Deployment, "flame", Change::Gone(place(NAME)));
        known.writing(id);
        known.written(id, None);
        known.writing(id);
        known.written(id, Some((Kind::Deployment, place(NAME), deployment("7"))));
        assert_eq!(known_version(&known), Some("7"), "lost before it was written");
        known.observe(Kind::Deployment, "flame", Change::Listing);
        known.observe(Kind::Deployment, "flame", Change::Listed);
        assert!(known.objects.is_empty() && known.owners.is_empty());
    }

    #[test]
    fn a_default_deny_that_is_another_or_gone_concerns_all_and_the_guard_s_policies_nobody() {
        let mut known = known();
        let own = format!("flamewarden-{NAME}");
        for (name, labels, want) in [
            ("flamewarden-default-deny", json!({"app.kubernetes.io/managed-by": "flamewarden"}), Concerns::All),
            (&own, json!({"app": NAME}), Concerns::Nobody),
            (&own, json!({"flamewarden.dev/analysis": OWNER}), Concerns::One(OWNER.parse().unwrap())),
        ] {
            let seen = json!({"metadata": {"name": name, "labels": labels}});
            for change in
                [Change::Seen(place(name), seen.clone()), Change::Seen(place(name), seen), Change::Gone(place(name))]
            {
                let told = format!("{change:?}");
                assert_eq!(known.observe(Kind::NetworkPolicy, "flame", change), want, "{told}");
            }
        }
    }

    #[test]
    fn what_a_whole_list_does_not_show_is_gone_and_a_service_elsewhere_concerns_all() {
        let mut known = known();
        let list = (Kind::Deployment, "flame".to_owned());
        assert!(!known.has_seen([&list]));
        known.observe(Kind::Deployment, "flame", Change::Listing);
        let told = known.observe(Kind::Deployment, "flame", Change::Seen(place(NAME), deployment("1")));
        assert_eq!(told, Concerns::One(OWNER.parse().unwrap()));
        assert_eq!(known.observe(Kind::Deployment, "flame", Change::Listed), Concerns::All);
        assert!(known.has_seen([&list]));
        assert_eq!(known_version(&known), Some("1"));
        known.observe(Kind::Deployment, "flame", Change::Listing);
        known.observe(Kind::Deployment, "flame", Change::Listed);
        assert_eq!(known_version(&known), None);

        let elsewhere = Place { namespace: "node".to_owned(), name: "kong".to_owned() };
        let mut kong = json!({
            "metadata": {"name": "kong", "namespace": "node", "labels": {"flamewarden.dev/analysis": OWNER}},
            "spec": {"clusterIP": "10.0.0.1"},
        });
        let tell = |known: &mut Known, object: &Value| {
            known.observe(Kind::Service, "node", Change::Seen(elsewhere.clone(), object.clone()))
        };
        assert_eq!(tell(&mut known, &kong), Concerns::All);
        assert_eq!(tell(&mut known, &kong), Concerns::Nobody, "nothing that matters has changed");
        kong["spec"]["clusterIP"] = json!("10.0.0.2");
        assert_eq!(tell(&mut known, &kong), Concerns::All);
        assert!(known.objects.is_empty(), "whatever it is labelled");
        assert_eq!(known.observe(Kind::Service, "node", Change::Gone(elsewhere.clone())), Concerns::All);
    }
}
