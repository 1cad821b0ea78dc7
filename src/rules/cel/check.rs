//! The check at load: what lies outside the subset is refused by its name.

use std::sync::Arc;

use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, operators};

use super::functions::{Style, named};
use super::kind::{Kind, REQUEST};
use super::node::{Fold, Node, What};
use super::value::Value;
use super::{pattern, shape};

/// The names that an expression may use.
#[derive(Default)]
pub(super) struct Names {
    /// Variables that were defined before it, with the kinds of their values.
    pub(super) variables: Vec<(String, Kind)>,
}

/// A checked expression and what is known of its value.
pub(super) type Checked = (Node, Kind);

/// Parses and checks one expression.
pub(super) fn check(source: &str, names: &Names) -> Result<Checked, String> {
    if source.len() > EXPRESSION {
        return Err(format!("the expression has {} bytes; {EXPRESSION} are the most", source.len()));
    }
    if !shape::is_flat(source) {
        return Err(TOO_DEEP.to_owned());
    }
    let parser = ::cel::parser::Parser::new().max_recursion_depth(PARSER_DEPTH).error_recovery_limit(1);
    let tree = parser.parse(source).map_err(|problems| match problems.errors.first() {
        Some(problem) => format!("line {}, column {}: {}", problem.pos.0, problem.pos.1, problem.msg),
        None => "is no CEL".to_owned(),
    })?;
    Checker { names, locals: Vec::new(), depth: 0 }.node(&tree)
}

struct Checker<'a> {
    names: &'a Names,
    /// Variables of the enclosing comprehensions, outermost first.
    locals: Vec<String>,
    depth: usize,
}

