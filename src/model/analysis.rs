//! Which analysis, which project, which run of it: ids and names as FLAME writes them.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// An analysis, by the id that the Hub gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnalysisId(Uuid);

/// The project that an analysis belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Uuid);

/// A text that is no UUID with its dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no UUID; write 32 hexadecimal digits in groups of 8-4-4-4-12")]
pub struct IdProblem;

/// One run of an analysis: each start of it has a number of its own, the first 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Of which analysis.
    pub analysis: AnalysisId,
    /// Which of its runs.
    pub number: u32,
}

impl Run {
    /// The name of its Deployment, Service and container, and its label `app`: `analysis-<id>-<number>`.
    pub fn app(&self) -> String {
        format!("{PREFIX}{}-{}", self.analysis, self.number)
    }

    /// The run that bears such a name; none for a name of another form.
    pub fn of_app(app: &str) -> Option<Self> {
        let (id, number) = app.strip_prefix(PREFIX)?.rsplit_once('-')?;
        let run = Run { analysis: id.parse().ok()?, number: number.parse().ok()? };
        // Only the name as it is written: no capitals, no `+1`, no `01`.
        (run.app() == app).then_some(run)
    }
}

impl AnalysisId {
    /// The analysis that a name of the form `analysis-<id>…` stands for.
    pub fn of_app(app: &str) -> Option<Self> {
        Run::of_app(app).map(|run| run.analysis)
    }
}

macro_rules! id {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = IdProblem;

            /// Reads an id in any case; it is always written in small letters.
            fn from_str(text: &str) -> Result<Self, IdProblem> {
                // The crate also reads forms without dashes, in braces and as URN, which no name could carry.
                if text.len() != LENGTH {
                    return Err(IdProblem);
                }
                Uuid::try_parse(text).map($type).map_err(|_| IdProblem)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(to)
            }
        }
    };
}

id!(AnalysisId);
id!(ProjectId);

const PREFIX: &str = "analysis-";
const LENGTH: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

    #[test]
    fn an_id_has_one_form() {
        for (text, want) in [
            (ID, Ok(ID.to_owned())),
            ("0D8A1F2E-1C2B-4D3E-8F40-1A2B3C4D5E6F", Ok(ID.to_owned())),
            ("0d8a1f2e1c2b4d3e8f401a2b3c4d5e6f", Err(IdProblem)),
            ("{0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f}", Err(IdProblem)),
            ("0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f\n", Err(IdProblem)),
            ("0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6g", Err(IdProblem)),
            ("0d8a1f2e_1c2b_4d3e_8f40_1a2b3c4d5e6f", Err(IdProblem)),
            ("x { allow all; } location / #########", Err(IdProblem)),
            ("", Err(IdProblem)),
        ] {
            assert_eq!(text.parse::<AnalysisId>().map(|id| id.to_string()), want, "{text}");
            assert_eq!(text.parse::<ProjectId>().map(|id| id.to_string()), want, "{text}");
        }
    }

    #[test]
    fn a_run_is_known_by_its_name_and_by_no_other() {
        let run = Run { analysis: ID.parse().unwrap(), number: 12 };
        assert_eq!(run.app(), format!("analysis-{ID}-12"));
        for (app, want) in [
            (run.app(), Some(run)),
            (format!("analysis-{ID}"), None),
            (format!("analysis-{ID}-"), None),
            (format!("analysis-{ID}-012"), None),
            (format!("analysis-{ID}-+12"), None),
            (format!("analysis-{}-12", ID.to_uppercase()), None),
            (format!("nginx-analysis-{ID}-12"), None),
        ] {
            assert_eq!(Run::of_app(&app), want, "{app}");
        }
    }
}
