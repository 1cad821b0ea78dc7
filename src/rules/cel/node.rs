//! An expression after the check at load: only what the subset knows, names resolved.

use std::sync::Arc;

use regex::Regex;

use super::functions::Function;
use super::value::Value;

/// One part of a checked expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Value),
    Object,
    OldObject,
    Request,
    /// One of the rule's variables, by place.
    Variable(usize),
    /// The variable of an enclosing comprehension, outermost first.
    Local(usize),
    Select(Box<Node>, Arc<str>),
    Has(Box<Node>, Arc<str>),
    List(Vec<Node>),
    Map(Vec<(Arc<str>, Node)>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    /// Condition, then, else.
    Choose(Box<[Node; 3]>),
    Call(&'static Function, Vec<Node>),
    Matches(Box<Node>, Regex),
    Fold(Box<Fold>),
}

/// A comprehension over a list's items or a map's keys.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) what: What,
    pub(super) range: Node,
    /// What is asked of each item; none for a plain `map`.
    pub(super) test: Option<Node>,
    /// What `map` makes of each item.
    pub(super) make: Option<Node>,
}

/// Which comprehension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    All,
    Exists,
    ExistsOne,
    /// `filter` and both forms of `map`.
    Collect,
}
