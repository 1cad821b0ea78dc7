//! What the two probers of a run say of the network.

use serde::{Deserialize, Serialize};

use crate::facts::CanaryResult;

/// What a prober has counted; it writes this as its termination message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tally {
    /// Connections that it began.
    pub attempts: u32,
    /// Those of them that came about.
    pub connected: u32,
    /// When the first did, in milliseconds after its first instruction.
    pub first_connect_ms: Option<u32>,
    /// When the last did.
    pub last_connect_ms: Option<u32>,
}

impl Tally {
    /// Reads a termination message; none where it is not what a prober writes.
    pub(super) fn read(message: &str) -> Option<Self> {
        let tally: Tally = serde_json::from_str(message).ok()?;
        let (first, last) = (tally.first_connect_ms, tally.last_connect_ms);
        let fits = match (tally.connected, first, last) {
            (0, None, None) => true,
            (1.., Some(first), Some(last)) => first <= last,
            _ => false,
        };
        (fits && tally.connected <= tally.attempts).then_some(tally)
    }
}

/// The verdict, and the same for people. What a prober told may be missing, with the reason.
pub(super) fn verdict(open: &Result<Tally, String>, sealed: &Result<Tally, String>) -> (CanaryResult, String) {
    // One connection is enough, whatever else went wrong.
    if let Ok(Tally { attempts, connected: connected @ 1.., last_connect_ms, .. }) = sealed {
        let of = format!("a sealed pod connected {connected} times of {attempts}");
        let detail = match last_connect_ms {
            Some(last) if *last < LATE => format!("{of}, for its first {last} ms only: the network enforces late"),
            _ => of,
        };
        return (CanaryResult::NotEnforced, detail);
    }
    let unknown = |why: String| (CanaryResult::Unknown, why);
    match (open, sealed) {
        (Err(why), _) => unknown(format!("of the open pod nothing is known: {why}")),
        (Ok(Tally { connected: 0, .. }), _) => unknown(
            "the open pod could not connect either, so what the sealed one could not do says nothing".to_owned(),
        ),
        (_, Err(why)) => unknown(format!("of the sealed pod nothing is known: {why}")),
        (Ok(_), Ok(Tally { attempts, .. })) if *attempts < ENOUGH => {
            unknown(format!("the sealed pod tried {attempts} times only; {ENOUGH} say something"))
        }
        (Ok(_), Ok(Tally { attempts, .. })) => {
            (CanaryResult::Enforced, format!("a sealed pod connected not once in {attempts} attempts"))
        }
    }
}

/// A prober tries 250 times in five seconds; on a busy machine some come late.
const ENOUGH: u32 = 150;
/// Who still connects after so many milliseconds is not held at all.
const LATE: u32 = 4500;

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(attempts: u32, connected: u32, last: u32) -> Tally {
        let at = |ms: u32| (connected > 0).then_some(ms);
        Tally { attempts, connected, first_connect_ms: at(0), last_connect_ms: at(last) }
    }

    #[test]
    fn only_a_sealed_pod_that_never_connects_where_an_open_one_does_shows_that_the_network_enforces() {
        use CanaryResult::{Enforced, NotEnforced, Unknown};
        let gone = || Err("it is gone".to_owned());
        let (reached, cut_off) = (|| Ok(tally(250, 250, 4990)), || Ok(tally(250, 0, 0)));
        for (open, sealed, want, told) in [
            (reached(), cut_off(), Enforced, "not once in 250"),
            (Ok(tally(250, 1, 3000)), cut_off(), Enforced, "not once"),
            (reached(), Ok(tally(ENOUGH, 0, 0)), Enforced, "not once"),
            (reached(), Ok(tally(ENOUGH - 1, 0, 0)), Unknown, "149 times only"),
            (reached(), Ok(tally(0, 0, 0)), Unknown, "0 times only"),
            (cut_off(), cut_off(), Unknown, "the open pod could not connect either"),
            (gone(), cut_off(), Unknown, "of the open pod nothing is known: it is gone"),
            (reached(), gone(), Unknown, "of the sealed pod nothing is known: it is gone"),
            (gone(), gone(), Unknown, "of the open pod"),
            (reached(), Ok(tally(250, 250, 4990)), NotEnforced, "connected 250 times of 250"),
            (reached(), Ok(tally(250, 1, 20)), NotEnforced, "for its first 20 ms only: the network enforces late"),
            (reached(), Ok(tally(10, 1, 20)), NotEnforced, "connected 1 times"),
            (cut_off(), Ok(tally(250, 1, 4990)), NotEnforced, "connected 1 times"),
            (gone(), Ok(tally(250, 1, 4990)), NotEnforced, "connected 1 times"),
        ] {
            let (result, detail) = verdict(&open, &sealed);
            assert_eq!(result, want, "{open:?} {sealed:?}");
            assert!(detail.contains(told), "{detail}");
        }
    }

    #[test]
    fn a_message_that_no_prober_writes_says_nothing() {
        let written = |tally: Tally| serde_json::to_string(&tally).unwrap();
        for good in [tally(250, 0, 0), tally(250, 3, 60)] {
            assert_eq!(Tally::read(&written(good)), Some(good));
        }
        for bad in [
            "",
            "Killed",
            "{}",
            r#"{"attempts": 250}"#,
            r#"{"attempts": 250, "connected": 0, "more": 1}"#,
            r#"{"attempts": -1, "connected": 0}"#,
            r#"{"attempts": 1, "connected": 2, "firstConnectMs": 1, "lastConnectMs": 1}"#,
            r#"{"attempts": 2, "connected": 1}"#,
            r#"{"attempts": 2, "connected": 0, "firstConnectMs": 1, "lastConnectMs": 1}"#,
            r#"{"attempts": 2, "connected": 1, "firstConnectMs": 2, "lastConnectMs": 1}"#,
        ] {
            assert_eq!(Tally::read(bad), None, "{bad}");
        }
    }
}
