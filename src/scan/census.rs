//! What packages an image holds: from the CycloneDX document of the same run, since Grype's own report names only
//! packages that have vulnerabilities.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::bounded::{BoundProblem, read_within};
use super::summed::{Sum, Summed};
use super::written::Text;

/// How many packages of each type there are, such as `deb` or `npm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Census {
    kinds: BTreeMap<String, usize>,
}

impl Census {
    /// Reads the document that Grype writes by `-o cyclonedx-json=FILE`.
    ///
    /// # Errors
    /// It is empty, too long, or not one whole document of that form.
    pub fn read(document: impl Read) -> Result<Self, BoundProblem> {
        read_within(document).map(Census::of_document)
    }

    /// What a document says that is read already.
    pub(super) fn of_document(document: Document) -> Self {
        Census { kinds: document.components.map(|found| found.0).unwrap_or_default() }
    }

    /// How many packages there are of one type.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    /// The types that there are.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }
}

/// The document as it is written.
#[derive(Deserialize)]
pub(super) struct Document {
    #[serde(rename = "bomFormat")]
    _form: Form,
    #[serde(default)]
    components: Option<Components>,
}

/// Its name, `CycloneDX`.
struct Form;

/// Counted while they are read.
struct Components(BTreeMap<String, usize>);

#[derive(Deserialize)]
struct Component {
    #[serde(default)]
    properties: Summed<Kind>,
}

/// The type of a package, which one of its properties names.
#[derive(Default)]
struct Kind(Option<String>);

impl Sum for Kind {
    type Item = Property;

    fn add(&mut self, Property { name, value }: Property) -> Result<(), String> {
        if self.0.is_none() && name.0 == "syft:package:type" {
            self.0 = Some(value.0);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Property {
    name: Text,
    #[serde(default)]
    value: Text,
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Text::deserialize(from)?.0.as_str() {
            "CycloneDX" => Ok(Form),
            other => Err(D::Error::custom(format!("it is of the form `{other}`, not CycloneDX"))),
        }
    }
}

impl<'de> Deserialize<'de> for Components {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ComponentsVisitor)
    }
}

struct ComponentsVisitor;

impl<'de> Visitor<'de> for ComponentsVisitor {
    type Value = Components;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of components")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Components, A::Error> {
        let mut kinds = BTreeMap::new();
        while let Some(component) = items.next_element::<Component>()? {
            if let Some(kind) = component.properties.0.0 {
                *kinds.entry(kind).or_default() += 1;
            }
            if kinds.len() > MOST_KINDS {
                return Err(A::Error::custom(format!("more than {MOST_KINDS} types of packages")));
            }
        }
        Ok(Components(kinds))
    }
}

/// Syft knows some fifty.
const MOST_KINDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_by_their_type_and_files_are_none() {
        let component = |kind: &str| format!(r#"{{"properties":[{{"name":"syft:package:type","value":"{kind}"}}]}}"#);
        let document = format!(
            r#"{{"bomFormat":"CycloneDX","components":[{},{},{},{{"type":"file","name":"/etc/passwd"}}]}}"#,
            component("deb"),
            component("npm"),
            component("deb")
        );
        let census = Census::read(document.as_bytes()).unwrap();
        assert_eq!((census.count("deb"), census.count("npm"), census.count("rpm")), (2, 1, 0));
        let odd = format!(r#"{{"bomFormat":"odd\u001b[2J{}"}}"#, "x".repeat(1 << 20));
        let told = Census::read(odd.as_bytes()).unwrap_err().to_string();
        assert!(told.starts_with("it is of the form `odd[2Jxxx") && told.len() < 500, "{told}");
        for wrong in ["", " \n", "{}", r#"{"bomFormat":"SPDX"}"#, r#"{"bomFormat":"CycloneDX"} x"#] {
            assert!(Census::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
