//! What a label selector asks of each label key, as sets that can be cut and compared exactly.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;

/// A label selector, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// What it asks of the keys that it names; all of it must hold.
    Known(BTreeMap<String, Values>),
    /// It has an operator, a field or a type that we don't know: it may match anything.
    Unknown,
}

/// The states of one label that a selector accepts: absence, and some of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    absent: bool,
    present: Present,
}

/// Some of all possible label values; nothing else comes out of In, NotIn, Exists and DoesNotExist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Present {
    /// These.
    Only(BTreeSet<String>),
    /// All besides these, of which there are always some.
    AllBut(BTreeSet<String>),
}

impl Selector {
    /// Reads a LabelSelector; one that is absent or empty matches everything.
    pub(super) fn read(selector: Option<&Json<'_>>) -> Self {
        let Some(selector) = selector else { return Selector::everything() };
        read_terms(selector).map_or(Selector::Unknown, Selector::Known)
    }

    /// Reads a plain map of labels, as Services have it.
    pub(super) fn read_map(map: Option<&Json<'_>>) -> Self {
        let mut terms = BTreeMap::new();
        match map.is_none_or(|map| add_map(&mut terms, map).is_some()) {
            true => Selector::Known(terms),
            false => Selector::Unknown,
        }
    }

    /// The selector that asks for nothing.
    pub(super) fn everything() -> Self {
        Selector::Known(BTreeMap::new())
    }

    /// What it asks of each key that it names; none where that is unknown.
    pub(super) fn terms(&self) -> Option<&BTreeMap<String, Values>> {
        match self {
            Selector::Known(terms) => Some(terms),
            Selector::Unknown => None,
        }
    }

    /// Whether it contradicts itself, so that nothing in the world has such labels.
    pub(super) fn is_void(&self) -> bool {
        self.terms().is_some_and(|terms| terms.values().any(|values| !values.absent && values.is_never_present()))
    }

    /// Whether all that it matches has this value of this key.
    pub(super) fn implies(&self, key: &str, value: &str) -> bool {
        let asked = self.terms().and_then(|terms| terms.get(key));
        asked.is_some_and(|asked| {
            !asked.absent && matches!(&asked.present, Present::Only(some) if some.iter().all(|one| one == value))
        })
    }

    /// Whether it matches something with these labels; an unknown one does.
    pub(super) fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.terms().is_none_or(|terms| terms.iter().all(|(key, values)| values.accept(label(key))))
    }

    /// Whether all that it matches is matched by the other too.
    pub(super) fn is_within(&self, other: &Selector) -> bool {
        match (self.terms(), other.terms()) {
            (_, Some(wider)) if wider.is_empty() => true,
            (Some(terms), Some(wider)) => {
                wider.iter().all(|(key, values)| terms.get(key).is_some_and(|own| own.is_within(values)))
            }
            _ => false,
        }
    }
}

impl Values {
    /// Whether it accepts that value, or absence.
    pub(super) fn accept(&self, value: Option<&str>) -> bool {
        match (value, &self.present) {
            (None, _) => self.absent,
            (Some(value), Present::Only(some)) => some.contains(value),
            (Some(value), Present::AllBut(others)) => !others.contains(value),
        }
    }

    /// Whether it accepts no value at all.
    pub(super) fn is_never_present(&self) -> bool {
        matches!(&self.present, Present::Only(some) if some.is_empty())
    }

    /// The values that it accepts.
    pub(super) fn present(&self) -> &Present {
        &self.present
    }

    /// Whether it asks for the key to be there, with some values or with any.
    pub(super) fn is_required(&self) -> bool {
        !self.absent
    }

    /// That the key is there.
    pub(super) fn some() -> Self {
        Values { absent: false, present: Present::AllBut(BTreeSet::new()) }
    }

    /// That the key has this value.
    pub(super) fn exactly(value: &str) -> Self {
        Values { absent: false, present: Present::Only(possible([value])) }
    }

    fn is_within(&self, wider: &Values) -> bool {
        let values = match (&self.present, &wider.present) {
            (Present::Only(some), _) => some.iter().all(|value| wider.accept(Some(value))),
            (Present::AllBut(others), Present::AllBut(fewer)) => fewer.is_subset(others),
            (Present::AllBut(_), Present::Only(_)) => false,
        };
        values && (wider.absent || !self.absent)
    }

    fn anything() -> Self {
        Values { absent: true, present: Present::AllBut(BTreeSet::new()) }
    }

    fn keep(&mut self, wanted: &BTreeSet<String>) {
        self.absent = false;
        self.present = Present::Only(wanted.iter().filter(|value| self.accept(Some(value))).cloned().collect());
    }

    fn drop(&mut self, unwanted: BTreeSet<String>) {
        match &mut self.present {
            Present::Only(some) => some.retain(|value| !unwanted.contains(value)),
            Present::AllBut(others) => others.extend(unwanted),
        }
    }
}

fn read_terms(selector: &Json<'_>) -> Option<BTreeMap<String, Values>> {
    let Json::Object(fields) = selector else { return None };
    let mut terms = BTreeMap::new();
    for (name, value) in fields.iter().filter(|(_, value)| *value != Json::Null) {
        match (name.as_ref(), value) {
            ("matchLabels", map) => add_map(&mut terms, map)?,
            ("matchExpressions", Json::Array(expressions)) => {
                expressions.iter().try_for_each(|expression| add_expression(&mut terms, expression))?;
            }
            _ => return None,
        }
    }
    Some(terms)
}

fn add_map(terms: &mut BTreeMap<String, Values>, map: &Json<'_>) -> Option<()> {
    let Json::Object(labels) = map else { return None };
    for (key, value) in labels {
        terms.entry(key.to_string()).or_insert_with(Values::anything).keep(&possible([value.text()?]));
    }
    Some(())
}

fn add_expression(terms: &mut BTreeMap<String, Values>, expression: &Json<'_>) -> Option<()> {
    let known = |name: &str| ["key", "operator", "values"].contains(&name);
    if !matches!(expression, Json::Object(fields) if fields.iter().all(|(name, _)| known(name))) {
        return None;
    }
    let values = match expression.get("values") {
        None => Vec::new(),
        Some(Json::Array(values)) => values.iter().map(Json::text).collect::<Option<Vec<_>>>()?,
        Some(_) => return None,
    };
    let asked = terms.entry(expression.text_at(&["key"])?.to_owned()).or_insert_with(Values::anything);
    // The API server refuses In and NotIn without values, and the others with some.
    match (expression.text_at(&["operator"])?, values.is_empty()) {
        ("In", false) => asked.keep(&possible(values)),
        ("NotIn", false) => asked.drop(possible(values)),
        ("Exists", true) => asked.absent = false,
        ("DoesNotExist", true) => asked.present = Present::Only(BTreeSet::new()),
        _ => return None,
    }
    Some(())
}

/// Those that can be values of a label; the API server stores no others.
fn possible<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    texts.into_iter().filter(|text| can_be_value(text)).map(str::to_owned).collect()
}

/// Whether a text can be a label's value: at most 63 of `[-A-Za-z0-9_.]`, at both ends a letter or digit; or empty.
fn can_be_value(text: &str) -> bool {
    let ends_well = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_VALUE
        && ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

const LONGEST_VALUE: usize = 63;
