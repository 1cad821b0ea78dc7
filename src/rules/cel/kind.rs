//! What is known of an expression's value before it is evaluated.

/// The kind of a value; elements of lists and values of maps are not told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Known only at evaluation.
    Dyn,
    Null,
    Bool,
    Int,
    Double,
    Text,
    List,
    Map,
    Quantity,
    /// A map with exactly these fields.
    Record(&'static [(&'static str, Kind)]),
}

impl Kind {
    /// Whether a value of this kind may stand where `wanted` is asked for.
    pub(super) fn fits(self, wanted: Kind) -> bool {
        self == wanted
            || self == Kind::Dyn
            || wanted == Kind::Dyn
            || matches!((self, wanted), (Kind::Record(_), Kind::Map))
    }

    /// Its name in CEL's words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Dyn => "dyn",
            Kind::Null => "null",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Double => "double",
            Kind::Text => "string",
            Kind::List => "list",
            Kind::Map | Kind::Record(_) => "map",
            Kind::Quantity => "quantity",
        }
    }
}

/// The fields of `request` that rules may use.
pub(super) const REQUEST: Kind = Kind::Record(&[
    ("operation", Kind::Text),
    ("name", Kind::Text),
    ("namespace", Kind::Text),
    ("dryRun", Kind::Bool),
    ("kind", Kind::Record(&[("group", Kind::Text), ("version", Kind::Text), ("kind", Kind::Text)])),
    ("resource", Kind::Record(&[("group", Kind::Text), ("resource", Kind::Text)])),
    ("userInfo", Kind::Record(&[("username", Kind::Text), ("groups", Kind::List)])),
]);
