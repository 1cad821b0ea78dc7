//! An admission request as the judge sees it: who wants to do what to which object.

use super::Json;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A new object or a subresource's POST.
    Create,
    /// A changed object.
    Update,
    /// The end of an object.
    Delete,
    /// A stream into a pod or through a Service.
    Connect,
}

/// The kind of object by its plural name, with group and subresource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural name, such as `pods`.
    pub name: &'a str,
    /// Subresource; empty for the object itself.
    pub sub: &'a str,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User<'a> {
    /// User name, such as `system:serviceaccount:flame:po`.
    pub name: &'a str,
    /// Groups of the user.
    pub groups: Vec<&'a str>,
}

/// One admission request, borrowed from the review's bytes.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The request's own id, to be given back in the answer.
    pub uid: &'a str,
    /// What is being done.
    pub operation: Operation,
    /// To which kind of object.
    pub resource: Resource<'a>,
    /// Its name; may be empty at CREATE and for deletions of a collection.
    pub name: &'a str,
    /// Its namespace; empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// Who asks.
    pub user: User<'a>,
    /// The object as it would be stored, or the options of a CONNECT.
    pub object: Option<&'a Json<'a>>,
    /// The object as it is stored.
    pub old: Option<&'a Json<'a>>,
    /// The options of the call, such as a deletion's grace period.
    pub options: Option<&'a Json<'a>>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
}

impl User<'_> {
    /// Whether the user is a member of a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.contains(&group)
    }
}

impl Operation {
    /// Reads the word that a review carries.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "CREATE" => Some(Operation::Create),
            "UPDATE" => Some(Operation::Update),
            "DELETE" => Some(Operation::Delete),
            "CONNECT" => Some(Operation::Connect),
            _ => None,
        }
    }

    /// The word that a review carries.
    pub fn word(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}
