//! Where in an object a value stands, shown as Kubernetes shows it and as a JSON pointer.

use std::fmt;

/// One step into an object or array.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A key of an object.
    Key(String),
    /// A place in an array.
    Index(usize),
}

/// A path such as `spec.containers[0].image`; its order puts later array places last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The path made of these keys.
    pub fn of(keys: &[&str]) -> Self {
        FieldPath(keys.iter().map(|key| Segment::Key((*key).to_owned())).collect())
    }

    /// This path and one key more.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with([Segment::Key(key.to_owned())])
    }

    /// This path and several keys more.
    #[must_use]
    pub fn keys(&self, keys: &[&str]) -> Self {
        self.with(keys.iter().map(|key| Segment::Key((*key).to_owned())))
    }

    /// This path and one place in an array more.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with([Segment::Index(index)])
    }

    /// The steps, outermost first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The same as a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        let step = |segment: &Segment| match segment {
            Segment::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Index(index) => format!("/{index}"),
        };
        self.0.iter().map(step).collect()
    }

    /// Whether this is the other path or a place below it.
    pub fn is_within(&self, other: &FieldPath) -> bool {
        self.0.starts_with(&other.0)
    }

    fn with(&self, more: impl IntoIterator<Item = Segment, IntoIter: ExactSizeIterator>) -> Self {
        let more = more.into_iter();
        let mut segments = Vec::with_capacity(self.0.len() + more.len());
        segments.extend_from_slice(&self.0);
        segments.extend(more);
        FieldPath(segments)
    }
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<T: IntoIterator<Item = Segment>>(segments: T) -> Self {
        FieldPath(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '/', '[']) => write!(f, "[{key:?}]")?,
                Segment::Key(key) if place == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_keys_places_and_keys_with_dots() {
        let path = FieldPath::of(&["spec", "containers"]).index(0).key("image");
        assert_eq!(path.to_string(), "spec.containers[0].image");
        let label = FieldPath::of(&["metadata", "labels"]).key("a.b/c");
        assert_eq!(label.to_string(), r#"metadata.labels["a.b/c"]"#);
        assert_eq!([path.pointer(), label.pointer()], ["/spec/containers/0/image", "/metadata/labels/a.b~1c"]);
    }
}
