//! Who may ask what: administrators everything, an analysis for its own log lines alone.

use super::answer::Answer;
use super::route::Operation;
use crate::model::AnalysisId;
use crate::policy::{Administrators, RealmRole};
use crate::serve::{Bearer, Role};

/// Who asks, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody whom the settings name.
    Administrator,
    /// An analysis with its own token. It stays one whatever roles it is given.
    Analysis(AnalysisId),
}

impl Caller {
    /// Who somebody with a good token is; none where it is nobody who may ask anything.
    pub(super) fn of(bearer: &Bearer, administrators: &Administrators) -> Option<Self> {
        if let Ok(id) = bearer.client.parse() {
            return Some(Caller::Analysis(id));
        }
        let has = |RealmRole { client, name }: &RealmRole| {
            let role = match client {
                Some(client) => Role::of_client(client, name),
                None => Role::of_realm(name),
            };
            bearer.roles.contains(&role)
        };
        let administers = administrators.clients.contains(&bearer.client) || administrators.roles.iter().any(has);
        administers.then_some(Caller::Administrator)
    }

    /// Whether they may ask this at all, before anything of the request is read.
    pub(super) fn may(self, operation: Operation) -> Result<(), Answer> {
        match (self, operation) {
            (Caller::Administrator, _) | (Caller::Analysis(_), Operation::StreamLogs) => Ok(()),
            (Caller::Analysis(_), _) => Err(Answer::forbidden(LINES_ONLY)),
        }
    }

    /// Whether they may write lines of this analysis.
    pub(super) fn may_write_of(self, analysis: AnalysisId) -> Result<(), Answer> {
        match self {
            Caller::Analysis(own) if own != analysis => Err(Answer::forbidden(LINES_ONLY)),
            Caller::Analysis(_) | Caller::Administrator => Ok(()),
        }
    }
}

/// What whoever is nobody here is told.
pub(super) fn stranger() -> Answer {
    Answer::forbidden("the token is good, but its client is none of the administrators")
}

const LINES_ONLY: &str = "an analysis may stream its own log lines and nothing else";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
    const OTHER: &str = "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d";

    fn bearer(client: &str, roles: &[Role]) -> Bearer {
        let roles = roles.iter().cloned().collect();
        Bearer { client: client.to_owned(), roles, subject: None, expires: "2026-11-21T00:00:00Z".parse().unwrap() }
    }

    fn administrators() -> Administrators {
        let of_realm = RealmRole { client: None, name: "admin".to_owned() };
        let of_client = RealmRole { client: Some("po".to_owned()), name: "writer".to_owned() };
        let clients = BTreeSet::from(["hub-adapter".to_owned(), ID.to_owned()]);
        Administrators { clients, roles: BTreeSet::from([of_realm, of_client]) }
    }

    #[test]
    fn a_caller_is_who_the_realm_says_and_an_analysis_is_nothing_else() {
        let analysis = Some(Caller::Analysis(ID.parse().unwrap()));
        for (client, roles, want) in [
            ("hub-adapter", vec![], Some(Caller::Administrator)),
            ("other", vec![Role::of_realm("admin")], Some(Caller::Administrator)),
            ("other", vec![Role::of_client("po", "writer")], Some(Caller::Administrator)),
            ("other", vec![], None),
            ("Hub-Adapter", vec![], None),
            ("other", vec![Role::of_client("po", "admin"), Role::of_realm("writer")], None),
            (ID, vec![], analysis),
            (ID, vec![Role::of_realm("admin")], analysis),
            (&ID.to_uppercase(), vec![], analysis),
        ] {
            assert_eq!(Caller::of(&bearer(client, &roles), &administrators()), want, "{client} {roles:?}");
        }
    }

    #[test]
    fn an_analysis_may_write_its_own_lines_and_nothing_else() {
        let analysis = Caller::Analysis(ID.parse().unwrap());
        let refused = Err(Answer::forbidden(LINES_ONLY));
        for operation in [
            Operation::Create,
            Operation::Status,
            Operation::Logs,
            Operation::History,
            Operation::Pods,
            Operation::Stop,
            Operation::Delete,
            Operation::Cleanup,
        ] {
            assert_eq!((analysis.may(operation), Caller::Administrator.may(operation)), (refused.clone(), Ok(())));
        }
        assert_eq!(analysis.may(Operation::StreamLogs), Ok(()));
        assert_eq!(analysis.may_write_of(ID.parse().unwrap()), Ok(()));
        assert_eq!(analysis.may_write_of(OTHER.parse().unwrap()), refused);
        assert_eq!(Caller::Administrator.may_write_of(OTHER.parse().unwrap()), Ok(()));
    }
}
