//! A pod, or a workload's pod template, as rules see it.

use super::{FieldPath, Json};

/// Metadata and spec of a pod, with the place where they stand in the whole object.
#[derive(Debug, Clone)]
pub struct PodView<'a> {
    object: &'a Json<'a>,
    /// Every rule asks for these, so they are sought once.
    spec: Option<&'a Json<'a>>,
    labels: Option<&'a Json<'a>>,
    containers: [&'a [Json<'a>]; 3],
    root: FieldPath,
}

/// Which list of the spec a container stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerKind {
    /// `containers`
    Main,
    /// `initContainers`, sidecars among them
    Init,
    /// `ephemeralContainers`
    Ephemeral,
}

/// One container and its place.
#[derive(Debug, Clone)]
pub struct ContainerView<'a> {
    /// Which list it stands in.
    pub kind: ContainerKind,
    /// The container itself.
    pub json: &'a Json<'a>,
    index: usize,
    root: FieldPath,
}

impl ContainerKind {
    const ALL: [ContainerKind; 3] = [ContainerKind::Main, ContainerKind::Init, ContainerKind::Ephemeral];

    /// The name of the list in a pod's spec.
    pub fn field(self) -> &'static str {
        match self {
            ContainerKind::Main => "containers",
            ContainerKind::Init => "initContainers",
            ContainerKind::Ephemeral => "ephemeralContainers",
        }
    }
}

impl<'a> PodView<'a> {
    /// The view of `object`, which has `metadata` and `spec`; `root` is where it stands in the whole.
    pub fn new(object: &'a Json<'a>, root: FieldPath) -> Self {
        let spec = object.get("spec");
        let list = |kind: ContainerKind| spec.and_then(|spec| spec.get(kind.field())).map_or(&[][..], Json::items);
        let labels = object.at(&["metadata", "labels"]);
        PodView { object, spec, labels, containers: ContainerKind::ALL.map(list), root }
    }

    /// The whole object: metadata, spec, perhaps status.
    pub fn object(&self) -> &'a Json<'a> {
        self.object
    }

    /// The path of a field in the whole object.
    pub fn path(&self, keys: &[&str]) -> FieldPath {
        self.root.keys(keys)
    }

    /// A field.
    pub fn at(&self, keys: &[&str]) -> Option<&'a Json<'a>> {
        match keys {
            ["spec", below @ ..] => self.spec?.at(below),
            _ => self.object.at(keys),
        }
    }

    /// A field of the spec.
    pub fn spec(&self, key: &str) -> Option<&'a Json<'a>> {
        self.spec?.get(key)
    }

    /// The items of a list of the spec.
    pub fn list(&self, key: &str) -> &'a [Json<'a>] {
        self.spec(key).map_or(&[][..], |list| list.items())
    }

    /// The path of a field of the spec.
    pub fn spec_path(&self, key: &str) -> FieldPath {
        self.path(&["spec", key])
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.labels?.text_at(&[key])
    }

    /// Every container of every kind.
    pub fn containers(&self) -> impl Iterator<Item = ContainerView<'a>> + '_ {
        ContainerKind::ALL.into_iter().zip(self.containers).flat_map(move |(kind, list)| {
            list.iter().enumerate().map(move |(index, json)| ContainerView {
                kind,
                json,
                index,
                root: self.root.clone(),
            })
        })
    }
}

impl<'a> ContainerView<'a> {
    /// The container's name; empty when it has none.
    pub fn name(&self) -> &'a str {
        self.json.text_at(&["name"]).unwrap_or_default()
    }

    /// A field of the container.
    pub fn at(&self, keys: &[&str]) -> Option<&'a Json<'a>> {
        self.json.at(keys)
    }

    /// The items of a list of the container.
    pub fn list(&self, key: &str) -> &'a [Json<'a>] {
        self.json.get(key).map_or(&[][..], |list| list.items())
    }

    /// The path of a field of the container in the whole object.
    pub fn path(&self, keys: &[&str]) -> FieldPath {
        self.root.keys(&["spec", self.kind.field()]).index(self.index).keys(keys)
    }
}
