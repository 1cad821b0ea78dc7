//! Why a scan brought nothing, and what is to be done about it.

use crate::model::one_line;

/// What a scan may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `timeoutSeconds`
    Time,
    /// `memory`
    Memory,
    /// `disk`
    Disk,
    /// How many processes and threads there may be, which nobody sets.
    Processes,
}

/// Why a scan brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanProblem {
    /// It took more than it may, and was stopped.
    #[error("the scan was stopped: {}", .0.remedy())]
    Exceeded(Bound),
    /// Grype came to no end; the registry, the credential or the database may be the cause.
    #[error("{0}")]
    Grype(String),
    /// What was brought is not what Grype writes.
    #[error("what the scan brought cannot be read: {0}")]
    Evidence(String),
    /// The scan could not be made at all.
    #[error("the scan could not be made: {0}")]
    Unmade(String),
}

impl ScanProblem {
    /// Of what was brought, which may be repeated in what is said of it.
    pub(super) fn evidence(problem: &impl ToString) -> Self {
        ScanProblem::Evidence(line(&problem.to_string()))
    }

    /// Whether the same scan is likely to come to an end a while later, with nothing changed in between.
    pub fn may_pass(&self) -> bool {
        match self {
            ScanProblem::Grype(_) | ScanProblem::Unmade(_) => true,
            ScanProblem::Exceeded(_) | ScanProblem::Evidence(_) => false,
        }
    }

    /// What a worker ends with to say so: an exit code, and one line.
    pub fn told(&self) -> (u8, String) {
        let (code, text) = match self {
            ScanProblem::Exceeded(bound) => (bound.code(), ""),
            ScanProblem::Grype(text) => (GRYPE, text.as_str()),
            ScanProblem::Evidence(text) => (EVIDENCE, text.as_str()),
            ScanProblem::Unmade(text) => (UNMADE, text.as_str()),
        };
        (code, line(text))
    }

    /// What a worker said by its end. Nobody has believed it yet: the line may be anybody's.
    pub(super) fn heard(code: Option<i32>, text: &str) -> Self {
        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or_default();
        let exceeded = BOUNDS.iter().find(|bound| bound.code() == code);
        match (code, exceeded) {
            (_, Some(bound)) => ScanProblem::Exceeded(*bound),
            (GRYPE, _) => ScanProblem::Grype(line(text)),
            (EVIDENCE, _) => ScanProblem::Evidence(line(text)),
            (UNMADE, _) => ScanProblem::Unmade(line(text)),
            _ => ScanProblem::Unmade("the worker broke off".to_owned()),
        }
    }
}

impl Bound {
    fn code(self) -> u8 {
        match self {
            Bound::Time => 20,
            Bound::Memory => 21,
            Bound::Disk => 22,
            Bound::Processes => 23,
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Bound::Time => "it takes longer than `timeoutSeconds` in the document of kind Scanner; allow more there",
            Bound::Memory => "it takes more than `memory` in the document of kind Scanner; allow more there",
            Bound::Disk => "it takes more than `disk` in the document of kind Scanner; allow more there",
            Bound::Processes => "it starts more processes than Grype ever does; look at who made the image",
        }
    }
}

/// It could not be made, for this reason.
pub(super) fn unmade(problem: impl ToString) -> ScanProblem {
    ScanProblem::Unmade(problem.to_string())
}

/// One line that can be shown, whatever it was.
fn line(text: &str) -> String {
    one_line(text, LONGEST)
}

const BOUNDS: [Bound; 4] = [Bound::Time, Bound::Memory, Bound::Disk, Bound::Processes];
const GRYPE: u8 = 24;
const EVIDENCE: u8 = 25;
const UNMADE: u8 = 26;
const LONGEST: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_ends_with_is_heard_as_it_was_meant() {
        let text = || "no such image".to_owned();
        let others = [ScanProblem::Grype(text()), ScanProblem::Evidence(text()), ScanProblem::Unmade(text())];
        for problem in BOUNDS.map(ScanProblem::Exceeded).into_iter().chain(others) {
            let (code, line) = problem.told();
            assert_eq!(ScanProblem::heard(Some(code.into()), &line), problem);
        }
    }

    #[test]
    fn an_unknown_end_is_no_scan_and_a_line_stays_one() {
        for code in [None, Some(0), Some(1), Some(101), Some(276), Some(-1)] {
            assert_eq!(
                ScanProblem::heard(code, "pass"),
                ScanProblem::Unmade("the worker broke off".to_owned()),
                "{code:?}"
            );
        }
        let long = format!("\u{1b}[31mred\nfine: {}", "x".repeat(10_000));
        let ScanProblem::Grype(text) = ScanProblem::heard(Some(24), &long) else { panic!("grype") };
        assert!(text.starts_with("[31mred fine: xxx") && text.chars().count() == 500, "{text}");
    }
}