impl Checker<'_> {
    fn node(&mut self, tree: &IdedExpr) -> Result<Checked, String> {
        if self.depth >= DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        self.depth += 1;
        let checked = match &tree.expr {
            Expr::Literal(literal) => constant(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) if select.test => self.presence(&select.operand, &select.field),
            Expr::Select(select) => self.field(&select.operand, &select.field),
            Expr::List(list) if list.optional_indices.is_empty() => self.list(&list.elements),
            Expr::Map(map) => self.map(map),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(fold) => self.fold(fold),
            Expr::Struct(message) => Err(format!("message `{}` is outside the subset", message.type_name)),
            Expr::List(_) => Err("optional elements are outside the subset".to_owned()),
            Expr::Unspecified => Err("is no CEL".to_owned()),
        };
        self.depth -= 1;
        checked
    }

    fn name(&self, name: &str) -> Result<Checked, String> {
        if let Some(place) = self.locals.iter().rposition(|local| local == name) {
            return Ok((Node::Local(place), Kind::Dyn));
        }
        match name {
            "object" => Ok((Node::Object, Kind::Dyn)),
            "oldObject" => Ok((Node::OldObject, Kind::Dyn)),
            "request" => Ok((Node::Request, REQUEST)),
            "variables" => Err("`variables` must be followed by a name".to_owned()),
            "params" | "authorizer" | "namespaceObject" => Err(format!("`{name}` is outside the subset")),
            _ => Err(format!("unknown name `{name}`")),
        }
    }

    fn field(&mut self, operand: &IdedExpr, field: &str) -> Result<Checked, String> {
        if is_name(operand, "variables") && !self.locals.iter().any(|local| local == "variables") {
            let defined = &self.names.variables;
            return match defined.iter().position(|(name, _)| name == field) {
                Some(place) => Ok((Node::Variable(place), defined.get(place).map_or(Kind::Dyn, |(_, kind)| *kind))),
                None => Err(format!("`variables.{field}` is not defined before it is used")),
            };
        }
        let (of, kind) = self.node(operand)?;
        let found = select_kind(kind, field)?;
        Ok((Node::Select(Box::new(of), Arc::from(field)), found))
    }

    fn presence(&mut self, operand: &IdedExpr, field: &str) -> Result<Checked, String> {
        if is_name(operand, "variables") {
            return Err("has(variables.…) is outside the subset; variables always are".to_owned());
        }
        let (of, kind) = self.node(operand)?;
        select_kind(kind, field)?;
        Ok((Node::Has(Box::new(of), Arc::from(field)), Kind::Bool))
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Result<Checked, String> {
        let checked = elements.iter().map(|element| self.node(element)).collect::<Result<Vec<_>, _>>()?;
        same_kind(checked.iter().map(|(_, kind)| *kind), "elements of a list")?;
        Ok((Node::List(checked.into_iter().map(|(node, _)| node).collect()), Kind::List))
    }

    fn map(&mut self, map: &MapExpr) -> Result<Checked, String> {
        let mut entries: Vec<(Arc<str>, Node)> = Vec::new();
        let mut kinds = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { return Err("is no CEL".to_owned()) };
            let key: Arc<str> = match &entry.key.expr {
                Expr::Literal(LiteralValue::String(key)) if !entry.optional => Arc::from(key.inner()),
                _ => return Err("keys of maps must be literal strings".to_owned()),
            };
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(format!("key {key:?} stands twice in a map"));
            }
            let (node, kind) = self.node(&entry.value)?;
            kinds.push(kind);
            entries.push((key, node));
        }
        same_kind(kinds.into_iter(), "values of a map")?;
        Ok((Node::Map(entries), Kind::Map))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Checked, String> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND, None, [a, b]) => Ok((Node::And(Box::new(self.truths(a, b)?)), Kind::Bool)),
            (operators::LOGICAL_OR, None, [a, b]) => Ok((Node::Or(Box::new(self.truths(a, b)?)), Kind::Bool)),
            (operators::LOGICAL_NOT, None, [a]) => Ok((Node::Not(Box::new(self.truth(a)?)), Kind::Bool)),
            (operators::CONDITIONAL, None, [condition, a, b]) => {
                let condition = self.truth(condition)?;
                let ((a, one), (b, other)) = (self.node(a)?, self.node(b)?);
                let kind = same_kind([one, other].into_iter(), "the two sides of `?:`")?;
                Ok((Node::Choose(Box::new([condition, a, b])), kind))
            }
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => self.matches(text, pattern),
            (operators::OPT_INDEX | operators::OPT_SELECT, ..) => {
                Err("optional field selection is outside the subset".to_owned())
            }
            (name, target, args) => self.function(name, target, args),
        }
    }

    fn truth(&mut self, tree: &IdedExpr) -> Result<Node, String> {
        match self.node(tree)? {
            (node, kind) if kind.fits(Kind::Bool) => Ok(node),
            (_, kind) => Err(format!("a {} stands where true or false is needed", kind.name())),
        }
    }

    fn truths(&mut self, a: &IdedExpr, b: &IdedExpr) -> Result<[Node; 2], String> {
        Ok([self.truth(a)?, self.truth(b)?])
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Result<Checked, String> {
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return Err("the pattern of matches() must be a literal string".to_owned());
        };
        let source = source.inner();
        let regex = pattern::compile(source).map_err(|problem| format!("pattern {source:?}: {problem}"))?;
        let (node, kind) = self.node(text)?;
        if !kind.fits(Kind::Text) {
            return Err(format!("no overload of `matches` for {}", kind.name()));
        }
        Ok((Node::Matches(Box::new(node), regex), Kind::Bool))
    }

    fn function(&mut self, name: &str, target: Option<&IdedExpr>, args: &[IdedExpr]) -> Result<Checked, String> {
        let checked = target.into_iter().chain(args).map(|arg| self.node(arg)).collect::<Result<Vec<_>, _>>()?;
        let style = if target.is_some() { Style::Receiver } else { Style::Global };
        let shown = name.trim_matches(['_', '@']);
        let count = usize::from(target.is_some()) + args.len();
        if named(name, style).next().is_none() {
            return Err(format!("function `{shown}` is outside the subset"));
        }
        let takes = |overloads: &[(&[Kind], Kind)]| overloads.iter().any(|(kinds, _)| kinds.len() == count);
        let Some(function) = named(name, style).find(|function| takes(function.overloads)) else {
            return Err(format!("`{shown}` with {} arguments is outside the subset", args.len()));
        };
        let (nodes, kinds): (Vec<Node>, Vec<Kind>) = checked.into_iter().unzip();
        if matches!(name, operators::EQUALS | operators::NOT_EQUALS) {
            same_kind(kinds.iter().copied(), "the two sides of a comparison")?;
        }
        let fitting = function.overloads.iter().filter(|(wanted, _)| {
            wanted.len() == kinds.len() && kinds.iter().zip(wanted.iter()).all(|(kind, wanted)| kind.fits(*wanted))
        });
        let mut results = fitting.map(|(_, result)| *result);
        let Some(first) = results.next() else {
            let given: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            return Err(format!("no overload of `{shown}` for {}", given.join(", ")));
        };
        let kind = if results.all(|result| result == first) { first } else { Kind::Dyn };
        Ok((Node::Call(function, nodes), kind))
    }

    /// The parser has written the macros out as loops; this reads them back.
    fn fold(&mut self, fold: &ComprehensionExpr) -> Result<Checked, String> {
        if self.locals.len() >= COMPREHENSIONS {
            return Err(format!("comprehensions nested deeper than {COMPREHENSIONS}"));
        }
        if RESERVED.contains(&fold.iter_var.as_str()) {
            return Err(format!("`{}` cannot name the variable of a comprehension", fold.iter_var));
        }
        let (range, kind) = self.node(&fold.iter_range)?;
        if !matches!(kind, Kind::Dyn | Kind::List | Kind::Map) {
            return Err(format!("a {} has nothing to go through", kind.name()));
        }
        let Some((what, test, make)) = macro_parts(fold) else {
            return Err("this comprehension is outside the subset".to_owned());
        };
        self.locals.push(fold.iter_var.clone());
        let test = test.map(|test| self.truth(test)).transpose()?;
        let make = make.map(|make| self.node(make)).transpose()?.map(|(node, _)| node);
        self.locals.pop();
        let kind = if what == What::Collect { Kind::List } else { Kind::Bool };
        Ok((Node::Fold(Box::new(Fold { what, range, test, make })), kind))
    }
}

/// Which macro a loop came from, and its condition and result.
fn macro_parts(fold: &ComprehensionExpr) -> Option<(What, Option<&IdedExpr>, Option<&IdedExpr>)> {
    let Expr::Call(step) = &fold.loop_step.expr else { return None };
    match (&fold.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND, [_, test]) => {
            Some((What::All, Some(test), None))
        }
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR, [_, test]) => {
            Some((What::Exists, Some(test), None))
        }
        (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [test, ..]) => {
            Some((What::ExistsOne, Some(test), None))
        }
        (Expr::List(_), operators::ADD, args) => Some((What::Collect, None, Some(appended(args)?))),
        (Expr::List(_), operators::CONDITIONAL, [test, then, _]) => {
            let Expr::Call(add) = &then.expr else { return None };
            Some((What::Collect, Some(test), Some(appended(&add.args)?)))
        }
        _ => None,
    }
}

/// The one element of `@result + [element]`.
fn appended(args: &[IdedExpr]) -> Option<&IdedExpr> {
    match args {
        [_, IdedExpr { expr: Expr::List(list), .. }] => list.elements.first(),
        _ => None,
    }
}

fn constant(literal: &LiteralValue) -> Result<Checked, String> {
    Ok(match literal {
        LiteralValue::Boolean(value) => (Node::Literal(Value::Bool(*value.inner())), Kind::Bool),
        LiteralValue::Int(value) => (Node::Literal(Value::Int(*value.inner())), Kind::Int),
        LiteralValue::Double(value) => (Node::Literal(Value::Double(*value.inner())), Kind::Double),
        LiteralValue::String(value) => (Node::Literal(Value::text(value.inner())), Kind::Text),
        LiteralValue::Null => (Node::Literal(Value::Null), Kind::Null),
        LiteralValue::UInt(_) => return Err("unsigned numbers are outside the subset".to_owned()),
        LiteralValue::Bytes(_) => return Err("bytes are outside the subset".to_owned()),
    })
}

fn select_kind(kind: Kind, field: &str) -> Result<Kind, String> {
    match kind {
        Kind::Dyn | Kind::Map => Ok(Kind::Dyn),
        Kind::Record(fields) => match fields.iter().find(|(name, _)| *name == field) {
            Some((_, kind)) => Ok(*kind),
            None => Err(format!("field `{field}` of the request is outside the subset")),
        },
        _ => Err(format!("a {} has no field `{field}`", kind.name())),
    }
}

/// The kind that several have in common, where each is known.
fn same_kind(kinds: impl Iterator<Item = Kind>, what: &str) -> Result<Kind, String> {
    let mut common: Option<Kind> = None;
    let mut known = true;
    for kind in kinds {
        known &= kind != Kind::Dyn;
        match common {
            Some(other) if !kind.fits(other) && !other.fits(kind) => {
                return Err(format!("{what} are {} and {}", other.name(), kind.name()));
            }
            Some(other) if other != Kind::Dyn => {}
            _ => common = Some(kind),
        }
    }
    Ok(common.filter(|_| known).unwrap_or(Kind::Dyn))
}

fn is_name(tree: &IdedExpr, name: &str) -> bool {
    matches!(&tree.expr, Expr::Ident(ident) if ident == name)
}

const EXPRESSION: usize = 4096;
const PARSER_DEPTH: u16 = 48;
const DEPTH: usize = 64;
const TOO_DEEP: &str = "nested too deep, or too many operators in one chain";
const COMPREHENSIONS: usize = 3;
const RESERVED: &[&str] = &["object", "oldObject", "request", "variables", "params", "authorizer", "namespaceObject"];
